// Four processes with communicators over pairs only, as of rows and columns: {0,1}, {2,3} and {0,2}, {1,3}. Rank 3 comes late to its column's sum, until the file FILE exists; the others wait for it, directly or not.
//   latepeer FILE ROUNDS       prints "latepeer: waiting" when all but rank 3 are in the middle of it, and "latepeer: PASSED" at its end
#include "../../../samples/include/sample.h"
#include "../../../samples/include/nccl.h"

#include <sys/wait.h>
#include <vector>

#define NCCL_OK(call)                                                                                                        \
    do {                                                                                                                     \
        ncclResult_t e = (call);                                                                                             \
        if (e != ncclSuccess) { fprintf(stderr, "%d: %s: %s\n", __LINE__, #call, ncclGetErrorString(e)); exit(3); }          \
    } while (0)

int main(int, char** argv) {
    RunMark mark;
    const int ranks = 4, rounds = atoi(argv[2]);
    int rank = 0, pipes[ranks][2];
    for (int r = 0; r < ranks; r++) if (pipe(pipes[r]) != 0) return 2;
    std::vector<pid_t> children;
    for (int r = 1; r < ranks && rank == 0; r++) {
        pid_t child = fork();
        if (child == 0) { rank = r; children.clear(); } else children.push_back(child);
    }
    ncclUniqueId ids[4]; // rows 0 and 1, columns 0 and 1
    if (rank == 0) {
        for (ncclUniqueId& id : ids) NCCL_OK(ncclGetUniqueId(&id));
        for (int r = 1; r < ranks; r++) if (write(pipes[r][1], ids, sizeof ids) != (ssize_t)sizeof ids) return 2;
    } else if (read(pipes[rank][0], ids, sizeof ids) != (ssize_t)sizeof ids) return 2;
    ncclComm_t row, column;
    NCCL_OK(ncclCommInitRank(&row, 2, ids[rank / 2], rank % 2));
    NCCL_OK(ncclCommInitRank(&column, 2, ids[2 + rank % 2], rank / 2));
    int mine = 1 << (8 * rank), *data, sum;
    CUDA_OK(cudaMalloc(&data, sizeof mine));
    bool right = true;
    for (int round = 0; round < rounds; round++) {
        if (round == rounds / 2 && rank == 0) printf("latepeer: waiting\n"), fflush(stdout);
        if (round == rounds - 1) mark.hold(); // all of them: nobody is in a collective
        CUDA_OK(cudaMemcpy(data, &mine, sizeof mine, cudaMemcpyHostToDevice));
        NCCL_OK(ncclAllReduce(data, data, 1, ncclInt, ncclSum, row, nullptr));
        while (round == rounds / 2 && rank == 3 && access(argv[1], F_OK) != 0) usleep(1000);
        NCCL_OK(ncclAllReduce(data, data, 1, ncclInt, ncclSum, column, nullptr));
        CUDA_OK(cudaMemcpy(&sum, data, sizeof sum, cudaMemcpyDeviceToHost));
        right &= sum == 0x01010101;
    }
    NCCL_OK(ncclCommDestroy(row));
    NCCL_OK(ncclCommDestroy(column));
    if (rank != 0) return right ? 0 : 1;
    for (pid_t child : children) {
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) right = false;
    }
    printf("latepeer: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
