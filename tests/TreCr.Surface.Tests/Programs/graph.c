// Graphs of explicit nodes: what they do when launched, what can be asked of them, what can be changed.
#include "surface.h"

#define N 64

static kernel_node affine_node(u64 *out, u64 *in, u32 *n, void **parameters)
{
    parameters[0] = out;
    parameters[1] = in;
    parameters[2] = n;
    return (kernel_node){.function = function("affine"), .gx = 1, .gy = 1, .gz = 1, .bx = N, .by = 1, .bz = 1, .parameters = parameters};
}

static CUDA_MEMCPY3D line(u64 to, u64 from, size_t bytes)
{
    return (CUDA_MEMCPY3D){.srcMemoryType = 2, .srcDevice = from, .dstMemoryType = 2, .dstDevice = to, .WidthInBytes = bytes, .Height = 1, .Depth = 1};
}

static void launch(u64 exec)
{
    u64 stream = 0;
    OK(cuCtxSynchronize()); // the stream does not wait for fills in the default one
    OK(cuStreamCreate(&stream, 1));
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuStreamDestroy(stream));
}

// memset(a) -> copy a to b -> affine b to c -> host function
static u64 chain, chain_exec, chain_memory[3], chain_nodes[4];
static u32 chain_value, host_calls;

static void count_call(void *data) { *(u32 *)data += 1; }

static u64 make_chain(u64 nodes[4])
{
    u64 graph = 0, node = 0, context = primary_context;
    u32 n = N;
    void *parameters[3];
    OK(cuGraphCreate(&graph, 0));
    TRUE(graph != 0);
    memset_node fill = {.dst = chain_memory[0], .value = chain_value, .element = 4, .width = N, .height = 1};
    OK(cuGraphAddMemsetNode(&nodes[0], graph, NULL, 0, &fill, context));
    CUDA_MEMCPY3D copy = line(chain_memory[1], chain_memory[0], N * 4);
    OK(cuGraphAddMemcpyNode(&nodes[1], graph, &nodes[0], 1, &copy, context));
    kernel_node kernel = affine_node(&chain_memory[2], &chain_memory[1], &n, parameters);
    OK(cuGraphAddKernelNode(&nodes[2], graph, &nodes[1], 1, &kernel));
    host_node host = {count_call, &host_calls};
    OK(cuGraphAddHostNode(&nodes[3], graph, &nodes[2], 1, &host));
    IS(1, cuGraphAddEmptyNode(&node, graph, &graph, 1));
    return graph;
}

static void chain_is(u32 value, u32 calls)
{
    u32 expected[N], in[N];
    for (int i = 0; i < N; i++) in[i] = value;
    affine_of(expected, in, N);
    words_are(chain_memory[2], expected, N);
    IS(calls, host_calls);
    OK(cuMemsetD32(chain_memory[2], 0, N));
}

KEPT(chain_of_nodes, "cuGraphCreate cuGraphAddMemsetNode cuGraphAddMemcpyNode cuGraphAddKernelNode cuGraphAddHostNode cuGraphInstantiate cuGraphLaunch cuGraphUpload")
{
    u64 error = 77;
    chain_value = random_u32();
    for (int i = 0; i < 3; i++) chain_memory[i] = device_words(NULL, N);
    chain = make_chain(chain_nodes);
    OK(cuGraphInstantiate(&chain_exec, chain, &error, NULL, 0));
    TRUE(chain_exec != 0 && error == 0);
    OK(cuGraphUpload(chain_exec, 0));
    IS(1, cuGraphUpload(chain, 0));
    launch(chain_exec);
    chain_is(chain_value, 1);
}
FOUND(chain_of_nodes)
{
    launch(chain_exec);
    launch(chain_exec);
    chain_is(chain_value, 3);
    IS(1, cuGraphLaunch(chain, 0));
}

