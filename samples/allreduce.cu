// Sums of all ranks' data by NCCL, round after round, exactly: the data are small whole numbers in floats.
//
//   allreduce [--elements N] [--rounds N] [--every N] [--ranks N] [--id FILE] [--work N]
//
// One process with all devices that it finds (ncclCommInitAll); with --ranks N, N processes with one device each (fork before CUDA begins); with --id FILE, the processes of a launcher
// (OMPI_COMM_WORLD_RANK and SIZE, or PMI_RANK and SIZE), of which rank 0 leaves the unique id in the file.
// --work N: rank 0 makes its data N times, so that the others are in the collective meanwhile.
// Every round's sum goes into a running total, which is compared with the CPU's at the end. Exit code 0: right; 1: wrong; 2: usage; 3: CUDA or NCCL.
#include "include/sample.h"
#include "include/nccl.h"

#include <sys/wait.h>
#include <vector>

#define NCCL_OK(call)                                                                                                                \
    do {                                                                                                                             \
        ncclResult_t nccl_ok_error = (call);                                                                                         \
        if (nccl_ok_error != ncclSuccess) {                                                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, ncclGetErrorString(nccl_ok_error));                        \
            exit(3);                                                                                                                 \
        }                                                                                                                            \
    } while (0)

__host__ __device__ static float element(uint32_t i, uint32_t rank, uint32_t round) { return (float)(mix32(i ^ round * 0x9e3779b9u ^ rank << 27) & 0xffffu); }

__global__ void make_data(float* data, int n, uint32_t rank, uint32_t round) {
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += (int)(gridDim.x * blockDim.x)) data[i] = element((uint32_t)i, rank, round);
}

__global__ void add(uint32_t* total, const float* sum, int n) {
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += (int)(gridDim.x * blockDim.x)) total[i] = total[i] * 3u + (uint32_t)sum[i];
}

struct Member {
    int rank;
    float *data, *sum;
    uint32_t* total;
    cudaStream_t stream;
    ncclComm_t comm;
};

static int launcher_number(const char* open_mpi, const char* pmi) {
    const char* s = getenv(open_mpi);
    if (!s) s = getenv(pmi);
    if (!s) { fprintf(stderr, "allreduce: --id without a launcher\n"); exit(2); }
    return atoi(s);
}

// The first rank makes the id and the others read it: from a file, which appears whole.
static ncclUniqueId shared_id(const char* path, int rank) {
    ncclUniqueId id;
    if (rank == 0) {
        NCCL_OK(ncclGetUniqueId(&id));
        std::string made = std::string(path) + ".new";
        FILE* f = fopen(made.c_str(), "w");
        if (!f || fwrite(&id, sizeof id, 1, f) != 1 || fclose(f) != 0 || rename(made.c_str(), path) != 0) { perror(path); exit(2); }
        return id;
    }
    for (int tries = 0; access(path, F_OK) != 0; tries++) {
        if (tries == 30000) { fprintf(stderr, "allreduce: %s does not come\n", path); exit(2); }
        usleep(2000);
    }
    FILE* f = fopen(path, "r");
    if (!f || fread(&id, sizeof id, 1, f) != 1) { perror(path); exit(2); }
    fclose(f);
    return id;
}

