// device ROUNDS [MILLISECONDS]: MPI calls of every family that are given addresses of device memory, among kernels; prints "round N" at rank 0 after each and "ok" at the end. Works with any number of ranks.
#include <mpi.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, right, left, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)
#define COMM MPI_COMM_WORLD
#define IGNORE MPI_STATUS_IGNORE

typedef unsigned long long Device;
static int (*alloc)(Device *, size_t), (*release)(Device), (*up)(Device, const void *, size_t), (*down)(void *, Device, size_t), (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **), (*synchronize)(void);
static void *kernel, *cuda;

static const char ptx[] = ".version 7.0\n.target sm_50\n.address_size 64\n"
    ".visible .entry add(.param .u64 p, .param .u32 n, .param .u32 more) { .reg .pred %p; .reg .b32 %r<6>; .reg .b64 %d<3>;\n"
    "ld.param.u64 %d0, [p]; ld.param.u32 %r0, [n]; ld.param.u32 %r1, [more]; cvta.to.global.u64 %d0, %d0;\n"
    "mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x; mad.lo.s32 %r2, %r2, %r3, %r4; setp.ge.u32 %p, %r2, %r0; @%p bra out;\n"
    "mul.wide.u32 %d1, %r2, 4; add.s64 %d0, %d0, %d1; ld.global.u32 %r5, [%d0]; add.s32 %r5, %r5, %r1; st.global.u32 [%d0], %r5; out: ret; }\n";

static void *call(const char *name) { void *f = dlsym(cuda, name); if (!f) { printf("no %s\n", name); exit(2); } return f; }

static void start(void)
{
    cuda = dlopen("libcuda.so.1", RTLD_NOW); if (!cuda) { printf("%s\n", dlerror()); exit(2); }
    alloc = call("cuMemAlloc_v2"); release = call("cuMemFree_v2"); up = call("cuMemcpyHtoD_v2"); down = call("cuMemcpyDtoH_v2"); launch = call("cuLaunchKernel"); synchronize = call("cuCtxSynchronize");
    int (*init)(unsigned) = call("cuInit"), (*create)(void **, unsigned, int) = call("cuCtxCreate_v2"), (*load)(void **, const void *) = call("cuModuleLoadData"), (*find)(void **, void *, const char *) = call("cuModuleGetFunction");
    void *context, *module; CHECK(!init(0)); CHECK(!create(&context, 0, 0)); CHECK(!load(&module, ptx)); CHECK(!find(&kernel, module, "add"));
}

static void add(Device p, unsigned n, unsigned more) { void *a[] = { &p, &n, &more }; CHECK(!launch(kernel, (n + 127) / 128, 1, 1, 128, 1, 1, 0, 0, a, 0)); CHECK(!synchronize()); }

enum { N = 60000, ROWS = 200, COLUMNS = 300 };
static Device a, b; // both of N ints, through all checkpoints
static int *host;   // N
#define AT(d) ((void *)(d))

static void fill(Device d, int first, int n) { for (int i = 0; i < n; i++) host[i] = first + i; CHECK(!up(d, host, 4L * n)); }
static void expect(Device d, int first, int n) { CHECK(!down(host, d, 4L * n)); for (int i = 0; i < n; i++) CHECK(host[i] == first + i); }