CASE(changed_nodes, "cuGraphKernelNodeSetParams cuGraphKernelNodeGetParams cuGraphMemcpyNodeSetParams cuGraphMemcpyNodeGetParams cuGraphMemsetNodeSetParams cuGraphMemsetNodeGetParams "
    "cuGraphHostNodeSetParams cuGraphHostNodeGetParams cuGraphInstantiateWithFlags cuGraphExecGetFlags cuGraphExecDestroy cuGraphDestroy")
{
    u64 nodes[4], memory = 0, exec = 0, flags = 77;
    u32 other = 0, n = N / 2, value = random_u32(), in[N], expected[N];
    for (int i = 0; i < 3; i++) chain_memory[i] = chain_memory[i] ? chain_memory[i] : device_words(NULL, N);
    u64 graph = make_chain(nodes);
    memory = device_words(NULL, N);
    memset_node fill = {0};
    OK(cuGraphMemsetNodeGetParams(nodes[0], &fill));
    IS(chain_memory[0], fill.dst);
    IS(chain_value, fill.value);
    fill.value = value;
    OK(cuGraphMemsetNodeSetParams(nodes[0], &fill));
    CUDA_MEMCPY3D copy = {0};
    OK(cuGraphMemcpyNodeGetParams(nodes[1], &copy));
    IS(chain_memory[1], copy.dstDevice);
    copy.dstDevice = memory;
    OK(cuGraphMemcpyNodeSetParams(nodes[1], &copy));
    kernel_node kernel = {0};
    OK(cuGraphKernelNodeGetParams(nodes[2], &kernel));
    IS(N, kernel.bx);
    IS(chain_memory[2], *(u64 *)kernel.parameters[0]);
    void *parameters[] = {kernel.parameters[0], &memory, &n};
    kernel.parameters = parameters;
    OK(cuGraphKernelNodeSetParams(nodes[2], &kernel));
    host_node host = {0};
    OK(cuGraphHostNodeGetParams(nodes[3], &host));
    TRUE(host.function == count_call && host.data == &host_calls);
    host.data = &other;
    OK(cuGraphHostNodeSetParams(nodes[3], &host));
    IS(1, cuGraphHostNodeSetParams(nodes[2], &host));
    OK(cuGraphInstantiateWithFlags(&exec, graph, 1));
    OK(cuGraphExecGetFlags(exec, &flags));
    IS(1, flags);
    OK(cuMemsetD32(chain_memory[2], 0, N));
    launch(exec);
    for (int i = 0; i < N; i++) in[i] = value;
    affine_of(expected, in, N);
    memset(expected + N / 2, 0, N / 2 * 4);
    words_are(chain_memory[2], expected, N);
    IS(1, other);
    OK(cuGraphDestroy(graph));
    IS(1, cuGraphDestroy(graph));
    launch(exec);
    IS(2, other);
    OK(cuGraphExecDestroy(exec));
    IS(1, cuGraphLaunch(exec, 0));
    OK(cuMemsetD32(chain_memory[2], 0, N));
    OK(cuMemFree(memory));
}
CASE(changed_executable_graph, "cuGraphExecKernelNodeSetParams cuGraphExecMemcpyNodeSetParams cuGraphExecMemsetNodeSetParams cuGraphExecHostNodeSetParams cuGraphExecUpdate "
    "cuGraphNodeSetEnabled cuGraphNodeGetEnabled cuGraphInstantiateWithParams")
{
    u64 nodes[4], exec = 0, memory = device_words(NULL, N), with[4] = {0, 0, 77, 77}, fresh[4];
    u32 other = 0, n = N, value = random_u32(), enabled = 77, in[N], expected[N];
    for (int i = 0; i < 3; i++) chain_memory[i] = chain_memory[i] ? chain_memory[i] : device_words(NULL, N);
    u64 graph = make_chain(nodes);
    OK(cuGraphInstantiateWithParams(&exec, graph, with));
    TRUE(exec != 0 && (int)with[3] == 0);
    memset_node fill = {.dst = chain_memory[0], .value = value, .element = 4, .width = N, .height = 1};
    OK(cuGraphExecMemsetNodeSetParams(exec, nodes[0], &fill, primary_context));
    CUDA_MEMCPY3D copy = line(memory, chain_memory[0], N * 4);
    OK(cuGraphExecMemcpyNodeSetParams(exec, nodes[1], &copy, primary_context));
    void *parameters[3];
    kernel_node kernel = affine_node(&chain_memory[2], &memory, &n, parameters);
    OK(cuGraphExecKernelNodeSetParams(exec, nodes[2], &kernel));
    host_node host = {count_call, &other};
    OK(cuGraphExecHostNodeSetParams(exec, nodes[3], &host));
    launch(exec);
    for (int i = 0; i < N; i++) in[i] = value;
    affine_of(expected, in, N);
    words_are(chain_memory[2], expected, N);
    IS(1, other);
    // The kernel switched off.
    OK(cuMemsetD32(chain_memory[2], 0, N));
    OK(cuGraphNodeSetEnabled(exec, nodes[2], 0));
    OK(cuGraphNodeGetEnabled(exec, nodes[2], &enabled));
    IS(0, enabled);
    launch(exec);
    memset(in, 0, sizeof in);
    words_are(chain_memory[2], in, N);
    OK(cuGraphNodeSetEnabled(exec, nodes[2], 1));
    // All of another graph at once, and a graph of another shape.
    u64 second = make_chain(fresh);
    update_info info = {77, 77, 77};
    OK(cuGraphExecUpdate(exec, second, &info));
    IS(0, info.result);
    u32 calls = host_calls;
    launch(exec);
    chain_is(chain_value, calls + 1);
    OK(cuGraphRemoveDependencies(second, &fresh[2], &fresh[3], 1));
    IS(910, cuGraphExecUpdate(exec, second, &info));
    IS(2, info.result);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuGraphDestroy(second));
    OK(cuMemFree(memory));
}

