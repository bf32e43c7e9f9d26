// windows ROUNDS [MILLISECONDS]: one-sided calls of every kind, in every kind of epoch, checked against what the standard says, again and again; prints "round N" at rank 0 after each and "ok" at the end. Works with any number of ranks.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, right, left, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }

enum { N = 40000 };

static void fences(MPI_Win w, long *mine, int r)
{
    for (int i = 0; i < N; i++) mine[i] = -1;
    MPI_Win_fence(0, w);
    long *a = malloc(8 * N), *b = malloc(8 * N); for (int i = 0; i < N; i++) a[i] = rank * 1000000L + i + r;
    MPI_Put(a, N, MPI_LONG, right, 0, N, MPI_LONG, w); memset(b, 1, 8 * N); memset(a, 2, 8); MPI_Win_fence(0, w); // of the standard a[0] may change only now; a copy was made
    CHECK(mine[1] == left * 1000000L + 1 + r); for (int i = 1; i < N; i++) CHECK(mine[i] == left * 1000000L + i + r);
    MPI_Get(b, N, MPI_LONG, right, 0, N, MPI_LONG, w); MPI_Win_fence(0, w); for (int i = 1; i < N; i++) CHECK(b[i] == rank * 1000000L + i + r);
    // every second long of the target, out of a packed origin
    MPI_Datatype v; MPI_Type_vector(10, 1, 2, MPI_LONG, &v); MPI_Type_commit(&v); for (int i = 0; i < 10; i++) a[i] = 7 * i + rank + r;
    MPI_Put(a, 10, MPI_LONG, right, 100, 1, v, w); MPI_Win_fence(0, w); for (int i = 0; i < 20; i++) CHECK(mine[100 + i] == (i % 2 ? left * 1000000L + 100 + i + r : 7 * (i / 2) + left + r));
    MPI_Get(b, 1, v, left, 100, 1, v, w); MPI_Win_fence(0, w); for (int i = 0; i < 10; i++) CHECK(b[2 * i] == 7 * i + (left + size - 1) % size + r);
    MPI_Type_free(&v);
#if MPI_VERSION >= 4
    MPI_Get_c(b, 5, MPI_LONG, left, 3, 5, MPI_LONG, w); MPI_Win_fence(0, w); CHECK(b[0] == (left + size - 1) % size * 1000000L + 3 + r);
#endif
    // everybody adds to rank 0
    if (!rank) for (int i = 0; i < N; i++) mine[i] = i; MPI_Win_fence(0, w); for (int i = 0; i < N; i++) a[i] = rank + 1;
    MPI_Accumulate(a, N, MPI_LONG, 0, 0, N, MPI_LONG, MPI_SUM, w); MPI_Win_fence(MPI_MODE_NOSUCCEED, w); if (!rank) for (int i = 0; i < N; i++) CHECK(mine[i] == i + size * (size + 1) / 2);
    free(a); free(b);
}

