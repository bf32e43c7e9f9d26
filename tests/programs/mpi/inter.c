// inter ROUNDS [MILLISECONDS]: intercommunicators, checked against what the standard says, again and again; prints "round N" at rank 0 after each and "ok" at the end. Needs two ranks or more.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)

static int low;              // ranks of the first group; the others are the second
static int group, mine, own, other; // which of them, rank in it, sizes of both
static int world(int g, int r) { return g == 0 ? r : low + r; }

static MPI_Comm make(int tag)
{
    MPI_Comm half, both; group = rank >= low; MPI_Comm_split(MPI_COMM_WORLD, group, rank, &half); int leader; MPI_Comm_size(half, &leader); leader--; // the last one leads
    MPI_Intercomm_create(half, leader, MPI_COMM_WORLD, group ? low - 1 : size - 1, tag, &both); MPI_Comm_free(&half);
    MPI_Comm_rank(both, &mine); MPI_Comm_size(both, &own); MPI_Comm_remote_size(both, &other); CHECK(mine == rank - (group ? low : 0) && own == (group ? size - low : low) && other == size - own);
    return both;
}

static void groups(MPI_Comm c)
{
    int flag, result, n, r[1] = { 0 }, w[1]; MPI_Comm_test_inter(c, &flag); CHECK(flag); MPI_Comm_test_inter(MPI_COMM_WORLD, &flag); CHECK(!flag);
    MPI_Group all, here, there; MPI_Comm_group(MPI_COMM_WORLD, &all); MPI_Comm_group(c, &here); MPI_Comm_remote_group(c, &there); MPI_Group_size(here, &n); CHECK(n == own); MPI_Group_size(there, &n); CHECK(n == other);
    MPI_Group_translate_ranks(there, 1, r, all, w); CHECK(w[0] == world(!group, 0)); MPI_Group_translate_ranks(here, 1, r, there, w); CHECK(w[0] == MPI_UNDEFINED);
    MPI_Group_free(&all); MPI_Group_free(&here); MPI_Group_free(&there);
    MPI_Comm copy, turned; MPI_Comm_dup(c, &copy); MPI_Comm_compare(c, copy, &result); CHECK(result == MPI_CONGRUENT); MPI_Comm_compare(c, c, &result); CHECK(result == MPI_IDENT); MPI_Comm_compare(c, MPI_COMM_WORLD, &result); CHECK(result == MPI_UNEQUAL);
    MPI_Comm_split(c, 0, -mine, &turned); MPI_Comm_compare(c, turned, &result); CHECK(result == (own == 1 && other == 1 ? MPI_CONGRUENT : MPI_SIMILAR)); MPI_Comm_rank(turned, &n); CHECK(n == own - 1 - mine);
    MPI_Comm_free(&turned); MPI_Comm_free(&copy);
}

static void messages(MPI_Comm c)
{
    MPI_Status st; MPI_Request q[64]; int v[64], w = -1; for (int i = 0; i < other; i++) { v[i] = rank * 100 + i; MPI_Isend(&v[i], 1, MPI_INT, i, 3, c, &q[i]); }
    for (int i = 0; i < other; i++) { MPI_Recv(&w, 1, MPI_INT, MPI_ANY_SOURCE, 3, c, &st); CHECK(st.MPI_SOURCE >= 0 && st.MPI_SOURCE < other && w == world(!group, st.MPI_SOURCE) * 100 + mine); }
    MPI_Waitall(other, q, MPI_STATUSES_IGNORE);
    int n = 40000, *a = malloc(4 * n), *b = malloc(4 * n), pairs = own < other ? own : other; for (int i = 0; i < n; i++) a[i] = rank * n + i + current; // long ones, pair by pair
    if (mine < pairs) { MPI_Sendrecv(a, n, MPI_INT, mine, 4, b, n, MPI_INT, mine, 4, c, &st); for (int i = 0; i < n; i++) CHECK(b[i] == world(!group, mine) * n + i + current); }
    free(a); free(b);
}

static int rootOf(int g, int r) { return g == group ? mine == r ? MPI_ROOT : MPI_PROC_NULL : r; }

static void matrix(void *in, void *inout, int *n, MPI_Datatype *t) // 2 x 2 products: associative, not commutative
{
    long *a = in, *b = inout;
    for (int i = 0; i < *n; i++, a += 4, b += 4) { long x[4] = { a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3] }; for (int k = 0; k < 4; k++) b[k] = x[k] % 1000003; }
}

