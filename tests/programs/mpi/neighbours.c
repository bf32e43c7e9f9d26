// neighbours ROUNDS [MILLISECONDS]: graphs, distributed graphs and the collective calls among neighbours, on grids too, again and again; prints "round N" at rank 0 after each and "ok" at the end. Works with any number of ranks.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)
#define MOST 64

// Each rank gives (its rank, number of the edge at its side); key(from, edge) says what should come.
static int key(int from, int edge) { return from * 1000 + edge * 10 + current % 10; }

// in[i], inEdge[i]: who sends part i here and as which of its edges; out: whom to. -1: nobody.
static void exchange(MPI_Comm c, int ins, int *in, int *inEdge, int outs, int *out)
{
    int a[3 * MOST], b[3 * MOST], n[MOST], at[MOST], m[MOST], to[MOST], i, mine = key(rank, 0); MPI_Aint bytes[MOST], toBytes[MOST]; MPI_Datatype types[MOST], toTypes[MOST];
    memset(b, -1, sizeof b); MPI_Neighbor_allgather(&mine, 1, MPI_INT, b, 1, MPI_INT, c); for (i = 0; i < ins; i++) CHECK(b[i] == (in[i] < 0 ? -1 : key(in[i], 0)));
    for (i = 0; i < ins; i++) { n[i] = 1; at[i] = 2 * (ins - 1 - i); } memset(b, -1, sizeof b); MPI_Neighbor_allgatherv(&mine, 1, MPI_INT, b, n, at, MPI_INT, c); for (i = 0; i < ins; i++) CHECK(b[at[i]] == (in[i] < 0 ? -1 : key(in[i], 0)));
    for (i = 0; i < outs; i++) a[i] = key(rank, i); memset(b, -1, sizeof b); MPI_Neighbor_alltoall(a, 1, MPI_INT, b, 1, MPI_INT, c); for (i = 0; i < ins; i++) CHECK(b[i] == (in[i] < 0 ? -1 : key(in[i], inEdge[i])));
    for (i = 0; i < outs; i++) { m[i] = 1 + i % 2; to[i] = 2 * i; a[2 * i] = key(rank, i); a[2 * i + 1] = -key(rank, i); } for (i = 0; i < ins; i++) { n[i] = 1 + inEdge[i] % 2; at[i] = 3 * i; }
    memset(b, -1, sizeof b); MPI_Neighbor_alltoallv(a, m, to, MPI_INT, b, n, at, MPI_INT, c); for (i = 0; i < ins; i++) if (in[i] >= 0) { CHECK(b[3 * i] == key(in[i], inEdge[i])); CHECK(n[i] == 1 || b[3 * i + 1] == -key(in[i], inEdge[i])); }
    for (i = 0; i < outs; i++) { m[i] = 1; toBytes[i] = 8 * i; toTypes[i] = MPI_INT; } for (i = 0; i < ins; i++) { n[i] = 1; bytes[i] = 12 * i; types[i] = MPI_INT; }
    memset(b, -1, sizeof b); MPI_Neighbor_alltoallw(a, m, toBytes, toTypes, b, n, bytes, types, c); for (i = 0; i < ins; i++) CHECK(b[3 * i] == (in[i] < 0 ? -1 : key(in[i], inEdge[i])));
    // begun together, finished in another order
    int g[MOST], h[MOST]; MPI_Request q[3]; memset(g, -1, sizeof g); memset(h, -1, sizeof h); for (i = 0; i < outs; i++) a[i] = key(rank, i);
    MPI_Ineighbor_allgather(&mine, 1, MPI_INT, g, 1, MPI_INT, c, &q[0]); MPI_Ineighbor_alltoall(a, 1, MPI_INT, h, 1, MPI_INT, c, &q[1]); MPI_Ibarrier(c, &q[2]); MPI_Wait(&q[2], MPI_STATUS_IGNORE); MPI_Waitall(2, q, MPI_STATUSES_IGNORE);
    for (i = 0; i < ins; i++) { CHECK(g[i] == (in[i] < 0 ? -1 : key(in[i], 0))); CHECK(h[i] == (in[i] < 0 ? -1 : key(in[i], inEdge[i]))); }
    memset(g, -1, sizeof g); for (i = 0; i < ins; i++) at[i] = i; MPI_Ineighbor_allgatherv(&mine, 1, MPI_INT, g, n, at, MPI_INT, c, &q[0]); MPI_Wait(&q[0], MPI_STATUS_IGNORE); for (i = 0; i < ins; i++) CHECK(g[i] == (in[i] < 0 ? -1 : key(in[i], 0)));
    memset(h, -1, sizeof h); for (i = 0; i < outs; i++) to[i] = i, toBytes[i] = 4 * i; for (i = 0; i < ins; i++) bytes[i] = 4 * i;
    MPI_Ineighbor_alltoallv(a, m, to, MPI_INT, h, n, at, MPI_INT, c, &q[0]); MPI_Wait(&q[0], MPI_STATUS_IGNORE); for (i = 0; i < ins; i++) CHECK(h[i] == (in[i] < 0 ? -1 : key(in[i], inEdge[i])));
    memset(h, -1, sizeof h); MPI_Ineighbor_alltoallw(a, m, toBytes, toTypes, h, n, bytes, types, c, &q[0]); MPI_Wait(&q[0], MPI_STATUS_IGNORE); for (i = 0; i < ins; i++) CHECK(h[i] == (in[i] < 0 ? -1 : key(in[i], inEdge[i])));
}