static void messages(int r)
{
    MPI_Request q[4]; MPI_Status s;
    for (int n = 10; n <= N; n *= 60) {
        fill(a, rank * 1000 + r, n); fill(b, -N, n); add(a, n, 7);
        MPI_Irecv(AT(b), n, MPI_INT, left, 1, COMM, q); MPI_Isend(AT(a), n, MPI_INT, right, 1, COMM, q + 1); MPI_Waitall(2, q, MPI_STATUSES_IGNORE); expect(b, left * 1000 + r + 7, n);
        MPI_Sendrecv(AT(b), n, MPI_INT, left, 2, AT(a), n, MPI_INT, right, 2, COMM, &s); expect(a, rank * 1000 + r + 7, n); // back where it came from
        MPI_Sendrecv_replace(AT(a), n, MPI_INT, right, 3, left, 3, COMM, IGNORE); expect(a, left * 1000 + r + 7, n);
        int *plain = malloc(4L * n); MPI_Irecv(plain, n, MPI_INT, left, 4, COMM, q); MPI_Ssend(AT(a), n, MPI_INT, right, 4, COMM); MPI_Wait(q, IGNORE); CHECK(plain[n - 1] == (left + size - 1) % size * 1000 + r + 7 + n - 1);
        for (int i = 0; i < n; i++) plain[i] = 3 * i; MPI_Irecv(AT(b), N, MPI_INT, left, 5, COMM, q); MPI_Send(plain, n, MPI_INT, right, 5, COMM); MPI_Wait(q, &s); int count; MPI_Get_count(&s, MPI_INT, &count); CHECK(count == n); CHECK(!down(host, b, 4L * n)); for (int i = 0; i < n; i++) CHECK(host[i] == 3 * i);
        free(plain);
    }
    // Persistent, from memory that a kernel changes between.
    fill(a, rank + r, N); MPI_Recv_init(AT(b), N, MPI_INT, left, 6, COMM, q); MPI_Send_init(AT(a), N, MPI_INT, right, 6, COMM, q + 1);
    for (int i = 0; i < 3; i++) { add(a, N, 5); MPI_Startall(2, q); MPI_Waitall(2, q, MPI_STATUSES_IGNORE); expect(b, left + r + 5 * (i + 1), N); }
    MPI_Request_free(q); MPI_Request_free(q + 1);
    // A column goes over, into another column; what lies around it stays as it is.
    MPI_Datatype column; MPI_Type_vector(ROWS, 1, COLUMNS, MPI_INT, &column); MPI_Type_commit(&column);
    fill(a, rank * N, N); fill(b, -N, N); MPI_Irecv(AT(b + 4 * 17), 1, column, left, 7, COMM, q); MPI_Send(AT(a + 4 * 299), 1, column, right, 7, COMM); MPI_Wait(q, IGNORE); CHECK(!down(host, b, 4L * N));
    for (int i = 0; i < N; i++) CHECK(host[i] == (i % COLUMNS == 17 ? left * N + i / COLUMNS * COLUMNS + 299 : i - N));
    int irregular[] = { 0, 1, 3, 1000, 5000, 5001, 59999 }, ones[] = { 1, 1, 1, 1, 1, 1, 1 }; MPI_Datatype some; MPI_Type_indexed(7, ones, irregular, MPI_INT, &some); MPI_Type_commit(&some);
    fill(b, -N, N); MPI_Sendrecv(AT(a), 1, some, right, 8, AT(b), 1, some, left, 8, COMM, IGNORE); CHECK(!down(host, b, 4L * N)); for (int i = 0, j = 0; i < N; i++) if (j < 7 && i == irregular[j]) { CHECK(host[i] == left * N + i); j++; } else CHECK(host[i] == i - N);
    char packed[64]; int at = 0; MPI_Pack(AT(a), 1, some, packed, sizeof packed, &at, COMM); CHECK(at == 28 && ((int *)packed)[6] == rank * N + 59999); at = 0; fill(b, 0, N); MPI_Unpack(packed, sizeof packed, &at, AT(b), 7, MPI_INT, COMM); CHECK(!down(host, b, 32)); CHECK(host[6] == rank * N + 59999 && host[7] == 7);
    static char attached[N * 4 + 1000]; MPI_Buffer_attach(attached, sizeof attached); MPI_Bsend(AT(a), N, MPI_INT, right, 9, COMM); fill(a, 0, N); MPI_Recv(AT(b), N, MPI_INT, left, 9, COMM, IGNORE); expect(b, left * N, N); void *out; MPI_Buffer_detach(&out, &at);
    MPI_Type_free(&column); MPI_Type_free(&some);
}

static void last(void *in, void *inout, int *n, MPI_Datatype *t) { int *x = in, *y = inout; for (int i = 0; i < *n; i++) y[i] = 3 * x[i] + y[i]; } // not commutative

