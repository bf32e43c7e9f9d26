// Memory of every kind, written all the time and only ever added to, so that one page whose write a checkpoint missed shows at the end:
//   own     the program's memory, by a host thread that never waits for the device
//   pinned  word 4i+1 by that thread, 4i+2 by a kernel, 4i+3 by the main thread between two kernels: both sides in each page
//   sparse  one page a round, in the program's memory, in pinned and in device memory: a page that was written only in an epoch that failed
//   device  by a kernel; what it adds comes from pinned memory by cudaMemcpyAsync, and its sum goes back there
// Runs until the file named by TRECR_SAMPLE_HOLD exists, then a few rounds more, then compares every word with the closed form.
//
//   bothsides [--every N]
//
// Exit code 0: right; 1: wrong; 2: usage; 3: CUDA.
#include "../../../samples/include/sample.h"

#include <atomic>
#include <thread>
#include <vector>

static const int Words = 1 << 17, PageWords = 1024, Pages = 256, LastRounds = 5;

__global__ void add_both(uint32_t* pinned, uint32_t* device, const uint32_t* added, int words, uint32_t round) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= words) return;
    if (i % 4 == 2) pinned[i] += mix32((uint32_t)i);
    device[i] += added[i] + round;
}

__global__ void add_page(uint32_t* pinnedPage, uint32_t* devicePage, uint32_t round) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    pinnedPage[i] += mix32(round) + (uint32_t)i;
    devicePage[i] += mix32(round + 7) + (uint32_t)i;
}

static int report(const char* what, int wrong) {
    if (wrong) fprintf(stderr, "bothsides: %d words of %s are wrong\n", wrong, what);
    return wrong;
}

int main(int argc, char** argv) {
    Options options(argc, argv, "bothsides [--every N]");
    int every = options.number("--every", 10, 1);
    RunMark mark;
    const char* hold = getenv("TRECR_SAMPLE_HOLD");
    mark.print("bothsides", "begin");

    size_t bytes = (size_t)Words * 4, sparseBytes = (size_t)Pages * PageWords * 4;
    uint32_t *pinned, *source, *sums, *sparsePinned, *device, *added, *sparseDevice;
    CUDA_OK(cudaMallocHost(&pinned, bytes));
    CUDA_OK(cudaMallocHost(&source, bytes));
    CUDA_OK(cudaMallocHost(&sums, bytes));
    CUDA_OK(cudaMallocHost(&sparsePinned, sparseBytes));
    CUDA_OK(cudaMalloc(&device, bytes));
    CUDA_OK(cudaMalloc(&added, bytes));
    CUDA_OK(cudaMalloc(&sparseDevice, sparseBytes));
    for (uint32_t* p : {pinned, source, sums}) memset(p, 0, bytes);
    memset(sparsePinned, 0, sparseBytes);
    CUDA_OK(cudaMemset(device, 0, bytes));
    CUDA_OK(cudaMemset(sparseDevice, 0, sparseBytes));
    std::vector<uint32_t> own(Words), total(Words), sparse((size_t)Pages * PageWords);
    cudaStream_t stream;
    CUDA_OK(cudaStreamCreate(&stream));

    std::atomic<bool> stop{false};
    uint32_t passes = 0;
    std::thread writer([&] {
        while (!stop) {
            for (int i = 0; i < Words; i++) {
                own[i] += mix32((uint32_t)i + 1);
                if (i % 4 == 1) pinned[i] += mix32((uint32_t)i);
            }
            passes++;
        }
    });

    uint32_t rounds = 0;
    for (int left = LastRounds; left > 0;) {
        if (!hold || !*hold || access(hold, F_OK) == 0) left--;
        for (int i = 0; i < Words; i++) source[i] = mix32((uint32_t)i + rounds);
        for (int i = 3; i < Words; i += 4) pinned[i] += mix32((uint32_t)i);
        CUDA_OK(cudaMemcpyAsync(added, source, bytes, cudaMemcpyHostToDevice, stream));
        add_both<<<Words / 256, 256, 0, stream>>>(pinned, device, added, Words, rounds);
        CUDA_OK(cudaGetLastError());
        int page = (int)(rounds % Pages);
        add_page<<<PageWords / 256, 256, 0, stream>>>(sparsePinned + page * PageWords, sparseDevice + page * PageWords, rounds);
        CUDA_OK(cudaGetLastError());
        mark.launches += 2;
        for (int i = 0; i < PageWords; i++) sparse[(size_t)page * PageWords + i] += mix32(rounds + 3) + (uint32_t)i;
        CUDA_OK(cudaMemcpyAsync(sums, device, bytes, cudaMemcpyDeviceToHost, stream));
        CUDA_OK(cudaStreamSynchronize(stream));
        for (int i = 0; i < Words; i++) total[i] += sums[i];
        rounds++;
        if (rounds % (uint32_t)every == 0) printf("bothsides: round %u of 1000000\n", rounds);
    }
    stop = true;
    writer.join();

    int wrong = 0, w[8] = {};
    for (int i = 0; i < Words; i++) {
        w[0] += own[i] != passes * mix32((uint32_t)i + 1);
        uint32_t expected = i % 4 == 0 ? 0 : (i % 4 == 1 ? passes : rounds) * mix32((uint32_t)i);
        w[1] += pinned[i] != expected;
        uint32_t sum = 0, all = 0;
        for (uint32_t r = 0; r < rounds; r++) all += sum += mix32((uint32_t)i + r) + r;
        w[2] += sums[i] != sum;
        w[3] += total[i] != all;
    }
    std::vector<uint32_t> deviceNow(Words), sparseNow(sparse.size());
    CUDA_OK(cudaMemcpy(deviceNow.data(), device, bytes, cudaMemcpyDeviceToHost));
    CUDA_OK(cudaMemcpy(sparseNow.data(), sparseDevice, sparseBytes, cudaMemcpyDeviceToHost));
    for (int i = 0; i < Words; i++) w[4] += deviceNow[i] != sums[i];
    for (uint32_t page = 0; page < (uint32_t)Pages; page++) {
        uint32_t mine = 0, pinnedSum = 0, deviceSum = 0, times = 0;
        for (uint32_t r = page; r < rounds; r += Pages, times++) mine += mix32(r + 3), pinnedSum += mix32(r), deviceSum += mix32(r + 7);
        for (uint32_t i = 0; i < (uint32_t)PageWords; i++) {
            size_t at = (size_t)page * PageWords + i;
            w[5] += sparse[at] != mine + times * i;
            w[6] += sparsePinned[at] != pinnedSum + times * i;
            w[7] += sparseNow[at] != deviceSum + times * i;
        }
    }
    const char* names[8] = {"the program's memory", "pinned memory", "the sums copied from the device", "their total", "device memory",
                            "the program's sparse pages", "the sparse pinned pages", "the sparse device pages"};
    for (int k = 0; k < 8; k++) wrong += report(names[k], w[k]);

    for (uint32_t* p : {pinned, source, sums, sparsePinned}) CUDA_OK(cudaFreeHost(p));
    for (uint32_t* p : {device, added, sparseDevice}) CUDA_OK(cudaFree(p));
    CUDA_OK(cudaStreamDestroy(stream));
    printf("bothsides: %u rounds, %d wrong words\n", rounds, wrong);
    mark.print("bothsides", "end");
    bool right = wrong == 0 && passes > 0 && mark.launches == 2LL * rounds;
    printf("bothsides: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
