// Much device memory, of which each round changes one part: what a lazy restart brings late must be what was saved. Kernels find the parts through a table of addresses in device memory, so that no
// argument of a launch names them.
// Runs until the file named by TRECR_SAMPLE_HOLD exists, then compares every word with the closed form.
//
//   largedevice [--mib N] [--every N]
//
// Exit code 0: right; 1: wrong; 2: usage; 3: CUDA.
#include "../../../samples/include/sample.h"

static const int Parts = 64;

__device__ uint32_t g_rounds = 12345; // zero in every checkpoint: what the module is loaded with must not come back

__global__ void fill(uint32_t** parts, uint32_t words) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < words) parts[blockIdx.y][i] = mix32(i + blockIdx.y);
    if (i == 0 && blockIdx.y == 0) g_rounds = 0;
}

__global__ void change(uint32_t** parts, uint32_t words, uint32_t round) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < words) parts[round % Parts][i] += mix32(round);
}

__global__ void compare(uint32_t** parts, uint32_t words, const uint32_t* added, unsigned int* wrong) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < words && parts[blockIdx.y][i] != mix32(i + blockIdx.y) + added[blockIdx.y]) atomicAdd(wrong, 1u);
    if (i == 0 && blockIdx.y == 0 && g_rounds != 0) atomicAdd(wrong, 1u);
}

int main(int argc, char** argv) {
    Options options(argc, argv, "largedevice [--mib N] [--every N]");
    int mib = options.number("--mib", 128, 1), every = options.number("--every", 2, 1);
    RunMark mark;
    const char* hold = getenv("TRECR_SAMPLE_HOLD");
    mark.print("largedevice", "begin");

    uint32_t words = (uint32_t)(((size_t)mib << 18) / Parts), *parts[Parts], **table, *added, sums[Parts] = {};
    unsigned int *wrong, count = 0;
    for (uint32_t*& part : parts) CUDA_OK(cudaMalloc(&part, (size_t)words * 4));
    CUDA_OK(cudaMalloc(&table, sizeof(parts)));
    CUDA_OK(cudaMalloc(&added, sizeof(sums)));
    CUDA_OK(cudaMalloc(&wrong, 4));
    CUDA_OK(cudaMemcpy(table, parts, sizeof(parts), cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemset(wrong, 0, 4));
    dim3 all(words / 256, Parts);
    fill<<<all, 256>>>(table, words);
    CUDA_OK(cudaDeviceSynchronize());
    mark.launches++;

    uint32_t rounds = 0;
    for (bool last = false; !last; rounds++) {
        last = !hold || !*hold || access(hold, F_OK) == 0;
        change<<<words / 256, 256>>>(table, words, rounds);
        CUDA_OK(cudaDeviceSynchronize());
        sums[rounds % Parts] += mix32(rounds);
        mark.launches++;
        if ((rounds + 1) % (uint32_t)every == 0) printf("largedevice: round %u of 1000000\n", rounds + 1);
    }
    CUDA_OK(cudaMemcpy(added, sums, sizeof(sums), cudaMemcpyHostToDevice));
    compare<<<all, 256>>>(table, words, added, wrong);
    CUDA_OK(cudaMemcpy(&count, wrong, 4, cudaMemcpyDeviceToHost));
    mark.launches++;
    printf("largedevice: %u rounds, %u wrong words\n", rounds, count);
    mark.print("largedevice", "end");
    bool right = count == 0 && mark.launches == 2 + (long long)rounds;
    printf("largedevice: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
