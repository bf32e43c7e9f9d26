// Times of NCCL's AllReduce (float sums, out of place) and all-to-all (sends and receives of a group) over two processes; the best of REPEATS rounds of some calls each.
//   nccl REPEATS     one line for each size: bytes, microseconds of an all-reduce, microseconds of an all-to-all (bytes are those of a rank's buffer)
#include "../../../samples/include/sample.h"
#include "../../../samples/include/nccl.h"

#include <ctime>
#include <sys/wait.h>

#define NCCL_OK(call)                                                                                                        \
    do {                                                                                                                     \
        ncclResult_t e = (call);                                                                                             \
        if (e != ncclSuccess) { fprintf(stderr, "%d: %s: %s\n", __LINE__, #call, ncclGetErrorString(e)); exit(3); }          \
    } while (0)

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char** argv) {
    const int ranks = 2;
    int repeats = argc > 1 ? atoi(argv[1]) : 7, pipes[2], rank = 0;
    const size_t most = 64u << 20;
    ncclUniqueId id;
    if (pipe(pipes) != 0) return 2;
    pid_t child = fork();
    if (child == 0) rank = 1;
    if (rank == 0) {
        NCCL_OK(ncclGetUniqueId(&id));
        if (write(pipes[1], &id, sizeof id) != (ssize_t)sizeof id) return 2;
    } else if (read(pipes[0], &id, sizeof id) != (ssize_t)sizeof id) return 2;
    ncclComm_t comm;
    cudaStream_t stream;
    char *from, *to;
    CUDA_OK(cudaMalloc(&from, most));
    CUDA_OK(cudaMalloc(&to, most));
    CUDA_OK(cudaMemset(from, 0, most));
    CUDA_OK(cudaMemset(to, 0, most));
    CUDA_OK(cudaStreamCreate(&stream));
    NCCL_OK(ncclCommInitRank(&comm, ranks, id, rank));
    for (size_t bytes = 64 << 10; bytes <= most; bytes *= 4) {
        int calls = bytes > 4u << 20 ? 4 : 32;
        double best[2] = { 1e30, 1e30 };
        for (int r = 0; r < repeats; r++)
            for (int what = 0; what < 2; what++) {
                CUDA_OK(cudaStreamSynchronize(stream));
                double begin = now();
                for (int c = 0; c < calls; c++) {
                    if (what == 0) { NCCL_OK(ncclAllReduce(from, to, bytes / 4, ncclFloat, ncclSum, comm, stream)); continue; }
                    NCCL_OK(ncclGroupStart());
                    for (int p = 0; p < ranks; p++) {
                        NCCL_OK(ncclSend(from + (size_t)p * (bytes / ranks), bytes / ranks, ncclChar, p, comm, stream));
                        NCCL_OK(ncclRecv(to + (size_t)p * (bytes / ranks), bytes / ranks, ncclChar, p, comm, stream));
                    }
                    NCCL_OK(ncclGroupEnd());
                }
                CUDA_OK(cudaStreamSynchronize(stream));
                double took = (now() - begin) / calls;
                if (took < best[what]) best[what] = took;
            }
        if (rank == 0) printf("%zu %.1f %.1f\n", bytes, best[0], best[1]);
    }
    NCCL_OK(ncclCommDestroy(comm));
    if (rank != 0) return 0;
    int status;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
