// A program with N MiB of host memory that prints the longest gap a thread of it sees between two looks at the clock, 50 µs apart.
// memory MIB DIRTY_PERCENT_PER_SECOND SECONDS; prints "ready" once the memory is filled, then at the end (after SECONDS; 0: when standard input ends) "longest_gap_us N sum HEX".
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_int stop;
static atomic_ullong longest;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *watch(void *unused)
{
    uint64_t last = now_ns();
    while (!atomic_load(&stop)) {
        struct timespec pause = {0, 50000};
        nanosleep(&pause, NULL);
        uint64_t t = now_ns();
        if (t - last > atomic_load(&longest)) atomic_store(&longest, t - last);
        last = t;
    }
    return unused;
}

int main(int argc, char **argv)
{
    if (argc != 4) return fprintf(stderr, "usage: memory MIB DIRTY_PERCENT SECONDS\n"), 2;
    size_t words = (size_t)atol(argv[1]) << 17, pages = words / 512;
    double dirty_percent = atof(argv[2]), seconds = atof(argv[3]);
    uint64_t *memory = malloc(words * 8), state = 88172645463325252ull;
    if (!memory) return perror("malloc"), 1;
    for (size_t i = 0; i < words; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        memory[i] = state;
    }
    pthread_t watcher;
    pthread_create(&watcher, NULL, watch, NULL);
    printf("ready\n");
    fflush(stdout);
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    size_t per_tick = (size_t)(pages * dirty_percent / 100 / 100), at = 0;
    struct pollfd input = {0, POLLIN, 0};
    while (seconds > 0 ? now_ns() < end : poll(&input, 1, 0) == 0) {
        for (size_t i = 0; i < per_tick; i++) {
            memory[at * 512] += 1;
            at = (at + 7919) % pages;
        }
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
    }
    atomic_store(&stop, 1);
    pthread_join(watcher, NULL);
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++) sum += memory[i] * (2 * i + 1);
    printf("longest_gap_us %llu sum %016llx\n", (unsigned long long)(atomic_load(&longest) / 1000), (unsigned long long)sum);
    return 0;
}
