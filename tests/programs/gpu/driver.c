// A driver for rehearsals of gpu-check where there is no GPU: the functions of libcuda that the delegator and the probe call, over plain memory of the process.
// It runs the kernels of probe.ptx, of samples/vectoradd_driver and of launch.c, which it knows by name, and nothing else; like a driver before CUDA 12.4
// it has no cuFuncGetParamInfo. Everything is finished when a call returns. Functions that are not here are missing, as in an old driver.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned long long Address;
enum { OK = 0, INVALID = 1, NO_MEMORY = 2, BAD_CONTEXT = 201, NOT_FOUND = 500, NOT_SUPPORTED = 801 };

struct Block { int fd; size_t bytes; };
struct Module { char *text; char *globals; };
struct Function { char name[64]; struct Module *module; };
static struct { int x; } primary;
static _Thread_local void *current;

int cuInit(unsigned flags) { return flags ? INVALID : OK; }
int cuDriverGetVersion(int *v) { *v = 12020; return OK; }
int cuDeviceGetCount(int *n) { *n = 1; return OK; }
int cuDeviceGet(int *d, int ordinal) { *d = ordinal; return ordinal ? 101 : OK; }
int cuDeviceGetName(char *name, int length, int d) { (void)d; snprintf(name, length, "rehearsal without a GPU"); return OK; }
int cuDeviceTotalMem_v2(size_t *bytes, int d) { (void)d; *bytes = (size_t)4 << 30; return OK; }
int cuDeviceGetUuid(char *uuid, int d) { (void)d; memset(uuid, 7, 16); return OK; }
int cuDeviceGetAttribute(int *value, int a, int d)
{
    (void)d;
    switch (a) {
    case 1: case 2: case 3: *value = 1024; break;
    case 4: *value = 64; break;
    case 5: *value = 2147483647; break;
    case 6: case 7: *value = 65535; break;
    case 8: case 81: *value = 49152; break;
    case 97: *value = 232448; break;
    case 9: case 12: *value = 65536; break;
    case 10: *value = 32; break;
    case 16: *value = 8; break;
    case 39: *value = 2048; break;
    case 41: case 91: case 99: case 102: case 103: case 120: *value = 1; break;
    case 75: *value = 9; break;
    default: *value = 0; return a > 0 && a < 140 ? OK : INVALID;
    }
    return OK;
}
int cuDevicePrimaryCtxRetain(void **c, int d) { (void)d; *c = &primary; return OK; }
int cuDevicePrimaryCtxRelease_v2(int d) { (void)d; return OK; }
int cuDevicePrimaryCtxReset_v2(int d) { (void)d; return OK; }
int cuDevicePrimaryCtxSetFlags_v2(int d, unsigned f) { (void)d; (void)f; return OK; }
int cuCtxCreate_v2(void **c, unsigned f, int d) { (void)f; (void)d; *c = current = malloc(16); return OK; }
int cuCtxDestroy_v2(void *c) { if (current == c) current = NULL; free(c); return OK; }
int cuCtxSetCurrent(void *c) { current = c; return OK; }
int cuCtxGetCurrent(void **c) { *c = current; return OK; }
int cuCtxSynchronize(void) { return current ? OK : BAD_CONTEXT; }
int cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return OK; }
int cuCtxGetLimit(size_t *v, int limit) { (void)limit; *v = 1024; return OK; }
int cuCtxSetLimit(int limit, size_t v) { (void)limit; (void)v; return OK; }

