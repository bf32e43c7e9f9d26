// shared ROUNDS [MILLISECONDS]: memory that ranks share (MPI_Win_allocate_shared), read and written by loads and stores, by one-sided calls, in windows that live through all checkpoints and in new ones;
// prints "round N" at rank 0 after each and "ok" at the end. Works with any number of ranks.
#include <mpi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, current, ours;
static MPI_Comm node;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)

enum { N = 30000 };
struct slot { _Atomic long turns, sum; long numbers[N]; };

static struct slot *of(MPI_Win w, int r) { MPI_Aint bytes; int unit; struct slot *s; MPI_Win_shared_query(w, r, &bytes, &unit, &s); CHECK(bytes == sizeof *s && unit == 8); return s; }

// A token goes round by stores alone: who does not see the others' stores never gets on.
static void token(MPI_Win w, int r)
{
    struct slot *mine = of(w, rank), *left = of(w, (rank + size - 1) % size);
    for (int i = 0; i < 20; i++) {
        long turn = 20L * r + i;
        if (rank) while (atomic_load(&left->turns) <= turn) { struct timespec d = { 0, 100000 }; nanosleep(&d, 0); }
        else if (size > 1) while (atomic_load(&left->turns) < turn) { struct timespec d = { 0, 100000 }; nanosleep(&d, 0); }
        CHECK(atomic_load(&mine->turns) == turn); atomic_store(&mine->turns, turn + 1);
    }
}

static void neighbours(MPI_Win w, int r)
{
    struct slot *mine = of(w, rank), *right = of(w, (rank + 1) % size);
    MPI_Win_fence(0, w); for (int i = 0; i < N; i++) mine->numbers[i] = rank * 1000000L + i + r; atomic_thread_fence(memory_order_seq_cst); MPI_Barrier(node);
    for (int i = 0; i < N; i++) CHECK(right->numbers[i] == (rank + 1) % size * 1000000L + i + r);
    MPI_Win_fence(0, w); right->numbers[5] = -rank - r; MPI_Win_fence(0, w); CHECK(mine->numbers[5] == -((rank + size - 1) % size) - r);
    long seen = -1; MPI_Get(&seen, 1, MPI_LONG, (rank + 1) % size, 2 + 7, 1, MPI_LONG, w); MPI_Win_fence(0, w); CHECK(seen == (rank + 1) % size * 1000000L + 7 + r);
    seen = 77 + r; MPI_Put(&seen, 1, MPI_LONG, (rank + 1) % size, 2 + 8, 1, MPI_LONG, w); MPI_Win_fence(0, w); CHECK(mine->numbers[8] == 77 + r);
    for (int i = 0; i < 100; i++) atomic_fetch_add(&of(w, 0)->sum, 1); MPI_Barrier(node); CHECK(atomic_load(&of(w, 0)->sum) == 100L * size * (r + 1)); MPI_Barrier(node);
}

static void fresh(int r)
{
    // Ranks with different sizes, one with none; apart, and one behind the other.
    for (int apart = 0; apart < 2; apart++) {
        MPI_Info info; MPI_Info_create(&info); if (apart) MPI_Info_set(info, "alloc_shared_noncontig", "true");
        MPI_Win w; int *p, *q, unit; MPI_Aint own = rank == 1 ? 0 : 4 * (10 + rank), bytes; MPI_Win_allocate_shared(own, 4, info, node, &p, &w); MPI_Info_free(&info);
        for (int i = 0; i < own / 4; i++) { CHECK(p[i] == 0); p[i] = rank * 100 + i; } MPI_Barrier(node);
        for (int other = 0; other < size; other++) { MPI_Win_shared_query(w, other, &bytes, &unit, &q); long items = other == 1 ? 0 : 10 + other; if (ours) CHECK(bytes == 4 * items && unit == 4); /* Open MPI says whole pages */ for (int i = 0; i < items; i++) CHECK(q[i] == other * 100 + i); if (ours && apart) CHECK((long)q % 4096 == 0); }
        int *first; MPI_Win_shared_query(w, MPI_PROC_NULL, &bytes, &unit, &first); CHECK(first[9] == 9); if (ours) CHECK(bytes == 40); MPI_Win_shared_query(w, 0, &bytes, &unit, &q); CHECK(q == first);
        if (!apart && size > 2) { MPI_Win_shared_query(w, 2, &bytes, &unit, &q); CHECK(q == first + 10); }
        void *value; int flag; MPI_Win_get_attr(w, MPI_WIN_CREATE_FLAVOR, &value, &flag); CHECK(flag && *(int *)value == MPI_WIN_FLAVOR_SHARED);
        MPI_Barrier(node); MPI_Win_free(&w);
    }
}

int main(int argc, char **argv)
{
    int rounds = atoi(argv[1]), pause = argc > 2 ? atoi(argv[2]) : 0; ours = getenv("TRECR_SESSION") != 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node); int on; MPI_Comm_size(node, &on); CHECK(on == size);
    struct slot *mine; MPI_Win w; MPI_Win_allocate_shared(sizeof *mine, 8, MPI_INFO_NULL, node, &mine, &w);
    for (int r = 0; r < rounds; r++) {
        current = r; token(w, r); neighbours(w, r); fresh(r);
        if (!rank) { printf("round %d\n", r); fflush(stdout); } if (pause) { struct timespec d = { pause / 1000, pause % 1000 * 1000000L }; nanosleep(&d, 0); }
    }
    MPI_Win_free(&w); MPI_Barrier(MPI_COMM_WORLD); if (!rank) printf("ok\n"); MPI_Finalize(); return 0;
}