static void collectives(MPI_Comm c)
{
    int *g = malloc(4 * 3 * (own + other)), *h = malloc(4 * 3 * (own + other)), *counts = malloc(4 * (own + other)), *places = malloc(4 * (own + other)); int sum = 0; for (int i = 0; i < other; i++) sum += world(!group, i) + 1;
    MPI_Barrier(c);
    for (int from = 0; from < 2; from++) for (int r = 0; r < (from ? size - low : low); r++) {
        int root = rootOf(from, r), is = root == MPI_ROOT, in = from != group, x = is ? current * 7 + r : -1, s = -1; // the root gives, or gets from the other group
        MPI_Bcast(&x, 1, MPI_INT, root, c); CHECK(x == (is || in ? current * 7 + r : -1));
        x = rank + 1; MPI_Reduce(&x, &s, 1, MPI_INT, MPI_SUM, root, c); CHECK(s == (is ? sum : -1));
        for (int i = 0; i < other; i++) g[i] = -1; MPI_Gather(&rank, 1, MPI_INT, g, 1, MPI_INT, root, c); for (int i = 0; i < other; i++) CHECK(g[i] == (is ? world(!group, i) : -1));
        for (int i = 0; i < other; i++) g[i] = i * i + current; x = -1; MPI_Scatter(g, 1, MPI_INT, &x, 1, MPI_INT, root, c); CHECK(x == (in ? mine * mine + current : -1));
        for (int i = 0, at = 0; i < other; at += counts[i++]) { counts[i] = i % 3; places[i] = at; } int two[2] = { rank, rank + 100 };
        MPI_Gatherv(two, mine % 3, MPI_INT, g, counts, places, MPI_INT, root, c); if (is) for (int i = 0; i < other; i++) for (int k = 0; k < counts[i]; k++) CHECK(g[places[i] + k] == world(!group, i) + 100 * k);
        for (int i = 0; i < 2 * other; i++) g[i] = i; two[0] = two[1] = -1; MPI_Scatterv(g, counts, places, MPI_INT, two, mine % 3, MPI_INT, root, c); if (in) for (int k = 0, at = 0; k < mine % 3; k++) { at = 0; for (int i = 0; i < mine; i++) at += i % 3; CHECK(two[k] == at + k); }
    }
    int x = rank + 1, s = -1; MPI_Allreduce(&x, &s, 1, MPI_INT, MPI_SUM, c); CHECK(s == sum);
    MPI_Allgather(&rank, 1, MPI_INT, g, 1, MPI_INT, c); for (int i = 0; i < other; i++) CHECK(g[i] == world(!group, i));
    for (int i = 0, at = 0; i < other; at += counts[i++]) { counts[i] = 1 + (i + 1) % 2; places[i] = at; } int two[2] = { rank, rank + 50 };
    MPI_Allgatherv(two, 1 + (mine + 1) % 2, MPI_INT, g, counts, places, MPI_INT, c); for (int i = 0; i < other; i++) for (int k = 0; k < counts[i]; k++) CHECK(g[places[i] + k] == world(!group, i) + 50 * k);
    for (int i = 0; i < other; i++) g[i] = rank * 100 + i; MPI_Alltoall(g, 1, MPI_INT, h, 1, MPI_INT, c); for (int i = 0; i < other; i++) CHECK(h[i] == world(!group, i) * 100 + mine);
    int *bytes = malloc(4 * other), *ones = malloc(4 * other); MPI_Datatype *types = malloc(other * sizeof *types); for (int i = 0; i < other; i++) { ones[i] = 1; places[i] = i; bytes[i] = 4 * i; types[i] = MPI_INT; }
    memset(h, -1, 4 * other); MPI_Alltoallv(g, ones, places, MPI_INT, h, ones, places, MPI_INT, c); for (int i = 0; i < other; i++) CHECK(h[i] == world(!group, i) * 100 + mine);
    memset(h, -1, 4 * other); MPI_Alltoallw(g, ones, bytes, types, h, ones, bytes, types, c); for (int i = 0; i < other; i++) CHECK(h[i] == world(!group, i) * 100 + mine);
    int total = own * other, *a = malloc(4 * total), *b = malloc(4 * total); for (int i = 0; i < total; i++) a[i] = rank + i; // both groups' parts make the same sum
    MPI_Reduce_scatter_block(a, b, other, MPI_INT, MPI_SUM, c); for (int k = 0; k < other; k++) CHECK(b[k] == sum - other + other * (mine * other + k));
    for (int i = 0; i < own; i++) ones[0] = 1, counts[i] = i == 0 ? total - (own - 1) : 1; MPI_Reduce_scatter(a, b, counts, MPI_INT, MPI_SUM, c); CHECK(b[0] == sum - other + other * (mine ? total - own + mine : 0));
    MPI_Op op; MPI_Op_create(matrix, 0, &op); MPI_Datatype four; MPI_Type_contiguous(4, MPI_LONG, &four); MPI_Type_commit(&four); // in the order of the other group's ranks
    long m[4] = { 1, rank + 1, 0, 1 + rank % 2 }, product[4], want[4] = { 1, 0, 0, 1 }; MPI_Allreduce(m, product, 1, four, op, c);
    for (int i = 0; i < other; i++) { int r = world(!group, i), one = 1; long next[4] = { 1, r + 1, 0, 1 + r % 2 }; matrix(want, next, &one, 0); memcpy(want, next, sizeof want); } for (int k = 0; k < 4; k++) CHECK(product[k] == want[k] % 1000003);
    MPI_Op_free(&op); MPI_Type_free(&four);
    MPI_Request q[4]; int y = -1, z = group == 0 && mine == 0 ? current : -1, t; MPI_Iallreduce(&x, &y, 1, MPI_INT, MPI_MAX, c, &q[0]); MPI_Ibcast(&z, 1, MPI_INT, rootOf(0, 0), c, &q[1]); MPI_Iallgather(&rank, 1, MPI_INT, g, 1, MPI_INT, c, &q[2]); MPI_Ibarrier(c, &q[3]);
    MPI_Wait(&q[3], MPI_STATUS_IGNORE); MPI_Waitall(3, q, MPI_STATUSES_IGNORE); CHECK(y == world(!group, other - 1) + 1 && g[0] == world(!group, 0)); if (group == 1 || mine == 0) CHECK(z == current);
    free(g); free(h); free(counts); free(places); free(bytes); free(ones); free(types); free(a); free(b);
}

