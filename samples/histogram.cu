// Counts of byte values: integer atomics in shared memory per block, then in global memory; the total by warp shuffles.
//
//   histogram [--words N] [--rounds N] [--every N]
//
// Every round counts other data, made on the device from the round's number; counts of all rounds are summed and compared with the CPU's,
// exactly. Exit code 0: right; 1: wrong; 2: usage; 3: CUDA.
#include "include/sample.h"

#include <vector>

static const int Bins = 256, Block = 256;

__global__ void make_data(uint32_t* data, int words, uint32_t round) {
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < words; i += (int)(gridDim.x * blockDim.x))
        data[i] = mix32((uint32_t)i ^ (round * 0x9e3779b9u)) & 0x7f3f1fffu; // uneven on purpose
}

__global__ void count(const uint32_t* data, int words, unsigned int* bins) {
    __shared__ unsigned int local[Bins];
    for (int b = (int)threadIdx.x; b < Bins; b += (int)blockDim.x) local[b] = 0;
    __syncthreads();
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < words; i += (int)(gridDim.x * blockDim.x)) {
        uint32_t w = data[i];
        atomicAdd(&local[w & 255u], 1u);
        atomicAdd(&local[w >> 8 & 255u], 1u);
        atomicAdd(&local[w >> 16 & 255u], 1u);
        atomicAdd(&local[w >> 24], 1u);
    }
    __syncthreads();
    for (int b = (int)threadIdx.x; b < Bins; b += (int)blockDim.x)
        if (local[b]) atomicAdd(&bins[b], local[b]);
}

// One block of Bins threads; total[0] becomes the sum of all bins.
__global__ void add_up(const unsigned int* bins, unsigned int* total) {
    __shared__ unsigned int sums[Bins / 32];
    unsigned int v = bins[threadIdx.x];
    for (unsigned int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(0xffffffffu, v, d);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned int sum = 0;
        for (int w = 0; w < Bins / 32; w++) sum += sums[w];
        *total = sum;
    }
}

int main(int argc, char** argv) {
    Options options(argc, argv, "histogram [--words N] [--rounds N] [--every N]");
    int words = options.number("--words", 1 << 18, 1), rounds = options.number("--rounds", 20, 1), every = options.number("--every", 5, 1);
    RunMark mark;
    mark.print("histogram", "begin");

    uint32_t* data;
    unsigned int *bins, *total;
    CUDA_OK(cudaMalloc(&data, (size_t)words * sizeof(uint32_t)));
    CUDA_OK(cudaMalloc(&bins, Bins * sizeof(unsigned int)));
    CUDA_OK(cudaMalloc(&total, sizeof(unsigned int)));
    CUDA_OK(cudaMemset(bins, 0, Bins * sizeof(unsigned int)));

    unsigned int sum = 0;
    for (int r = 1; r <= rounds; r++) {
        if (r == rounds) mark.hold();
        make_data<<<64, Block>>>(data, words, (uint32_t)r);
        count<<<32, Block>>>(data, words, bins);
        add_up<<<1, Bins>>>(bins, total);
        CUDA_OK(cudaGetLastError());
        mark.launches += 3;
        if (r % every == 0 || r == rounds) {
            CUDA_OK(cudaMemcpy(&sum, total, sizeof sum, cudaMemcpyDeviceToHost));
            printf("histogram: round %d of %d, %u bytes counted\n", r, rounds, sum);
        }
    }
    std::vector<unsigned int> counted(Bins), expected(Bins, 0u);
    CUDA_OK(cudaMemcpy(counted.data(), bins, Bins * sizeof(unsigned int), cudaMemcpyDeviceToHost));
    CUDA_OK(cudaFree(data));
    CUDA_OK(cudaFree(bins));
    CUDA_OK(cudaFree(total));

    for (int r = 1; r <= rounds; r++)
        for (int i = 0; i < words; i++) {
            uint32_t w = mix32((uint32_t)i ^ ((uint32_t)r * 0x9e3779b9u)) & 0x7f3f1fffu;
            for (int b = 0; b < 4; b++) expected[w >> (8 * b) & 255u]++;
        }
    bool right = counted == expected && sum == (unsigned int)rounds * (unsigned int)words * 4u && mark.launches == 3LL * rounds;
    printf("histogram: bins %016llx\n", (unsigned long long)fnv1a(counted.data(), Bins * sizeof(unsigned int)));
    mark.print("histogram", "end");
    printf("histogram: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
