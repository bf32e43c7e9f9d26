// Cost of driver calls by family, as the caller sees them, and bandwidth of copies. Prints lines "NAME VALUE"; the name's first word says the unit's side: enqueue (ns a call, in bursts that fit the ring), wait (us a call),
// local (ns a call), rate (calls a second), copy (GB/s: best of several).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint64_t u64;
enum { BURST = 200, BURSTS = 400, WAITS = 4000, LAUNCHES = 100000 };
static void *library;
#define CALL(name, ...) do { int r_ = (((int (*)())name##_)(__VA_ARGS__)); if (r_) { fprintf(stderr, #name ": %d\n", r_); exit(1); } } while (0)
#define F(name) static void *name##_;
#define ALL F(cuInit) F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent) F(cuCtxGetCurrent) F(cuCtxSynchronize) F(cuDeviceGetAttribute) F(cuEventCreate) F(cuEventRecord) F(cuEventSynchronize) F(cuEventQuery) \
    F(cuStreamCreate) F(cuStreamSynchronize) F(cuStreamWaitEvent) F(cuStreamQuery) F(cuMemAlloc_v2) F(cuMemFree_v2) F(cuMemHostAlloc) F(cuMemsetD8Async) F(cuMemcpyHtoD_v2) F(cuMemcpyDtoH_v2) F(cuMemcpyHtoDAsync_v2) \
    F(cuMemcpyDtoDAsync_v2) F(cuModuleLoadData) F(cuModuleGetFunction) F(cuLaunchKernel) F(cuPointerGetAttribute) F(cuFuncGetAttribute) F(cuMemAllocAsync) F(cuMemFreeAsync)
ALL
#undef F

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }
static double median(double *values, int n) { qsort(values, n, sizeof *values, ascending); return values[n / 2]; }
static double times[WAITS];

#define ENQUEUED(name, ...) do { \
    __VA_ARGS__; CALL(cuCtxSynchronize); \
    for (int burst_ = 0; burst_ < BURSTS; burst_++) { double start = now(); for (int i = 0; i < BURST; i++) { __VA_ARGS__; } times[burst_] = (now() - start) / BURST; CALL(cuCtxSynchronize); } \
    printf("enqueue %s %.1f\n", name, median(times, BURSTS) * 1e9); } while (0)
#define WAITING(name, ...) do { \
    for (int i = 0; i < WAITS; i++) { double start = now(); __VA_ARGS__; times[i] = now() - start; } \
    printf("wait %s %.3f\n", name, median(times, WAITS) * 1e6); } while (0)
#define LOCAL(name, ...) do { double start = now(); for (int i = 0; i < 100000; i++) { __VA_ARGS__; } printf("local %s %.1f\n", name, (now() - start) / 100000 * 1e9); } while (0)

static double copy(u64 device, void *host, u64 bytes, int to_device)
{
    double best = 1e9, until = now() + 0.15;
    for (int i = 0; i < 5 || now() < until; i++) {
        double start = now();
        if (to_device) CALL(cuMemcpyHtoD_v2, device, host, bytes); else CALL(cuMemcpyDtoH_v2, host, device, bytes);
        double took = now() - start;
        if (took < best) best = took;
    }
    return bytes / best / 1e9;
}

int main(void)
{
    static const char ptx[] = ".version 6.4\n.target sm_50\n.address_size 64\n.visible .entry nothing(.param .u64 p, .param .u32 n)\n{\nret;\n}\n";
    u64 context, event, stream, a, b, module, kernel, some;
    char bytes[64] = {0};
    int value;
    library = dlopen("libcuda.so.1", RTLD_NOW);
#define F(name) name##_ = dlsym(library, #name);
    ALL
    CALL(cuInit, 0);
    CALL(cuDevicePrimaryCtxRetain, &context, 0);
    CALL(cuCtxSetCurrent, context);
    CALL(cuEventCreate, &event, 2);
    CALL(cuStreamCreate, &stream, 1);
    CALL(cuMemAlloc_v2, &a, (u64)1 << 20);
    CALL(cuMemAlloc_v2, &b, (u64)1 << 20);
    CALL(cuModuleLoadData, &module, ptx);
    CALL(cuModuleGetFunction, &kernel, module, "nothing");
    unsigned n = 0;
    void *parameters[] = {&a, &n};
    LOCAL("context", CALL(cuCtxGetCurrent, &some));
    LOCAL("device", CALL(cuDeviceGetAttribute, &value, 75, 0));
    ENQUEUED("event", CALL(cuEventRecord, event, stream));
    ENQUEUED("stream", CALL(cuStreamWaitEvent, stream, event, 0));
    ENQUEUED("memory", CALL(cuMemsetD8Async, a, 1, (u64)64, stream));
    ENQUEUED("copy", CALL(cuMemcpyHtoDAsync_v2, a, bytes, (u64)64, stream));
    ENQUEUED("copy_on_device", CALL(cuMemcpyDtoDAsync_v2, a, b, (u64)64, stream));
    ENQUEUED("execution", CALL(cuLaunchKernel, kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters, (void *)0));
    WAITING("stream", CALL(cuStreamQuery, stream));
    WAITING("event", CALL(cuEventQuery, event));
    WAITING("module", CALL(cuFuncGetAttribute, &value, 0, kernel));
    WAITING("memory", CALL(cuMemAlloc_v2, &some, (u64)4096); CALL(cuMemFree_v2, some));
    WAITING("memory_async", CALL(cuMemAllocAsync, &some, (u64)4096, stream); CALL(cuMemFreeAsync, some, stream));
    WAITING("pointer", CALL(cuPointerGetAttribute, &value, 2, a));
    WAITING("copy_to_host", CALL(cuMemcpyDtoH_v2, bytes, a, (u64)64));
    WAITING("copy_to_device", CALL(cuMemcpyHtoD_v2, a, bytes, (u64)64));
    WAITING("launch_and_wait", CALL(cuLaunchKernel, kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters, (void *)0); CALL(cuStreamSynchronize, stream));
    double start = now();
    for (int i = 0; i < LAUNCHES; i++) CALL(cuLaunchKernel, kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters, (void *)0);
    CALL(cuStreamSynchronize, stream);
    printf("rate launch %.0f\n", LAUNCHES / (now() - start));
    static const u64 sizes[] = {64 << 10, 1 << 20, 16 << 20, 128 << 20};
    u64 device, pinned;
    CALL(cuMemAlloc_v2, &device, sizes[3]);
    CALL(cuMemHostAlloc, &pinned, sizes[3], 0);
    char *pageable = malloc(sizes[3]);
    memset(pageable, 1, sizes[3]);
    memset((void *)pinned, 1, sizes[3]);
    for (int i = 0; i < 4; i++)
        for (int way = 0; way < 4; way++)
            printf("copy %s_%s_%llu %.3f\n", way & 1 ? "H2D" : "D2H", way & 2 ? "pinned" : "pageable", (unsigned long long)sizes[i], copy(device, way & 2 ? (void *)pinned : pageable, sizes[i], way & 1));
    return 0;
}
