/* VELOC-GPU: protected device memory beside host memory, taken, overwritten and brought back, also by a second process. device CONFIGURATION [again]; says "ok". */
#define VELOC_WITHOUT_MPI
#define VELOC_GPU
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "veloc.h"

typedef unsigned long long CUdeviceptr;
int cuInit(unsigned int flags);
int cuDeviceGet(int *device, int ordinal);
int cuDevicePrimaryCtxRetain(void **context, int device);
int cuCtxSetCurrent(void *context);
int cuMemAlloc_v2(CUdeviceptr *address, size_t bytes);
int cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes);
int cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes);
int cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t bytes);

enum { COUNT = 3 << 20 };

static void must(int good, const char *what) {
    if (good) return;
    printf("failed: %s\n", what);
    exit(3);
}

int main(int argc, char **argv) {
    int device, again = argc > 2, counter = 42;
    void *context;
    CUdeviceptr first, second;
    uint32_t *host = malloc(COUNT * sizeof *host);
    must(cuInit(0) == 0 && cuDeviceGet(&device, 0) == 0 && cuDevicePrimaryCtxRetain(&context, device) == 0 && cuCtxSetCurrent(context) == 0, "device");
    must(cuMemAlloc_v2(&first, COUNT * sizeof *host) == 0 && cuMemAlloc_v2(&second, 1000) == 0, "memory");
    must(VELOC_Init_single(1, argv[1]) == VELOC_SUCCESS, "init");
    must(VELOC_Mem_protect(0, &counter, 1, sizeof counter) == VELOC_SUCCESS, "protect host");
    must(VELOC_Mem_protect(1, (void *)first, COUNT, sizeof *host, READ_ONLY) == VELOC_SUCCESS, "protect read only");
    must(VELOC_Mem_protect(2, (void *)(second + 8), 900, 1, DEFAULT, NULL) == VELOC_SUCCESS, "protect default");
    must(VELOC_Mem_protect(3, &counter, 1, 1, 7) == VELOC_FAILURE, "flags that are none");
    if (!again) {
        for (uint32_t i = 0; i < COUNT; i++) host[i] = i * 2654435761u;
        must(cuMemcpyHtoD_v2(first, host, COUNT * sizeof *host) == 0 && cuMemsetD8_v2(second, 9, 1000) == 0, "fill");
        must(VELOC_Checkpoint("gpu", 1) == VELOC_SUCCESS, "checkpoint");
        /* DEFAULT has a copy of its own by now; READ_ONLY is still being read. */
        must(cuMemsetD8_v2(second, 77, 1000) == 0, "change");
        counter = 7;
        must(VELOC_Checkpoint_wait() == VELOC_SUCCESS, "wait");
    }
    counter = 0;
    memset(host, 0, COUNT * sizeof *host);
    must(cuMemsetD8_v2(first, 1, COUNT * sizeof *host) == 0 && cuMemsetD8_v2(second, 2, 1000) == 0, "overwrite");
    must(VELOC_Restart_test("gpu", 0) == 1 && VELOC_Restart("gpu", 1) == VELOC_SUCCESS, "restart");
    must(cuMemcpyDtoH_v2(host, first, COUNT * sizeof *host) == 0, "read");
    for (uint32_t i = 0; i < COUNT; i++) must(host[i] == i * 2654435761u, "bytes of region 1");
    unsigned char bytes[1000];
    must(cuMemcpyDtoH_v2(bytes, second, 1000) == 0, "read");
    for (int i = 0; i < 1000; i++) must(bytes[i] == (i >= 8 && i < 908 ? 9 : 2), "bytes of region 2");
    must(counter == 42, "host memory");
    must(VELOC_Finalize(1) == VELOC_SUCCESS, "finalize");
    puts("ok");
    return 0;
}
