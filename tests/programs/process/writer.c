// Writes all over a 64 MiB area in ways that write tracking could miss: stores, kernel writes (read into it), unmap and map again at one address,
// mremap, DONTNEED, mprotect, heap growth. Keeps a checksum of its own and checks it at the end. WRITER_PAGES: fewer pages.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/random.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
#define MOST 16384
static unsigned PAGES = MOST;
static unsigned long *area; static unsigned long want[MOST], seed; static unsigned long next(void) { seed = seed * 6364136223846793005UL + 1442695040888963407UL; return seed >> 24; }
static void put(unsigned p, unsigned long v) { area[(unsigned long)p * 512 + p % 512] = want[p] = v; }
int main(void)
{
    if (getenv("WRITER_PAGES")) { PAGES = atoi(getenv("WRITER_PAGES")); CHECK(PAGES >= 256 && PAGES <= MOST); }
    setvbuf(stdout, 0, _IOLBF, 0); unsigned nonce; CHECK(getrandom(&nonce, 4, 0) == 4); seed = nonce;
    area = mmap(0, PAGES * 4096UL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(area != MAP_FAILED);
    for (unsigned p = 0; p < PAGES / 2; p++) put(p, next());
    unsigned lastA = 0, lastB = 0; int pp[2]; CHECK(pipe(pp) == 0); void *heap[64] = {0};
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    while (poll(&pf, 1, 0) == 0) {
        for (int i = 0; i < 200; i++) put(next() % PAGES, next());
        unsigned p = next() % PAGES; char *at = (char *)(area + p * 512UL);
        unsigned long v = next(); CHECK(write(pp[1], &v, 8) == 8 && read(pp[0], at + p % 512 * 8, 8) == 8); want[p] = v;   // a write by the kernel
        p = next() % PAGES; at = (char *)(area + p * 512UL); CHECK(munmap(at, 4096) == 0 && mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at); want[p] = 0; if (next() & 1) put(p, next());
        p = next() % PAGES; at = (char *)(area + p * 512UL); CHECK(madvise(at, 4096, MADV_DONTNEED) == 0); want[p] = 0; if (next() & 1) put(p, next());
        unsigned a = next() % PAGES, b = next() % PAGES; if (next() & 1) { a = (lastA + 1) % PAGES; b = (lastB + 1) % PAGES; } lastA = a; lastB = b; // neighbours to neighbours: their areas merge
        if (a != b) { unsigned long va = want[a]; at = (char *)(area + b * 512UL); char *from = (char *)(area + a * 512UL); CHECK(mremap(from, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at);
            CHECK(mmap(from, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == from); want[a] = 0; want[b] = 0; CHECK(area[b * 512UL + a % 512] == va); area[b * 512UL + a % 512] = 0; put(b, next()); }
        p = next() % PAGES; at = (char *)(area + p * 512UL); CHECK(mprotect(at, 4096, PROT_READ) == 0); CHECK(mprotect(at, 4096, PROT_READ | PROT_WRITE) == 0);
        int h = next() % 64; free(heap[h]); heap[h] = malloc(next() % 200000 + 64); memset(heap[h], h, 64);
        for (unsigned q = next() % 64; q < PAGES; q += 97) CHECK(area[q * 512UL + q % 512] == want[q]);
    }
    for (unsigned p = 0; p < PAGES; p++) CHECK(area[p * 512UL + p % 512] == want[p]);
    printf("done %08x\n", nonce); return 0;
}