static void collectives(int r)
{
    int all = size * (size - 1) / 2, part = N / size / 2; MPI_Request q; MPI_Op op; MPI_Op_create(last, 0, &op);
    if (!rank) fill(a, r, N); else fill(a, -1, N); MPI_Bcast(AT(a), N, MPI_INT, 0, COMM); expect(a, r, N);
    fill(a, rank, N); fill(b, -5, N); MPI_Allreduce(AT(a), AT(b), N, MPI_INT, MPI_SUM, COMM); CHECK(!down(host, b, 4L * N)); for (int i = 0; i < N; i++) CHECK(host[i] == all + size * i);
    MPI_Allreduce(MPI_IN_PLACE, AT(a), N, MPI_INT, MPI_MAX, COMM); expect(a, size - 1, N);
    fill(a, rank, 100); fill(b, -5, 100); MPI_Iallreduce(AT(a), AT(b), 100, MPI_INT, MPI_MIN, COMM, &q); MPI_Wait(&q, IGNORE); expect(b, 0, 100);
    fill(b, -5, 100); MPI_Reduce(AT(a), AT(b), 100, MPI_INT, MPI_SUM, size - 1, COMM); if (rank == size - 1) { CHECK(!down(host, b, 400)); for (int i = 0; i < 100; i++) CHECK(host[i] == all + size * i); } else expect(b, -5, 100);
    fill(a, rank, 100); MPI_Allreduce(AT(a), AT(b), 100, MPI_INT, op, COMM); int folded = 0; for (int i = 0; i < size; i++) folded = i ? 3 * folded + i + 4 : 4; CHECK(!down(host, b, 400)); CHECK(host[4] == folded);
    MPI_Reduce_local(AT(a), AT(b), 100, MPI_INT, MPI_SUM); CHECK(!down(host, b, 400)); CHECK(host[4] == folded + rank + 4);
    fill(b, -5, 100); MPI_Scan(AT(a), AT(b), 100, MPI_INT, MPI_SUM, COMM); CHECK(!down(host, b, 400)); CHECK(host[9] == rank * (rank + 1) / 2 + 9 * (rank + 1));
    fill(b, -5, 100); MPI_Exscan(AT(a), AT(b), 100, MPI_INT, MPI_SUM, COMM); CHECK(!down(host, b, 400)); CHECK(host[9] == (rank ? rank * (rank - 1) / 2 + 9 * rank : 4));
    fill(a, rank * part, part); fill(b, -N, N); MPI_Gather(AT(a), part, MPI_INT, AT(b), part, MPI_INT, 0, COMM); expect(b, rank ? -N : 0, size * part);
    MPI_Allgather(AT(a), part, MPI_INT, AT(b), part, MPI_INT, COMM); expect(b, 0, size * part);
    MPI_Scatter(AT(b), part, MPI_INT, AT(a), part, MPI_INT, 0, COMM); expect(a, rank * part, part);
    fill(a, 0, N); add(a, N, rank * N); MPI_Alltoall(AT(a), part, MPI_INT, AT(b), part, MPI_INT, COMM); CHECK(!down(host, b, 4L * N)); for (int i = 0; i < size * part; i++) CHECK(host[i] == i / part * N + rank * part + i % part);
    MPI_Alltoall(MPI_IN_PLACE, 0, MPI_INT, AT(b), part, MPI_INT, COMM); expect(b, rank * N, size * part);
    fill(a, rank, size * 50); MPI_Reduce_scatter_block(AT(a), AT(b), 50, MPI_INT, MPI_SUM, COMM); CHECK(!down(host, b, 200)); CHECK(host[3] == all + size * (rank * 50 + 3));
    MPI_Op_free(&op);
}

