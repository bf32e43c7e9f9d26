// A ring of processes that hand each other their numbers through shared device memory (cudaIpc*): each writes into the next one's memory, tells it by a word behind the copy in the stream, and waits with its stream for
// the event of the one before. Exactly what one process would compute.
//   shared --rounds N --every N [--ranks N] --place DIR
//   shared --orphan FILE --place DIR     a child exports memory and ends; what was mapped of it is closed when FILE exists
// With --ranks N, N processes (fork before CUDA begins); else those of a launcher (OMPI_COMM_WORLD_RANK and SIZE, or PMI_RANK and SIZE). Handles go through files in DIR.
#include "../../../samples/include/sample.h"

#include <sys/wait.h>
#include <vector>

#if !__has_include(<cuda_runtime.h>) || defined(TRECR_OWN_CUDA_HEADERS)
typedef struct { char reserved[64]; } cudaIpcMemHandle_t;
typedef struct { char reserved[64]; } cudaIpcEventHandle_t;
extern "C" cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t*, void*);
extern "C" cudaError_t cudaIpcOpenMemHandle(void**, cudaIpcMemHandle_t, unsigned);
extern "C" cudaError_t cudaIpcCloseMemHandle(void*);
extern "C" cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t*, cudaEvent_t);
extern "C" cudaError_t cudaIpcOpenEventHandle(cudaEvent_t*, cudaIpcEventHandle_t);
#endif

enum { Words = 30000, Most = 8, Interprocess = 6 };

// What each process shares: a box for each of the last rounds, and how many rounds the one before has put in.
struct Shared { uint32_t box[Most + 1][Words]; uint32_t come; };
struct Handles { cudaIpcMemHandle_t memory, other; cudaIpcEventHandle_t event; };

__host__ __device__ static uint32_t step(uint32_t value, uint32_t i, uint32_t round) { return value * 3 + mix32(i ^ round); }

__global__ void make(uint32_t* out, const uint32_t* in, uint32_t round) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < Words) out[i] = step(in[i], i, round);
}

__global__ void take(uint32_t* values, const uint32_t* in) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < Words) values[i] ^= in[i];
}

static int launcher_number(const char* open_mpi, const char* pmi) {
    const char* s = getenv(open_mpi);
    if (!s) s = getenv(pmi);
    if (!s) { fprintf(stderr, "shared: no %s\n", open_mpi); exit(2); }
    return atoi(s);
}

static void leave(const std::string& path, const Handles& handles) {
    FILE* f = fopen((path + ".new").c_str(), "w");
    if (!f || fwrite(&handles, sizeof handles, 1, f) != 1 || fclose(f) != 0 || rename((path + ".new").c_str(), path.c_str()) != 0) { perror(path.c_str()); exit(2); }
}

static Handles look_for(const std::string& path) {
    Handles handles;
    while (access(path.c_str(), F_OK) != 0) usleep(2000);
    FILE* f = fopen(path.c_str(), "r");
    if (!f || fread(&handles, sizeof handles, 1, f) != 1) { perror(path.c_str()); exit(2); }
    fclose(f);
    return handles;
}

// Memory outlives the process that it was mapped from, with its content.
static int orphan(const char* until, const std::string& place) {
    RunMark mark;
    std::string path = place + "/orphan.handles", taken = place + "/orphan.taken";
    pid_t child = fork();
    Handles handles;
    void* memory;
    uint32_t word = 12345, found = 0;
    if (child == 0) {
        CUDA_OK(cudaMalloc(&memory, 4096));
        CUDA_OK(cudaMemcpy(memory, &word, 4, cudaMemcpyHostToDevice));
        CUDA_OK(cudaDeviceSynchronize());
        CUDA_OK(cudaIpcGetMemHandle(&handles.memory, memory));
        CUDA_OK(cudaMalloc(&memory, 4096));
        CUDA_OK(cudaIpcGetMemHandle(&handles.other, memory));
        leave(path, handles);
        look_for(taken);
        _exit(0);
    }
    handles = look_for(path);
    CUDA_OK(cudaIpcOpenMemHandle(&memory, handles.memory, 1));
    leave(taken, handles);
    if (waitpid(child, nullptr, 0) != child) return 2;
    void* again; // what the child leaves is cleared away soon: then its handle opens nothing
    for (cudaError_t e; (e = cudaIpcOpenMemHandle(&again, handles.other, 1)) != cudaErrorInvalidValue;) {
        CUDA_OK(e);
        CUDA_OK(cudaIpcCloseMemHandle(again));
    }
    cudaGetLastError();
    printf("shared: alone\n");
    while (access(until, F_OK) != 0) usleep(2000);
    CUDA_OK(cudaMemcpy(&found, memory, 4, cudaMemcpyDeviceToHost));
    CUDA_OK(cudaIpcCloseMemHandle(memory));
    printf("shared: closed\n");
    mark.hold();
    CUDA_OK(cudaMalloc(&memory, 4096));
    printf("shared: %s\n", found == word ? "PASSED" : "FAILED");
    return found == word ? 0 : 1;
}

