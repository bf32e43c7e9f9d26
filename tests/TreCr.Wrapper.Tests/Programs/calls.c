// Driver API program: what the wrapper answers itself and what it sends. Needs the fake delegator of the tests.
#include "cudriver.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
static u64 stream, event;
static volatile int host_ran;
static void host_function(void *data) { host_ran = *(int *)data; }
static void stream_callback(void *s, int status, void *data) { host_ran = (u64)s == stream && status == 0 ? *(int *)data : -1; }

static void *other_thread(void *unused)
{
    u64 context = 1;
    IS(0, CALL(cuCtxGetCurrent, &context));
    CHECK(context == 0);
    u64 p;
    IS(201, CALL(cuMemAlloc_v2, &p, (u64)16));
    IS(0, CALL(cuDevicePrimaryCtxRetain, &context, 0));
    IS(0, CALL(cuCtxSetCurrent, context));
    IS(0, CALL(cuMemAlloc_v2, &p, (u64)16));
    IS(0, CALL(cuMemFree_v2, p));
    IS(0, CALL(cuDevicePrimaryCtxRelease_v2, 0));
    return NULL;
}

static void at_exit(void)
{
    u64 p;
    int r = CALL(cuMemAlloc_v2, &p, (u64)16);
    printf("at exit %d\n", r);
    fflush(stdout);
}

