// Cost of kernel launches as the caller sees them: bursts of launches of an empty kernel, then launches that are waited for one by one.
// Prints "launch_ns MEDIAN launch_and_wait_us MEDIAN". Driver API through dlopen: runs alone and under trecr.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BURST = 128, BURSTS = 200, WAITS = 2000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, n, sizeof *values, ascending);
    return values[n / 2];
}

static const char ptx[] = ".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry nothing(.param .u64 a, .param .u32 b)\n{\n ret;\n}\n";
static double bursts[BURSTS], waits[WAITS];

#define CALL(x) do { int r_ = (x); if (r_) { fprintf(stderr, "%s: %d\n", #x, r_); return 1; } } while (0)

int main(void)
{
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW);
    if (!cuda) return fprintf(stderr, "%s\n", dlerror()), 1;
    int (*cuInit)(unsigned) = (int (*)(unsigned))dlsym(cuda, "cuInit");
    int (*retain)(void **, int) = (int (*)(void **, int))dlsym(cuda, "cuDevicePrimaryCtxRetain");
    int (*setCurrent)(void *) = (int (*)(void *))dlsym(cuda, "cuCtxSetCurrent");
    int (*synchronize)(void) = (int (*)(void))dlsym(cuda, "cuCtxSynchronize");
    int (*load)(void **, const void *) = (int (*)(void **, const void *))dlsym(cuda, "cuModuleLoadData");
    int (*find)(void **, void *, const char *) = (int (*)(void **, void *, const char *))dlsym(cuda, "cuModuleGetFunction");
    int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **)
        = (int (*)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **))dlsym(cuda, "cuLaunchKernel");
    void *context, *module, *kernel;
    unsigned long long a = 0;
    unsigned b = 0;
    void *parameters[] = {&a, &b};
    CALL(cuInit(0));
    CALL(retain(&context, 0));
    CALL(setCurrent(context));
    CALL(load(&module, ptx));
    CALL(find(&kernel, module, "nothing"));
    CALL(launch(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    CALL(synchronize());
    for (int i = 0; i < BURSTS; i++) {
        double start = now();
        for (int k = 0; k < BURST; k++) CALL(launch(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
        bursts[i] = (now() - start) / BURST;
        CALL(synchronize());
    }
    for (int i = 0; i < WAITS; i++) {
        double start = now();
        CALL(launch(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
        CALL(synchronize());
        waits[i] = now() - start;
    }
    printf("launch_ns %.1f launch_and_wait_us %.3f\n", median(bursts, BURSTS) * 1e9, median(waits, WAITS) * 1e6);
    return 0;
}