int main(int argc, char** argv) {
    Options options(argc, argv, "allreduce [--elements N] [--rounds N] [--every N] [--ranks N] [--id FILE] [--work N]");
    int n = options.number("--elements", 1 << 18, 1), rounds = options.number("--rounds", 20, 1), every = options.number("--every", 5, 1), work = options.number("--work", 1, 1);
    int ranks = options.number("--ranks", 0, 1), rank = 0;
    const char* path = options.text("--id", nullptr);
    std::vector<pid_t> children;
    ncclUniqueId id;
    if (path) {
        rank = launcher_number("OMPI_COMM_WORLD_RANK", "PMI_RANK");
        ranks = launcher_number("OMPI_COMM_WORLD_SIZE", "PMI_SIZE");
        if (rank != 0) unsetenv("TRECR_SAMPLE_COUNTER");
    }
    RunMark mark;
    if (rank == 0) mark.print("allreduce", "begin");
    int pipes[2];
    if (path) id = shared_id(path, rank);
    else if (ranks) {
        if (pipe(pipes) != 0) { perror("pipe"); return 2; }
        for (int r = 1; r < ranks && rank == 0; r++) {
            pid_t child = fork();
            if (child < 0) { perror("fork"); return 2; }
            if (child == 0) { rank = r; children.clear(); } else children.push_back(child);
        }
        if (rank == 0) NCCL_OK(ncclGetUniqueId(&id)); // not before the fork: threads do not come along
        for (size_t i = 0; i < children.size(); i++) if (write(pipes[1], &id, sizeof id) != (ssize_t)sizeof id) { perror("write"); return 2; }
        if (rank != 0 && read(pipes[0], &id, sizeof id) != (ssize_t)sizeof id) { perror("read"); return 2; }
        close(pipes[0]);
        close(pipes[1]);
    } else NCCL_OK(ncclGetUniqueId(&id));

    std::vector<Member> members;
    if (ranks) members.push_back({ rank });
    else {
        CUDA_OK(cudaGetDeviceCount(&ranks));
        for (int r = 0; r < ranks; r++) members.push_back({ r });
    }
    size_t bytes = (size_t)n * sizeof(float);
    for (Member& m : members) {
        CUDA_OK(cudaSetDevice(members.size() > 1 ? m.rank : 0));
        CUDA_OK(cudaMalloc(&m.data, bytes));
        CUDA_OK(cudaMalloc(&m.sum, bytes));
        CUDA_OK(cudaMalloc(&m.total, bytes));
        CUDA_OK(cudaMemset(m.total, 0, bytes));
        CUDA_OK(cudaStreamCreate(&m.stream));
    }
    if (members.size() == 1) NCCL_OK(ncclCommInitRank(&members[0].comm, ranks, id, rank));
    else {
        std::vector<ncclComm_t> comms(members.size());
        NCCL_OK(ncclCommInitAll(comms.data(), (int)comms.size(), nullptr));
        for (size_t i = 0; i < comms.size(); i++) members[i].comm = comms[i];
    }

    for (int r = 1; r <= rounds; r++) {
        if (r == rounds) mark.hold();
        for (Member& m : members) {
            CUDA_OK(cudaSetDevice(members.size() > 1 ? m.rank : 0));
            for (int w = 0; w < (m.rank == 0 ? work : 1); w++) {
                make_data<<<16, 256, 0, m.stream>>>(m.data, n, (uint32_t)m.rank, (uint32_t)r);
                mark.launches++;
            }
        }
        NCCL_OK(ncclGroupStart());
        for (Member& m : members) NCCL_OK(ncclAllReduce(m.data, m.sum, (size_t)n, ncclFloat, ncclSum, m.comm, m.stream));
        NCCL_OK(ncclGroupEnd());
        for (Member& m : members) {
            CUDA_OK(cudaSetDevice(members.size() > 1 ? m.rank : 0));
            add<<<16, 256, 0, m.stream>>>(m.total, m.sum, n);
            mark.launches++;
        }
        CUDA_OK(cudaGetLastError());
        if (r % every != 0 && r != rounds) continue;
        for (Member& m : members) CUDA_OK(cudaStreamSynchronize(m.stream));
        if (rank == 0) printf("allreduce: round %d of %d\n", r, rounds);
    }

    std::vector<uint32_t> found(n), expected(n, 0u);
    for (int r = 1; r <= rounds; r++)
        for (int i = 0; i < n; i++) {
            float sum = 0;
            for (int p = 0; p < ranks; p++) sum += element((uint32_t)i, (uint32_t)p, (uint32_t)r);
            expected[i] = expected[i] * 3u + (uint32_t)sum;
        }
    bool right = true;
    for (Member& m : members) {
        CUDA_OK(cudaMemcpy(found.data(), m.total, bytes, cudaMemcpyDeviceToHost));
        right &= found == expected;
        NCCL_OK(ncclCommDestroy(m.comm));
        CUDA_OK(cudaStreamDestroy(m.stream));
        CUDA_OK(cudaFree(m.data));
        CUDA_OK(cudaFree(m.sum));
        CUDA_OK(cudaFree(m.total));
    }
    if (rank != 0) {
        if (!right) fprintf(stderr, "allreduce: rank %d is wrong\n", rank);
        return right ? 0 : 1;
    }
    for (pid_t child : children) {
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) right = false;
    }
    printf("allreduce: %d ranks, totals %016llx\n", ranks, (unsigned long long)fnv1a(found.data(), bytes));
    mark.print("allreduce", "end");
    printf("allreduce: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
