// dirty MIB THREADS PERCENT SECONDS [busy]: holds memory of random bytes, rewrites PERCENT of its pages a second, with THREADS threads that compute and sleep in turn (busy: compute only). One thread reads the clock all
// the time: it prints each gap over 3 ms with the real time at its end, so that the reader knows when the program ran again. Busy: instead of that, rounds of work and processor time each second ("sample WORK NS").
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
static volatile int stop; static int busy; static unsigned char *memory; static long pages, perSecond; static volatile unsigned long work[256];
static long long now(int c) { struct timespec t; clock_gettime(c, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static void *writer(void *a) { unsigned long x = 88172645463325252UL; while (!stop) { for (long i = 0; i < perSecond / 100; i++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; memory[x % pages * 4096 + x % 4096]++; } usleep(10000); } return 0; }
static void *worker(void *a) { long i = (long)a; while (!stop) { for (int k = 0; k < 20000; k++) work[i]++; if (!busy) usleep(2000); } return 0; }
static void *clockReader(void *a) { long long last = now(CLOCK_MONOTONIC); while (!stop) { long long t = now(CLOCK_MONOTONIC); if (t - last > 3000000) { printf("gap %lld us at %lld\n", (t - last) / 1000, now(CLOCK_REALTIME) / 1000); fflush(stdout); } last = t; struct timespec s = { 0, 50000 }; nanosleep(&s, 0); } return 0; }
int main(int argc, char **argv)
{
    long bytes = atol(argv[1]) << 20; int threads = atoi(argv[2]); pages = bytes / 4096; perSecond = pages * atof(argv[3]) / 100; double seconds = atof(argv[4]); busy = argc > 5;
    memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); if (memory == MAP_FAILED) return 1;
    unsigned long x = now(CLOCK_MONOTONIC) | 1; for (long i = 0; i < bytes / 8; i++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; ((unsigned long *)memory)[i] = x; }
    pthread_t t; if (perSecond > 0) pthread_create(&t, 0, writer, 0); for (long i = 0; i < threads; i++) pthread_create(&t, 0, worker, (void *)(i % 256)); if (!busy) pthread_create(&t, 0, clockReader, 0);
    printf("ready\n"); fflush(stdout);
    long long end = now(CLOCK_MONOTONIC) + (long long)(seconds * 1e9); while (now(CLOCK_MONOTONIC) < end) { if (!busy) { usleep(5000); continue; } usleep(1000000); unsigned long sum = 0; for (int i = 0; i < 256; i++) sum += work[i]; printf("sample %lu %lld\n", sum, now(CLOCK_PROCESS_CPUTIME_ID)); fflush(stdout); }
    stop = 1; return 0;
}
