// Every collective of NCCL with every type and operation beside a calculation of the CPU, then random groups of sends, receives and collectives.
//   collectives RANKS SEED GROUPS
// RANKS processes with a device each; 0: one process with all its devices. Data are small whole numbers, so that results are exact, but for averages and 8-bit floats, which must be the nearest number.
// Exit code 0: right; 1: wrong, said; 3: CUDA or NCCL.
#include "../../../samples/include/sample.h"
#include "../../../samples/include/nccl.h"

#include <cmath>
#include <sys/wait.h>
#include <vector>

#define NCCL_OK(call)                                                                                                                                       \
    do {                                                                                                                                                    \
        ncclResult_t e = (call);                                                                                                                            \
        if (e != ncclSuccess) { fprintf(stderr, "%d: %s: %s (%s)\n", __LINE__, #call, ncclGetErrorString(e), ncclGetLastError(nullptr)); exit(3); }         \
    } while (0)

typedef std::vector<unsigned char> Bytes;
enum Kind { AllReduce, Reduce, ReduceScatter, AllGather, Broadcast, Bcast, Kinds };
static const char* const KindNames[] = { "AllReduce", "Reduce", "ReduceScatter", "AllGather", "Broadcast", "Bcast" };
static const int Scaled = 5, Operations = 6;
static int ranks, own = -1, failures; // own: this process's rank, -1: all of them
struct Member { int rank; ncclComm_t comm; cudaStream_t stream; unsigned char *send, *receive; };
static std::vector<Member> members;
static const size_t Room = 1 << 20;

static size_t size_of(int type) { static const size_t sizes[] = { 1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1 }; return sizes[type]; }

static double short_float(unsigned bits, int fraction, int exponents) { // sign, exponent, fraction; no number here is infinite
    int bias = (1 << (exponents - 1)) - 1, e = bits >> fraction & ((1 << exponents) - 1), f = bits & ((1 << fraction) - 1);
    double v = e ? ldexp(f + (1 << fraction), e - bias - fraction) : ldexp(f, 1 - bias - fraction);
    return bits >> (fraction + exponents) & 1 ? -v : v;
}

static double get(int type, const unsigned char* at) {
    switch (type) {
    case ncclInt8: return *(const signed char*)at;
    case ncclUint8: return *at;
    case ncclInt32: return *(const int*)at;
    case ncclUint32: return *(const unsigned*)at;
    case ncclInt64: return (double)*(const long long*)at;
    case ncclUint64: return (double)*(const unsigned long long*)at;
    case ncclFloat32: return *(const float*)at;
    case ncclFloat64: return *(const double*)at;
    case ncclFloat16: return short_float(*(const unsigned short*)at, 10, 5);
    case ncclBfloat16: return short_float(*(const unsigned short*)at, 7, 8);
    case ncclFloat8e4m3: return short_float(*at, 3, 4);
    default: return short_float(*at, 2, 5);
    }
}

// Only numbers that the type has.
static void put(int type, unsigned char* at, int value) {
    switch (type) {
    case ncclInt8: *(signed char*)at = (signed char)value; return;
    case ncclUint8: *at = (unsigned char)value; return;
    case ncclInt32: case ncclUint32: *(int*)at = value; return;
    case ncclInt64: case ncclUint64: *(long long*)at = value; return;
    case ncclFloat32: *(float*)at = (float)value; return;
    case ncclFloat64: *(double*)at = value; return;
    }
    unsigned codes = size_of(type) == 2 ? 0x8000 : 0x80, sign = value < 0 ? codes : 0;
    for (unsigned code = 0; code < codes; code++) {
        unsigned bits = code | sign;
        if (get(type, (unsigned char*)&bits) != value) continue;
        memcpy(at, &bits, size_of(type));
        return;
    }
    fprintf(stderr, "type %d has no %d\n", type, value);
    exit(3);
}

static bool is_signed(int type) { return type != ncclUint8 && type != ncclUint32 && type != ncclUint64; }
static bool is_float(int type) { return type >= ncclFloat16; }

static int value_of(int type, int rank, size_t i, unsigned salt) {
    int v = (int)(mix32((uint32_t)i * 31u + (uint32_t)rank * 7919u + salt) % 4u);
    return is_signed(type) && (i + (size_t)rank) % 3 == 0 ? -v : v;
}

static int factor_of(int rank) { return 1 + rank % 3; }

static Bytes data_of(int type, int rank, size_t count, unsigned salt) {
    Bytes codes(7 * 8), data(count * size_of(type));
    size_t bytes = size_of(type);
    for (int v = is_signed(type) ? -3 : 0; v <= 3; v++) put(type, &codes[(size_t)(v + 3) * 8], v);
    for (size_t i = 0; i < count; i++) memcpy(&data[i * bytes], &codes[(size_t)(value_of(type, rank, i, salt) + 3) * 8], bytes);
    return data;
}

static bool is_result(int type, int op, const unsigned char* found, size_t i, unsigned salt) {
    double sum = 0, product = 1, most = -1e9, least = 1e9;
    for (int r = 0; r < ranks; r++) {
        double v = value_of(type, r, i, salt);
        sum += op == Scaled ? v * factor_of(r) : v;
        product *= v;
        most = v > most ? v : most;
        least = v < least ? v : least;
    }
    double got = get(type, found), want = op == ncclProd ? product : op == ncclMax ? most : op == ncclMin ? least : sum;
    if (op != ncclAvg && (!is_float(type) || size_of(type) > 1)) return got == want;
    if (op == ncclAvg) want = sum / ranks;
    if (!is_float(type)) return got == trunc(want);
    if (type == ncclFloat32) return got == (double)((float)sum / (float)ranks);
    if (type == ncclFloat64) return got == want;
    // No number of the type is nearer: the neighbours are the codes beside it.
    unsigned bits = 0;
    memcpy(&bits, found, size_of(type));
    for (int d = -1; d <= 1; d += 2) {
        unsigned next = bits + (unsigned)d;
        if ((next & 0x7f7f) != 0x7f7f && fabs(get(type, (unsigned char*)&next) - want) < fabs(got - want)) return false;
    }
    return fabs(got - want) <= fabs(want) / 4 + 1e-6;
}

static void fail(const char* what, int type, int op, int rank, size_t i) {
    if (failures++ < 20) fprintf(stderr, "wrong: %s type %d operation %d rank %d element %zu\n", what, type, op, rank, i);
}

static void check(Kind kind, int type, int op, size_t count, int root, bool in_place, unsigned salt) {
    size_t bytes = count * size_of(type);
    std::vector<ncclRedOp_t> ops(members.size(), (ncclRedOp_t)op);
    for (size_t m = 0; m < members.size(); m++) {
        Member& me = members[m];
        Bytes data = data_of(type, me.rank, kind == ReduceScatter ? count * (size_t)ranks : count, salt);
        // In place: where the result's own part is the data.
        unsigned char* send = !in_place ? me.send : kind == AllGather ? me.receive + (size_t)me.rank * bytes : me.receive;
        CUDA_OK(cudaSetDevice(own < 0 ? me.rank : 0));
        CUDA_OK(cudaMemset(me.receive, 0x5a, Room));
        CUDA_OK(cudaMemcpy(send, data.data(), data.size(), cudaMemcpyHostToDevice));
        if (op == Scaled) {
            unsigned long long factor = 0;
            put(type, (unsigned char*)&factor, factor_of(me.rank));
            NCCL_OK(ncclRedOpCreatePreMulSum(&ops[m], &factor, (ncclDataType_t)type, ncclScalarHostImmediate, me.comm));
        }
    }
    CUDA_OK(cudaDeviceSynchronize());
    NCCL_OK(ncclGroupStart());
    for (size_t m = 0; m < members.size(); m++) {
        Member& me = members[m];
        ncclDataType_t t = (ncclDataType_t)type;
        unsigned char* send = !in_place ? me.send : kind == AllGather ? me.receive + (size_t)me.rank * bytes : me.receive;
        unsigned char* receive = in_place && kind == ReduceScatter ? me.receive + (size_t)me.rank * bytes : me.receive;
        switch (kind) {
        case AllReduce: NCCL_OK(ncclAllReduce(send, receive, count, t, ops[m], me.comm, me.stream)); break;
        case Reduce: NCCL_OK(ncclReduce(send, me.rank == root ? receive : nullptr, count, t, ops[m], root, me.comm, me.stream)); break;
        case ReduceScatter: NCCL_OK(ncclReduceScatter(send, receive, count, t, ops[m], me.comm, me.stream)); break;
        case AllGather: NCCL_OK(ncclAllGather(send, receive, count, t, me.comm, me.stream)); break;
        case Broadcast: NCCL_OK(ncclBroadcast(me.rank == root ? send : nullptr, receive, count, t, root, me.comm, me.stream)); break;
        default: NCCL_OK(ncclBcast(me.receive, count, t, root, me.comm, me.stream)); break;
        }
    }
    NCCL_OK(ncclGroupEnd());
    for (size_t m = 0; m < members.size(); m++) {
        Member& me = members[m];
        if (op == Scaled) NCCL_OK(ncclRedOpDestroy(ops[m], me.comm));
        CUDA_OK(cudaStreamSynchronize(me.stream));
        if (kind == Reduce && me.rank != root) continue;
        size_t parts = kind == AllGather ? (size_t)ranks : 1;
        Bytes found(parts * bytes);
        CUDA_OK(cudaMemcpy(found.data(), in_place && kind == ReduceScatter ? me.receive + (size_t)me.rank * bytes : me.receive, found.size(), cudaMemcpyDeviceToHost));
        if (kind <= ReduceScatter) {
            for (size_t i = 0; i < count; i++)
                if (!is_result(type, op, &found[i * size_of(type)], kind == ReduceScatter ? (size_t)me.rank * count + i : i, salt)) { fail(KindNames[kind], type, op, me.rank, i); break; }
            continue;
        }
        for (size_t p = 0; p < parts; p++) {
            Bytes want = data_of(type, kind == AllGather ? (int)p : root, count, salt);
            if (memcmp(want.data(), &found[p * bytes], bytes) != 0) fail(KindNames[kind], type, op, me.rank, p);
        }
    }
}

// A group that all ranks draw alike: pairs in any number and order, and some collectives beside them.
static void random_group(uint32_t& state) {
    struct Pair { int from, to; size_t at, count; };
    std::vector<Pair> pairs;
    auto draw = [&state](uint32_t below) { state = mix32(state + 0x9e3779b9u); return state % below; };
    size_t at = 0, total = 0;
    int sums = (int)draw(3), number = 1 + (int)draw(12);
    for (int p = 0; p < number; p++) {
        size_t count = draw(3) == 0 ? 0 : draw(20000);
        pairs.push_back({ (int)draw((uint32_t)ranks), (int)draw((uint32_t)ranks), at, count });
        at += count;
    }
    total = at + 1024;
    unsigned salt = draw(1u << 30);
    for (Member& me : members) {
        Bytes data = data_of(ncclUint8, me.rank, total, salt);
        CUDA_OK(cudaSetDevice(own < 0 ? me.rank : 0));
        CUDA_OK(cudaMemset(me.receive, 0, Room));
        CUDA_OK(cudaMemcpy(me.send, data.data(), total, cudaMemcpyHostToDevice));
    }
    CUDA_OK(cudaDeviceSynchronize());
    NCCL_OK(ncclGroupStart());
    for (Member& me : members) {
        for (const Pair& p : pairs) { // both in the order in which they were drawn, which is all that NCCL asks
            if (p.from == me.rank) NCCL_OK(ncclSend(me.send + p.at, p.count, ncclUint8, p.to, me.comm, me.stream));
            if (p.to == me.rank) NCCL_OK(ncclRecv(me.receive + p.at, p.count, ncclUint8, p.from, me.comm, me.stream));
        }
        for (int s = 0; s < sums; s++) NCCL_OK(ncclAllReduce(me.send + at, me.receive + at + (size_t)s * 1024, 1024, ncclUint8, ncclMax, me.comm, me.stream));
    }
    NCCL_OK(ncclGroupEnd());
    for (Member& me : members) {
        CUDA_OK(cudaStreamSynchronize(me.stream));
        Bytes found(at + 2048);
        CUDA_OK(cudaMemcpy(found.data(), me.receive, found.size(), cudaMemcpyDeviceToHost));
        for (const Pair& p : pairs) {
            if (p.to != me.rank) continue;
            Bytes want = data_of(ncclUint8, p.from, total, salt);
            if (memcmp(&want[p.at], &found[p.at], p.count) != 0) fail("a pair of a group", p.from, p.to, me.rank, p.at);
        }
        for (int s = 0; s < sums; s++)
            for (size_t i = 0; i < 1024; i++)
                if (!is_result(ncclUint8, ncclMax, &found[at + (size_t)s * 1024 + i], at + i, salt)) { fail("a sum of a group", s, 0, me.rank, i); break; }
    }
}

int main(int argc, char** argv) {
    if (argc != 4) { fprintf(stderr, "usage: collectives RANKS SEED GROUPS\n"); return 2; }
    ranks = atoi(argv[1]);
    uint32_t state = (uint32_t)atoi(argv[2]);
    int groups = atoi(argv[3]), pipes[2];
    std::vector<pid_t> children;
    ncclUniqueId id;
    if (ranks > 0) {
        if (pipe(pipes) != 0) return 2;
        own = 0;
        for (int r = 1; r < ranks && own == 0; r++) {
            pid_t child = fork();
            if (child == 0) { own = r; children.clear(); } else children.push_back(child);
        }
        if (own == 0) NCCL_OK(ncclGetUniqueId(&id));
        for (size_t i = 0; i < children.size(); i++) if (write(pipes[1], &id, sizeof id) != (ssize_t)sizeof id) return 2;
        if (own != 0 && read(pipes[0], &id, sizeof id) != (ssize_t)sizeof id) return 2;
        Member me = { own };
        NCCL_OK(ncclCommInitRank(&me.comm, ranks, id, own));
        members.push_back(me);
    } else {
        CUDA_OK(cudaGetDeviceCount(&ranks));
        std::vector<ncclComm_t> comms((size_t)ranks);
        NCCL_OK(ncclCommInitAll(comms.data(), ranks, nullptr));
        for (int r = 0; r < ranks; r++) members.push_back({ r, comms[(size_t)r] });
    }
    for (Member& me : members) {
        CUDA_OK(cudaSetDevice(own < 0 ? me.rank : 0));
        CUDA_OK(cudaMalloc(&me.send, Room));
        CUDA_OK(cudaMalloc(&me.receive, Room));
        CUDA_OK(cudaStreamCreate(&me.stream));
    }
    unsigned salt = 0;
    int cases = 0;
    for (int kind = 0; kind < Kinds; kind++)
        for (int type = 0; type < ncclNumTypes; type++)
            for (int op = 0; op < (kind <= ReduceScatter ? Operations : 1); op++)
                for (int place = 0; place < 2; place++, cases++) {
                    size_t counts[] = { 1, 777, 4099 };
                    if (kind == Bcast && place == 0) continue;
                    check((Kind)kind, type, op, counts[cases % 3], cases % ranks, place == 1, ++salt);
                }
    for (int g = 0; g < groups; g++) random_group(state);
    for (Member& me : members) NCCL_OK(ncclCommDestroy(me.comm));
    for (pid_t child : children) {
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) failures++;
    }
    if (own <= 0) printf("collectives: %d ranks, %d cases, %d groups: %s\n", ranks, cases, groups, failures ? "WRONG" : "right");
    return failures ? 1 : 0;
}