int cuMemAddressReserve(Address *got, size_t bytes, size_t alignment, Address wanted, unsigned long long flags)
{
    (void)alignment; (void)flags;
    void *p = mmap((void *)wanted, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (wanted ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (p == MAP_FAILED) return NO_MEMORY;
    *got = (Address)p;
    return OK;
}
int cuMemAddressFree(Address a, size_t bytes) { return munmap((void *)a, bytes) ? INVALID : OK; }
static int block(struct Block **out, int fd, size_t bytes)
{
    *out = malloc(sizeof **out);
    **out = (struct Block){fd, bytes};
    return OK;
}
int cuMemCreate(struct Block **handle, size_t bytes, const void *properties, unsigned long long flags)
{
    (void)properties; (void)flags;
    if (bytes % (2 << 20)) return INVALID;
    int fd = memfd_create("rehearsal-block", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, bytes)) return NO_MEMORY;
    return block(handle, fd, bytes);
}
int cuMemRelease(struct Block *b) { close(b->fd); free(b); return OK; }
int cuMemMap(Address a, size_t bytes, size_t offset, struct Block *b, unsigned long long flags)
{
    (void)flags;
    return mmap((void *)a, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b->fd, offset) == MAP_FAILED ? INVALID : OK;
}
int cuMemUnmap(Address a, size_t bytes)
{
    return mmap((void *)a, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED ? INVALID : OK;
}
int cuMemSetAccess(Address a, size_t bytes, const void *d, size_t n) { (void)a; (void)bytes; (void)d; (void)n; return OK; }
int cuMemGetAllocationGranularity(size_t *bytes, const void *p, int option) { (void)p; (void)option; *bytes = 2 << 20; return OK; }
int cuMemExportToShareableHandle(int *fd, struct Block *b, int type, unsigned long long flags) { (void)flags; return type == 1 && (*fd = dup(b->fd)) >= 0 ? OK : INVALID; }
int cuMemImportFromShareableHandle(struct Block **handle, void *fd, int type)
{
    struct stat s;
    int own = dup((int)(intptr_t)fd);
    return type != 1 || own < 0 || fstat(own, &s) ? INVALID : block(handle, own, s.st_size);
}
int cuMemHostRegister_v2(void *p, size_t bytes, unsigned flags) { (void)p; (void)bytes; (void)flags; return OK; }
int cuMemHostUnregister(void *p) { (void)p; return OK; }
int cuMemHostGetDevicePointer_v2(Address *a, void *p, unsigned flags) { (void)flags; *a = (Address)p; return OK; }

int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *s) { (void)s; memcpy((void *)to, from, bytes); return OK; }
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *s) { (void)s; memcpy(to, (void *)from, bytes); return OK; }
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *s) { (void)s; memmove((void *)to, (void *)from, bytes); return OK; }
int cuMemsetD8Async(Address to, unsigned char v, size_t n, void *s) { (void)s; memset((void *)to, v, n); return OK; }
int cuMemsetD32Async(Address to, unsigned v, size_t n, void *s) { (void)s; for (size_t i = 0; i < n; i++) ((unsigned *)to)[i] = v; return OK; }

int cuStreamCreateWithPriority(void **s, unsigned flags, int priority) { (void)flags; (void)priority; *s = malloc(16); return OK; }
int cuStreamDestroy_v2(void *s) { free(s); return OK; }
int cuStreamSynchronize(void *s) { (void)s; return OK; }
int cuStreamQuery(void *s) { (void)s; return OK; }
int cuStreamWaitEvent(void *s, void *e, unsigned f) { (void)s; (void)e; (void)f; return OK; }
int cuStreamGetFlags(void *s, unsigned *f) { (void)s; *f = 0; return OK; }
int cuStreamGetPriority(void *s, int *p) { (void)s; *p = 0; return OK; }
int cuStreamIsCapturing(void *s, int *status) { (void)s; *status = 0; return OK; }
int cuEventCreate(void **e, unsigned flags) { (void)flags; *e = malloc(16); return OK; }
int cuEventDestroy_v2(void *e) { free(e); return OK; }
int cuEventRecord(void *e, void *s) { (void)e; (void)s; return OK; }
int cuEventQuery(void *e) { (void)e; return OK; }
int cuEventSynchronize(void *e) { (void)e; return OK; }
int cuEventElapsedTime(float *ms, void *a, void *b) { (void)a; (void)b; *ms = 1; return OK; }