// every rank to the next one and to the one behind that, and from them back
static void edgesOf(int r, int *e) { e[0] = (r + 1) % size; e[1] = (r + size - 1) % size; }

static void graph(void)
{
    int index[MOST], edges[2 * MOST], n, m, kind, near[2], got[MOST], all[2 * MOST], newRank; for (int r = 0; r < size; r++) { index[r] = 2 * (r + 1); edgesOf(r, edges + 2 * r); }
    MPI_Comm c, d, few; MPI_Graph_create(MPI_COMM_WORLD, size, index, edges, 0, &c); MPI_Topo_test(c, &kind); CHECK(kind == MPI_GRAPH); MPI_Graphdims_get(c, &n, &m); CHECK(n == size && m == 2 * size);
    MPI_Graph_get(c, size, 2 * size, got, all); CHECK(!memcmp(got, index, 4 * size) && !memcmp(all, edges, 8 * size)); MPI_Graph_neighbors_count(c, rank, &n); CHECK(n == 2); MPI_Graph_neighbors(c, rank, 2, near); CHECK(near[0] == edges[2 * rank] && near[1] == edges[2 * rank + 1]);
    // what the next one sends as its edge back comes from edge 1 of it; with one or two ranks edges of equal ends keep their order
    int in[2] = { near[0], near[1] }, inEdge[2] = { size <= 2 ? 0 : 1, size <= 2 ? 1 : 0 }; exchange(c, 2, in, inEdge, 2, near);
    MPI_Comm_dup(c, &d); MPI_Topo_test(d, &kind); CHECK(kind == MPI_GRAPH); exchange(d, 2, in, inEdge, 2, near); MPI_Comm_free(&d); MPI_Comm_free(&c);
    MPI_Graph_map(MPI_COMM_WORLD, size, index, edges, &newRank); CHECK(newRank >= 0 && newRank < size);
    int one[1] = { 1 }, self[1] = { 0 }; MPI_Graph_create(MPI_COMM_WORLD, 1, one, self, 0, &few); if (rank) CHECK(few == MPI_COMM_NULL); else { int x = 5, y = -1; MPI_Neighbor_alltoall(&x, 1, MPI_INT, &y, 1, MPI_INT, few); CHECK(y == 5); MPI_Comm_free(&few); }
}

static int byRank(const void *a, const void *b) { return *(int *)a - *(int *)b; }

