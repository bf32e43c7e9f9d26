/* bench MIB PERCENT ROUNDS: medians of rank 0, in milliseconds: how long gpi_cp_start holds the program up; from there until gpi_cp_commit has returned; and a copy of as many bytes into shared memory (what changed is not looked for), all
   ranks at a time, as the checkpoints are. */
#define _GNU_SOURCE
#include <gpi_cp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define GOOD(call) do { if ((call) != GASPI_SUCCESS) { fprintf(stderr, "line %d\n", __LINE__); exit(1); } } while (0)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    size_t bytes = (size_t)atol(argv[1]) << 20, pages = bytes / 4096;
    int percent = atoi(argv[2]), rounds = atoi(argv[3]);
    double *start = calloc(rounds, 8), *commit = calloc(rounds, 8), *copy = calloc(rounds, 8);
    gaspi_rank_t rank;
    gaspi_pointer_t pointer;
    GOOD(gaspi_proc_init(GASPI_BLOCK));
    GOOD(gaspi_proc_rank(&rank));
    GOOD(gaspi_segment_create(0, bytes, GASPI_GROUP_ALL, GASPI_BLOCK, GASPI_MEM_INITIALIZED));
    GOOD(gaspi_segment_ptr(0, &pointer));
    long *memory = pointer;
    char *halves[2];
    for (int i = 0; i < 2; i++) halves[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    gpi_cp_description_t description = GPI_CP_DESCRIPTION_INITIALIZER();
    GOOD(gpi_cp_init(0, 0, bytes, 0, GPI_CP_POLICY_RING, GASPI_GROUP_ALL, description, GASPI_BLOCK));
    for (int i = -4; i < rounds; i++) { /* the first ones find no memory yet */
        int at = i < 0 ? 0 : i;
        /* Both halves differ from what comes by what changed in two rounds, so that half of it is changed in each. */
        for (size_t page = 0; page < pages; page++)
            if (percent == 100 || (page + i) % (200 / percent) == 0)
                for (int word = 0; word < 512; word += percent == 100 ? 1 : 512) memory[page * 512 + word] = i * 1000003L + page + word;
        GOOD(gaspi_barrier(GASPI_GROUP_ALL, GASPI_BLOCK));
        double begin = now();
        GOOD(gpi_cp_start(description, GASPI_BLOCK));
        start[at] = now() - begin;
        GOOD(gpi_cp_commit(description, GASPI_BLOCK));
        commit[at] = now() - begin;
        GOOD(gaspi_barrier(GASPI_GROUP_ALL, GASPI_BLOCK));
        begin = now();
        memcpy(halves[i & 1], memory, bytes);
        GOOD(gaspi_barrier(GASPI_GROUP_ALL, GASPI_BLOCK));
        copy[at] = now() - begin;
    }
    qsort(start, rounds, 8, by_size), qsort(commit, rounds, 8, by_size), qsort(copy, rounds, 8, by_size);
    if (rank == 0) printf("%.2f %.1f %.1f\n", start[rounds / 2], commit[rounds / 2], copy[rounds / 2]);
    GOOD(gpi_cp_finalize(description, GASPI_BLOCK));
    return gaspi_proc_term(GASPI_BLOCK);
}