CASE(shape_of_a_graph, "cuGraphGetNodes cuGraphGetRootNodes cuGraphGetEdges cuGraphNodeGetDependencies cuGraphNodeGetDependentNodes cuGraphNodeGetType cuGraphAddEmptyNode "
    "cuGraphAddDependencies cuGraphRemoveDependencies cuGraphDestroyNode cuGraphClone cuGraphNodeFindInClone")
{
    u64 graph = 0, clone = 0, nodes[3] = {0}, found[4], from[4], to[4], image = 0;
    size_t count = 77;
    int type = 77;
    OK(cuGraphCreate(&graph, 0));
    for (int i = 0; i < 3; i++) OK(cuGraphAddEmptyNode(&nodes[i], graph, nodes, i == 2 ? 2 : 0));
    TRUE(nodes[0] && nodes[1] && nodes[0] != nodes[1]);
    OK(cuGraphGetNodes(graph, NULL, &count));
    IS(3, count);
    count = 4;
    OK(cuGraphGetNodes(graph, found, &count));
    TRUE(count == 3 && found[0] == nodes[0] && found[2] == nodes[2] && found[3] == 0);
    count = 4;
    OK(cuGraphGetRootNodes(graph, found, &count));
    TRUE(count == 2 && found[0] == nodes[0] && found[1] == nodes[1]);
    count = 4;
    OK(cuGraphGetEdges(graph, from, to, &count));
    TRUE(count == 2 && from[0] == nodes[0] && to[0] == nodes[2] && from[1] == nodes[1] && to[1] == nodes[2]);
    OK(cuGraphNodeGetType(nodes[1], &type));
    IS(5, type);
    OK(cuGraphAddDependencies(graph, &nodes[0], &nodes[1], 1));
    IS(1, cuGraphAddDependencies(graph, &nodes[0], &nodes[1], 1));
    count = 4;
    OK(cuGraphNodeGetDependencies(nodes[2], found, &count));
    TRUE(count == 2 && found[0] == nodes[0] && found[1] == nodes[1]);
    count = 4;
    OK(cuGraphNodeGetDependentNodes(nodes[0], found, &count));
    TRUE(count == 2 && found[0] == nodes[2] && found[1] == nodes[1]);
    // A ring is refused when it is to be run.
    OK(cuGraphAddDependencies(graph, &nodes[2], &nodes[0], 1));
    TRUE(cuGraphInstantiate(&image, graph, NULL, NULL, 0) != 0);
    OK(cuGraphRemoveDependencies(graph, &nodes[2], &nodes[0], 1));
    IS(1, cuGraphRemoveDependencies(graph, &nodes[2], &nodes[0], 1));
    OK(cuGraphClone(&clone, graph));
    TRUE(clone != 0 && clone != graph);
    OK(cuGraphNodeFindInClone(&image, nodes[1], clone));
    TRUE(image != 0 && image != nodes[1]);
    OK(cuGraphDestroyNode(nodes[1]));
    count = 4;
    OK(cuGraphGetNodes(graph, found, &count));
    IS(2, count);
    count = 4;
    OK(cuGraphGetNodes(clone, found, &count));
    TRUE(count == 3 && found[1] == image);
    OK(cuGraphDestroy(clone));
    OK(cuGraphDestroy(graph));
}

