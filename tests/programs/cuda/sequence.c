// Carries out a sequence of driver calls, one to a line: sequence CALLS PTX. Prints for each call its number, its result code and what it gave. Memory, streams and events have numbered places;
// a place keeps its handle when what it stood for is gone. tests/TreCr.Surface.Tests/Differential makes the sequences and carries them out on the back end itself.
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include "../offload/mark.h"

typedef uint64_t u64;
enum { PLACES = 8, MOST = 1 << 20 };
static u64 memory[PLACES], host[PLACES], stream[PLACES], event[PLACES], module, kernel;
static unsigned char bytes[MOST];
static void *library;

#define CALL(name, ...) (((int (*)())dlsym(library, #name))(__VA_ARGS__))

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, MOST);
    if (!f || !fread(text, 1, MOST - 1, f)) exit(2);
    fclose(f);
    return text;
}

static u64 hash(const void *from, size_t n)
{
    u64 h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)from)[i]) * 1099511628211u;
    return h;
}

static u64 stream_of(long long place) { return place < 0 ? 0 : stream[place]; }

// One call; what it gives is written to `out`.
static int run(const char *name, const long long *a, char *out)
{
    int r, value = 0, type = 0;
    u64 at = 0, n = 0;
#define IS(text) if (!strcmp(name, text))
    IS("alloc") { r = CALL(cuMemAlloc_v2, &at, (u64)a[1]); if (!r) memory[a[0]] = at; return r; }
    IS("pitch") { r = CALL(cuMemAllocPitch_v2, &at, &n, (u64)a[1], (u64)a[2], (unsigned)a[3]); if (!r) { memory[a[0]] = at; sprintf(out, " %llu", (long long unsigned)n); } return r; }
    IS("free") return CALL(cuMemFree_v2, a[0] < 0 ? (u64)0 : memory[a[0]] + a[1]);
    IS("set8") return CALL(cuMemsetD8Async, memory[a[0]] + a[1], (unsigned)a[3], (u64)a[2], stream_of(a[4]));
    IS("set16") return CALL(cuMemsetD16Async, memory[a[0]] + a[1], (unsigned)a[3], (u64)a[2], stream_of(a[4]));
    IS("set32") return CALL(cuMemsetD32Async, memory[a[0]] + a[1], (unsigned)a[3], (u64)a[2], stream_of(a[4]));
    IS("rows32") return CALL(cuMemsetD2D32_v2, memory[a[0]], (u64)a[1], (unsigned)a[4], (u64)a[2], (u64)a[3]);
    IS("htod") {
        for (long long i = 0; i < a[2] && i < MOST; i++) bytes[i] = (unsigned char)((i * 31 + a[3]) ^ i >> 8);
        return CALL(cuMemcpyHtoD_v2, memory[a[0]] + a[1], bytes, (u64)a[2]);
    }
    IS("dtoh") { memset(bytes, 0, MOST); r = CALL(cuMemcpyDtoH_v2, bytes, memory[a[0]] + a[1], (u64)a[2]); sprintf(out, " %016llx", (long long unsigned)hash(bytes, a[2])); return r; }
    IS("dtod") return CALL(cuMemcpyDtoDAsync_v2, memory[a[0]] + a[1], memory[a[2]] + a[3], (u64)a[4], stream_of(a[5]));
    IS("range") { r = CALL(cuMemGetAddressRange_v2, &at, &n, memory[a[0]] + a[1]); if (!r) sprintf(out, " %lld %llu", (long long)(at - memory[a[0]]), (long long unsigned)n); return r; }
    IS("pointer") { r = CALL(cuPointerGetAttribute, &type, 2, memory[a[0]] + a[1]); if (!r) sprintf(out, " %d", type); return r; }
    IS("launch") {
        unsigned count = (unsigned)a[2];
        void *parameters[] = {&memory[a[0]], &memory[a[1]], &count};
        return CALL(cuLaunchKernel, a[7] ? kernel : 0x1234, (unsigned)a[3], 1, 1, (unsigned)a[4], 1, 1, (unsigned)a[5], stream_of(a[6]), parameters, (void *)0);
    }
    IS("newstream") { r = CALL(cuStreamCreate, &at, (unsigned)a[1]); if (!r) stream[a[0]] = at; return r; }
    IS("endstream") return CALL(cuStreamDestroy_v2, stream[a[0]]);
    IS("wait") return CALL(cuStreamSynchronize, stream_of(a[0]));
    IS("query") return CALL(cuStreamQuery, stream_of(a[0]));
    IS("flags") { r = CALL(cuStreamGetFlags, stream[a[0]], &value); if (!r) sprintf(out, " %d", value); return r; }
    IS("waitevent") return CALL(cuStreamWaitEvent, stream_of(a[0]), event[a[1]], 0);
    IS("newevent") { r = CALL(cuEventCreate, &at, (unsigned)a[1]); if (!r) event[a[0]] = at; return r; }
    IS("endevent") return CALL(cuEventDestroy_v2, event[a[0]]);
    IS("record") return CALL(cuEventRecord, event[a[0]], stream_of(a[1]));
    IS("eventwait") return CALL(cuEventSynchronize, event[a[0]]);
    IS("elapsed") { float ms; return CALL(cuEventElapsedTime, &ms, event[a[0]], event[a[1]]); }
    IS("hostalloc") { r = CALL(cuMemHostAlloc, &at, (u64)a[1], (unsigned)a[2]); if (!r) { host[a[0]] = at; sprintf(out, " %d", at != 0); } return r; }
    IS("hostfree") return CALL(cuMemFreeHost, a[0] < 0 ? (u64)0 : host[a[0]] + a[1]);
    IS("hostflags") { r = CALL(cuMemHostGetFlags, &value, host[a[0]]); if (!r) sprintf(out, " %d", value); return r; }
    IS("function") { r = CALL(cuModuleGetFunction, &at, module, a[0] ? "affine" : "nowhere"); return r; }
    IS("global") { r = CALL(cuModuleGetGlobal_v2, &at, &n, module, a[0] ? "table" : "nowhere"); if (!r) sprintf(out, " %llu", (long long unsigned)n); return r; }
    IS("attribute") { r = CALL(cuFuncGetAttribute, &value, (int)a[0], kernel); if (!r) sprintf(out, " %d", value); return r; }
    IS("setattribute") return CALL(cuFuncSetAttribute, kernel, (int)a[0], (int)a[1]);
    IS("load") { r = CALL(cuModuleLoadData, &at, a[0] == 0 ? ".version 6.4\n.target sm_50\n.address_size 64\n" : a[0] == 1 ? "\1\2\3\4" : ".version 6.4\n.target sm_50\n.visible .entry k() {\n nonsense.u32 %r1;\n ret;\n}\n"); return r ? r : CALL(cuModuleUnload, at); }
    IS("limit") { r = CALL(cuCtxGetLimit, &n, (int)a[0]); if (!r) sprintf(out, " %llu", (long long unsigned)n); return r; }
    IS("occupancy") { r = CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor, &value, kernel, (int)a[0], (u64)a[1]); if (!r) sprintf(out, " %d", value); return r; }
    IS("synchronize") return CALL(cuCtxSynchronize);
    IS("hold") { wait_for_release(); return 0; }
    exit(2);
}

int main(int argc, char **argv)
{
    u64 context;
    char *text = read_all(argv[2]), line[256];
    FILE *calls = fopen(argv[1], "r");
    begin();
    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (CALL(cuInit, 0) || CALL(cuDevicePrimaryCtxRetain, &context, 0) || CALL(cuCtxSetCurrent, context) || CALL(cuModuleLoadData, &module, text) || CALL(cuModuleGetFunction, &kernel, module, "affine")) return 3;
    for (int i = 0; i < PLACES; i++) stream[i] = event[i] = 0x1234;
    for (int i = 0; fgets(line, sizeof line, calls); i++) {
        long long a[8] = {0};
        char name[32], out[64] = "";
        if (sscanf(line, "%31s %lld %lld %lld %lld %lld %lld %lld %lld", name, a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7) < 1) continue;
        int r = run(name, a, out);
        printf("%d %d%s\n", i, r, out);
    }
    mark("end");
    return 0;
}