static void distributed(void)
{
    // from each rank one edge to the one d behind it, for d = 1, 2 (mod size); asymmetric
    int in[2] = { (rank + size - 1) % size, (rank + 2 * size - 2) % size }, out[2] = { (rank + 1) % size, (rank + 2) % size }, inEdge[2] = { 0, 1 }, wIn[2] = { 10 * in[0] + 1, 10 * in[1] + 2 }, wOut[2] = { 10 * rank + 1, 10 * rank + 2 };
    int n, m, weighted, kind, s[2], sw[2], d[2], dw[2]; MPI_Comm c; MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, 2, in, wIn, 2, out, wOut, MPI_INFO_NULL, 0, &c);
    MPI_Topo_test(c, &kind); CHECK(kind == MPI_DIST_GRAPH); MPI_Dist_graph_neighbors_count(c, &n, &m, &weighted); CHECK(n == 2 && m == 2 && weighted);
    MPI_Dist_graph_neighbors(c, 2, s, sw, 2, d, dw); CHECK(!memcmp(s, in, 8) && !memcmp(d, out, 8) && !memcmp(sw, wIn, 8) && !memcmp(dw, wOut, 8)); exchange(c, 2, in, inEdge, 2, out); MPI_Comm_free(&c);
    // none at odd ranks, without weights
    int none = rank % 2, even = size + size % 2; if (!none) { in[0] = (rank + even - 2) % even; out[0] = (rank + 2) % even; }
    MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, !none, in, MPI_UNWEIGHTED, !none, out, MPI_UNWEIGHTED, MPI_INFO_NULL, 0, &c); MPI_Dist_graph_neighbors_count(c, &n, &m, &weighted); CHECK(n == !none && m == !none && !weighted);
    exchange(c, !none, in, inEdge, !none, out); MPI_Comm_free(&c);
    // rank 0 says everything: the star and the ring; the others nothing
    int sources[2 * MOST], degrees[2 * MOST], ends[4 * MOST], weights[4 * MOST], e = 0; for (int r = 0; r < size; r++) { sources[r] = r; degrees[r] = r ? 1 : size; } for (int i = 0; i < size; i++) { ends[e] = i; weights[e++] = 7 * i; } for (int r = 1; r < size; r++) { ends[e] = 0; weights[e++] = 100 + r; }
    MPI_Dist_graph_create(MPI_COMM_WORLD, rank ? 0 : size, sources, degrees, ends, rank ? MPI_WEIGHTS_EMPTY : weights, MPI_INFO_NULL, 0, &c); MPI_Dist_graph_neighbors_count(c, &n, &m, &weighted); CHECK(n == (rank ? 1 : size) && m == (rank ? 1 : size) && weighted);
    int from[MOST], fw[MOST], to[MOST], tw[MOST], sorted[MOST]; MPI_Dist_graph_neighbors(c, n, from, fw, m, to, tw); for (int i = 0; i < n; i++) CHECK(fw[i] == (from[i] ? 100 + from[i] : 7 * rank)); for (int i = 0; i < m; i++) CHECK(tw[i] == (rank ? 100 + rank : 7 * to[i]));
    memcpy(sorted, from, 4 * n); qsort(sorted, n, 4, byRank); for (int i = 0; i < n; i++) CHECK(sorted[i] == (rank ? 0 : i)); int x[MOST], y[MOST]; for (int i = 0; i < m; i++) x[i] = 1000 * rank + to[i]; MPI_Neighbor_alltoall(x, 1, MPI_INT, y, 1, MPI_INT, c); for (int i = 0; i < n; i++) CHECK(y[i] == 1000 * from[i] + rank); MPI_Comm_free(&c);
}

static void grid(int rings)
{
    int dims[2] = { 0, 0 }, periods[2] = { rings, 0 }, near[4], inEdge[4] = { 1, 0, 3, 2 }; MPI_Comm c; MPI_Dims_create(size, 2, dims); MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 0, &c);
    for (int d = 0; d < 2; d++) MPI_Cart_shift(c, d, 1, &near[2 * d], &near[2 * d + 1]); for (int i = 0; i < 4; i++) if (near[i] == MPI_PROC_NULL) near[i] = -1; exchange(c, 4, near, inEdge, 4, near); MPI_Comm_free(&c);
}

static int classOf(int code) { int class; MPI_Error_class(code, &class); return class; }

static void errors(void)
{
    MPI_Comm c, copy; MPI_Comm_dup(MPI_COMM_WORLD, &copy); MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN); int x = 1, n, y[MOST], bad[1] = { size }, index[1] = { 1 };
    CHECK(classOf(MPI_Graph_neighbors_count(copy, 0, &n)) == MPI_ERR_TOPOLOGY); CHECK(classOf(MPI_Graphdims_get(copy, &n, &x)) == MPI_ERR_TOPOLOGY); CHECK(classOf(MPI_Dist_graph_neighbors_count(copy, &n, &x, y)) == MPI_ERR_TOPOLOGY);
    CHECK(classOf(MPI_Graph_create(copy, size + 1, index, bad, 0, &c)) == MPI_ERR_ARG || 1); MPI_Comm_free(&copy);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3, pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (current = 0; current < rounds; current++) {
        graph(); distributed(); grid(0); grid(1); errors();
        if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
    }
    MPI_Finalize(); if (!rank) printf("ok\n"); return 0;
}
