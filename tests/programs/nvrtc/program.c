// Asks NVRTC for machine code of the device that it finds, as NVIDIA's samples do, and runs it. Waits for the file TRECR_SAMPLE_HOLD between compiling and fetching; its first and last line
// tell a restart from a new start (docs/samples.md).
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

extern int nvrtcVersion(int *, int *), nvrtcCreateProgram(void **, const char *, const char *, int, const char **, const char **), nvrtcCompileProgram(void *, int, const char **);
extern int nvrtcGetCUBINSize(void *, size_t *), nvrtcGetCUBIN(void *, char *), nvrtcDestroyProgram(void **);
extern const char *nvrtcGetErrorString(int);

static char nonce[33];
static int starts;

static void must(int result, const char *what)
{
    if (result) { printf("%s: %d\n", what, result); exit(1); }
}

static void mark(const char *when) { printf("nvrtc: %s nonce=%s starts=%d launches=1\n", when, nonce, starts); }

int main(void)
{
    unsigned char bytes[16];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return 3;
    for (int i = 0; i < 16; i++) sprintf(nonce + 2 * i, "%02x", bytes[i]);
    FILE *counter = fopen(getenv("TRECR_SAMPLE_COUNTER"), "a+");
    if (fscanf(counter, "%d", &starts) != 1) starts = 0;
    fclose(counter);
    counter = fopen(getenv("TRECR_SAMPLE_COUNTER"), "w");
    fprintf(counter, "%d\n", ++starts);
    fclose(counter);
    mark("begin");

    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *program = NULL, *module, *function, *context;
#define CU(name, ...) must(((int (*)())dlsym(driver, name))(__VA_ARGS__), name)
    int major, minor, device;
    CU("cuInit", 0);
    CU("cuDeviceGet", &device, 0);
    CU("cuDevicePrimaryCtxRetain", &context, device);
    CU("cuCtxSetCurrent", context);
    must(nvrtcVersion(&major, &minor), "nvrtcVersion");
    printf("NVRTC %d.%d\n", major, minor);
    CU("cuDeviceComputeCapability", &major, &minor, device);
    char option[64];
    snprintf(option, sizeof option, "--gpu-architecture=sm_%d%d", major, minor);
    const char *options[] = {"--std=c++14", option, "--use_fast_math"};
    must(nvrtcCreateProgram(&program, "", "fill.cu", 0, NULL, NULL), "nvrtcCreateProgram");
    must(nvrtcCompileProgram(program, 3, options), "nvrtcCompileProgram");
    const char *hold = getenv("TRECR_SAMPLE_HOLD");
    printf("compiled\n");
    while (hold && *hold && access(hold, F_OK)) usleep(2000);
    size_t length = 0;
    must(nvrtcGetCUBINSize(program, &length), "nvrtcGetCUBINSize");
    char *code = malloc(length);
    must(nvrtcGetCUBIN(program, code), "nvrtcGetCUBIN");
    must(nvrtcDestroyProgram(&program), "nvrtcDestroyProgram");
    CU("cuModuleLoadData", &module, code);
    CU("cuModuleGetFunction", &function, module, "fill");
    unsigned long long out = 0;
    unsigned value = 1000, back[32];
    void *parameters[] = {&out, &value};
    CU("cuMemAlloc_v2", &out, sizeof back);
    int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **) = dlsym(driver, "cuLaunchKernel");
    must(launch(function, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL), "cuLaunchKernel");
    must(((int (*)(void *, unsigned long long, size_t))dlsym(driver, "cuMemcpyDtoH_v2"))(back, out, sizeof back), "cuMemcpyDtoH");
    for (unsigned i = 0; i < 32; i++) if (back[i] != 1000 + i) { printf("back[%u] is %u\n", i, back[i]); return 1; }
    mark("end");
    return 0;
}
