// Streams and events: what waits for what.
#include "surface.h"

// A stream that stands in front of a gate in pinned memory, and the words behind it.
struct gate { u64 stream; volatile u32 *flag; u32 *out, value; };

static struct gate closed_gate(void)
{
    struct gate g = {0};
    OK(cuStreamCreate(&g.stream, 1));
    OK(cuMemHostAlloc((void **)&g.flag, 64, 0));
    g.out = (u32 *)g.flag + 1;
    g.flag[0] = g.flag[1] = 0;
    g.value = random_u32();
    u64 flag = (u64)g.flag, out = (u64)g.out;
    void *parameters[] = {&flag, &out, &g.value};
    OK(cuLaunchKernel(function("gate"), 1, 1, 1, 1, 1, 1, 0, g.stream, parameters, NULL));
    return g;
}

// Work behind the gate that is long compared with a call that does nothing.
static u32 work(struct gate *g)
{
    u32 x = g->value;
    for (int i = 0; i < 100; i++) {
        run_affine((u64)g->out, (u64)g->out, 1, g->stream);
        x = x * factor + term;
    }
    return x;
}

static void open_gate(struct gate *g) { __atomic_store_n(g->flag, 1, __ATOMIC_SEQ_CST); }

static void end(struct gate *g)
{
    OK(cuCtxSynchronize());
    OK(cuStreamDestroy(g->stream));
    OK(cuMemFreeHost((void *)g->flag));
}

CASE(stream_is_waited_for, "cuStreamSynchronize cuStreamCreate")
{
    struct gate g = closed_gate();
    u32 x = work(&g);
    open_gate(&g);
    OK(cuStreamSynchronize(g.stream));
    IS(x, *g.out);
    end(&g);
    TRUE(cuStreamSynchronize(g.stream) != 0);
}

CASE(stream_with_work_is_not_ready, "cuStreamQuery")
{
    struct gate g = closed_gate();
    IS(600, cuStreamQuery(g.stream));
    open_gate(&g);
    OK(cuStreamSynchronize(g.stream));
    OK(cuStreamQuery(g.stream));
    end(&g);
}

static u64 kept_stream[2];

KEPT(stream_properties, "cuStreamCreateWithPriority cuStreamCreate cuStreamGetPriority cuStreamGetFlags")
{
    int least, greatest;
    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    OK(cuStreamCreateWithPriority(&kept_stream[0], 1, greatest));
    OK(cuStreamCreate(&kept_stream[1], 0));
    TRUE(kept_stream[0] && kept_stream[1] && kept_stream[0] != kept_stream[1]);
    IS(1, cuStreamCreate(&kept_stream[1], 77));
}
FOUND(stream_properties)
{
    int least, greatest, priority = 77;
    u32 flags = 77;
    u32 *pinned = NULL;
    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    OK(cuStreamGetPriority(kept_stream[0], &priority));
    IS(greatest, priority);
    OK(cuStreamGetPriority(kept_stream[1], &priority));
    IS(0, priority);
    OK(cuStreamGetFlags(kept_stream[0], &flags));
    IS(1, flags);
    OK(cuStreamGetFlags(kept_stream[1], &flags));
    IS(0, flags);
    OK(cuMemHostAlloc((void **)&pinned, 8, 0));
    for (int i = 0; i < 2; i++) {
        pinned[0] = i;
        run_affine((u64)pinned, (u64)pinned, 1, kept_stream[i]);
        OK(cuStreamSynchronize(kept_stream[i]));
        IS(i * factor + term, pinned[0]);
        OK(cuStreamDestroy(kept_stream[i]));
    }
    OK(cuMemFreeHost(pinned));
}

static u64 attributed[2];

KEPT(stream_attributes, "cuStreamSetAttribute cuStreamGetAttribute cuStreamCopyAttributes")
{
    int value[16] = {3};
    for (int i = 0; i < 2; i++) OK(cuStreamCreate(&attributed[i], 1));
    OK(cuStreamSetAttribute(attributed[0], 3, value));
    value[0] = 77;
    OK(cuStreamGetAttribute(attributed[1], 3, value));
    IS(1, value[0]);
    OK(cuStreamCopyAttributes(attributed[1], attributed[0]));
    IS(1, cuStreamSetAttribute(attributed[0], 77, value));
}
FOUND(stream_attributes)
{
    for (int i = 0; i < 2; i++) {
        int value[16] = {77};
        OK(cuStreamGetAttribute(attributed[i], 3, value));
        IS(3, value[0]);
        OK(cuStreamDestroy(attributed[i]));
    }
}

