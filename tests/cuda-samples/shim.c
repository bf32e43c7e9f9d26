// Preloaded into the CUDA samples by `soak samples` (tests/soak-samples.sh), which are NVIDIA's and stay as they are.
//   TRECR_SHIM_DIR   a folder outside of the job. The program's start adds a line with a random number to `starts`, its end the same number to `ends`: a restart
//                    keeps the number, a new start would not. `counts` gets the launches and the other calls.
//   TRECR_SHIM_MODE  count    nothing else
//                    null     kernels are not launched: a sample that then still says that it passed has no check of its own
//                    nullcopy copies to the host bring nothing, for samples whose kernels are launched by a library
//                    hold     before launch (or other call) TRECR_SHIM_AT, e.g. "launch 3", makes `held` and waits for `go`
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

typedef struct { unsigned x, y, z; } dim3;
static const char *directory, *mode = "count";
static char wanted_kind;
static long wanted_number, launches, calls;
static unsigned long long nonce;

static void add_line(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int f = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (f < 0) return;
    if (write(f, text, strlen(text)) < 0) { }
    close(f);
}

__attribute__((constructor)) static void begin(void)
{
    char line[64];
    directory = getenv("TRECR_SHIM_DIR");
    if (getenv("TRECR_SHIM_MODE")) mode = getenv("TRECR_SHIM_MODE");
    const char *at = getenv("TRECR_SHIM_AT");
    if (at && *at) { wanted_kind = *at; wanted_number = atol(strchr(at, ' ') + 1); }
    if (!directory) return;
    if (getrandom(&nonce, sizeof nonce, 0) < 0) abort();
    snprintf(line, sizeof line, "%llx\n", nonce);
    add_line("starts", line);
    unsetenv("LD_PRELOAD"); // children of a sample are not counted
}

__attribute__((destructor)) static void end(void)
{
    char line[64];
    if (!directory) return;
    snprintf(line, sizeof line, "%llx\n", nonce);
    add_line("ends", line);
    snprintf(line, sizeof line, "%ld %ld\n", launches, calls);
    add_line("counts", line);
}

static void hold(void)
{
    char path[512];
    add_line("held", "");
    snprintf(path, sizeof path, "%s/go", directory);
    while (access(path, F_OK)) nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void count(char kind)
{
    long number = __atomic_add_fetch(kind == 'l' ? &launches : &calls, 1, __ATOMIC_SEQ_CST);
    if (*mode == 'h' && kind == wanted_kind && number == wanted_number) hold();
}

static void *next(const char *name, void **kept)
{
    if (!*kept && !(*kept = dlsym(RTLD_NEXT, name))) { fprintf(stderr, "shim: no %s\n", name); abort(); }
    return *kept;
}

#define LAUNCH(name, parameters, arguments) \
    int name parameters { count('l'); if (!strcmp(mode, "null")) return 0; static void *kept; int(*real) parameters = next(#name, &kept); return real arguments; }
#define CALL(name, parameters, arguments) \
    int name parameters { count('c'); static void *kept; int(*real) parameters = next(#name, &kept); return real arguments; }
#define COPY(name, parameters, arguments, to_host) \
    int name parameters { count('c'); if (!strcmp(mode, "nullcopy") && (to_host)) return 0; static void *kept; int(*real) parameters = next(#name, &kept); return real arguments; }

LAUNCH(cudaLaunchKernel, (const void *f, dim3 g, dim3 b, void **a, size_t s, void *st), (f, g, b, a, s, st))
LAUNCH(cudaLaunchCooperativeKernel, (const void *f, dim3 g, dim3 b, void **a, size_t s, void *st), (f, g, b, a, s, st))
LAUNCH(cudaLaunchKernelExC, (const void *c, const void *f, void **a), (c, f, a))
LAUNCH(cudaGraphLaunch, (void *g, void *s), (g, s))
LAUNCH(cuLaunchKernel, (void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned s, void *st, void **p, void **x), (f, a, b, c, d, e, g, s, st, p, x))
COPY(cudaMemcpy, (void *d, const void *s, size_t n, int k), (d, s, n, k), k == 2)
COPY(cudaMemcpyAsync, (void *d, const void *s, size_t n, int k, void *st), (d, s, n, k, st), k == 2)
COPY(cudaMemcpy2D, (void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, int k), (d, dp, s, sp, w, h, k), k == 2)
COPY(cuMemcpyDtoH_v2, (void *d, unsigned long long s, size_t n), (d, s, n), 1)
CALL(cudaMalloc, (void **p, size_t n), (p, n))
CALL(cudaFree, (void *p), (p))
CALL(cudaMemset, (void *p, int v, size_t n), (p, v, n))
CALL(cudaDeviceSynchronize, (void), ())
CALL(cudaStreamSynchronize, (void *s), (s))
CALL(cudaEventSynchronize, (void *e), (e))
CALL(cudaEventRecord, (void *e, void *s), (e, s))
CALL(cuMemAlloc_v2, (void *p, size_t n), (p, n))
CALL(cuCtxSynchronize, (void), ())