CASE(graph_in_a_graph, "cuGraphAddChildGraphNode cuGraphChildGraphNodeGetGraph")
{
    u64 graph = 0, child = 0, owned = 0, node = 0, exec = 0, memory = device_words(NULL, N);
    u32 value = random_u32(), expected[N];
    memset_node fill = {.dst = memory, .value = value, .element = 4, .width = N, .height = 1};
    OK(cuGraphCreate(&graph, 0));
    OK(cuGraphCreate(&child, 0));
    OK(cuGraphAddMemsetNode(&node, child, NULL, 0, &fill, primary_context));
    OK(cuGraphAddChildGraphNode(&node, graph, NULL, 0, child));
    OK(cuGraphChildGraphNodeGetGraph(node, &owned));
    TRUE(owned != 0 && owned != child);
    OK(cuGraphDestroy(child));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    launch(exec);
    for (int i = 0; i < N; i++) expected[i] = value;
    words_are(memory, expected, N);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuMemFree(memory));
}

CASE(events_in_a_graph, "cuGraphAddEventRecordNode cuGraphAddEventWaitNode cuGraphEventRecordNodeGetEvent cuGraphEventRecordNodeSetEvent cuGraphEventWaitNodeGetEvent "
    "cuGraphEventWaitNodeSetEvent cuGraphExecEventRecordNodeSetEvent cuGraphExecEventWaitNodeSetEvent")
{
    u64 events[3], graph = 0, record = 0, wait = 0, exec = 0, found = 0, gated = 0, stream = 0;
    u32 *pinned = NULL;
    for (int i = 0; i < 3; i++) OK(cuEventCreate(&events[i], 0));
    OK(cuGraphCreate(&graph, 0));
    OK(cuGraphAddEventWaitNode(&wait, graph, NULL, 0, events[0]));
    OK(cuGraphAddEventRecordNode(&record, graph, &wait, 1, events[1]));
    OK(cuGraphEventWaitNodeGetEvent(wait, &found));
    IS(events[0], found);
    OK(cuGraphEventRecordNodeGetEvent(record, &found));
    IS(events[1], found);
    OK(cuGraphEventRecordNodeSetEvent(record, events[2]));
    OK(cuGraphEventRecordNodeGetEvent(record, &found));
    IS(events[2], found);
    OK(cuGraphEventWaitNodeSetEvent(wait, events[1]));
    OK(cuGraphEventWaitNodeGetEvent(wait, &found));
    IS(events[1], found);
    IS(1, cuGraphEventWaitNodeGetEvent(record, &found));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cuGraphExecEventWaitNodeSetEvent(exec, wait, events[0]));
    OK(cuGraphExecEventRecordNodeSetEvent(exec, record, events[1]));
    // The graph waits for an event behind a gate, and only then records its own.
    OK(cuMemHostAlloc((void **)&pinned, 64, 0));
    pinned[0] = pinned[1] = 0;
    u64 flag = (u64)pinned, out = (u64)(pinned + 1);
    u32 value = random_u32();
    void *parameters[] = {&flag, &out, &value};
    OK(cuStreamCreate(&gated, 1));
    OK(cuStreamCreate(&stream, 1));
    OK(cuLaunchKernel(function("gate"), 1, 1, 1, 1, 1, 1, 0, gated, parameters, NULL));
    OK(cuEventRecord(events[0], gated));
    OK(cuGraphLaunch(exec, stream));
    int early = cuEventQuery(events[1]);
    __atomic_store_n(pinned, 1, __ATOMIC_SEQ_CST);
    OK(cuStreamSynchronize(stream));
    IS(600, early);
    IS(value, pinned[1]);
    OK(cuEventQuery(events[1]));
    // The times of both events say which were recorded.
    float elapsed = -7;
    OK(cuEventElapsedTime(&elapsed, events[0], events[1]));
    TRUE(elapsed >= 0);
    IS(400, cuEventElapsedTime(&elapsed, events[0], events[2]));
    OK(cuStreamDestroy(stream));
    OK(cuStreamDestroy(gated));
    OK(cuMemFreeHost(pinned));
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    for (int i = 0; i < 3; i++) OK(cuEventDestroy(events[i]));
}

