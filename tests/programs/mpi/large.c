// large ROUNDS [MILLISECONDS]: persistent collective calls, the functions with large counts (_c), MPI_Isendrecv, MPI_Comm_idup_with_info and partitioned messages: what MPI 4.0 has and MPI 3.1 has not. Prints "round N" at rank 0 after each and "ok" at the end. Any number of ranks.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, right, left, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)
#define MOST 64

static struct { MPI_Request q[24]; int n, b, r, rt, ar[2], g[MOST], s[MOST], ag[MOST], at[MOST], av[MOST], sc, ex, rs, part[MOST], mine, gv[MOST], one, counts[MOST], places[MOST], bytes[MOST], aw[MOST], ab[MOST], got; MPI_Datatype types[MOST]; MPI_Comm ring; int near[2], away[2]; } p;

static void prepare(void)
{
    MPI_Request *q = p.q; MPI_Comm w = MPI_COMM_WORLD; MPI_Info none = MPI_INFO_NULL; for (int i = 0; i < size; i++) { p.counts[i] = 1; p.places[i] = i; p.bytes[i] = 4 * i; p.types[i] = MPI_INT; } int dims[1] = { size }, periods[1] = { size > 2 }; MPI_Cart_create(w, 1, dims, periods, 0, &p.ring);
    MPI_Barrier_init(w, none, q++); MPI_Bcast_init(&p.b, 1, MPI_INT, size - 1, w, none, q++); MPI_Reduce_init(&p.mine, &p.rt, 1, MPI_INT, MPI_SUM, 0, w, none, q++); MPI_Allreduce_init(MPI_IN_PLACE, p.ar, 2, MPI_INT, MPI_MAX, w, none, q++);
    MPI_Gather_init(&p.mine, 1, MPI_INT, p.g, 1, MPI_INT, 0, w, none, q++); MPI_Scatter_init(p.s, 1, MPI_INT, &p.got, 1, MPI_INT, 0, w, none, q++); MPI_Allgather_init(&p.mine, 1, MPI_INT, p.ag, 1, MPI_INT, w, none, q++);
    MPI_Alltoall_init(p.part, 1, MPI_INT, p.at, 1, MPI_INT, w, none, q++); MPI_Alltoallv_init(p.part, p.counts, p.places, MPI_INT, p.av, p.counts, p.places, MPI_INT, w, none, q++); MPI_Alltoallw_init(p.part, p.counts, p.bytes, p.types, p.aw, p.counts, p.bytes, p.types, w, none, q++);
    MPI_Scan_init(&p.mine, &p.sc, 1, MPI_INT, MPI_SUM, w, none, q++); MPI_Exscan_init(&p.mine, &p.ex, 1, MPI_INT, MPI_SUM, w, none, q++); MPI_Reduce_scatter_block_init(p.part, &p.rs, 1, MPI_INT, MPI_SUM, w, none, q++); MPI_Gatherv_init(&p.mine, 1, MPI_INT, p.gv, p.counts, p.places, MPI_INT, 0, w, none, q++);
    MPI_Neighbor_alltoall_init(p.part, 1, MPI_INT, p.near, 1, MPI_INT, p.ring, none, q++); p.n = q - p.q;
}

static void persistent(void)
{
    p.mine = rank * 10 + current; p.b = rank == size - 1 ? current : -1; p.rt = p.sc = p.ex = p.rs = p.got = -1; p.ar[0] = rank; p.ar[1] = -rank; for (int i = 0; i < size; i++) { p.part[i] = rank * 100 + i + current; p.s[i] = i * 7 + current; p.g[i] = p.ag[i] = p.at[i] = p.av[i] = p.aw[i] = p.gv[i] = -1; } p.near[0] = p.near[1] = -1;
    // all at a time, in another order each round
    for (int i = 0; i < p.n; i++) MPI_Start(&p.q[(i + current * 5) % p.n]); MPI_Waitall(p.n, p.q, MPI_STATUSES_IGNORE); int ten = 10 * (size * (size - 1) / 2) + size * current, before = 10 * (rank * (rank - 1) / 2) + rank * current;
    CHECK(p.b == current && p.ar[0] == size - 1 && p.ar[1] == 0 && p.got == rank * 7 + current && p.sc == before + p.mine && (!rank || p.ex == before)); CHECK(p.rs == 100 * (size * (size - 1) / 2) + size * (rank + current)); if (!rank) CHECK(p.rt == ten);
    for (int i = 0; i < size; i++) { CHECK(p.ag[i] == i * 10 + current && p.at[i] == i * 100 + rank + current && p.av[i] == p.at[i] && p.aw[i] == p.at[i]); if (!rank) CHECK(p.g[i] == i * 10 + current && p.gv[i] == p.g[i]); }
    if (size > 2) CHECK(p.near[0] == left * 100 + 1 + current && p.near[1] == right * 100 + current); for (int i = 0; i < p.n; i++) CHECK(p.q[i] != MPI_REQUEST_NULL);
}