int main(int argc, char** argv) {
    Options options(argc, argv, "shared [--rounds N] [--every N] [--ranks N] [--orphan FILE] --place DIR");
    if (const char* until = options.text("--orphan", nullptr)) return orphan(until, options.text("--place", "."));
    int rounds = options.number("--rounds", 60, 1), every = options.number("--every", 4, 1), ranks = options.number("--ranks", 0, 2), rank = 0;
    std::string place = options.text("--place", ".");
    std::vector<pid_t> children;
    if (ranks == 0) {
        rank = launcher_number("OMPI_COMM_WORLD_RANK", "PMI_RANK");
        ranks = launcher_number("OMPI_COMM_WORLD_SIZE", "PMI_SIZE");
    } else {
        for (int r = 1; r < ranks && rank == 0; r++) {
            pid_t child = fork();
            if (child < 0) { perror("fork"); return 2; }
            if (child == 0) { rank = r; children.clear(); } else children.push_back(child);
        }
    }
    if (ranks > Most) return 2;
    if (rank != 0) unsetenv("TRECR_SAMPLE_COUNTER");
    RunMark mark;
    if (rank == 0) mark.print("shared", "begin");

    Shared* mine;
    void* opened;
    uint32_t *values, *out, *word;
    cudaStream_t stream;
    cudaEvent_t sent, from;
    Handles handles;
    CUDA_OK(cudaMalloc((void**)&mine, sizeof *mine));
    CUDA_OK(cudaMemset(mine, 0, sizeof *mine));
    CUDA_OK(cudaMalloc((void**)&values, Words * 4));
    CUDA_OK(cudaMalloc((void**)&out, Words * 4));
    CUDA_OK(cudaMalloc((void**)&word, 4));
    CUDA_OK(cudaStreamCreate(&stream));
    CUDA_OK(cudaEventCreateWithFlags(&sent, Interprocess));
    CUDA_OK(cudaIpcGetMemHandle(&handles.memory, mine));
    CUDA_OK(cudaIpcGetEventHandle(&handles.event, sent));
    CUDA_OK(cudaDeviceSynchronize());
    leave(place + "/handles." + std::to_string(rank), handles);
    handles = look_for(place + "/handles." + std::to_string((rank + 1) % ranks));
    CUDA_OK(cudaIpcOpenMemHandle(&opened, handles.memory, 1));
    Shared* next = (Shared*)opened;
    handles = look_for(place + "/handles." + std::to_string((rank + ranks - 1) % ranks));
    CUDA_OK(cudaIpcOpenEventHandle(&from, handles.event));

    std::vector<uint32_t> host(Words);
    for (uint32_t i = 0; i < Words; i++) host[i] = mix32(i + 1000 * rank);
    CUDA_OK(cudaMemcpy(values, host.data(), Words * 4, cudaMemcpyHostToDevice));
    for (int round = 1; round <= rounds; round++) {
        if (round == rounds) mark.hold();
        int box = round % (Most + 1);
        make<<<(Words + 127) / 128, 128, 0, stream>>>(out, values, (uint32_t)round);
        CUDA_OK(cudaMemcpyAsync(next->box[box], out, Words * 4, cudaMemcpyDeviceToDevice, stream));
        uint32_t number = (uint32_t)round;
        CUDA_OK(cudaMemcpyAsync(word, &number, 4, cudaMemcpyHostToDevice, stream));
        CUDA_OK(cudaEventRecord(sent, stream));
        CUDA_OK(cudaMemcpyAsync(&next->come, word, 4, cudaMemcpyDeviceToDevice, stream)); // behind the record: who sees it finds the event recorded
        CUDA_OK(cudaStreamSynchronize(stream));
        for (uint32_t come = 0; come < number;) CUDA_OK(cudaMemcpy(&come, &mine->come, 4, cudaMemcpyDeviceToHost));
        CUDA_OK(cudaStreamWaitEvent(stream, from, 0));
        take<<<(Words + 127) / 128, 128, 0, stream>>>(values, mine->box[box]);
        mark.launches += 2;
        if (rank == 0 && round % every == 0) printf("shared: round %d of %d\n", round, rounds);
    }
    std::vector<uint32_t> result(Words);
    CUDA_OK(cudaMemcpyAsync(result.data(), values, Words * 4, cudaMemcpyDeviceToHost, stream));
    CUDA_OK(cudaStreamSynchronize(stream));

    // The same by one processor.
    std::vector<std::vector<uint32_t>> all(ranks, std::vector<uint32_t>(Words)), before;
    for (int r = 0; r < ranks; r++)
        for (uint32_t i = 0; i < Words; i++) all[r][i] = mix32(i + 1000 * r);
    for (int round = 1; round <= rounds; round++) {
        before = all;
        for (int r = 0; r < ranks; r++)
            for (uint32_t i = 0; i < Words; i++) all[r][i] ^= step(before[(r + ranks - 1) % ranks][i], i, (uint32_t)round);
    }
    bool right = result == all[rank];
    CUDA_OK(cudaIpcCloseMemHandle(opened));
    CUDA_OK(cudaEventDestroy(from));
    if (!right) printf("shared: rank %d is wrong\n", rank);
    for (pid_t child : children) {
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) right = false;
    }
    if (rank == 0) {
        printf("shared: values %016llx\n", (unsigned long long)fnv1a(result.data(), Words * 4));
        mark.print("shared", "end");
        printf("shared: %s\n", right ? "PASSED" : "FAILED");
    }
    return right ? 0 : 1;
}
