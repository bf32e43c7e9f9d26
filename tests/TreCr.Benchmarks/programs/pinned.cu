// A program with MIB of pinned memory that does not compress, of which the host writes one half and a kernel the other half of a little. pinned MIB DIRTY_PERCENT_PER_SECOND; prints "ready" when the
// memory is filled, and ends when standard input does, with a sum over all of it.
#include "../../../samples/include/sample.h"

#include <poll.h>
#include <stdint.h>

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

int main(int argc, char** argv) {
    if (argc != 3) return fprintf(stderr, "usage: pinned MIB DIRTY_PERCENT\n"), 2;
    uint64_t n = (uint64_t)atol(argv[1]) << 17, pages = n / 512, first = 0, sum = 0;
    unsigned tick = (unsigned)((double)pages * atof(argv[2]) / 100 / 200) + 1;
    uint64_t* memory;
    CUDA_OK(cudaMallocHost((void**)&memory, n * 8));
    fill<<<(unsigned)(n / 256), 256>>>(n, memory);
    CUDA_OK(cudaDeviceSynchronize());
    for (uint64_t i = 0; i < n; i += 512) sum += memory[i]; // as a program that has used all of it
    printf("ready\n");
    fflush(stdout);
    pollfd input = {0, POLLIN, 0};
    while (poll(&input, 1, 10) == 0) {
        touch<<<tick, 1>>>(pages, first, memory);
        CUDA_OK(cudaDeviceSynchronize());
        for (uint64_t i = first + tick; i < first + 2 * tick; i++) memory[i * 7919 % pages * 512] += 1;
        first += 2 * tick;
    }
    for (uint64_t i = 0; i < n; i++) sum += memory[i] * (2 * i + 1);
    printf("sum %016llx\n", (unsigned long long)sum);
    return 0;
}