static void product(void *in, void *inout, MPI_Count *n, MPI_Datatype *t) { for (MPI_Count i = 0; i < *n; i++) ((long *)inout)[i] = ((long *)in)[i] * ((long *)inout)[i] % 10007; }

static void large(void)
{
    MPI_Status st; MPI_Request q[2]; MPI_Count n = 20000, count, size8, lb, extent, m[MOST], ints, addresses, larges, types; MPI_Aint at[MOST]; int *a = malloc(4 * n), *b = malloc(4 * n), x = rank, y = -1; for (int i = 0; i < n; i++) a[i] = rank * 3 + i;
    MPI_Irecv_c(b, n, MPI_INT, left, 1, MPI_COMM_WORLD, &q[0]); MPI_Send_c(a, n, MPI_INT, right, 1, MPI_COMM_WORLD); MPI_Wait(&q[0], &st); MPI_Get_count_c(&st, MPI_INT, &count); CHECK(count == n && b[n - 1] == left * 3 + n - 1); MPI_Get_elements_c(&st, MPI_INT, &count); CHECK(count == n);
    MPI_Sendrecv_c(&x, 1, MPI_INT, right, 2, &y, 1, MPI_INT, left, 2, MPI_COMM_WORLD, &st); CHECK(y == left);
    // a message of one item that is more than 2^31 bytes long in memory
    MPI_Datatype wide, two, list, made; MPI_Type_vector_c(2, 1, (MPI_Count)3000000000LL, MPI_BYTE, &wide); MPI_Type_get_extent_c(wide, &lb, &extent); CHECK(lb == 0 && extent == 3000000001LL); MPI_Type_size_c(wide, &size8); CHECK(size8 == 2); int small; MPI_Type_contiguous_c(3000000000LL, MPI_BYTE, &two); MPI_Type_size(two, &small); CHECK(small == MPI_UNDEFINED); MPI_Type_size_c(two, &size8); CHECK(size8 == 3000000000LL);
    int combiner, i1[4], e; MPI_Count c1[4]; MPI_Datatype inner[1]; MPI_Type_get_envelope_c(wide, &ints, &addresses, &larges, &types, &combiner); CHECK(combiner == MPI_COMBINER_VECTOR && ints == 0 && addresses == 0 && larges == 3 && types == 1); MPI_Type_get_contents_c(wide, 0, 0, 3, 1, i1, at, c1, inner); CHECK(c1[0] == 2 && c1[2] == 3000000000LL && inner[0] == MPI_BYTE); MPI_Type_free(&wide); MPI_Type_free(&two);
    MPI_Count blocks[2] = { 1, 2 }, offsets[2] = { 4, 16 }; MPI_Type_create_hindexed_c(2, blocks, offsets, MPI_INT, &list); MPI_Type_commit(&list); MPI_Count lengths[1] = { 1 }, places[1] = { 4 }; MPI_Datatype kinds[1] = { MPI_INT }; MPI_Type_create_struct_c(1, lengths, places, kinds, &made); MPI_Type_get_extent_c(made, &lb, &extent); CHECK(lb == 4 && extent == 4); MPI_Type_free(&made);
    char packed[32]; MPI_Count position = 0; MPI_Pack_c(a, 1, list, packed, 32, &position, MPI_COMM_WORLD); CHECK(position == 12 && ((int *)packed)[0] == a[1] && ((int *)packed)[2] == a[5]); MPI_Type_free(&list);
    int *g = malloc(4 * size), *h = malloc(4 * size); for (int i = 0; i < size; i++) { m[i] = 1; at[i] = i; g[i] = rank * 100 + i; } MPI_Alltoallv_c(g, m, at, MPI_INT, h, m, at, MPI_INT, MPI_COMM_WORLD); for (int i = 0; i < size; i++) CHECK(h[i] == i * 100 + rank); MPI_Allgatherv_c(&x, 1, MPI_INT, h, m, at, MPI_INT, MPI_COMM_WORLD); for (int i = 0; i < size; i++) CHECK(h[i] == i);
    MPI_Iallreduce_c(&x, &y, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD, &q[0]); MPI_Wait(&q[0], MPI_STATUS_IGNORE); CHECK(y == size * (size - 1) / 2); MPI_Op op; long f = rank + 2, whole, want = 1; for (int i = 0; i < size; i++) want = want * (i + 2) % 10007; MPI_Op_create_c(product, 1, &op); MPI_Allreduce_c(&f, &whole, 1, MPI_LONG, op, MPI_COMM_WORLD); CHECK(whole == want); MPI_Op_free(&op);
    MPI_Bcast_init_c(&y, 1, MPI_INT, 0, MPI_COMM_WORLD, MPI_INFO_NULL, &q[0]); y = rank ? -1 : current; MPI_Start(&q[0]); MPI_Wait(&q[0], MPI_STATUS_IGNORE); CHECK(y == current); MPI_Request_free(&q[0]); CHECK(q[0] == MPI_REQUEST_NULL);
    MPI_Status_set_elements_x(&st, MPI_DOUBLE, 5000000000LL); MPI_Get_count_c(&st, MPI_DOUBLE, &count); CHECK(count == 5000000000LL); MPI_Get_count(&st, MPI_DOUBLE, &e); CHECK(e == MPI_UNDEFINED);
    free(a); free(b); free(g); free(h);
}

