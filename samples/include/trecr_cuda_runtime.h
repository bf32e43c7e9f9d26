// The names of the CUDA runtime that the samples use, declared by us, so that the samples compile with clang alone.
// sample.h takes this file only where <cuda_runtime.h> is not installed. The functions themselves are those of NVIDIA's libcudart
// (Debian: libcudart11.0); numbers and signatures follow the CUDA Runtime API reference, version 11.8.
// Built-in variables, __syncthreads and the __nvvm_* built-ins are clang's own (NVPTX backend).
#pragma once

#include <cstddef>

#define __host__ __attribute__((host))
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

struct uint3 { unsigned int x, y, z; };

struct dim3 {
    unsigned int x, y, z;
    __host__ __device__ constexpr dim3(unsigned int vx = 1, unsigned int vy = 1, unsigned int vz = 1) : x(vx), y(vy), z(vz) {}
};

struct alignas(16) float4 { float x, y, z, w; };
static __host__ __device__ __inline__ float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

#include <__clang_cuda_builtin_vars.h>

// ---- host interface, "CUDA Runtime API" ----
enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInitializationError = 3,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
};
typedef enum cudaError cudaError_t;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;

enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };

extern "C" {
// What clang calls for k<<<grid, block, sharedBytes, stream>>>(...) and in the stub of a kernel (CUDA 9.2 and later).
unsigned int __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t sharedBytes = 0, cudaStream_t stream = nullptr);
cudaError_t cudaLaunchKernel(const void* func, dim3 grid, dim3 block, void** args, size_t sharedBytes, cudaStream_t stream);

cudaError_t cudaGetLastError(void);
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* freeBytes, size_t* totalBytes);

cudaError_t cudaMalloc(void** devPtr, size_t sizeBytes);
cudaError_t cudaFree(void* devPtr);
cudaError_t cudaMallocHost(void** ptr, size_t sizeBytes);
cudaError_t cudaFreeHost(void* ptr);
cudaError_t cudaMemcpy(void* dst, const void* src, size_t countBytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t countBytes, cudaMemcpyKind kind, cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* devPtr, int value, size_t countBytes);
cudaError_t cudaMemsetAsync(void* devPtr, int value, size_t countBytes, cudaStream_t stream = nullptr);

cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags = 0);

cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end);
}

template <typename T> static __inline__ cudaError_t cudaMalloc(T** devPtr, size_t sizeBytes) {
    return cudaMalloc(reinterpret_cast<void**>(devPtr), sizeBytes);
}
template <typename T> static __inline__ cudaError_t cudaMallocHost(T** ptr, size_t sizeBytes) {
    return cudaMallocHost(reinterpret_cast<void**>(ptr), sizeBytes);
}

// ---- device functions ----
// NVIDIA's libdevice is not there, so the mathematics is what PTX itself has: correctly rounded square root, approximate reciprocal
// square root and base-2 exponential (the same instructions that nvcc chooses for rsqrtf and __expf).
static __device__ __forceinline__ float rsqrtf(float x) { return __nvvm_rsqrt_approx_f(x); }
static __device__ __forceinline__ float __expf(float x) { return __nvvm_ex2_approx_f(x * 1.4426950408889634f); }
static __device__ __forceinline__ float sqrtf(float x) { return __nvvm_sqrt_rn_f(x); }
static __device__ __forceinline__ float fabsf(float x) { return __builtin_fabsf(x); }

template <typename T> static __device__ __forceinline__ T atomicAdd(T* address, T value) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ unsigned int __shfl_down_sync(unsigned int mask, unsigned int value, unsigned int delta, int width = 32) {
    return static_cast<unsigned int>(__nvvm_shfl_sync_down_i32(mask, static_cast<int>(value), static_cast<int>(delta), ((32 - width) << 8) | 31));
}
