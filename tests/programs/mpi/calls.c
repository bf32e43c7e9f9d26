// calls ROUNDS [MILLISECONDS [FILE]]: every family of MPI calls, checked against what the standard says, again and again; prints "round N" at rank 0 after each and "ok" at the end. Works with any number of ranks.
// Half way rank 0 waits as long as FILE exists.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int rank, size, right, left, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)

static void messages(int r)
{
    MPI_Status st; MPI_Request q[8]; int v = rank * 1000 + r, w = -1, n, flag;
    MPI_Sendrecv(&v, 1, MPI_INT, right, 7, &w, 1, MPI_INT, left, 7, MPI_COMM_WORLD, &st);
    CHECK(w == left * 1000 + r && st.MPI_SOURCE == left && st.MPI_TAG == 7); MPI_Get_count(&st, MPI_INT, &n); CHECK(n == 1);
    w = v; MPI_Sendrecv_replace(&w, 1, MPI_INT, right, 8, left, 8, MPI_COMM_WORLD, &st); CHECK(w == left * 1000 + r);
    // long, any source, other order of tags
    n = 1 + (r * 7919 + 40000) % 120000; double *a = malloc(n * 8), *b = malloc(n * 8); for (int i = 0; i < n; i++) a[i] = rank + i * 0.5 + r;
    MPI_Irecv(b, n, MPI_DOUBLE, MPI_ANY_SOURCE, 100 + r, MPI_COMM_WORLD, &q[0]); MPI_Isend(a, n, MPI_DOUBLE, right, 100 + r, MPI_COMM_WORLD, &q[1]);
    MPI_Waitall(2, q, MPI_STATUSES_IGNORE); CHECK(q[0] == MPI_REQUEST_NULL); for (int i = 0; i < n; i++) CHECK(b[i] == left + i * 0.5 + r);
    int x[3] = { rank, rank + 1, rank + 2 }, y[3] = { -1, -1, -1 };
    for (int i = 0; i < 3; i++) MPI_Isend(&x[i], 1, MPI_INT, right, 20 + i, MPI_COMM_WORLD, &q[i]);
    for (int i = 2; i >= 0; i--) MPI_Recv(&y[i], 1, MPI_INT, left, 20 + i, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Waitall(3, q, MPI_STATUSES_IGNORE); for (int i = 0; i < 3; i++) CHECK(y[i] == left + i);
    // order of equal tags
    for (int i = 0; i < 20; i++) { v = rank * 100 + i; MPI_Isend(&v, 1, MPI_INT, right, 5, MPI_COMM_WORLD, &q[0]); MPI_Wait(&q[0], MPI_STATUS_IGNORE); }
    for (int i = 0; i < 20; i++) { MPI_Recv(&w, 1, MPI_INT, left, MPI_ANY_TAG, MPI_COMM_WORLD, &st); CHECK(w == left * 100 + i && st.MPI_TAG == 5); }
    // synchronous, buffered, ready, probe, matched probe
    MPI_Issend(&rank, 1, MPI_INT, right, 30, MPI_COMM_WORLD, &q[0]); MPI_Probe(left, 30, MPI_COMM_WORLD, &st); MPI_Test(&q[0], &flag, MPI_STATUS_IGNORE);
    MPI_Recv(&w, 1, MPI_INT, st.MPI_SOURCE, st.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE); CHECK(w == left); if (!flag) MPI_Wait(&q[0], MPI_STATUS_IGNORE);
    char *space = malloc(100000 + MPI_BSEND_OVERHEAD); void *old; int oldSize; MPI_Buffer_attach(space, 100000 + MPI_BSEND_OVERHEAD);
    memset(b, rank, 8 * (n < 1000 ? n : 1000)); int m = n < 1000 ? n : 1000; MPI_Bsend(b, m, MPI_DOUBLE, right, 31, MPI_COMM_WORLD); memset(b, 99, 8 * m);
    MPI_Recv(a, n, MPI_DOUBLE, left, 31, MPI_COMM_WORLD, &st); MPI_Get_count(&st, MPI_DOUBLE, &w); CHECK(w == m); for (int i = 0; i < 8 * m; i++) CHECK(((char *)a)[i] == left);
    MPI_Buffer_detach(&old, &oldSize); CHECK(old == space && oldSize == 100000 + MPI_BSEND_OVERHEAD); free(space);
    MPI_Message msg; MPI_Isend(&rank, 1, MPI_INT, right, 32, MPI_COMM_WORLD, &q[0]); MPI_Mprobe(MPI_ANY_SOURCE, 32, MPI_COMM_WORLD, &msg, &st); CHECK(st.MPI_SOURCE == left);
    MPI_Mrecv(&w, 1, MPI_INT, &msg, &st); CHECK(w == left && msg == MPI_MESSAGE_NULL); MPI_Wait(&q[0], MPI_STATUS_IGNORE);
    // persistent, waitany, testsome, null process, cancel
    MPI_Send_init(&v, 1, MPI_INT, right, 40, MPI_COMM_WORLD, &q[0]); MPI_Recv_init(&w, 1, MPI_INT, left, 40, MPI_COMM_WORLD, &q[1]);
    for (int i = 0; i < 3; i++) { v = rank * 10 + i; MPI_Startall(2, q); MPI_Waitall(2, q, MPI_STATUSES_IGNORE); CHECK(w == left * 10 + i && q[0] != MPI_REQUEST_NULL); }
    MPI_Request_free(&q[0]); MPI_Request_free(&q[1]); CHECK(q[0] == MPI_REQUEST_NULL);
    for (int i = 0; i < 4; i++) { MPI_Irecv(&y[i % 3], 1, MPI_INT, left, 50 + i, MPI_COMM_WORLD, &q[i]); MPI_Isend(&x[i % 3], 1, MPI_INT, right, 50 + i, MPI_COMM_WORLD, &q[4 + i]); }
    int index, done = 0; MPI_Waitany(8, q, &index, &st); CHECK(index >= 0 && index < 8 && q[index] == MPI_REQUEST_NULL); done = 1;
    while (done < 8) { int some, which[8]; MPI_Waitsome(8, q, &some, which, MPI_STATUSES_IGNORE); CHECK(some > 0); done += some; }
    MPI_Waitany(8, q, &index, &st); CHECK(index == MPI_UNDEFINED);
    MPI_Send(&v, 1, MPI_INT, MPI_PROC_NULL, 0, MPI_COMM_WORLD); MPI_Recv(&v, 1, MPI_INT, MPI_PROC_NULL, 0, MPI_COMM_WORLD, &st); CHECK(st.MPI_SOURCE == MPI_PROC_NULL); MPI_Get_count(&st, MPI_INT, &w); CHECK(w == 0);
    MPI_Irecv(&v, 1, MPI_INT, left, 9999, MPI_COMM_WORLD, &q[0]); MPI_Cancel(&q[0]); MPI_Wait(&q[0], &st); MPI_Test_cancelled(&st, &flag); CHECK(flag);
    // to myself
    MPI_Isend(&rank, 1, MPI_INT, rank, 60, MPI_COMM_WORLD, &q[0]); MPI_Recv(&w, 1, MPI_INT, rank, 60, MPI_COMM_WORLD, MPI_STATUS_IGNORE); MPI_Wait(&q[0], MPI_STATUS_IGNORE); CHECK(w == rank);
    free(a); free(b);
}

static void matrix(void *in, void *inout, int *n, MPI_Datatype *t) // 2 x 2 products: associative, not commutative
{
    long *a = in, *b = inout;
    for (int i = 0; i < *n; i++, a += 4, b += 4) { long c[4] = { a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3] }; for (int k = 0; k < 4; k++) b[k] = c[k] % 1000003; }
}

