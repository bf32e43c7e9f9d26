// A program with MIB of device memory that does not compress, of which a kernel goes on writing a little. resident MIB DIRTY_PERCENT_PER_SECOND; prints "ready" when the
// memory is filled, and ends when standard input does, with a sum over all of it.
#include "../../../samples/include/sample.h"

#include <poll.h>
#include <stdint.h>
#include <time.h>

__global__ void fill(uint64_t n, uint64_t* memory) {
    uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x;
    if (i >= n) return;
    uint64_t v = i * 0x9E3779B97F4A7C15ull;
    v = (v ^ v >> 30) * 0xBF58476D1CE4E5B9ull;
    v = (v ^ v >> 27) * 0x94D049BB133111EBull;
    memory[i] = v ^ v >> 31;
}

__global__ void touch(uint64_t pages, uint64_t first, uint64_t* memory) {
    uint64_t page = (first + blockIdx.x * (uint64_t)blockDim.x + threadIdx.x) * 7919 % pages;
    memory[page * 512] += 1;
}

__global__ void sum(uint64_t n, const uint64_t* memory, unsigned long long* total) {
    uint64_t s = 0, step = gridDim.x * (uint64_t)blockDim.x;
    for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n; i += step) s += memory[i] * (2 * i + 1);
    atomicAdd(total, (unsigned long long)s);
}

int main(int argc, char** argv) {
    if (argc != 3) return fprintf(stderr, "usage: resident MIB DIRTY_PERCENT\n"), 2;
    uint64_t n = (uint64_t)atol(argv[1]) << 17, pages = n / 512, first = 0;
    unsigned tick = (unsigned)((double)pages * atof(argv[2]) / 100 / 100) + 1;
    uint64_t* memory;
    unsigned long long *total, host = 0;
    CUDA_OK(cudaMalloc((void**)&memory, n * 8));
    CUDA_OK(cudaMalloc((void**)&total, 8));
    CUDA_OK(cudaMemset(total, 0, 8));
    fill<<<(unsigned)(n / 256), 256>>>(n, memory);
    CUDA_OK(cudaDeviceSynchronize());
    printf("ready\n");
    fflush(stdout);
    pollfd input = {0, POLLIN, 0};
    while (poll(&input, 1, 10) == 0) {
        touch<<<tick, 1>>>(pages, first, memory);
        CUDA_OK(cudaDeviceSynchronize());
        first += tick;
    }
    sum<<<64, 256>>>(n, memory, total);
    CUDA_OK(cudaMemcpy(&host, total, 8, cudaMemcpyDeviceToHost));
    printf("sum %016llx\n", host);
    return 0;
}
