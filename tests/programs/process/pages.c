// 96 MiB that are restored lazily, used at once in every way that a page server has to follow: children that read all of it, moves of the whole and of parts, pages dropped and unmapped, system
// calls that read and write it, threads that touch it together. Each page holds its number and a value; all are compared again and again.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
#define PAGES 24576UL
#define MOVED 16384UL
static unsigned long *area; static unsigned long want[PAGES], seed, nonce; static volatile int stop; static unsigned long next(void) { seed = seed * 6364136223846793005UL + 1442695040888963407UL; return seed >> 24; }
static void put(unsigned long p, unsigned long v) { area[p * 512] = v ? p ^ nonce : 0; area[p * 512 + 511] = want[p] = v; }
static int good(unsigned long p) { return area[p * 512] == (want[p] ? p ^ nonce : 0) && area[p * 512 + 511] == want[p]; }
static void *fresh(void *a) { while (!stop) { char *m = malloc(3 << 20); for (long i = 0; i < 3 << 20; i += 4096) { CHECK(m[i] == 0 || m[i] == 7); m[i] = 7; } memset(m, 0, 3 << 20); free(m); usleep(3000); } return 0; }
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 8, 0) == 8); seed = nonce;
    area = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(area != MAP_FAILED);
    for (unsigned long p = 0; p < PAGES; p++) if (p % 7) put(p, next() | 1);
    int pp[2]; CHECK(pipe(pp) == 0); pthread_t t; CHECK(pthread_create(&t, 0, fresh, 0) == 0);
    printf("ready %016lx\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    for (long round = 0; poll(&pf, 1, 0) == 0; round++) {
        for (int i = 0; i < 40; i++) { unsigned long p = next() % PAGES; CHECK(good(p)); put(p, next() | 1); }
        if (round % 8 == 0) {
            pid_t child = fork(); CHECK(child >= 0);
            if (!child) { for (unsigned long p = 0; p < PAGES; p++) CHECK(good(p)); for (int i = 0; i < 500; i++) put(next() % PAGES, 3); _exit(0); }
            for (int i = 0; i < 200; i++) put(next() % PAGES, next() | 1);
            int status = -1; errno = 0; pid_t got = waitpid(child, &status, 0); if (got != child || status) printf("waitpid %d of %d: status %x\n", got, child, status); CHECK(got == child && status == 0);
        }
        unsigned long p = next() % PAGES, v = next() | 1; CHECK(write(pp[1], &v, 8) == 8 && read(pp[0], area + p * 512 + 511, 8) == 8); area[p * 512] = p ^ nonce; want[p] = v;
        p = next() % PAGES; CHECK(write(pp[1], area + p * 512, 4096) == 4096); static unsigned long copy[512]; CHECK(read(pp[0], copy, 4096) == 4096 && copy[511] == want[p]);
        unsigned long n = 1 + next() % 300; p = next() % (MOVED - n); CHECK(madvise(area + p * 512, n * 4096, MADV_DONTNEED) == 0); for (unsigned long q = p; q < p + n; q++) want[q] = 0; CHECK(good(p) && good(p + n - 1)); put(p, next() | 1);
        n = 1 + next() % 30; p = next() % (MOVED - n); CHECK(munmap(area + p * 512, n * 4096) == 0 && mmap(area + p * 512, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED); for (unsigned long q = p; q < p + n; q++) want[q] = 0; CHECK(good(p));
        // Always the same part goes away and comes back: it stays one area, since several cannot be moved at once while userfaultfd has them. Its pages, missing or not, move twice; so does a single one.
        n = PAGES - MOVED; p = MOVED; if (round % 4) { n = 1; p = next() % MOVED; }
        char *from = (char *)(area + p * 512), *aside = mmap(0, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(aside != MAP_FAILED && mremap(from, n * 4096, n * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, aside) == aside);
        CHECK(mmap(from, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == from); unsigned long k = next() % n; CHECK(((unsigned long *)aside)[k * 512 + 511] == want[p + k]);
        CHECK(mremap(aside, n * 4096, n * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, from) == from && good(p) && good(p + n - 1));
        for (unsigned long q = next() % 64; q < PAGES; q += 331) CHECK(good(q));
        usleep(500);
    }
    for (unsigned long p = 0; p < PAGES; p++) CHECK(good(p));
    stop = 1; pthread_join(t, 0); printf("done %016lx\n", nonce); return 0;
}