static void long_doubles(int r) // as the processor computes them
{
    unsigned long state = 88172645463325252UL + r * 7919 + rank; union { long double v; unsigned long w[2]; } a, b, x; memset(&a, 0, 16); memset(&b, 0, 16);
    for (int i = 0; i < 2000; i++) {
        for (int k = 0; k < 2; k++) {
            state ^= state << 13; state ^= state >> 7; state ^= state << 17; union { long double v; unsigned long w[2]; } *p = k ? &b : &a; static const int kinds[] = { 16383, 16383, 16382, 16400, 16447, 1, 2, 32766, 0 }; int kind = state % 9;
            unsigned long m = state % 5 == 0 ? 1UL << 63 : state % 5 == 1 ? ~0UL : state * 0x9e3779b97f4a7c15UL | 1UL << 63; int e = kinds[kind]; if (kind < 2) e += (int)(state >> 20 & 127) - 64;
            if (!e) m &= ~(1UL << 63); if (i % 97 == 5 && k) m = 1UL << 63, e = 32767; if (i % 89 == 7) m = 0, e = 0; p->w[0] = m; p->w[1] = e | (state >> 40 & 1) << 15;
        }
        MPI_Op ops[] = { MPI_SUM, MPI_PROD, MPI_MAX, MPI_MIN };
        for (int k = 0; k < 4; k++) {
            x = b; MPI_Reduce_local(&a.v, &x.v, 1, MPI_LONG_DOUBLE, ops[k]); volatile long double y = k == 0 ? a.v + b.v : k == 1 ? a.v * b.v : k == 2 ? (a.v > b.v ? a.v : b.v) : (a.v < b.v ? a.v : b.v); long double z = y;
            CHECK(z != z ? x.v != x.v : !memcmp(&z, &x.v, 10) || (z == 0 && x.v == 0 && k > 1));
        }
    }
    struct { long double v; int i; } p = { 0.5L - rank, rank }, best; MPI_Allreduce(&p, &best, 1, MPI_LONG_DOUBLE_INT, MPI_MINLOC, MPI_COMM_WORLD); CHECK(best.i == size - 1 && best.v == 0.5L - (size - 1));
}

