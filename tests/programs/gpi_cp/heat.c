/* The heat equation on ranks that die, with GPI_CP's calls in the order of its example "stencil": start and commit every so many steps; when a call fails, spares take over and all go on from what was committed.
   heat ACTIVE STEPS EVERY ROWS [RANK:WHERE:STEP ...]
   The first ACTIVE ranks compute, the others are spares. RANK dies at the checkpoint of STEP: right after "start", somewhere in "commit", or in the next "restore". With HEAT_MPI the program is one of MPI too. */
#define _GNU_SOURCE
#include <gpi_cp.h>
#ifdef HEAT_MPI
#include <mpi.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { Columns = 64, WorkSegment = 0, StateSegment = 3, Queue = 0 };

static int actives, steps, every, rows, kills;
static char **kill_words;
static gaspi_rank_t rank, place = GPI_CP_NO_PLACE;
static gaspi_group_t group;
static gaspi_rank_t *members;
static gpi_cp_description_t description;
static double *field; /* [2 parities][2 ghosts] rows of neighbours, then the rows of this place */
static long *state;   /* step, then the rows: what is saved */

static size_t row_bytes(void) { return Columns * sizeof(double); }
static double *own_row(int row) { return field + (4 + row) * Columns; }

static void *die_soon(void *pause) {
    for (volatile long i = (long)pause; i > 0; i--) { }
    kill(getpid(), SIGKILL);
    return NULL;
}

static void die(const char *where, int step) {
    for (int i = 0; i < kills; i++) {
        int victim, at;
        char word[16];
        if (sscanf(kill_words[i], "%d:%15[a-z]:%d", &victim, word, &at) != 3 || victim != rank || at > step || strcmp(word, where)) continue;
        if (!strcmp(where, "start")) kill(getpid(), SIGKILL);
        pthread_t thread;
        pthread_create(&thread, NULL, die_soon, (void *)(long)(getpid() * 7919 % 200000));
    }
}

static void learn_members(void) {
    gaspi_group_ranks(group, members);
}

/* Rows go into the neighbours' ghost rows of this step's parity, so that one that is a step ahead disturbs nobody. */
static int exchange(int step) {
    int parity = step & 1, expected = 0;
    size_t ghosts = 2 * parity * row_bytes();
    if (place > 0) {
        if (gaspi_write_notify(WorkSegment, 4 * row_bytes(), members[place - 1], WorkSegment, ghosts + row_bytes(), row_bytes(), 2 * parity + 1, step + 1, Queue, GASPI_BLOCK)) return 0;
        expected++;
    }
    if (place < actives - 1) {
        if (gaspi_write_notify(WorkSegment, (4 + rows - 1) * row_bytes(), members[place + 1], WorkSegment, ghosts, row_bytes(), 2 * parity, step + 1, Queue, GASPI_BLOCK)) return 0;
        expected++;
    }
    if (gaspi_wait(Queue, GASPI_BLOCK)) return 0;
    for (; expected > 0; expected--) {
        gaspi_notification_id_t found;
        gaspi_notification_t value;
        if (gaspi_notify_waitsome(WorkSegment, 2 * parity, 2, &found, GASPI_BLOCK) || gaspi_notify_reset(WorkSegment, found, &value)) return 0;
        if (value != (gaspi_notification_t)step + 1) {
            printf("wrong notification\n");
            exit(4);
        }
    }
    return 1;
}

static void compute(int step) {
    double *above = field + 2 * (step & 1) * Columns, *below = above + Columns, *next = malloc(rows * row_bytes());
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < Columns; c++) {
            double up = r > 0 ? own_row(r - 1)[c] : place > 0 ? above[c] : 100.0, down = r < rows - 1 ? own_row(r + 1)[c] : place < actives - 1 ? below[c] : 0.0;
            next[r * Columns + c] = 0.25 * (up + down + own_row(r)[c > 0 ? c - 1 : c] + own_row(r)[c < Columns - 1 ? c + 1 : c]);
        }
    memcpy(own_row(0), next, rows * row_bytes());
    free(next);
}

static size_t state_bytes(void) { return sizeof(long) + rows * row_bytes(); }