static int destroyed;
static void destroy(void *data) { destroyed = *(int *)data; }

CASE(user_objects_live_with_their_references, "cuUserObjectCreate cuUserObjectRetain cuUserObjectRelease cuGraphRetainUserObject cuGraphReleaseUserObject")
{
    u64 object = 0, graph = 0, exec = 0;
    int key = 4711;
    destroyed = 0;
    OK(cuUserObjectCreate(&object, &key, destroy, 1, 1));
    TRUE(object != 0);
    OK(cuUserObjectRetain(object, 2));
    OK(cuUserObjectRelease(object, 2));
    IS(0, destroyed);
    OK(cuGraphCreate(&graph, 0));
    OK(cuGraphRetainUserObject(graph, object, 2, 0));
    OK(cuUserObjectRelease(object, 1));
    IS(0, destroyed);
    OK(cuGraphReleaseUserObject(graph, object, 1));
    IS(1, cuGraphReleaseUserObject(graph, object, 2));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cuGraphDestroy(graph));
    IS(0, destroyed);
    OK(cuGraphExecDestroy(exec));
    IS(4711, destroyed);
    IS(1, cuUserObjectRelease(object, 1));
}

static u64 batch_exec, batch_stream, batch_out, batch_graph;
static u32 *batch_flag, batch_value;