static void quadruples(int r) // REAL*16, as the compiler's own library computes them
{
    typedef union { __float128 v; unsigned long w[2]; } quad; unsigned long state = 1181783497276652981UL + r * 104729 + rank; quad a, b, x, z;
    for (int i = 0; i < 2000; i++) {
        for (int k = 0; k < 2; k++) {
            quad *p = k ? &b : &a; static const int kinds[] = { 16383, 16383, 16382, 16440, 16496, 1, 60, 32766, 0 }; unsigned long w[2]; for (int j = 0; j < 2; j++) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; w[j] = state * 0x9e3779b97f4a7c15UL; }
            int kind = state % 9, e = kinds[kind]; if (kind < 2) e += (int)(state >> 20 & 255) - 128; if (state % 5 == 0) w[0] = 0; if (state % 5 == 1) w[0] = w[1] = ~0UL; if (state % 7 == 2) w[1] = 0; w[1] &= (1UL << 48) - 1;
            if (i % 97 == 5 && k) w[0] = w[1] = 0, e = 32767; if (i % 89 == 7) w[0] = w[1] = 0, e = 0; if (i % 83 == 11) e = 0; p->w[0] = w[0]; p->w[1] = w[1] | (unsigned long)e << 48 | (state >> 40 & 1) << 63;
        }
        MPI_Op ops[] = { MPI_SUM, MPI_PROD, MPI_MAX, MPI_MIN };
        for (int k = 0; k < 4; k++) {
            x = b; MPI_Reduce_local(&a.v, &x.v, 1, MPI_REAL16, ops[k]); z.v = k == 0 ? a.v + b.v : k == 1 ? a.v * b.v : k == 2 ? (a.v > b.v ? a.v : b.v) : (a.v < b.v ? a.v : b.v);
            CHECK(z.v != z.v ? x.v != x.v : !memcmp(&z, &x, 16) || (z.v == 0 && x.v == 0 && k > 1));
        }
    }
    __float128 c[2] = { rank + 1, 1 }, d[2]; MPI_Allreduce(c, d, 1, MPI_COMPLEX32, MPI_SUM, MPI_COMM_WORLD); CHECK(d[0] == size * (size + 1) / 2 && d[1] == size);
}

