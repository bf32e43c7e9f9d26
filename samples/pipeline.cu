// Two host threads and three streams: one thread fills pinned buffers and enqueues upload and kernel, the other enqueues the download,
// waits for it and checks. Events order the streams and hand the buffers back.
//
//   pipeline [--chunks N] [--words N] [--work N] [--every N]
//
// Every chunk is compared with the CPU's, exactly. Exit code 0: right; 1: wrong; 2: usage; 3: CUDA.
#include "include/sample.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

static const int Slots = 3;

__host__ __device__ static inline uint32_t scramble(uint32_t v, uint32_t chunk, int work) {
    for (int k = 0; k < work; k++) v = mix32(v + chunk * 0x85ebca6bu + (uint32_t)k);
    return v;
}

__global__ void transform(const uint32_t* in, uint32_t* out, int words, uint32_t chunk, int work) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < words) out[i] = scramble(in[i], chunk, work);
}

struct Slot {
    uint32_t *in, *out;             // pinned
    uint32_t *deviceIn, *deviceOut;
    cudaEvent_t uploaded, computed, downloaded;
};

// Chunks go from the first thread to the second in order; slots come back when a chunk was checked.
struct Line {
    std::mutex mutex;
    std::condition_variable changed;
    int enqueued = 0, checked = 0;

    void advance(int& count) {
        { std::lock_guard<std::mutex> hold(mutex); count++; }
        changed.notify_all();
    }
    void wait_for(const int& count, int least) {
        std::unique_lock<std::mutex> hold(mutex);
        changed.wait(hold, [&] { return count >= least; });
    }
};

int main(int argc, char** argv) {
    Options options(argc, argv, "pipeline [--chunks N] [--words N] [--work N] [--every N]");
    int chunks = options.number("--chunks", 48, 1), words = options.number("--words", 1 << 16, 1), work = options.number("--work", 8, 1);
    int every = options.number("--every", 8, 1);
    RunMark mark;
    mark.print("pipeline", "begin");

    size_t bytes = (size_t)words * sizeof(uint32_t);
    cudaStream_t upload, compute, download;
    CUDA_OK(cudaStreamCreate(&upload));
    CUDA_OK(cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking));
    CUDA_OK(cudaStreamCreate(&download));
    cudaEvent_t begin, end;
    CUDA_OK(cudaEventCreate(&begin));
    CUDA_OK(cudaEventCreate(&end));
    Slot slots[Slots];
    for (Slot& s : slots) {
        CUDA_OK(cudaMallocHost(&s.in, bytes));
        CUDA_OK(cudaMallocHost(&s.out, bytes));
        CUDA_OK(cudaMalloc(&s.deviceIn, bytes));
        CUDA_OK(cudaMalloc(&s.deviceOut, bytes));
        for (cudaEvent_t* e : {&s.uploaded, &s.computed, &s.downloaded}) CUDA_OK(cudaEventCreateWithFlags(e, cudaEventDisableTiming));
    }

    Line line;
    uint64_t print = 0xcbf29ce484222325ull;
    int wrong = 0;
    CUDA_OK(cudaEventRecord(begin, upload));

    std::thread producer([&] {
        CUDA_OK(cudaSetDevice(0));
        for (int c = 0; c < chunks; c++) {
            Slot& s = slots[c % Slots];
            line.wait_for(line.checked, c - Slots + 1);
            if (c == chunks - 1) mark.hold();
            for (int i = 0; i < words; i++) s.in[i] = mix32((uint32_t)i * 31u + (uint32_t)c);
            CUDA_OK(cudaMemcpyAsync(s.deviceIn, s.in, bytes, cudaMemcpyHostToDevice, upload));
            CUDA_OK(cudaEventRecord(s.uploaded, upload));
            CUDA_OK(cudaStreamWaitEvent(compute, s.uploaded, 0));
            transform<<<(unsigned)(words + 255) / 256, 256, 0, compute>>>(s.deviceIn, s.deviceOut, words, (uint32_t)c, work);
            CUDA_OK(cudaGetLastError());
            mark.launches++;
            CUDA_OK(cudaEventRecord(s.computed, compute));
            line.advance(line.enqueued);
        }
    });
    std::thread consumer([&] {
        CUDA_OK(cudaSetDevice(0));
        for (int c = 0; c < chunks; c++) {
            Slot& s = slots[c % Slots];
            line.wait_for(line.enqueued, c + 1);
            CUDA_OK(cudaStreamWaitEvent(download, s.computed, 0));
            CUDA_OK(cudaMemcpyAsync(s.out, s.deviceOut, bytes, cudaMemcpyDeviceToHost, download));
            CUDA_OK(cudaEventRecord(s.downloaded, download));
            CUDA_OK(cudaEventSynchronize(s.downloaded));
            for (int i = 0; i < words; i++)
                if (s.out[i] != scramble(mix32((uint32_t)i * 31u + (uint32_t)c), (uint32_t)c, work)) wrong++;
            print = fnv1a(s.out, bytes, print);
            if ((c + 1) % every == 0 || c + 1 == chunks) printf("pipeline: chunk %d of %d, %016llx\n", c + 1, chunks, (unsigned long long)print);
            line.advance(line.checked);
        }
    });
    producer.join();
    consumer.join();

    float ms = -1;
    CUDA_OK(cudaEventRecord(end, download));
    CUDA_OK(cudaEventSynchronize(end));
    CUDA_OK(cudaEventElapsedTime(&ms, begin, end));
    CUDA_OK(cudaDeviceSynchronize());
    for (Slot& s : slots) {
        CUDA_OK(cudaFreeHost(s.in));
        CUDA_OK(cudaFreeHost(s.out));
        CUDA_OK(cudaFree(s.deviceIn));
        CUDA_OK(cudaFree(s.deviceOut));
        for (cudaEvent_t e : {s.uploaded, s.computed, s.downloaded}) CUDA_OK(cudaEventDestroy(e));
    }
    CUDA_OK(cudaEventDestroy(begin));
    CUDA_OK(cudaEventDestroy(end));
    for (cudaStream_t s : {upload, compute, download}) CUDA_OK(cudaStreamDestroy(s));

    fprintf(stderr, "pipeline: %.1f ms between the events\n", (double)ms);
    printf("pipeline: %d chunks, %d wrong words, %016llx\n", chunks, wrong, (unsigned long long)print);
    mark.print("pipeline", "end");
    bool right = wrong == 0 && ms > 0 && mark.launches == chunks;
    printf("pipeline: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