static void newer(void)
{
    MPI_Request q[2]; MPI_Status st; int x = rank, y = -1, n; MPI_Isendrecv(&x, 1, MPI_INT, right, 5, &y, 1, MPI_INT, left, 5, MPI_COMM_WORLD, &q[0]); MPI_Wait(&q[0], &st); CHECK(y == left); MPI_Get_count(&st, MPI_INT, &n);
    MPI_Isendrecv_replace(&x, 1, MPI_INT, right, 6, left, 6, MPI_COMM_WORLD, &q[0]); MPI_Wait(&q[0], &st); CHECK(x == left);
    MPI_Comm copies[2]; MPI_Comm_idup_with_info(MPI_COMM_WORLD, MPI_INFO_NULL, &copies[0], &q[0]); MPI_Comm_idup(MPI_COMM_WORLD, &copies[1], &q[1]); MPI_Waitall(2, q, MPI_STATUSES_IGNORE); // not mixed up
    for (int i = 0; i < 2; i++) { x = rank * 2 + i; MPI_Isend(&x, 1, MPI_INT, right, 7, copies[i], &q[0]); MPI_Wait(&q[0], &st); } for (int i = 1; i >= 0; i--) { MPI_Recv(&y, 1, MPI_INT, left, 7, copies[i], &st); CHECK(y == left * 2 + i); MPI_Comm_free(&copies[i]); }
    MPI_Info info; int flag, length = 20; char text[20]; MPI_Info_create(&info); MPI_Info_set(info, "key", "some value"); MPI_Info_get_string(info, "key", &length, text, &flag); CHECK(flag && length == 11 && !strcmp(text, "some value")); length = 5; MPI_Info_get_string(info, "key", &length, text, &flag); CHECK(flag && length == 11 && !strcmp(text, "some")); MPI_Info_get_string(info, "none", &length, text, &flag); CHECK(!flag); MPI_Info_free(&info);
    char *arguments[2] = { "large", 0 }; MPI_Info_create_env(1, arguments, &info); MPI_Info_free(&info);
}

static void partitioned(void)
{
    enum { Parts = 8, Each = 3000 }; static int a[Parts * Each], b[Parts * Each]; MPI_Request q[2]; int flag; MPI_Status st;
    MPI_Psend_init(a, Parts, Each, MPI_INT, right, 9, MPI_COMM_WORLD, MPI_INFO_NULL, &q[0]); MPI_Precv_init(b, Parts / 2, Each * 2, MPI_INT, left, 9, MPI_COMM_WORLD, MPI_INFO_NULL, &q[1]);
    for (int turn = 0; turn < 2; turn++) {
        memset(b, -1, sizeof b); MPI_Startall(2, q); MPI_Parrived(q[1], 0, &flag);
        for (int i = Parts - 1; i >= 4; i--) { for (int k = 0; k < Each; k++) a[i * Each + k] = rank * 100000 + i * Each + k + turn; MPI_Pready(i, q[0]); } // the last ones first
        for (int i = 0; i < 4; i++) for (int k = 0; k < Each; k++) a[i * Each + k] = rank * 100000 + i * Each + k + turn; int some[2] = { 0, 3 }; MPI_Pready_list(2, some, q[0]); MPI_Pready_range(1, 2, q[0]);
        for (flag = 0; !flag;) MPI_Parrived(q[1], Parts / 2 - 1, &flag); MPI_Wait(&q[1], &st); MPI_Wait(&q[0], &st); for (int i = 0; i < Parts * Each; i++) CHECK(b[i] == left * 100000 + i + turn);
    }
    MPI_Request_free(&q[0]); MPI_Request_free(&q[1]);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3, pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size); right = (rank + 1) % size; left = (rank + size - 1) % size; prepare();
    for (current = 0; current < rounds; current++) {
        persistent(); large(); newer(); partitioned();
        if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
    }
    for (int i = 0; i < p.n; i++) MPI_Request_free(&p.q[i]); MPI_Comm_free(&p.ring); MPI_Finalize(); if (!rank) printf("ok\n"); return 0;
}