static void collectives(int r, MPI_Comm comm)
{
    int cr, cs; MPI_Comm_rank(comm, &cr); MPI_Comm_size(comm, &cs); int *g = malloc(4 * cs * cs), *h = malloc(4 * cs * cs), *counts = malloc(4 * cs), *places = malloc(4 * cs);
    for (int root = 0; root < cs; root++) {
        int x = cr == root ? r * 7 + root : -1; MPI_Bcast(&x, 1, MPI_INT, root, comm); CHECK(x == r * 7 + root);
        x = cr + 1; int s = -1; MPI_Reduce(&x, &s, 1, MPI_INT, MPI_SUM, root, comm); if (cr == root) CHECK(s == cs * (cs + 1) / 2);
        MPI_Gather(&cr, 1, MPI_INT, g, 1, MPI_INT, root, comm); if (cr == root) for (int i = 0; i < cs; i++) CHECK(g[i] == i);
        for (int i = 0; i < cs; i++) g[i] = i * i + r; MPI_Scatter(g, 1, MPI_INT, &x, 1, MPI_INT, root, comm); CHECK(x == cr * cr + r);
    }
    double d = cr + 0.5, e; MPI_Allreduce(&d, &e, 1, MPI_DOUBLE, MPI_SUM, comm); CHECK(e == cs * (cs - 1) / 2.0 + cs * 0.5);
    d = cr; MPI_Allreduce(MPI_IN_PLACE, &d, 1, MPI_DOUBLE, MPI_MAX, comm); CHECK(d == cs - 1);
    struct { double v; int i; } p = { -cr, cr }, best; MPI_Allreduce(&p, &best, 1, MPI_DOUBLE_INT, MPI_MINLOC, comm); CHECK(best.i == cs - 1 && best.v == -(cs - 1));
    int bits = 1 << cr % 30, all; MPI_Allreduce(&bits, &all, 1, MPI_INT, MPI_BOR, comm); CHECK(cs > 30 || all == (1 << cs) - 1);
    int big = 50000; float *fa = malloc(4 * big), *fb = malloc(4 * big); for (int i = 0; i < big; i++) fa[i] = i % 100 + cr; MPI_Allreduce(fa, fb, big, MPI_FLOAT, MPI_SUM, comm); for (int i = 0; i < big; i += 997) CHECK(fb[i] == (i % 100) * cs + cs * (cs - 1) / 2); free(fa); free(fb);
    MPI_Allgather(&cr, 1, MPI_INT, g, 1, MPI_INT, comm); for (int i = 0; i < cs; i++) CHECK(g[i] == i);
    for (int i = 0, at = 0; i < cs; at += counts[i++]) { counts[i] = i % 3; places[i] = at; } int own[2] = { cr, cr + 100 };
    MPI_Allgatherv(own, counts[cr], MPI_INT, g, counts, places, MPI_INT, comm); for (int i = 0; i < cs; i++) for (int k = 0; k < counts[i]; k++) CHECK(g[places[i] + k] == i + 100 * k);
    for (int i = 0; i < cs; i++) g[i] = cr * 100 + i; MPI_Alltoall(g, 1, MPI_INT, h, 1, MPI_INT, comm); for (int i = 0; i < cs; i++) CHECK(h[i] == i * 100 + cr);
    MPI_Alltoall(MPI_IN_PLACE, 0, MPI_INT, g, 1, MPI_INT, comm); for (int i = 0; i < cs; i++) CHECK(g[i] == i * 100 + cr);
    int one = cr + 1, scan; MPI_Scan(&one, &scan, 1, MPI_INT, MPI_SUM, comm); CHECK(scan == (cr + 1) * (cr + 2) / 2); scan = -1; MPI_Exscan(&one, &scan, 1, MPI_INT, MPI_SUM, comm); if (cr) CHECK(scan == cr * (cr + 1) / 2);
    for (int i = 0; i < cs; i++) g[i] = i + cr; int part; MPI_Reduce_scatter_block(g, &part, 1, MPI_INT, MPI_SUM, comm); CHECK(part == cr * cs + cs * (cs - 1) / 2);
    // not commutative: the order of the ranks
    MPI_Op op; MPI_Op_create(matrix, 0, &op); MPI_Datatype four; MPI_Type_contiguous(4, MPI_LONG, &four); MPI_Type_commit(&four);
    long mine[4] = { 1, cr + 1, 0, 1 + cr % 2 }, product[4], want[4] = { 1, 0, 0, 1 }; MPI_Allreduce(mine, product, 1, four, op, comm);
    for (int i = 0; i < cs; i++) { long next[4] = { 1, i + 1, 0, 1 + i % 2 }; int n = 1; long t[4]; memcpy(t, next, sizeof t); matrix(want, t, &n, 0); memcpy(want, t, sizeof t); }
    for (int k = 0; k < 4; k++) CHECK(product[k] == want[k] % 1000003); MPI_Op_free(&op); MPI_Type_free(&four); CHECK(four == MPI_DATATYPE_NULL);
    // several at once, finished in another order
    MPI_Request q[3]; int b = cr == 0 ? r : -1, s1 = cr, s2 = -1; MPI_Ibcast(&b, 1, MPI_INT, 0, comm, &q[0]); MPI_Iallreduce(&s1, &s2, 1, MPI_INT, MPI_SUM, comm, &q[1]); MPI_Ibarrier(comm, &q[2]);
    MPI_Wait(&q[2], MPI_STATUS_IGNORE); MPI_Wait(&q[1], MPI_STATUS_IGNORE); MPI_Wait(&q[0], MPI_STATUS_IGNORE); CHECK(b == r && s2 == cs * (cs - 1) / 2);
    MPI_Barrier(comm); free(g); free(h); free(counts); free(places);
}