static void locks(MPI_Win w, long *mine, int r)
{
    int zero = 0; long one = 1, before, seen[64];
    MPI_Win_lock(MPI_LOCK_EXCLUSIVE, rank, 0, w); for (int i = 0; i < 64; i++) mine[i] = 0; MPI_Win_unlock(rank, w); MPI_Barrier(MPI_COMM_WORLD);
    // a counter, read and written under an exclusive lock
    for (int i = 0; i < 5; i++) { MPI_Win_lock(MPI_LOCK_EXCLUSIVE, zero, 0, w); MPI_Get(&before, 1, MPI_LONG, zero, 0, 1, MPI_LONG, w); MPI_Win_flush(zero, w); before++; MPI_Put(&before, 1, MPI_LONG, zero, 0, 1, MPI_LONG, w); MPI_Win_unlock(zero, w); }
    // tickets, while rank 0 computes and calls nothing
    MPI_Win_lock_all(0, w);
    double start = now(); if (!rank && size > 1) while (now() - start < 0.02); else for (int i = 0; i < 5; i++) { MPI_Fetch_and_op(&one, &before, MPI_LONG, zero, 1, MPI_SUM, w); MPI_Win_flush(zero, w); CHECK(before >= 0 && before < 5 * size); }
    int target = right; long swap = rank + 100, expect = 0, old = -1; MPI_Compare_and_swap(&swap, &expect, &old, MPI_LONG, target, 2, w); MPI_Win_flush(target, w); CHECK(old == 0);
    MPI_Compare_and_swap(&swap, &expect, &old, MPI_LONG, target, 2, w); MPI_Win_flush(target, w); CHECK(old == rank + 100);
    MPI_Request q; long got = -1, add = 5; MPI_Rget_accumulate(&add, 1, MPI_LONG, &got, 1, MPI_LONG, target, 3, 1, MPI_LONG, MPI_REPLACE, w, &q); MPI_Wait(&q, MPI_STATUS_IGNORE); CHECK(got == 0);
    MPI_Get_accumulate(NULL, 0, MPI_LONG, &got, 1, MPI_LONG, target, 3, 1, MPI_LONG, MPI_NO_OP, w); MPI_Win_flush_local(target, w); CHECK(got == 5);
    MPI_Rput(&swap, 1, MPI_LONG, target, 4, 1, MPI_LONG, w, &q); MPI_Wait(&q, MPI_STATUS_IGNORE); MPI_Raccumulate(&one, 1, MPI_LONG, target, 4, 1, MPI_LONG, MPI_SUM, w, &q); MPI_Wait(&q, MPI_STATUS_IGNORE); MPI_Win_flush_all(w);
    MPI_Rget(&got, 1, MPI_LONG, target, 4, 1, MPI_LONG, w, &q); MPI_Wait(&q, MPI_STATUS_IGNORE); CHECK(got == rank + 101);
    MPI_Put(&one, 1, MPI_LONG, MPI_PROC_NULL, 0, 1, MPI_LONG, w);
    MPI_Win_unlock_all(w); MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock(MPI_LOCK_SHARED, zero, 0, w); MPI_Get(seen, 64, MPI_LONG, zero, 0, 64, MPI_LONG, w); MPI_Win_sync(w); MPI_Win_unlock(zero, w);
    CHECK(seen[0] == 5 * size); CHECK(seen[1] == 5 * (size > 1 ? size - 1 : 1)); CHECK(mine[2] == left + 100); MPI_Barrier(MPI_COMM_WORLD);
}

static void groups(MPI_Win w, long *mine, int r)
{
    MPI_Group world, from, to; MPI_Comm_group(MPI_COMM_WORLD, &world); MPI_Group_incl(world, 1, &left, &from); MPI_Group_incl(world, 1, &right, &to);
    mine[0] = -5; long a = rank * 10 + r, b; int flag = 0;
    MPI_Win_post(from, 0, w); MPI_Win_start(to, 0, w); MPI_Put(&a, 1, MPI_LONG, right, 0, 1, MPI_LONG, w); MPI_Win_complete(w); MPI_Win_wait(w); CHECK(mine[0] == left * 10 + r);
    MPI_Win_post(from, 0, w); MPI_Win_start(to, 0, w); MPI_Get(&b, 1, MPI_LONG, right, 0, 1, MPI_LONG, w); MPI_Win_complete(w); CHECK(b == a); while (!flag) MPI_Win_test(w, &flag);
    MPI_Group_free(&world); MPI_Group_free(&from); MPI_Group_free(&to);
}