int cuModuleLoadData(struct Module **m, const char *image)
{
    // Machine code is taken as it is: it has no kernel here.
    if (!memcmp(image, "\177ELF", 4)) image = ".version";
    if (memcmp(image, ".version", 8) && !strstr(image, "\n.version")) return 200;
    *m = malloc(sizeof **m);
    (*m)->text = strdup(image);
    (*m)->globals = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return OK;
}
int cuModuleUnload(struct Module *m) { munmap(m->globals, 1 << 20); free(m->text); free(m); return OK; }
int cuModuleGetFunction(struct Function **f, struct Module *m, const char *name)
{
    char entry[96];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    if (!strstr(m->text, entry)) return NOT_FOUND;
    *f = malloc(sizeof **f);
    snprintf((*f)->name, sizeof (*f)->name, "%s", name);
    (*f)->module = m;
    return OK;
}
int cuModuleGetGlobal_v2(Address *a, size_t *bytes, struct Module *m, const char *name)
{
    const char *at = strstr(m->text, name);
    if (!at) return NOT_FOUND;
    if (a) *a = (Address)(m->globals + ((at - m->text) & ~15L));
    if (bytes) *bytes = 8;
    return OK;
}
int cuFuncGetAttribute(int *v, int a, struct Function *f) { (void)f; *v = a == 0 ? 1024 : a == 5 ? 64 : a == 6 ? 70 : 0; return a < 10 ? OK : INVALID; }
int cuFuncSetAttribute(struct Function *f, int a, int v) { (void)f; (void)a; (void)v; return OK; }

static int run(struct Function *f, unsigned threads, const char *p, size_t bytes)
{
    Address first = bytes >= 8 ? *(Address *)p : 0;
    if (!strcmp(f->name, "nothing")) return bytes == 12 ? OK : INVALID;
    if (!strcmp(f->name, "probe_add") && bytes == 12) *(unsigned *)first += *(unsigned *)(p + 8);
    else if (!strcmp(f->name, "probe_addresses") && bytes == 8) {
        ((Address *)first)[0] = (Address)f->module->globals + 0x8000;
        return cuModuleGetGlobal_v2((Address *)first + 1, NULL, f->module, "probe_counter");
    }
    else if (!strcmp(f->name, "scale_and_add") && bytes == 24) {
        unsigned *x = (unsigned *)first, *y = *(unsigned **)(p + 8), a = *(unsigned *)(p + 16), n = *(unsigned *)(p + 20);
        for (unsigned i = 0; i < n && i < threads; i++) y[i] += a * x[i];
    }
    else return NOT_SUPPORTED;
    return OK;
}
int cuLaunchKernel(struct Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **values, void **extra)
{
    (void)gy; (void)gz; (void)by; (void)bz; (void)shared; (void)stream;
    if (extra) return extra[0] == (void *)1 && extra[2] == (void *)2 ? run(f, gx * bx, extra[1], *(size_t *)extra[3]) : INVALID;
    // One pointer per parameter, from programs that run without TreCr.
    char block[24];
    if (!strcmp(f->name, "scale_and_add")) {
        memcpy(block, values[0], 8); memcpy(block + 8, values[1], 8); memcpy(block + 16, values[2], 4); memcpy(block + 20, values[3], 4);
        return run(f, gx * bx, block, 24);
    }
    memcpy(block, values[0], 8); memcpy(block + 8, values[1], 4);
    return run(f, gx * bx, block, 12);
}

// What programs without TreCr call beside that.
int cuMemAlloc_v2(Address *a, size_t bytes) { *a = (Address)calloc(1, bytes); return *a ? OK : NO_MEMORY; }
int cuMemFree_v2(Address a) { free((void *)a); return OK; }
int cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) { memcpy((void *)to, from, bytes); return OK; }
int cuMemcpyDtoH_v2(void *to, Address from, size_t bytes) { memcpy(to, (void *)from, bytes); return OK; }
int cuGetErrorName(int e, const char **name) { (void)e; *name = "an error of the rehearsal"; return OK; }

// Known and refused.
#define REFUSED(name) int name(void) { return NOT_SUPPORTED; }
REFUSED(cuCtxSetCacheConfig) REFUSED(cuCtxGetCacheConfig) REFUSED(cuCtxResetPersistingL2Cache) REFUSED(cuCtxGetSharedMemConfig) REFUSED(cuCtxSetSharedMemConfig)
REFUSED(cuFuncSetSharedMemConfig) REFUSED(cuFuncSetCacheConfig) REFUSED(cuLaunchCooperativeKernel) REFUSED(cuLaunchHostFunc) REFUSED(cuMemcpy2DAsync_v2)
REFUSED(cuMemsetD16Async) REFUSED(cuMemsetD2D8Async) REFUSED(cuMemsetD2D16Async) REFUSED(cuMemsetD2D32Async)
REFUSED(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags) REFUSED(cuOccupancyAvailableDynamicSMemPerBlock)