static int copied, deleted;
static int copyAttribute(MPI_Comm c, int key, void *extra, void *in, void *out, int *flag) { copied++; *(void **)out = (char *)in + 1; *flag = 1; return MPI_SUCCESS; }
static int deleteAttribute(MPI_Comm c, int key, void *value, void *extra) { deleted++; return MPI_SUCCESS; }

static void communicators(int r)
{
    MPI_Comm half, copy, odd; MPI_Group world, some, rest; int hr, hs, result;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &half); MPI_Comm_rank(half, &hr); MPI_Comm_size(half, &hs); CHECK(hs == (size + 1 - rank % 2) / 2 && hr == hs - 1 - rank / 2);
    collectives(r, half); int key, flag; copied = deleted = 0; MPI_Comm_create_keyval(copyAttribute, deleteAttribute, &key, 0); MPI_Comm_set_attr(half, key, (void *)41);
    MPI_Comm_dup(half, &copy); void *value; MPI_Comm_get_attr(copy, key, &value, &flag); CHECK(flag && value == (void *)42 && copied == 1); MPI_Comm_compare(half, copy, &result); CHECK(result == MPI_CONGRUENT);
    int a = rank, b = -1; MPI_Sendrecv(&a, 1, MPI_INT, (hr + 1) % hs, 1, &b, 1, MPI_INT, (hr + hs - 1) % hs, 1, copy, MPI_STATUS_IGNORE); CHECK(b % 2 == rank % 2);
    MPI_Comm_free(&copy); CHECK(deleted == 1 && copy == MPI_COMM_NULL); MPI_Comm_free(&half); CHECK(deleted == 2); MPI_Comm_free_keyval(&key); CHECK(key == MPI_KEYVAL_INVALID);
    MPI_Comm_group(MPI_COMM_WORLD, &world); int first[1] = { 0 }; MPI_Group_excl(world, 1, first, &rest); MPI_Group_incl(world, 1, first, &some); MPI_Group_size(rest, &hs); CHECK(hs == size - 1);
    MPI_Comm_create(MPI_COMM_WORLD, rest, &odd); if (rank) { MPI_Comm_rank(odd, &hr); CHECK(hr == rank - 1); collectives(r, odd); MPI_Comm_free(&odd); } else CHECK(odd == MPI_COMM_NULL);
    if (rank) { MPI_Comm_create_group(MPI_COMM_WORLD, rest, 5, &odd); int s = 1, t; MPI_Allreduce(&s, &t, 1, MPI_INT, MPI_SUM, odd); CHECK(t == size - 1); MPI_Comm_free(&odd); }
    MPI_Group_free(&world); MPI_Group_free(&rest); MPI_Group_free(&some);
    int dims[2] = { 0, 0 }, periods[2] = { 1, 0 }, at[2], up, down; MPI_Dims_create(size, 2, dims); CHECK(dims[0] * dims[1] == size && dims[0] >= dims[1]); MPI_Comm grid, line; MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 0, &grid);
    MPI_Cart_coords(grid, rank, 2, at); CHECK(at[0] * dims[1] + at[1] == rank); MPI_Cart_shift(grid, 1, 1, &down, &up); CHECK((up == MPI_PROC_NULL) == (at[1] == dims[1] - 1)); a = rank; b = -1;
    MPI_Sendrecv(&a, 1, MPI_INT, up, 2, &b, 1, MPI_INT, down, 2, grid, MPI_STATUS_IGNORE); CHECK(b == (down == MPI_PROC_NULL ? -1 : rank - 1));
    int keep[2] = { 0, 1 }; MPI_Cart_sub(grid, keep, &line); MPI_Comm_size(line, &hs); CHECK(hs == dims[1]); MPI_Comm_free(&line); MPI_Comm_free(&grid);
}

