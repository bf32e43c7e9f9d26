// Communicators of NCCL beside their collectives: what is made of them, what bad input gets, and what is heard when another member fails. Two devices, or processes that it forks.
//   communicators        every check; exit code 0: right, else the number of failures; what is wrong is said
#include "../../../samples/include/sample.h"
#include "../../../samples/include/nccl.h"

#include <csignal>
#include <sys/wait.h>
#include <vector>

static int failures;
#define EXPECT(condition)                                                                                                     \
    do {                                                                                                                      \
        if (!(condition)) { failures++; fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #condition, ncclGetLastError(nullptr)); } \
    } while (0)

static const int N = 1000;

static ncclResult_t async_error(ncclComm_t comm, ncclResult_t until) { // waits until it is so; the test's limit is the deadline
    ncclResult_t error = ncclSuccess;
    while (ncclCommGetAsyncError(comm, &error) == ncclSuccess && error != until && (error == ncclSuccess || error == ncclInProgress)) usleep(1000);
    return error;
}

// A sum over all members of a communicator of this process's rank + 1.
static int sum_of_ranks(ncclComm_t comm) {
    int rank, *data, sum = 0;
    if (ncclCommUserRank(comm, &rank) != ncclSuccess) return -1;
    int mine = rank + 1;
    CUDA_OK(cudaMalloc(&data, sizeof(int)));
    CUDA_OK(cudaMemcpy(data, &mine, sizeof(int), cudaMemcpyHostToDevice));
    if (ncclAllReduce(data, data, 1, ncclInt, ncclSum, comm, nullptr) != ncclSuccess) return -1;
    CUDA_OK(cudaMemcpy(&sum, data, sizeof(int), cudaMemcpyDeviceToHost));
    CUDA_OK(cudaFree(data));
    return sum;
}

// Runs a member in each of so many processes; a member says with its exit code whether it is content.
static void in_processes(int ranks, int (*member)(int rank, int ranks, ncclUniqueId id)) {
    int pipes[2];
    std::vector<pid_t> children;
    if (pipe(pipes) != 0) exit(3);
    for (int r = 0; r < ranks; r++) {
        pid_t child = fork();
        if (child == 0) {
            ncclUniqueId id;
            if (r == 0) {
                EXPECT(ncclGetUniqueId(&id) == ncclSuccess);
                for (int i = 1; i < ranks; i++) if (write(pipes[1], &id, sizeof id) != (ssize_t)sizeof id) exit(3);
            } else if (read(pipes[0], &id, sizeof id) != (ssize_t)sizeof id) exit(3);
            failures = 0;
            int wrong = member(r, ranks, id);
            exit(wrong + failures);
        }
        children.push_back(child);
    }
    for (int r = 0; r < ranks; r++) {
        int status;
        EXPECT(waitpid(children[(size_t)r], &status, 0) == children[(size_t)r]);
        if (status != 0) { failures++; fprintf(stderr, "rank %d of %d: status 0x%x\n", r, ranks, status); }
    }
    close(pipes[0]);
    close(pipes[1]);
}

static int splits(int rank, int ranks, ncclUniqueId id) {
    ncclComm_t all, part, none, less;
    int count, own, device;
    EXPECT(ncclCommInitRank(&all, ranks, id, rank) == ncclSuccess);
    EXPECT(sum_of_ranks(all) == ranks * (ranks + 1) / 2);
    EXPECT(ncclCommSplit(all, rank % 2, -rank, &part, nullptr) == ncclSuccess); // the keys turn them round
    EXPECT(ncclCommCount(part, &count) == ncclSuccess && count == ranks / 2);
    EXPECT(ncclCommUserRank(part, &own) == ncclSuccess && own == count - 1 - rank / 2);
    EXPECT(ncclCommCuDevice(part, &device) == ncclSuccess && device == 0);
    EXPECT(sum_of_ranks(part) == count * (count + 1) / 2);
    EXPECT(ncclCommSplit(all, rank == 0 ? NCCL_SPLIT_NOCOLOR : 7, rank, &none, nullptr) == ncclSuccess);
    EXPECT((none == nullptr) == (rank == 0));
    if (none) EXPECT(sum_of_ranks(none) == (ranks - 1) * ranks / 2);
    int excluded[] = { 1 };
    if (rank != 1) {
        EXPECT(ncclCommShrink(all, excluded, 1, &less, nullptr, NCCL_SHRINK_DEFAULT) == ncclSuccess);
        EXPECT(sum_of_ranks(less) == (ranks - 1) * ranks / 2);
        EXPECT(ncclCommDestroy(less) == ncclSuccess);
    }
    EXPECT(ncclCommFinalize(part) == ncclSuccess);
    EXPECT(ncclCommDestroy(part) == ncclSuccess);
    if (none) EXPECT(ncclCommDestroy(none) == ncclSuccess);
    EXPECT(ncclCommDestroy(all) == ncclSuccess);
    return 0;
}

static int without_blocking(int rank, int ranks, ncclUniqueId id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t comm;
    if (rank == 1) usleep(100000); // so that rank 0 sees it unfinished
    ncclResult_t result = ncclCommInitRankConfig(&comm, ranks, id, rank, &config);
    EXPECT(result == ncclInProgress || result == ncclSuccess);
    while (ncclCommGetAsyncError(comm, &result) == ncclSuccess && result == ncclInProgress) usleep(1000);
    EXPECT(result == ncclSuccess);
    EXPECT(sum_of_ranks(comm) == ranks * (ranks + 1) / 2);
    EXPECT(ncclCommDestroy(comm) == ncclSuccess);
    return 0;
}

// The last rank is killed when all are there; the others hear of it in the middle of a collective, and go on without it.
static int killed_member(int rank, int ranks, ncclUniqueId id) {
    ncclComm_t comm, rest;
    int *data, excluded[] = { ranks - 1 };
    EXPECT(ncclCommInitRank(&comm, ranks, id, rank) == ncclSuccess);
    EXPECT(sum_of_ranks(comm) == ranks * (ranks + 1) / 2);
    if (rank == ranks - 1) {
        if (fork() == 0) { kill(getppid(), SIGKILL); _exit(0); }
        pause();
    }
    CUDA_OK(cudaMalloc(&data, N * sizeof(int)));
    EXPECT(ncclAllReduce(data, data, N, ncclInt, ncclSum, comm, nullptr) == ncclSuccess);
    ncclResult_t error = async_error(comm, ncclRemoteError);
    EXPECT(error == ncclRemoteError);
    EXPECT(ncclCommShrink(comm, excluded, 1, &rest, nullptr, NCCL_SHRINK_ABORT) == ncclSuccess);
    EXPECT(cudaDeviceSynchronize() == cudaSuccess);
    EXPECT(sum_of_ranks(rest) == (ranks - 1) * ranks / 2);
    EXPECT(ncclCommAbort(comm) == ncclSuccess);
    EXPECT(ncclCommDestroy(rest) == ncclSuccess);
    return 0;
}

static int mismatched(int rank, int ranks, ncclUniqueId id) {
    ncclComm_t comm;
    int* data;
    EXPECT(ncclCommInitRank(&comm, ranks, id, rank) == ncclSuccess);
    CUDA_OK(cudaMalloc(&data, N * sizeof(int)));
    EXPECT(ncclAllReduce(data, data, rank == 0 ? N : N / 2, ncclInt, ncclSum, comm, nullptr) == ncclSuccess);
    ncclResult_t error = async_error(comm, ncclInvalidUsage);
    EXPECT(error == ncclInvalidUsage);
    EXPECT(cudaDeviceSynchronize() != cudaSuccess);
    EXPECT(ncclAllReduce(data, data, N, ncclInt, ncclSum, comm, nullptr) != ncclSuccess);
    EXPECT(ncclCommAbort(comm) == ncclSuccess);
    return 0;
}

static void bad_input() {
    ncclUniqueId id, foreign;
    ncclComm_t comm, other;
    int version, *data;
    memset(&foreign, 7, sizeof foreign);
    EXPECT(ncclGetVersion(&version) == ncclSuccess && version >= 21800);
    EXPECT(ncclGetVersion(nullptr) == ncclInvalidArgument);
    EXPECT(ncclGetUniqueId(&id) == ncclSuccess);
    EXPECT(ncclCommInitRank(&comm, 2, id, 2) == ncclInvalidArgument);
    EXPECT(ncclCommInitRank(&comm, 0, id, 0) == ncclInvalidArgument);
    EXPECT(ncclCommInitRank(&comm, 1, foreign, 0) == ncclInvalidArgument);
    EXPECT(ncclCommInitRank(nullptr, 1, id, 0) == ncclInvalidArgument);
    EXPECT(ncclCommInitRank(&comm, 1, id, 0) == ncclSuccess);
    EXPECT(ncclCommInitRank(&other, 1, id, 0) == ncclInvalidUsage); // used
    EXPECT(ncclGetUniqueId(&id) == ncclSuccess);
    setenv("TRECR_NCCL_INIT_SECONDS", "1", 1);
    EXPECT(ncclCommInitRank(&other, 2, id, 0) == ncclSystemError); // rank 1 never comes
    EXPECT(strstr(ncclGetLastError(nullptr), "rank 1") != nullptr);
    CUDA_OK(cudaMalloc(&data, N * sizeof(int)));
    EXPECT(ncclAllReduce(data, data, N, (ncclDataType_t)99, ncclSum, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclAllReduce(data, data, N, ncclInt, (ncclRedOp_t)6, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclAllReduce(nullptr, data, N, ncclInt, ncclSum, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclBroadcast(data, data, N, ncclInt, 1, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclSend(data, N, ncclInt, 1, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclGroupEnd() == ncclInvalidUsage);
    EXPECT(ncclGroupStart() == ncclSuccess);
    EXPECT(ncclSend(data, N, ncclInt, 5, comm, nullptr) == ncclInvalidArgument);
    EXPECT(ncclGroupEnd() == ncclInvalidArgument); // says it again
    void* handle;
    ncclWindow_t window;
    EXPECT(ncclCommRegister(comm, data, N * sizeof(int), &handle) == ncclSuccess);
    EXPECT(ncclCommDeregister(comm, handle) == ncclSuccess);
    EXPECT(ncclCommDeregister(comm, handle) == ncclInvalidArgument);
    EXPECT(ncclCommRegister(comm, data, 1u << 30, &handle) == ncclInvalidArgument);
    void* memory;
    EXPECT(ncclMemAlloc(&memory, 1 << 20) == ncclSuccess);
    EXPECT(ncclCommWindowRegister(comm, memory, 1 << 20, &window, NCCL_WIN_COLL_SYMMETRIC) == ncclSuccess);
    EXPECT(ncclCommWindowDeregister(comm, window) == ncclSuccess);
    EXPECT(ncclMemFree(memory) == ncclSuccess);
    EXPECT(ncclCommFinalize(comm) == ncclSuccess);
    EXPECT(ncclAllReduce(data, data, N, ncclInt, ncclSum, comm, nullptr) == ncclInvalidUsage);
    EXPECT(ncclCommAbort(comm) == ncclSuccess);
    EXPECT(ncclAllReduce(data, data, N, ncclInt, ncclSum, comm, nullptr) == ncclInvalidArgument); // after its end
    EXPECT(ncclCommDestroy(nullptr) == ncclInvalidArgument);
    int twice[] = { 0, 0 };
    ncclComm_t comms[2];
    EXPECT(ncclCommInitAll(comms, 2, twice) == ncclInvalidUsage);
    EXPECT(ncclCommInitAll(comms, 99, nullptr) == ncclInvalidArgument);
    CUDA_OK(cudaFree(data));
}

int main() {
    in_processes(4, splits);
    in_processes(2, without_blocking);
    in_processes(2, mismatched);
    // The killed one's status is its killer's: it is not asked for.
    pid_t apart = fork();
    if (apart == 0) {
        in_processes(3, killed_member);
        _exit(failures == 1 ? 0 : 1); // the rank that was killed
    }
    int status;
    EXPECT(waitpid(apart, &status, 0) == apart && status == 0);
    bad_input();
    printf("communicators: %d failures\n", failures);
    return failures;
}
