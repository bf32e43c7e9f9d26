// A program of the driver API alone: no CUDA runtime, PTX text inside, linked with -lcuda.
//
//   vectoradd_driver [--elements N] [--rounds N] [--every N]
//
// y = a * x + y, `rounds` times with another a, in whole numbers; compared with the CPU, exactly.
// Exit code 0: right; 1: wrong; 2: usage; 3: CUDA.
#if __has_include(<cuda.h>)
#include <cuda.h>
#else
#include "include/trecr_cuda_driver.h"
#endif
#include "include/run_mark.h"

#include <vector>

static const char* const Ptx = R"(
.version 6.4
.target sm_70
.address_size 64

.visible .entry scale_and_add(
    .param .u64 p_x,
    .param .u64 p_y,
    .param .u32 p_a,
    .param .u32 p_n
)
{
    .reg .pred %p<2>;
    .reg .b32 %r<10>;
    .reg .b64 %rd<8>;

    ld.param.u64    %rd1, [p_x];
    ld.param.u64    %rd2, [p_y];
    ld.param.u32    %r1, [p_a];
    ld.param.u32    %r2, [p_n];
    mov.u32         %r3, %ctaid.x;
    mov.u32         %r4, %ntid.x;
    mov.u32         %r5, %tid.x;
    mad.lo.s32      %r6, %r3, %r4, %r5;
    setp.ge.u32     %p1, %r6, %r2;
    @%p1 bra        done;
    cvta.to.global.u64 %rd3, %rd1;
    cvta.to.global.u64 %rd4, %rd2;
    mul.wide.u32    %rd5, %r6, 4;
    add.s64         %rd6, %rd3, %rd5;
    add.s64         %rd7, %rd4, %rd5;
    ld.global.u32   %r7, [%rd6];
    ld.global.u32   %r8, [%rd7];
    mad.lo.u32      %r9, %r1, %r7, %r8;
    st.global.u32   [%rd7], %r9;
done:
    ret;
}
)";

#define CU_OK(call)                                                                        \
    do {                                                                                   \
        CUresult cu_ok_result = (call);                                                    \
        if (cu_ok_result != CUDA_SUCCESS) {                                                \
            const char* cu_ok_name = nullptr;                                              \
            cuGetErrorName(cu_ok_result, &cu_ok_name);                                     \
            fprintf(stderr, "%s:%d: %s: %d %s\n", __FILE__, __LINE__, #call, (int)cu_ok_result, cu_ok_name ? cu_ok_name : "?"); \
            exit(3);                                                                       \
        }                                                                                  \
    } while (0)

int main(int argc, char** argv) {
    Options options(argc, argv, "vectoradd_driver [--elements N] [--rounds N] [--every N]");
    unsigned int n = (unsigned int)options.number("--elements", 1 << 16, 1);
    int rounds = options.number("--rounds", 50, 1), every = options.number("--every", 10, 1);
    RunMark mark;
    mark.print("vectoradd_driver", "begin");

    CUdevice device;
    CUcontext context;
    char name[256];
    CU_OK(cuInit(0));
    CU_OK(cuDeviceGet(&device, 0));
    CU_OK(cuDeviceGetName(name, sizeof name, device));
    fprintf(stderr, "vectoradd_driver: device %s\n", name);
    CU_OK(cuCtxCreate(&context, 0, device));
    CUmodule module;
    CUfunction kernel;
    CU_OK(cuModuleLoadData(&module, Ptx));
    CU_OK(cuModuleGetFunction(&kernel, module, "scale_and_add"));

    std::vector<uint32_t> x(n), y(n), result(n);
    for (unsigned int i = 0; i < n; i++) { x[i] = mix32(i); y[i] = mix32(i + n); }
    size_t bytes = n * sizeof(uint32_t);
    CUdeviceptr deviceX, deviceY;
    CU_OK(cuMemAlloc(&deviceX, bytes));
    CU_OK(cuMemAlloc(&deviceY, bytes));
    CU_OK(cuMemcpyHtoD(deviceX, x.data(), bytes));
    CU_OK(cuMemcpyHtoD(deviceY, y.data(), bytes));
    for (int r = 1; r <= rounds; r++) {
        if (r == rounds) mark.hold();
        unsigned int a = mix32((uint32_t)r);
        void* parameters[] = {&deviceX, &deviceY, &a, &n};
        CU_OK(cuLaunchKernel(kernel, (n + 255) / 256, 1, 1, 256, 1, 1, 0, nullptr, parameters, nullptr));
        mark.launches++;
        for (unsigned int i = 0; i < n; i++) y[i] += a * x[i];
        if (r % every == 0 || r == rounds) {
            CU_OK(cuCtxSynchronize());
            printf("vectoradd_driver: round %d of %d\n", r, rounds);
        }
    }
    CU_OK(cuMemcpyDtoH(result.data(), deviceY, bytes));
    CU_OK(cuMemFree(deviceX));
    CU_OK(cuMemFree(deviceY));
    CU_OK(cuModuleUnload(module));
    CU_OK(cuCtxDestroy(context));

    bool right = result == y && mark.launches == rounds;
    printf("vectoradd_driver: result %016llx\n", (unsigned long long)fnv1a(result.data(), bytes));
    mark.print("vectoradd_driver", "end");
    printf("vectoradd_driver: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