static void types(void)
{
    int m[100], c[100]; MPI_Datatype col, box, mix, list, shrunk; MPI_Aint lb, extent; for (int i = 0; i < 100; i++) { m[i] = i + rank * 100; c[i] = -1; }
    MPI_Type_vector(10, 1, 10, MPI_INT, &col); MPI_Type_commit(&col); MPI_Sendrecv(m + 3, 1, col, right, 1, c, 10, MPI_INT, left, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE); for (int i = 0; i < 10; i++) CHECK(c[i] == 3 + 10 * i + left * 100);
    MPI_Type_get_extent(col, &lb, &extent); CHECK(lb == 0 && extent == 4 * 91); MPI_Type_create_resized(col, 0, 4, &shrunk); MPI_Type_commit(&shrunk);
    MPI_Sendrecv(m, 10, shrunk, right, 2, c, 100, MPI_INT, left, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE); for (int i = 0; i < 100; i++) CHECK(c[i] == (i % 10) * 10 + i / 10 + left * 100); // transposed
    int sizes[2] = { 10, 10 }, parts[2] = { 3, 4 }, starts[2] = { 2, 5 }; MPI_Type_create_subarray(2, sizes, parts, starts, MPI_ORDER_C, MPI_INT, &box); MPI_Type_commit(&box); for (int i = 0; i < 100; i++) c[i] = -1;
    MPI_Sendrecv(m, 1, box, right, 3, c, 1, box, left, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE); for (int i = 0; i < 100; i++) CHECK(c[i] == (i / 10 >= 2 && i / 10 < 5 && i % 10 >= 5 && i % 10 < 9 ? i + left * 100 : -1));
    struct part { char k; double v; int n; } s[5], t[5]; int lengths[3] = { 1, 1, 1 }; MPI_Aint offsets[3] = { 0, 8, 16 }; MPI_Datatype kinds[3] = { MPI_CHAR, MPI_DOUBLE, MPI_INT }; MPI_Type_create_struct(3, lengths, offsets, kinds, &mix); MPI_Type_commit(&mix);
    MPI_Type_get_extent(mix, &lb, &extent); CHECK(extent == sizeof(struct part)); for (int i = 0; i < 5; i++) { s[i].k = 'a' + i; s[i].v = rank + i; s[i].n = i; } memset(t, 0, sizeof t);
    MPI_Status st; int n; MPI_Sendrecv(s, 5, mix, right, 4, t, 5, mix, left, 4, MPI_COMM_WORLD, &st); for (int i = 0; i < 5; i++) CHECK(t[i].k == 'a' + i && t[i].v == left + i && t[i].n == i); MPI_Get_elements(&st, mix, &n); CHECK(n == 15);
    int blocks[3] = { 2, 1, 3 }, places[3] = { 0, 5, 7 }; MPI_Type_indexed(3, blocks, places, MPI_INT, &list); MPI_Type_commit(&list); char packed[200]; int position = 0; MPI_Pack(m, 1, list, packed, 200, &position, MPI_COMM_WORLD); CHECK(position == 24);
    position = 0; int out[6]; MPI_Unpack(packed, 200, &position, out, 6, MPI_INT, MPI_COMM_WORLD); CHECK(out[0] == m[0] && out[1] == m[1] && out[2] == m[5] && out[3] == m[7] && out[5] == m[9]);
    MPI_Type_free(&col); MPI_Type_free(&shrunk); MPI_Type_free(&box); MPI_Type_free(&mix); MPI_Type_free(&list);
}