// Waits for a value of the program's, then writes one; with another branch, which does not wait, before it.
KEPT(graph_waits_for_values_and_writes_them, "cuGraphAddBatchMemOpNode cuGraphBatchMemOpNodeGetParams cuGraphBatchMemOpNodeSetParams cuGraphExecBatchMemOpNodeSetParams")
{
    u64 node = 0, other = 0;
    int type = 77;
    u32 one = 1, seen[2];
    memory_operation operations[2] = {{.operation = 9}, {.operation = WRITE_32}}, first;
    batch_node given = {primary_context, 2, operations, 0}, found = {0};
    batch_value = random_u32();
    OK(cuMemHostAlloc((void **)&batch_flag, 64, 0));
    *batch_flag = 0;
    batch_out = device_words(NULL, 2);
    operations[0].address = (u64)batch_flag;
    operations[1].address = batch_out;
    OK(cuGraphCreate(&batch_graph, 0));
    IS(1, cuGraphAddBatchMemOpNode(&node, batch_graph, NULL, 0, &given));
    operations[0] = (memory_operation){.operation = WAIT_32, .address = (u64)batch_flag, .value = 5, .flags = EQUAL};
    given.flags = 1;
    IS(1, cuGraphAddBatchMemOpNode(&node, batch_graph, NULL, 0, &given));
    given.flags = 0;
    OK(cuGraphAddBatchMemOpNode(&node, batch_graph, NULL, 0, &given));
    memset(operations, 7, sizeof operations); // the node has its own
    OK(cuGraphNodeGetType(node, &type));
    IS(12, type);
    OK(cuGraphBatchMemOpNodeGetParams(node, &found));
    IS(2, found.count);
    TRUE(found.operations != operations);
    IS(5, found.operations[0].value);
    first = found.operations[0];
    memset_node fill = {.dst = batch_out + 4, .value = one, .element = 4, .width = 1, .height = 1};
    OK(cuGraphAddMemsetNode(&other, batch_graph, NULL, 0, &fill, primary_context));
    IS(1, cuGraphBatchMemOpNodeGetParams(other, &found));
    operations[0] = first;
    operations[0].value = 6;
    operations[1] = (memory_operation){.operation = WRITE_32, .address = batch_out, .value = 1};
    IS(1, cuGraphBatchMemOpNodeSetParams(other, &given));
    OK(cuGraphBatchMemOpNodeSetParams(node, &given));
    OK(cuGraphBatchMemOpNodeGetParams(node, &found));
    IS(6, found.operations[0].value);
    OK(cuGraphInstantiate(&batch_exec, batch_graph, NULL, NULL, 0));
    OK(cuStreamCreate(&batch_stream, 1));
    OK(cuGraphLaunch(batch_exec, batch_stream));
    IS(600, cuStreamQuery(batch_stream));
    __atomic_store_n(batch_flag, 6, __ATOMIC_SEQ_CST);
    OK(cuStreamSynchronize(batch_stream));
    OK(cuMemcpyDtoH(seen, batch_out, sizeof seen));
    IS(1, seen[0]);
    IS(1, seen[1]);
    operations[0].value = batch_value | 8;
    operations[1].value = batch_value;
    OK(cuGraphExecBatchMemOpNodeSetParams(batch_exec, node, &given));
}
FOUND(graph_waits_for_values_and_writes_them)
{
    OK(cuGraphLaunch(batch_exec, batch_stream));
    IS(600, cuStreamQuery(batch_stream));
    __atomic_store_n(batch_flag, batch_value | 8, __ATOMIC_SEQ_CST);
    OK(cuStreamSynchronize(batch_stream));
    words_are(batch_out, &batch_value, 1);
    OK(cuGraphExecDestroy(batch_exec));
    OK(cuGraphDestroy(batch_graph));
    OK(cuStreamDestroy(batch_stream));
    OK(cuMemFree(batch_out));
    OK(cuMemFreeHost(batch_flag));
}

// One stream after the other is how a graph is done here, and yet a branch that is waited for comes before the one that waits.
CASE(graph_branch_brings_what_another_waits_for, "cuGraphAddBatchMemOpNode cuGraphLaunch")
{
    u64 graph = 0, exec = 0, node = 0, out = device_words(NULL, 2), stream = 0;
    u32 value = random_u32(), seen[2];
    memory_operation wait[2] = {{.operation = WAIT_32, .address = out, .value = value, .flags = EQUAL}, {.operation = WRITE_32, .address = out + 4, .value = value}}, write = {.operation = WRITE_32, .address = out, .value = value};
    batch_node waits = {primary_context, 2, wait, 0}, writes = {primary_context, 1, &write, 0};
    OK(cuGraphCreate(&graph, 0));
    OK(cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &waits));
    OK(cuGraphAddEmptyNode(&node, graph, NULL, 0));
    OK(cuGraphAddBatchMemOpNode(&node, graph, &node, 1, &writes));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cuStreamCreate(&stream, 1));
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuMemcpyDtoH(seen, out, sizeof seen));
    IS(value, seen[1]);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(out));
}