static int checkpoint(int step) {
    state[0] = step;
    memcpy(state + 1, own_row(0), rows * row_bytes());
    if (gpi_cp_start(description, GASPI_BLOCK)) return 0;
    die("start", step);
    die("commit", step);
    gaspi_return_t result;
    /* In pieces: a commit that timed out goes on. */
    while ((result = gpi_cp_commit(description, 1)) == GASPI_TIMEOUT) { }
    if (result) return 0;
    if (place == 0) printf("taken %d\n", step);
    return 1;
}

/* Until a group stands that has what was committed; 0: a spare that is not needed. */
static int recover(int step) {
    for (;;) {
        gaspi_group_t taken;
        gaspi_notification_t value;
        if (gpi_cp_takeover(group, &taken, &place, GASPI_BLOCK)) {
            printf("no takeover\n");
            exit(3);
        }
        if (place == GPI_CP_NO_PLACE) return 0;
        group = taken;
        for (int i = 0; i < 4; i++) gaspi_notify_reset(WorkSegment, i, &value);
        die("restore", step);
        if (gpi_cp_restore(StateSegment, 0, state_bytes(), Queue, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK) == GASPI_SUCCESS) break;
    }
    learn_members();
    memcpy(own_row(0), state + 1, rows * row_bytes());
    if (place == 0) printf("restored %ld\n", state[0]);
    return 1;
}

/* A sum over all ranks that no other field has. */
static int add_up(unsigned long *sum) {
    unsigned long hash = 14695981039346656037ul;
    gaspi_return_t result;
    for (size_t i = 0; i < rows * row_bytes(); i++) hash = (hash ^ ((unsigned char *)own_row(0))[i]) * 1099511628211ul;
    hash *= place + 1;
    while ((result = gaspi_allreduce(&hash, sum, 1, GASPI_OP_SUM, GASPI_TYPE_ULONG, group, 5)) == GASPI_TIMEOUT) { }
    return result == GASPI_SUCCESS;
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count < 5) return 2;
#ifdef HEAT_MPI
    int mpi_rank;
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi_rank);
#endif
    actives = atoi(words[1]), steps = atoi(words[2]), every = atoi(words[3]), rows = atoi(words[4]);
    kills = count - 5, kill_words = words + 5;
    members = calloc(actives, sizeof *members);
    gaspi_pointer_t pointer;
    if (gaspi_proc_init(GASPI_BLOCK)) return 3;
    gaspi_proc_rank(&rank);
#ifdef HEAT_MPI
    if (mpi_rank != rank) return 4;
#endif
    printf("rank %d pid %d\n", rank, getpid());
    if (gaspi_segment_alloc(WorkSegment, (4 + rows) * row_bytes(), GASPI_MEM_INITIALIZED) || gaspi_segment_ptr(WorkSegment, &pointer)) return 3;
    field = pointer;
    if (gaspi_segment_alloc(StateSegment, state_bytes(), GASPI_MEM_INITIALIZED) || gaspi_segment_ptr(StateSegment, &pointer)) return 3;
    state = pointer;
    if (gaspi_barrier(GASPI_GROUP_ALL, GASPI_BLOCK)) return 3;
    description = GPI_CP_DESCRIPTION_INITIALIZER();
    int step = 0;
    if (rank < actives) {
        if (gaspi_group_create(&group)) return 3;
        for (int i = 0; i < actives; i++)
            if (gaspi_group_add(group, i)) return 3;
        if (gaspi_group_commit(group, GASPI_BLOCK)) return 3;
        place = rank;
        learn_members();
        if (gpi_cp_init(StateSegment, 0, state_bytes(), Queue, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK)) return 3;
    } else {
        group = GASPI_GROUP_ALL;
        if (!recover(0)) goto end;
        step = state[0];
    }
    unsigned long sum;
    for (;;) {
        if (step < steps) {
            int good = step % every != 0 || (state[0] == step && step > 0) || checkpoint(step);
            if (good && exchange(step)) {
                compute(step);
                step++;
                if (place == 0) printf("step %d\n", step);
                continue;
            }
        } else if (add_up(&sum)) break;
        recover(step);
        step = state[0];
    }
    if (place == 0) printf("sum %lx\n", sum);
    if (gpi_cp_finalize(description, GASPI_BLOCK)) printf("not finalized\n");
end:
    free(description);
    if (gaspi_proc_term(GASPI_BLOCK)) return 3;
#ifdef HEAT_MPI
    MPI_Finalize();
#endif
    return 0;
}