static void children(MPI_Comm c)
{
    MPI_Comm all, part, rest; int n, r, s, flag; MPI_Intercomm_merge(c, group == 0, &all); MPI_Comm_size(all, &n); MPI_Comm_rank(all, &r); CHECK(n == size && r == (group == 0 ? size - low + mine : mine));
    int x = r, y = -1; MPI_Sendrecv(&x, 1, MPI_INT, (r + 1) % n, 1, &y, 1, MPI_INT, (r + n - 1) % n, 1, all, MPI_STATUS_IGNORE); CHECK(y == (r + n - 1) % n); MPI_Allreduce(&x, &s, 1, MPI_INT, MPI_SUM, all); CHECK(s == n * (n - 1) / 2); MPI_Comm_free(&all);
    MPI_Comm_split(c, mine % 2, mine, &part); // groups of one color; none where the other group has nobody of it
    int there = (other + 1 - mine % 2) / 2; if (!there) CHECK(part == MPI_COMM_NULL); else { MPI_Comm_remote_size(part, &n); CHECK(n == there); s = -1; MPI_Allreduce(&rank, &s, 1, MPI_INT, MPI_MIN, part); CHECK(s == world(!group, mine % 2)); MPI_Comm_free(&part); }
    MPI_Group here, first; MPI_Comm_group(c, &here); int zero[1] = { 0 }; MPI_Group_incl(here, 1, zero, &first); MPI_Comm_create(c, first, &rest); // the first ones of both
    if (mine) CHECK(rest == MPI_COMM_NULL); else { MPI_Comm_remote_size(rest, &n); CHECK(n == 1); MPI_Sendrecv(&rank, 1, MPI_INT, 0, 1, &s, 1, MPI_INT, 0, 1, rest, MPI_STATUS_IGNORE); CHECK(s == world(!group, 0)); MPI_Comm_free(&rest); }
    MPI_Group_free(&here); MPI_Group_free(&first); MPI_Request q; MPI_Comm idup; MPI_Comm_idup(c, &idup, &q); MPI_Wait(&q, MPI_STATUS_IGNORE); MPI_Comm_test_inter(idup, &flag); CHECK(flag); MPI_Barrier(idup); MPI_Comm_free(&idup);
    MPI_Comm parent; MPI_Comm_get_parent(&parent); CHECK(parent == MPI_COMM_NULL);
}

static int classOf(int code) { int class; MPI_Error_class(code, &class); return class; }

static void errors(MPI_Comm c)
{
    MPI_Comm copy, no; MPI_Comm_dup(c, &copy); MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN); MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN); int x = 1, y;
    CHECK(classOf(MPI_Send(&x, 1, MPI_INT, other, 0, copy)) == MPI_ERR_RANK); CHECK(classOf(MPI_Bcast(&x, 1, MPI_INT, other, copy)) == MPI_ERR_ROOT); CHECK(classOf(MPI_Bcast(&x, -1, MPI_INT, rootOf(0, 0), copy)) == MPI_ERR_COUNT || rootOf(0, 0) == MPI_PROC_NULL);
    CHECK(classOf(MPI_Scan(&x, &y, 1, MPI_INT, MPI_SUM, copy)) == MPI_ERR_COMM);
    int dims[1] = { 1 }, periods[1] = { 0 }; CHECK(classOf(MPI_Cart_create(copy, 1, dims, periods, 0, &no)) == MPI_ERR_COMM);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL); MPI_Comm_free(&copy); CHECK(copy == MPI_COMM_NULL);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3, pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size); MPI_Comm kept = MPI_COMM_NULL;
    for (current = 0; current < rounds; current++) {
        low = 1 + current % (size - 1); MPI_Comm c = make(current); groups(c); messages(c); collectives(c); children(c); errors(c);
        // one lives from round to round
        if (kept == MPI_COMM_NULL) { MPI_Comm half; MPI_Comm_split(MPI_COMM_WORLD, rank == 0, rank, &half); MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, rank == 0, 77, &kept); MPI_Comm_free(&half); }
        int x = rank * 10 + current, s = -1; MPI_Allreduce(&x, &s, 1, MPI_INT, MPI_MIN, kept); CHECK(s == (rank ? 0 : 10) + current); MPI_Comm_free(&c);
        if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
    }
    MPI_Comm_free(&kept); MPI_Finalize(); if (!rank) printf("ok\n"); return 0;
}
