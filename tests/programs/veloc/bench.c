/* How long a checkpoint holds a program up, and how long until it is durable. bench CONFIGURATION|plain:PATH MIB PERCENT ROUNDS [FLAGS]: one line with both medians in ms.
   plain: a write and an fsync of the same bytes; copy: a copy of them in memory. FLAGS: VELOC-GPU's, 0 DEFAULT, 1 READ_ONLY. PERCENT of the pages change between checkpoints, the first one is not counted. */
#define VELOC_WITHOUT_MPI
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "veloc.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

static void fail(const char *what) {
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 5) fail("arguments");
    size_t bytes = (size_t)atol(argv[2]) << 20, pages = bytes / 4096;
    int percent = atoi(argv[3]), rounds = atoi(argv[4]), plain = !strncmp(argv[1], "plain:", 6), copies = !strcmp(argv[1], "copy");
    char *memory = malloc(bytes), *second = copies ? malloc(bytes) : NULL;
    if (copies) memset(second, 1, bytes);
    double *blocking = calloc(rounds, sizeof *blocking), *durable = calloc(rounds, sizeof *durable);
    uint64_t state = 88172645463325252u;
    if (!plain && !copies && (VELOC_Init_single(0, argv[1]) || (argc > 5 ? VELOC_Mem_protect_flags(0, memory, bytes, 1, atoi(argv[5]), 0) : VELOC_Mem_protect(0, memory, bytes, 1)))) fail("init");
    for (int round = -1; round < rounds; round++) {
        for (size_t page = 0; page < pages; page++) {
            if (round >= 0 && percent < 100 && page * 100 / pages % 100 >= (size_t)percent) continue;
            uint64_t *words = (uint64_t *)(memory + page * 4096);
            for (int i = 0; i < 512; i++) {
                state ^= state << 13, state ^= state >> 7, state ^= state << 17;
                words[i] = state & 0xffffffff; /* half of each word is zero: compresses like numbers of a simulation */
            }
        }
        double begun = now(), free_again, end;
        if (plain) {
            int fd = open(argv[1] + 6, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            for (size_t done = 0; done < bytes;) {
                ssize_t n = write(fd, memory + done, bytes - done);
                if (n <= 0) fail("write");
                done += n;
            }
            if (fsync(fd) || close(fd)) fail("fsync");
            free_again = end = now();
        } else if (copies) {
            memcpy(second, memory, bytes);
            __asm__ volatile("" : : "r"(second) : "memory");
            free_again = end = now();
        } else {
            if (VELOC_Checkpoint("bench", round + 1)) fail("checkpoint");
            free_again = now();
            if (VELOC_Checkpoint_wait()) fail("wait");
            end = now();
        }
        if (round >= 0) blocking[round] = free_again - begun, durable[round] = end - begun;
    }
    if (!plain && !copies && VELOC_Finalize(1)) fail("finalize");
    qsort(blocking, rounds, sizeof *blocking, by_value);
    qsort(durable, rounds, sizeof *durable, by_value);
    printf("%.2f %.2f\n", blocking[rounds / 2], durable[rounds / 2]);
    return 0;
}
