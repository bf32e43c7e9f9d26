// Stream capture: calls become nodes.
#include "surface.h"

#define N 64

static u64 two_streams(u64 a, u64 b, u64 memory[3], u32 value, u32 *calls, host_function count)
{
    u64 forked = 0, joined = 0, graph = 0;
    OK(cuEventCreate(&forked, 2));
    OK(cuEventCreate(&joined, 2));
    OK(cuStreamBeginCapture(a, 0));
    OK(cuMemsetD32Async(memory[0], value, N, a));
    OK(cuEventRecord(forked, a));
    OK(cuStreamWaitEvent(b, forked, 0));
    OK(cuMemcpyDtoDAsync(memory[1], memory[0], N * 4, b));
    OK(cuEventRecord(joined, b));
    OK(cuStreamWaitEvent(a, joined, 0));
    run_affine(memory[2], memory[1], N, a);
    OK(cuLaunchHostFunc(a, count, calls));
    OK(cuStreamEndCapture(a, &graph));
    OK(cuEventDestroy(forked));
    OK(cuEventDestroy(joined));
    return graph;
}

static u64 captured_exec, captured_memory[3], captured_stream;
static u32 captured_value, captured_calls;
static void count_call(void *data) { *(u32 *)data += 1; }

KEPT(captured_work, "cuStreamBeginCapture cuStreamEndCapture")
{
    u64 other = 0, graph = 0, nodes[8];
    u32 zero[N] = {0};
    size_t count = 8, edges = 0;
    captured_value = random_u32();
    OK(cuStreamCreate(&captured_stream, 1));
    OK(cuStreamCreate(&other, 1));
    for (int i = 0; i < 3; i++) captured_memory[i] = device_words(NULL, N);
    graph = two_streams(captured_stream, other, captured_memory, captured_value, &captured_calls, count_call);
    TRUE(graph != 0);
    // Nothing has run.
    OK(cuCtxSynchronize());
    words_are(captured_memory[0], zero, N);
    IS(0, captured_calls);
    OK(cuGraphGetNodes(graph, nodes, &count));
    IS(4, count);
    OK(cuGraphGetEdges(graph, NULL, NULL, &edges));
    IS(4, edges); // the kernel comes after the fill of its own stream too
    OK(cuGraphInstantiate(&captured_exec, graph, NULL, NULL, 0));
    OK(cuGraphDestroy(graph));
    OK(cuStreamDestroy(other));
}
FOUND(captured_work)
{
    u32 in[N], expected[N];
    OK(cuGraphLaunch(captured_exec, captured_stream));
    OK(cuStreamSynchronize(captured_stream));
    for (int i = 0; i < N; i++) in[i] = captured_value;
    affine_of(expected, in, N);
    words_are(captured_memory[2], expected, N);
    IS(1, captured_calls);
    OK(cuGraphExecDestroy(captured_exec));
    OK(cuStreamDestroy(captured_stream));
}

// Half of the work is captured before the restart, half of it after.
static u64 open_stream, open_memory;
static u32 open_value;

KEPT(open_capture, "cuStreamIsCapturing cuStreamGetCaptureInfo cuStreamUpdateCaptureDependencies")
{
    u64 id = 0;
    int status = 77;
    open_value = random_u32();
    OK(cuStreamCreate(&open_stream, 1));
    open_memory = device_words(NULL, N);
    OK(cuStreamBeginCapture(open_stream, 1));
    IS(401, cuStreamBeginCapture(open_stream, 1));
    OK(cuMemsetD32Async(open_memory, open_value, N, open_stream));
    OK(cuStreamIsCapturing(open_stream, &status));
    IS(1, status);
    status = 77;
    OK(cuStreamGetCaptureInfo(open_stream, &status, &id, NULL, NULL, NULL));
    TRUE(status == 1 && id != 0);
}
FOUND(open_capture)
{
    u64 graph = 0, inside = 0, exec = 0, roots[4], node = 0;
    const u64 *after = NULL;
    size_t count = 77;
    int status = 77;
    u32 in[N], expected[N];
    OK(cuStreamGetCaptureInfo(open_stream, &status, NULL, &inside, &after, &count));
    TRUE(status == 1 && inside != 0 && count == 1 && after != NULL);
    // One more node by hand, which the next one shall come after.
    OK(cuGraphAddEmptyNode(&node, inside, after, 1));
    OK(cuStreamUpdateCaptureDependencies(open_stream, &node, 1, 1));
    run_affine(open_memory, open_memory, N, open_stream);
    OK(cuStreamEndCapture(open_stream, &graph));
    IS(inside, graph);
    count = 4;
    OK(cuGraphNodeGetDependentNodes(node, roots, &count));
    IS(1, count);
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cuGraphLaunch(exec, open_stream));
    OK(cuStreamSynchronize(open_stream));
    for (int i = 0; i < N; i++) in[i] = open_value;
    affine_of(expected, in, N);
    words_are(open_memory, expected, N);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuStreamDestroy(open_stream));
    OK(cuMemFree(open_memory));
}

CASE(copies_and_fills_are_captured, "cuStreamBeginCapture")
{
    u64 stream = 0, graph = 0, exec = 0, p = device_words(NULL, N), q = device_words(NULL, N);
    u32 a[N], b[N], *pinned = NULL, half = N / 2;
    fill_random(a, sizeof a);
    memset(b, 0, sizeof b);
    OK(cuMemHostAlloc((void **)&pinned, N * 4, 0));
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamBeginCapture(stream, 2));
    OK(cuMemcpyHtoDAsync(p, pinned, N * 4, stream));
    CUDA_MEMCPY2D rows = {.srcMemoryType = 2, .srcDevice = p, .srcPitch = half, .dstMemoryType = 2, .dstDevice = q, .dstPitch = half, .WidthInBytes = half, .Height = 8};
    OK(cuMemcpy2DAsync(&rows, stream));
    OK(cuMemsetD2D8Async(q, half, 0x5a, 4, 8, stream));
    OK(cuMemcpyAsync((u64)b, q, N * 4, stream));
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    memcpy(pinned, a, sizeof a);
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    for (int i = 0; i < N; i++) IS(i % 8 == 0 ? 0x5a5a5a5a : a[i], b[i]);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuStreamDestroy(stream));
    OK(cuMemFreeHost(pinned));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

CASE(spoilt_captures, "cuStreamBeginCapture cuStreamEndCapture cuStreamSynchronize")
{
    u64 stream = 0, other = 0, event = 0, graph = 77;
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamCreate(&other, 1));
    OK(cuEventCreate(&event, 2));
    IS(401, cuStreamEndCapture(stream, &graph));
    OK(cuStreamBeginCapture(stream, 0));
    IS(900, cuStreamSynchronize(stream));
    IS(901, cuMemsetD8Async(graph, 0, 1, stream));
    IS(901, cuStreamEndCapture(stream, &graph));
    IS(0, graph);
    // A stream that was taken along and not brought back.
    OK(cuStreamBeginCapture(stream, 0));
    OK(cuEventRecord(event, stream));
    OK(cuStreamWaitEvent(other, event, 0));
    IS(907, cuEventSynchronize(event));
    u64 p = device_words(NULL, N);
    OK(cuMemsetD32Async(p, 1, N, other));
    IS(903, cuStreamEndCapture(other, &graph));
    IS(904, cuStreamEndCapture(stream, &graph));
    OK(cuStreamSynchronize(stream));
    OK(cuEventDestroy(event));
    OK(cuStreamDestroy(other));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
}