int main(void)
{
    atexit(at_exit);
    int n = -1, version = 0;
    u64 context = 5, p = 0, q = 0;
    char text[256];
    const char *name = NULL;
    struct sigaction pipe_action;
    // Whoever started this may have left it ignored; what counts is that the library does not touch it.
    signal(SIGPIPE, SIG_DFL);

    // Before cuInit.
    IS(3, CALL(cuDeviceGetCount, &n));
    IS(3, CALL(cuCtxGetCurrent, &context));
    IS(3, CALL(cuMemAlloc_v2, &p, (u64)16));
    IS(3, CALL(cuGraphicsUnregisterResource, (u64)1));
    IS(0, CALL(cuDriverGetVersion, &version));
    CHECK(version == 12000);
    IS(0, CALL(cuGetErrorName, 719, &name));
    CHECK(name && !strcmp(name, "CUDA_ERROR_LAUNCH_FAILED"));
    IS(0, CALL(cuGetErrorString, 1, &name));
    CHECK(name && !strcmp(name, "invalid argument"));
    IS(1, CALL(cuGetErrorName, 12345, &name));
    CHECK(name == NULL);

    // The resolver: first form, second form, versions, per-thread streams.
    void *f = (void *)7;
    int status = 9;
    IS(500, CALL(cuGetProcAddress, "cuNothing", &f, 11070, (u64)0));
    CHECK(f == (void *)7);
    IS(0, CALL(cuGetProcAddress, "cuMemAlloc", &f, 11070, (u64)0));
    CHECK(f == find("cuMemAlloc_v2"));
    IS(0, CALL(cuGetProcAddress, "cuMemAlloc", &f, 2000, (u64)0));
    CHECK(f == find("cuMemAlloc"));
    IS(0, CALL(cuGetProcAddress, "cuMemcpyHtoD", &f, 7000, (u64)2));
    CHECK(f == find("cuMemcpyHtoD_v2_ptds"));
    IS(0, CALL(cuGetProcAddress_v2, "cuMemcpyHtoD", &f, 6050, (u64)2, &status));
    CHECK(f == NULL && status == 2);
    IS(0, CALL(cuGetProcAddress_v2, "cuMemAlloc_v2", &f, 12000, (u64)0, &status));
    CHECK(f == NULL && status == 1);
    IS(0, CALL(cuGetProcAddress_v2, "cuGetProcAddress", &f, 12000, (u64)0, NULL));
    CHECK(f == find("cuGetProcAddress_v2"));
    IS(0, CALL(cuGetProcAddress_v2, "cuStreamWaitValue32", &f, 13000, (u64)0, &status));
    CHECK(f == find("cuStreamWaitValue32_v2") && status == 0);
    IS(1, CALL(cuGetProcAddress, "cuInit", &f, 11070, (u64)4));

    sigaction(SIGPIPE, NULL, &pipe_action);
    CHECK(pipe_action.sa_handler == SIG_DFL);
    IS(1, CALL(cuInit, 1));
    IS(0, CALL(cuInit, 0));
    IS(0, CALL(cuInit, 0));
    sigaction(SIGPIPE, NULL, &pipe_action);
    CHECK(pipe_action.sa_handler == SIG_DFL);

    // Devices.
    IS(0, CALL(cuDeviceGetCount, &n));
    CHECK(n == 1);
    IS(101, CALL(cuDeviceGet, &n, 1));
    IS(0, CALL(cuDeviceGetName, text, 5, 0));
    CHECK(!strcmp(text, "Fake"));
    IS(0, CALL(cuDeviceGetAttribute, &n, 75, 0));
    CHECK(n == 10);
    IS(1, CALL(cuDeviceGetAttribute, &n, 159, 0));
    IS(1, CALL(cuDeviceGetAttribute, &n, -1, 0));
    IS(0, CALL(cuDeviceGetPCIBusId, text, 32, 0));
    CHECK(!strcmp(text, "0000:02:00.0"));
    IS(0, CALL(cuDeviceGetByPCIBusId, &n, "0000:02:00.0"));
    IS(0, CALL(cuModuleGetLoadingMode, &n));
    CHECK(n == 2);

    // Contexts.
    IS(201, CALL(cuCtxGetDevice, &n));
    IS(0, CALL(cuCtxSetCurrent, (u64)0));
    IS(201, CALL(cuCtxSetCurrent, (u64)0x1234));
    unsigned flags; int active;
    IS(0, CALL(cuDevicePrimaryCtxGetState, 0, &flags, &active));
    CHECK(active == 0);
    IS(0, CALL(cuDevicePrimaryCtxRetain, &context, 0));
    IS(0, CALL(cuDevicePrimaryCtxRetain, &q, 0));
    CHECK(context == q && context == 0x0011000000000001);
    IS(0, CALL(cuDevicePrimaryCtxRelease, 0));
    IS(0, CALL(cuDevicePrimaryCtxGetState, 0, &flags, &active));
    CHECK(active == 1);
    IS(0, CALL(cuCtxPushCurrent_v2, context));
    IS(0, CALL(cuCtxGetDevice, &n));
    CHECK(n == 0);
    u64 own;
    IS(0, CALL(cuCtxCreate_v2, &own, 4, 0));
    IS(0, CALL(cuCtxGetCurrent, &q));
    CHECK(q == own && own != context);
    IS(0, CALL(cuCtxGetFlags, &flags));
    CHECK(flags == 4);
    IS(0, CALL(cuCtxDestroy_v2, own));
    IS(0, CALL(cuCtxGetCurrent, &q));
    CHECK(q == context);
    IS(201, CALL(cuCtxDestroy_v2, own));

    // Memory and copies: inline, long, pinned, inferred.
    static unsigned char a[200000], b[200000];
    for (int i = 0; i < 200000; i++) a[i] = (unsigned char)(i * 7 + i / 256);
    IS(1, CALL(cuMemAlloc_v2, NULL, (u64)16));
    IS(1, CALL(cuMemAlloc_v2, &p, (u64)0));
    IS(2, CALL(cuMemAlloc_v2, &p, (u64)1 << 40));
    IS(0, CALL(cuMemAlloc_v2, &p, (u64)200000));
    CHECK(p == 0x700000000000);
    for (int bytes = 1; bytes <= 200000; bytes = bytes * 5 + 3)
    {
        memset(b, 0, sizeof b);
        IS(0, CALL(cuMemcpyHtoD_v2, p, a, (u64)bytes));
        IS(0, CALL(cuMemcpyDtoH_v2, b, p, (u64)bytes));
        CHECK(!memcmp(a, b, bytes) && (bytes == 200000 || b[bytes] == 0));
        memset(b, 0, sizeof b);
        IS(0, CALL(cuMemsetD8Async, p, (unsigned char)0, (u64)bytes, (u64)0));
        IS(0, CALL(cuMemcpyAsync, p, (u64)a, (u64)bytes, (u64)0));
        IS(0, CALL(cuMemcpy, (u64)b, p, (u64)bytes));
        CHECK(!memcmp(a, b, bytes));
    }
    IS(1, CALL(cuMemcpyHtoD_v2, p + 200000, a, (u64)16));
    IS(1, CALL(cuMemcpyDtoH_v2, NULL, p, (u64)16));
    u64 pinned;
    IS(0, CALL(cuMemAllocHost_v2, &pinned, (u64)65536));
    CHECK(pinned == 0x6f0000000000);
    memcpy((void *)pinned, a, 65536);
    IS(0, CALL(cuMemcpyHtoDAsync_v2, p, (void *)pinned, (u64)65536, (u64)0));
    IS(0, CALL(cuStreamSynchronize, (u64)0));
    memset((void *)pinned, 0, 65536);
    IS(0, CALL(cuMemcpyDtoHAsync_v2, (void *)pinned, p, (u64)65536, (u64)0));
    IS(0, CALL(cuCtxSynchronize));
    CHECK(!memcmp((void *)pinned, a, 65536));
    IS(0, CALL(cuMemcpy, (u64)b, (u64)a, (u64)100));
    int kind = -1;
    IS(0, CALL(cuPointerGetAttribute, &kind, 2, p));
    CHECK(kind == 2);
    IS(1, CALL(cuPointerGetAttribute, &kind, 2, (u64)a));
    int ids[2] = { 2, 9 }, ordinal = 0;
    void *values[2] = { &kind, &ordinal };
    IS(0, CALL(cuPointerGetAttributes, 2, ids, values, (u64)a));
    CHECK(kind == 0 && ordinal == -2);

    // Modules and launches.
    u64 module, add, none;
    const char *ptx = ".version 6.0\n.target sm_30\n";
    IS(0, CALL(cuModuleLoadData, &module, ptx));
    IS(500, CALL(cuModuleGetFunction, &none, module, "none"));
    IS(0, CALL(cuModuleGetFunction, &add, module, "add"));
    IS(0, CALL(cuModuleGetFunction, &q, module, "add"));
    CHECK(q == add);
    IS(200, CALL(cuModuleLoadData, &q, "\001\002\003\004"));
    u64 pa, pb, pc;
    int count = 1000, x[1000], y[1000], z[1000];
    for (int i = 0; i < count; i++) { x[i] = i; y[i] = 3 * i; }
    IS(0, CALL(cuMemAlloc_v2, &pa, (u64)4000));
    IS(0, CALL(cuMemAlloc_v2, &pb, (u64)4000));
    IS(0, CALL(cuMemAlloc_v2, &pc, (u64)4000));
    IS(0, CALL(cuMemcpyHtoDAsync_v2, pa, x, (u64)4000, (u64)0));
    IS(0, CALL(cuMemcpyHtoDAsync_v2, pb, y, (u64)4000, (u64)0));
    void *parameters[] = { &pa, &pb, &pc, &count };
    int (*launch)(u64, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, u64, void **, void **) = find("cuLaunchKernel");
    IS(0, launch(add, 4, 1, 1, 256, 1, 1, 0, 0, parameters, NULL));
    IS(0, CALL(cuMemcpyDtoH_v2, z, pc, (u64)4000));
    for (int i = 0; i < count; i++) if (z[i] != 4 * i) { CHECK(!"sum"); break; }
    struct { u64 a, b, c; int n; } block = { pa, pa, pc, count };
    u64 size = 28;
    void *extra[] = { (void *)1, &block, (void *)2, &size, NULL };
    IS(0, launch(add, 4, 1, 1, 256, 1, 1, 0, 0, NULL, extra));
    IS(0, CALL(cuMemcpyDtoH_v2, z, pc, (u64)4000));
    CHECK(z[999] == 1998);
    IS(1, launch(add, 0, 1, 1, 256, 1, 1, 0, 0, parameters, NULL));
    IS(1, launch(add, 1, 1, 1, 2048, 1, 1, 0, 0, parameters, NULL));
    IS(1, launch(add, 1, 1, 1, 64, 64, 1, 0, 0, parameters, NULL));
    IS(701, launch(add, 1, 1, 1, 1024, 1, 1, 0, 0, parameters, NULL));
    IS(1, launch(add, 1, 1, 1, 1, 1, 1, 1 << 20, 0, parameters, NULL));
    IS(1, launch(add, 1, 1, 1, 1, 1, 1, 0, 0, parameters, extra));
    IS(1, launch(add, 1, 1, 1, 1, 1, 1, 0, 0, NULL, NULL));
    parameters[2] = NULL;
    IS(1, launch(add, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    IS(400, launch(module, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    IS(400, launch(0xdead, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    int grid, size1;
    IS(0, CALL(cuOccupancyMaxPotentialBlockSize, &grid, &size1, add, NULL, (u64)0, 0));
    CHECK(size1 == 512 && grid == 8);

    // Streams, events, host functions, device output.
    IS(0, CALL(cuStreamCreate, &stream, 1));
    IS(600, CALL(cuStreamQuery, stream));
    IS(400, CALL(cuStreamQuery, (u64)0x1234));
    IS(400, CALL(cuStreamQuery, stream + 1));
    IS(0, CALL(cuEventCreate, &event, 0));
    IS(0, CALL(cuEventRecord, event, stream));
    IS(0, CALL(cuEventSynchronize, event));
    int seven = 7, eight = 8;
    IS(0, CALL(cuLaunchHostFunc, stream, host_function, &seven));
    IS(0, CALL(cuStreamSynchronize, stream));
    CHECK(host_ran == 7);
    IS(0, CALL(cuStreamAddCallback, stream, stream_callback, &eight, 0));
    IS(0, CALL(cuStreamSynchronize, stream));
    CHECK(host_ran == 8);
    IS(0, CALL(cuStreamDestroy_v2, stream));
    IS(400, CALL(cuStreamSynchronize, stream));
    IS(801, CALL(cuGraphicsUnregisterResource, (u64)1));
    IS(801, CALL(cuGraphicsUnregisterResource, (u64)1));

    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);

    // A forked child is not initialised and leaves the parent's session alone.
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
    {
        int bad = CALL(cuMemAlloc_v2, &q, (u64)16) != 3 || CALL(cuCtxGetCurrent, &q) != 3 || CALL(cuDeviceGetCount, &n) != 3 || CALL(cuInit, 0) != 3
            || launch(add, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL) != 3;
        _exit(bad);
    }
    int ended;
    waitpid(child, &ended, 0);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    IS(0, CALL(cuMemcpyDtoH_v2, b, p, (u64)16));

    // Cost of an enqueue seen by the caller; printed, not judged.
    int (*set)(u64, unsigned char, u64, u64) = find("cuMemsetD8Async");
    double best = 1e9, best_launch = 1e9;
    parameters[2] = &pc;
    count = 1;
    for (int round = 0; round < 20; round++)
    {
        struct timespec from, to;
        CALL(cuStreamSynchronize, (u64)0);
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < 1000; i++) set(p, 0, 16, 0);
        clock_gettime(CLOCK_MONOTONIC, &to);
        double ns = ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec) / 1000;
        if (ns < best) best = ns;
        CALL(cuStreamSynchronize, (u64)0);
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < 1000; i++) launch(add, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL);
        clock_gettime(CLOCK_MONOTONIC, &to);
        ns = ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec) / 1000;
        if (ns < best_launch) best_launch = ns;
    }
    printf("enqueue %.1f ns, launch %.1f ns\n", best, best_launch);
    CALL(cuCtxSynchronize);
    printf(failures ? "%d failures\n" : "all well\n", failures);
    return failures != 0;
}