static void windows(MPI_Win w, int r)
{
    fill(b, -N, N); MPI_Win_fence(0, w); fill(a, rank * N + r, N);
    MPI_Put(AT(a), 1000, MPI_INT, right, 500, 1000, MPI_INT, w); MPI_Win_fence(0, w); CHECK(!down(host, b, 4L * N)); for (int i = 0; i < N; i++) CHECK(host[i] == (i >= 500 && i < 1500 ? left * N + r + i - 500 : i - N)); MPI_Win_fence(0, w);
    MPI_Accumulate(AT(a), 100, MPI_INT, 0, 0, 100, MPI_INT, MPI_SUM, w); MPI_Win_fence(0, w); if (!rank) { CHECK(!down(host, b, 400)); for (int i = 0; i < 100; i++) CHECK(host[i] == i - N + size * (size - 1) / 2 * N + size * (r + i)); }
    fill(a, 0, N); MPI_Get(AT(a), 1000, MPI_INT, right, 500, 1000, MPI_INT, w); MPI_Win_fence(0, w); expect(a, rank * N + r, 1000);
    int one = 1, before = -1; MPI_Win_lock(MPI_LOCK_SHARED, right, 0, w); MPI_Fetch_and_op(&one, &before, MPI_INT, right, 2000, MPI_SUM, w); MPI_Win_unlock(right, w); CHECK(before == 2000 - N); MPI_Win_fence(0, w);
    CHECK(!down(host, b + 8000, 4)); CHECK(*host == 2001 - N); MPI_Win_fence(0, w);
}

static void files(int r)
{
    char path[300]; snprintf(path, sizeof path, "%s/device.%d.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", rank, size); MPI_File f; MPI_Status s; int n;
    fill(a, rank + r, N); fill(b, 0, N); CHECK(!MPI_File_open(MPI_COMM_SELF, path, MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL, &f));
    MPI_File_write_at(f, 64, AT(a), N, MPI_INT, &s); MPI_Get_count(&s, MPI_INT, &n); CHECK(n == N); MPI_File_read_at(f, 64 + 400, AT(b), N, MPI_INT, &s); MPI_Get_count(&s, MPI_INT, &n); CHECK(n == N - 100); expect(b, rank + r + 100, N - 100); MPI_File_close(&f);
}

static void mistakes(void)
{
    // Freed memory is an error of the call, and the one after it goes well.
    Device freed; int error, x = 0; MPI_Request q; CHECK(!alloc(&freed, 64 << 20)); CHECK(!release(freed));
    MPI_Irecv(&x, 1, MPI_INT, left, 20, COMM, &q); MPI_Error_class(MPI_Send(AT(freed), 1, MPI_INT, right, 20, COMM), &error); CHECK(error == MPI_ERR_BUFFER); MPI_Wait(&q, IGNORE);
    int seven = 7; MPI_Irecv(AT(freed), 1, MPI_INT, left, 21, COMM, &q); MPI_Send(&seven, 1, MPI_INT, right, 21, COMM); MPI_Error_class(MPI_Wait(&q, IGNORE), &error); CHECK(error == MPI_ERR_BUFFER);
    MPI_Sendrecv(&seven, 1, MPI_INT, right, 22, &x, 1, MPI_INT, left, 22, COMM, IGNORE); CHECK(x == 7);
}

int main(int argc, char **argv)
{
    int rounds = atoi(argv[1]), pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(COMM, &rank); MPI_Comm_size(COMM, &size); right = (rank + 1) % size; left = (rank + size - 1) % size; MPI_Comm_set_errhandler(COMM, MPI_ERRORS_RETURN);
    start(); host = malloc(4 * N); CHECK(!alloc(&a, 4 * N)); CHECK(!alloc(&b, 4 * N)); MPI_Win w; MPI_Win_create(AT(b), 4 * N, 4, MPI_INFO_NULL, COMM, &w);
    for (int r = 0; r < rounds; r++) {
        current = r; messages(r); collectives(r); windows(w, r); files(r); mistakes();
        if (!rank) { printf("round %d\n", r); fflush(stdout); } if (pause) { struct timespec d = { pause / 1000, pause % 1000 * 1000000L }; nanosleep(&d, 0); }
    }
    MPI_Win_free(&w); MPI_Barrier(COMM); if (!rank) printf("ok\n"); MPI_Finalize(); return 0;
}