CASE(destroyed_stream_is_gone, "cuStreamDestroy")
{
    u64 stream = 0;
    OK(cuStreamCreate(&stream, 0));
    OK(cuStreamQuery(stream));
    OK(cuStreamDestroy(stream));
    TRUE(cuStreamQuery(stream) != 0 && cuStreamDestroy(stream) != 0);
}

CASE(no_capture, "cuStreamIsCapturing cuStreamGetCaptureInfo")
{
    u64 stream = 0;
    int status = 77;
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamIsCapturing(stream, &status));
    IS(0, status);
    status = 77;
    OK(cuStreamGetCaptureInfo(stream, &status, NULL, NULL, NULL, NULL));
    IS(0, status);
    OK(cuStreamDestroy(stream));
}

KEPT(capture_mode_of_the_thread, "cuThreadExchangeStreamCaptureMode")
{
    int mode = 2;
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    IS(0, mode);
    mode = 7;
    IS(1, cuThreadExchangeStreamCaptureMode(&mode));
}
FOUND(capture_mode_of_the_thread)
{
    int mode = 0;
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    IS(2, mode);
}

CASE(event_tells_how_far_the_stream_is, "cuEventCreate cuEventRecord cuEventQuery cuEventSynchronize cuEventDestroy")
{
    u64 event = 0;
    OK(cuEventCreate(&event, 0));
    OK(cuEventQuery(event));
    struct gate g = closed_gate();
    u32 x = work(&g);
    OK(cuEventRecord(event, g.stream));
    IS(600, cuEventQuery(event));
    open_gate(&g);
    OK(cuEventSynchronize(event));
    IS(x, *g.out);
    OK(cuEventQuery(event));
    OK(cuEventDestroy(event));
    TRUE(cuEventQuery(event) != 0 && cuEventDestroy(event) != 0);
    end(&g);
}

CASE(event_recorded_with_flags, "cuEventRecordWithFlags")
{
    u64 event = 0;
    OK(cuEventCreate(&event, 2));
    struct gate g = closed_gate();
    OK(cuEventRecordWithFlags(event, g.stream, 0));
    IS(600, cuEventQuery(event));
    open_gate(&g);
    OK(cuEventSynchronize(event));
    IS(1, cuEventRecordWithFlags(event, g.stream, 77));
    OK(cuEventDestroy(event));
    end(&g);
}

CASE(a_stream_waits_for_an_event, "cuStreamWaitEvent")
{
    u64 event = 0, other = 0, third = 0;
    OK(cuEventCreate(&event, 2));
    OK(cuStreamCreate(&other, 1));
    OK(cuStreamCreate(&third, 1));
    struct gate g = closed_gate();
    u32 x = work(&g);
    OK(cuEventRecord(event, g.stream));
    OK(cuStreamWaitEvent(other, event, 0));
    run_affine((u64)(g.out + 1), (u64)g.out, 1, other);
    // What waits for nothing is done long before these.
    for (int i = 0; i < 20; i++) {
        run_affine((u64)(g.out + 1), (u64)g.out, 1, third);
        OK(cuStreamSynchronize(third));
    }
    IS(600, cuStreamQuery(other));
    OK(cuStreamDestroy(third));
    open_gate(&g);
    OK(cuStreamSynchronize(other));
    IS(x * factor + term, g.out[1]);
    OK(cuStreamDestroy(other));
    OK(cuEventDestroy(event));
    end(&g);
}

static u64 times[3];
static float first_elapsed;

KEPT(time_between_events, "cuEventElapsedTime cuEventRecord")
{
    for (int i = 0; i < 2; i++) OK(cuEventCreate(&times[i], 0));
    OK(cuEventCreate(&times[2], 2));
    struct gate g = closed_gate();
    OK(cuEventRecord(times[0], g.stream));
    work(&g);
    OK(cuEventRecord(times[1], g.stream));
    OK(cuEventRecord(times[2], g.stream));
    IS(600, cuEventElapsedTime(&first_elapsed, times[0], times[1]));
    open_gate(&g);
    OK(cuEventSynchronize(times[2]));
    first_elapsed = -7;
    OK(cuEventElapsedTime(&first_elapsed, times[0], times[1]));
    TRUE(first_elapsed > 0 && first_elapsed < 60000);
    IS(400, cuEventElapsedTime(&first_elapsed, times[0], times[2]));
    end(&g);
}
FOUND(time_between_events)
{
    float elapsed = -7;
    OK(cuEventElapsedTime(&elapsed, times[0], times[1]));
    TRUE(elapsed == first_elapsed);
    OK(cuEventQuery(times[2]));
    for (int i = 0; i < 3; i++) OK(cuEventDestroy(times[i]));
}