static void dynamic(int r)
{
    MPI_Win w; long cell[3] = { rank, -1, r }; MPI_Aint here, there; MPI_Win_create_dynamic(MPI_INFO_NULL, MPI_COMM_WORLD, &w); MPI_Win_attach(w, cell, sizeof cell); MPI_Get_address(cell, &here);
    MPI_Sendrecv(&here, 1, MPI_AINT, left, 1, &there, 1, MPI_AINT, right, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    long v = rank + 50; MPI_Win_lock(MPI_LOCK_EXCLUSIVE, right, 0, w); MPI_Put(&v, 1, MPI_LONG, right, MPI_Aint_add(there, 8), 1, MPI_LONG, w); MPI_Win_unlock(right, w); MPI_Barrier(MPI_COMM_WORLD); CHECK(cell[0] == rank && cell[1] == left + 50 && cell[2] == r);
    MPI_Win_detach(w, cell); MPI_Win_free(&w); CHECK(w == MPI_WIN_NULL);
}

static int deleted; static int on_delete(MPI_Win w, int key, void *value, void *extra) { deleted += (int)(long)value; return MPI_SUCCESS; }
static MPI_Win failed_on; static int failed_with; static void on_error(MPI_Win *w, int *code, ...) { failed_on = *w; MPI_Error_class(*code, &failed_with); }

static void properties(int r)
{
    MPI_Win w; int *p, flag, n, key; void *value; char name[MPI_MAX_OBJECT_NAME]; MPI_Win_allocate(64, 4, MPI_INFO_NULL, MPI_COMM_WORLD, &p, &w); for (int i = 0; i < 16; i++) CHECK(p[i] == 0); memset(p, 255, 64);
    MPI_Win_get_attr(w, MPI_WIN_BASE, &value, &flag); CHECK(flag && value == p); MPI_Win_get_attr(w, MPI_WIN_SIZE, &value, &flag); CHECK(flag && *(MPI_Aint *)value == 64); MPI_Win_get_attr(w, MPI_WIN_DISP_UNIT, &value, &flag); CHECK(flag && *(int *)value == 4);
    MPI_Win_get_attr(w, MPI_WIN_CREATE_FLAVOR, &value, &flag); CHECK(flag && *(int *)value == MPI_WIN_FLAVOR_ALLOCATE); MPI_Win_get_attr(w, MPI_WIN_MODEL, &value, &flag); CHECK(flag && *(int *)value == MPI_WIN_UNIFIED);
    MPI_Win_set_name(w, "field"); MPI_Win_get_name(w, name, &n); CHECK(n == 5 && !strcmp(name, "field")); MPI_Group g; MPI_Win_get_group(w, &g); MPI_Group_size(g, &n); CHECK(n == size); MPI_Group_free(&g);
    MPI_Win_create_keyval(MPI_WIN_NULL_COPY_FN, on_delete, &key, NULL); MPI_Win_set_attr(w, key, (void *)3L); MPI_Win_get_attr(w, key, &value, &flag); CHECK(flag && value == (void *)3L);
    MPI_Errhandler h; MPI_Win_create_errhandler(on_error, &h); MPI_Win_set_errhandler(w, h); failed_with = 0; int x = 1; MPI_Win_fence(0, w);
    MPI_Put(&x, -1, MPI_INT, right, 0, 1, MPI_INT, w); CHECK(failed_on == w && failed_with == MPI_ERR_COUNT); MPI_Win_set_errhandler(w, MPI_ERRORS_RETURN);
    if (getenv("TRECR_SESSION")) { MPI_Error_class(MPI_Put(&x, 1, MPI_INT, right, 16, 1, MPI_INT, w), &n); CHECK(n == MPI_ERR_RMA_RANGE); } // the libraries write there
    MPI_Error_class(MPI_Put(&x, 1, MPI_INT, size, 0, 1, MPI_INT, w), &n); CHECK(n == MPI_ERR_RANK);
    MPI_Win_fence(MPI_MODE_NOSUCCEED, w); MPI_Error_class(MPI_Put(&x, 1, MPI_INT, right, 0, 1, MPI_INT, w), &n); CHECK(n == MPI_ERR_RMA_SYNC); MPI_Error_class(MPI_Win_unlock(0, w), &n); CHECK(n == MPI_ERR_RMA_SYNC);
    MPI_Win own; long *q; MPI_Aint bytes; MPI_Win_allocate_shared(8, 8, MPI_INFO_NULL, MPI_COMM_SELF, &q, &own); *q = 7; MPI_Win_shared_query(own, 0, &bytes, &n, &value); CHECK(bytes == 8 && n == 8 && *(long *)value == 7); MPI_Win_free(&own);
    deleted = 0; MPI_Errhandler_free(&h); MPI_Win_free(&w); CHECK(deleted == 3); MPI_Win_free_keyval(&key);
}

int main(int argc, char **argv)
{
    int rounds = atoi(argv[1]), pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size); right = (rank + 1) % size; left = (rank + size - 1) % size;
    long *mine = malloc(8 * N); MPI_Win w; MPI_Win_create(mine, 8 * N, 8, MPI_INFO_NULL, MPI_COMM_WORLD, &w); // this one lives through all checkpoints
    for (int r = 0; r < rounds; r++) {
        current = r; fences(w, mine, r); locks(w, mine, r); groups(w, mine, r); dynamic(r); properties(r);
        if (!rank) { printf("round %d\n", r); fflush(stdout); } if (pause) { struct timespec d = { pause / 1000, pause % 1000 * 1000000L }; nanosleep(&d, 0); }
    }
    MPI_Win_free(&w); free(mine); MPI_Barrier(MPI_COMM_WORLD); if (!rank) printf("ok\n"); MPI_Finalize(); return 0;
}
