// What every sample shares: the CUDA declarations, options, and the marks by which a test tells a restart from a new start.
#pragma once

#if !defined(__has_include) || (__has_include(<cuda_runtime.h>) && !defined(TRECR_OWN_CUDA_HEADERS))
#include <cuda_runtime.h>
#else
#include "trecr_cuda_runtime.h"
#endif

#include "run_mark.h"

// Ends the program with exit code 3 and the error's name when a call of the CUDA runtime fails.
#define CUDA_OK(call)                                                                                             \
    do {                                                                                                          \
        cudaError_t cuda_ok_error = (call);                                                                       \
        if (cuda_ok_error != cudaSuccess) {                                                                       \
            fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #call, cudaGetErrorName(cuda_ok_error),   \
                    cudaGetErrorString(cuda_ok_error));                                                           \
            exit(3);                                                                                              \
        }                                                                                                         \
    } while (0)