// A stream waits for a word that the program writes, for one that another stream writes, and for one that a kernel writes.
CASE(streams_wait_for_values, "cuStreamWaitValue32 cuStreamWaitValue64 cuStreamWriteValue32 cuStreamWriteValue64 cuStreamBatchMemOp")
{
    u64 waiting = 0, other = 0, far = 0, at, big = (u64)(random_u32() >> 1) << 32; // less than half: "at least" is a signed difference
    u32 *near = NULL, value = random_u32(), seen[4];
    OK(cuStreamCreate(&waiting, 1));
    OK(cuStreamCreate(&other, 1));
    OK(cuMemHostAlloc((void **)&near, 64, 0));
    memset(near, 0, 64);
    at = (u64)near;
    far = device_words(NULL, 4);
    IS(1, cuStreamWaitValue32(waiting, at + 2, 1, 0));
    IS(1, cuStreamWaitValue32(waiting, 0, 1, 0));
    IS(1, cuStreamWaitValue32(waiting, at, 1, 4));
    IS(1, cuStreamWaitValue64(waiting, at + 4, 1, 0));
    IS(1, cuStreamWriteValue32(waiting, at, 1, 2));
    // The program.
    OK(cuStreamWaitValue32(waiting, at, value, 1));
    OK(cuStreamWriteValue32(waiting, far, value, 0));
    IS(600, cuStreamQuery(waiting));
    __atomic_store_n(near, value - 2, __ATOMIC_SEQ_CST);
    OK(cuStreamSynchronize(other));
    IS(600, cuStreamQuery(waiting));
    __atomic_store_n(near, value, __ATOMIC_SEQ_CST);
    OK(cuStreamSynchronize(waiting));
    words_are(far, &value, 1);
    // Another stream, 64 bits wide: less, then at least as much.
    OK(cuStreamWaitValue64(waiting, far + 8, big, 0));
    OK(cuStreamWriteValue64(other, far + 8, big - 1, 0));
    OK(cuStreamSynchronize(other));
    IS(600, cuStreamQuery(waiting));
    OK(cuStreamWriteValue64(other, far + 8, big + 1, 1));
    OK(cuStreamSynchronize(waiting));
    OK(cuMemcpyDtoH(seen, far, sizeof seen));
    IS(big + 1, (u64)seen[3] << 32 | seen[2]);
    // A common bit, written by a kernel; then a bit that neither has.
    near[1] = 0;
    OK(cuStreamWaitValue32(waiting, at + 8, (1 * factor + term) | 1, 2));
    near[1] = 1;
    run_affine(at + 8, at + 4, 1, other);
    OK(cuStreamSynchronize(waiting));
    near[3] = ~8u;
    OK(cuStreamWaitValue32(waiting, at + 12, 8, 3));
    IS(600, cuStreamQuery(waiting));
    __atomic_store_n(near + 3, ~12u, __ATOMIC_SEQ_CST);
    OK(cuStreamSynchronize(waiting));
    // A batch: nothing of it is done where one entry is wrong.
    memory_operation batch[3] = {{2, 0, far, 77, 0}, {1, 0, far, 77, 1}, {2, 0, far + 4, 78, 0}};
    IS(48, sizeof *batch);
    batch[1].operation = 9;
    IS(1, cuStreamBatchMemOp(waiting, 3, batch, 0));
    OK(cuStreamSynchronize(waiting));
    words_are(far, &value, 1);
    batch[1].operation = 1;
    IS(1, cuStreamBatchMemOp(waiting, 3, batch, 1));
    OK(cuStreamBatchMemOp(waiting, 3, batch, 0));
    OK(cuStreamSynchronize(waiting));
    OK(cuMemcpyDtoH(seen, far, sizeof seen));
    IS(77, seen[0]);
    IS(78, seen[1]);
    OK(cuMemFree(far));
    OK(cuMemFreeHost(near));
    OK(cuStreamDestroy(waiting));
    OK(cuStreamDestroy(other));
}