static int handled; static void handler(MPI_Comm *c, int *code, ...) { handled = *code; }
static void errors(void)
{
    MPI_Comm copy; MPI_Comm_dup(MPI_COMM_WORLD, &copy); MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN); int v[4] = { 1, 2, 3, 4 }, w, class; char text[MPI_MAX_ERROR_STRING];
    int e = MPI_Send(v, 1, MPI_INT, size, 0, copy); MPI_Error_class(e, &class); CHECK(class == MPI_ERR_RANK); MPI_Error_string(e, text, &w); CHECK(w > 0);
    e = MPI_Send(v, -1, MPI_INT, right, 0, copy); MPI_Error_class(e, &class); CHECK(class == MPI_ERR_COUNT); e = MPI_Send(v, 1, MPI_INT, right, -5, copy); MPI_Error_class(e, &class); CHECK(class == MPI_ERR_TAG);
    e = MPI_Bcast(v, 1, MPI_INT, size + 1, copy); MPI_Error_class(e, &class); CHECK(class == MPI_ERR_ROOT);
    MPI_Request q; MPI_Isend(v, 4, MPI_INT, right, 1, copy, &q); e = MPI_Recv(&w, 1, MPI_INT, left, 1, copy, MPI_STATUS_IGNORE); MPI_Error_class(e, &class); CHECK(class == MPI_ERR_TRUNCATE); MPI_Wait(&q, MPI_STATUS_IGNORE);
    MPI_Errhandler own; MPI_Comm_create_errhandler(handler, &own); MPI_Comm_set_errhandler(copy, own); MPI_Errhandler_free(&own); handled = 0; MPI_Send(v, 1, MPI_INT, size, 0, copy); MPI_Error_class(handled, &class); CHECK(class == MPI_ERR_RANK); MPI_Comm_free(&copy);
    MPI_Info info; int flag, n; char value[20]; MPI_Info_create(&info); MPI_Info_set(info, "a", "1"); MPI_Info_set(info, "b", "22"); MPI_Info_get(info, "b", 19, value, &flag); CHECK(flag && !strcmp(value, "22")); MPI_Info_get_nkeys(info, &n); CHECK(n == 2); MPI_Info_free(&info); CHECK(info == MPI_INFO_NULL);
    int *bound; MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &bound, &flag); CHECK(flag && *bound >= 32767);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3, pause = argc > 2 ? atoi(argv[2]) : 0, flag; MPI_Initialized(&flag); if (flag) return 9;
    MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size); right = (rank + 1) % size; left = (rank + size - 1) % size; double start = MPI_Wtime();
    for (current = 0; current < rounds; current++) {
        messages(current); long_doubles(current); quadruples(current); collectives(current, MPI_COMM_WORLD); communicators(current); types(); errors(); CHECK(MPI_Wtime() >= start);
        if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
        while (!rank && argc > 3 && current == rounds / 2 && !access(argv[3], F_OK)) { struct timespec t = { 0, 20000000L }; nanosleep(&t, 0); }
    }
    MPI_Finalize(); MPI_Finalized(&flag); if (!flag) return 9; if (!rank) printf("ok\n"); return 0;
}
