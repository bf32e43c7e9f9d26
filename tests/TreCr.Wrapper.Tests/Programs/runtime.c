// NVIDIA's own libcudart 11.8 on the wrapper: start, memory, a registered fat binary, a launch.
#include "cudriver.h"

static void *runtime;
static void *function(const char *name)
{
    void *f = dlsym(runtime, name);
    if (!f) { printf("FAIL no %s\n", name); exit(2); }
    return f;
}
#define RT(name, ...) (((int (*)())function(#name))(__VA_ARGS__))

// A fat binary with one uncompressed PTX entry (layout: facts/cuda.md, section 5.1).
static struct __attribute__((packed, aligned(8)))
{
    uint32_t magic; uint16_t version, header; uint64_t bytes;
    uint16_t kind, entry_version; uint32_t entry_header; uint64_t payload; uint32_t compressed, options; uint16_t minor, major; uint32_t arch, name_at, name_bytes;
    uint64_t flags, zero, uncompressed;
    char text[64];
} fatbin = { 0xBA55ED50, 1, 16, 64 + 64, 1, 0x101, 64, 64, 0, 0, 0, 6, 30, 64, 0, 0x11, 0, 0, ".version 6.0\n.target sm_30\n.address_size 64\n" };
static struct { uint32_t magic, version; void *data, *unused; } wrapper = { 0x466243B1, 1, &fatbin, NULL };

static void stub(void) {}

int main(void)
{
    int count = 0, i, x[100], y[100], z[100], n = 100;
    char *a, *b, *c;
    runtime = dlopen("libcudart.so.11.0", RTLD_NOW);
    if (!runtime) { printf("FAIL %s\n", dlerror()); return 2; }
    void **(*registers)(void *) = function("__cudaRegisterFatBinary");
    void **handle = registers(&wrapper);
    void (*register_function)(void **, const void *, char *, const char *, int, void *, void *, void *, void *, int *) = function("__cudaRegisterFunction");
    register_function(handle, stub, "add", "add", -1, NULL, NULL, NULL, NULL, NULL);
    ((void (*)(void **))function("__cudaRegisterFatBinaryEnd"))(handle);
    IS(0, RT(cudaGetDeviceCount, &count));
    CHECK(count == 1);
    IS(0, RT(cudaMalloc, &a, (uint64_t)400));
    IS(0, RT(cudaMalloc, &b, (uint64_t)400));
    IS(0, RT(cudaMalloc, &c, (uint64_t)400));
    for (i = 0; i < n; i++) { x[i] = i; y[i] = i * i; }
    IS(0, RT(cudaMemcpy, a, x, (uint64_t)400, 1));
    IS(0, RT(cudaMemcpy, b, y, (uint64_t)400, 1));
    struct dim3 { unsigned x, y, z; } grid = { 1, 1, 1 }, block = { 128, 1, 1 };
    void *parameters[] = { &a, &b, &c, &n };
    int (*launch)(const void *, struct dim3, struct dim3, void **, size_t, void *) = function("cudaLaunchKernel");
    IS(0, launch(stub, grid, block, parameters, 0, NULL));
    IS(0, RT(cudaDeviceSynchronize));
    IS(0, RT(cudaMemcpy, z, c, (uint64_t)400, 2));
    for (i = 0; i < n; i++) if (z[i] != i + i * i) { CHECK(!"sum"); break; }
    IS(0, RT(cudaFree, a));
    IS(1, RT(cudaFree, a + 1));
    IS(0, RT(cudaMemcpy, x, z, (uint64_t)400, 0));
    CHECK(!memcmp(x, z, 400));
    printf(failures ? "%d failures\n" : "all well\n", failures);
    return failures != 0;
}
