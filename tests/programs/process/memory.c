// Memory of many kinds: shared and private file mappings, holes, guard pages, a stack that grows by itself, brk, madvise flags, locks, huge pages, execute-only code. The flags
// of all areas are compared at the end with those at the start, and every byte is checked.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { M = 1 << 20, P = 4096 };
static unsigned nonce; static sigjmp_buf jump; static void on_segv(int s) { siglongjmp(jump, 1); }
static int faults(volatile char *p) { if (sigsetjmp(jump, 1)) return 1; (void)*p; return 0; }
static void fill(unsigned *p, long bytes, unsigned salt) { for (long i = 0; i < bytes / 4; i += 16) p[i] = nonce * 2654435761u ^ salt ^ i; }
static int good(unsigned *p, long bytes, unsigned salt) { for (long i = 0; i < bytes / 4; i += 16) if (p[i] != (nonce * 2654435761u ^ salt ^ i)) return 0; return 1; }
static int deep(int n) { volatile char page[3000]; page[0] = n; page[2999] = n + 1; return n == 0 ? 0 : deep(n - 1) + (page[0] == (char)n && page[2999] == (char)(n + 1)); }
// Start, permissions and flags of the areas in the list; our own tracking (uw) and what the kernel adds by itself are left out.
static void areas(char *out, size_t size, void **list, int n)
{
    FILE *f = fopen("/proc/self/smaps", "r"); char line[512], *flags; unsigned long a, b, at = 0; char perm[5]; size_t used = 0; int wanted = 0; out[0] = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx %4s", &a, &b, perm) == 3) { wanted = 0; for (int i = 0; i < n; i++) wanted |= (unsigned long)list[i] >= a && (unsigned long)list[i] < b; if (wanted) used += snprintf(out + used, size - used, "%lx-%lx %s", a, b, perm); }
        else if (wanted && !strncmp(line, "VmFlags:", 8)) { for (flags = strtok(line + 8, " \n"); flags; flags = strtok(0, " \n")) if (strcmp(flags, "uw") && strcmp(flags, "sd")) used += snprintf(out + used, size - used, " %s", flags); used += snprintf(out + used, size - used, "\n"); }
    fclose(f);
}
static void *anon(long bytes, int prot, int flags) { void *p = mmap(0, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0); CHECK(p != MAP_FAILED); return p; }
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4); signal(SIGSEGV, on_segv); static char before[65536], after[65536];
    char path[] = "/tmp/trecr-memory-XXXXXX"; int fd = mkstemp(path); CHECK(fd >= 0 && ftruncate(fd, M) == 0);
    unsigned *shared = mmap(0, M, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *copy = mmap(0, M, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0); fill(shared, M, 1); CHECK(msync(shared, M, MS_SYNC) == 0); fill(copy, M / 2, 2); close(fd);
    unsigned *plain = anon(4 * M, PROT_READ | PROT_WRITE, 0), *nofork = anon(M, PROT_READ | PROT_WRITE, 0), *wipe = anon(M, PROT_READ | PROT_WRITE, 0), *nodump = anon(M, PROT_READ | PROT_WRITE, 0), *merge = anon(M, PROT_READ | PROT_WRITE, 0), *locked = anon(16 * P, PROT_READ | PROT_WRITE, 0),
        *sequential = anon(M, PROT_READ | PROT_WRITE, 0), *random = anon(M, PROT_READ | PROT_WRITE, 0), *readOnly = anon(M, PROT_READ | PROT_WRITE, 0), *none = anon(M, PROT_READ | PROT_WRITE, 0), *big = anon(8 * M, PROT_READ | PROT_WRITE, 0), *small = anon(4 * M, PROT_READ | PROT_WRITE, 0);
    char *holes = anon(64 * P, PROT_READ | PROT_WRITE, 0), *guard = anon(16 * P, PROT_READ | PROT_WRITE, 0); unsigned char *code = anon(P, PROT_READ | PROT_WRITE, 0);
    madvise(big, 8 * M, MADV_HUGEPAGE); madvise(small, 4 * M, MADV_NOHUGEPAGE);
    unsigned *all[] = { plain, nofork, wipe, nodump, merge, sequential, random, readOnly, none }; for (unsigned i = 0; i < sizeof all / sizeof *all; i++) fill(all[i], M, 10 + i); fill(big, 8 * M, 3); fill(small, 4 * M, 4); fill(locked, 16 * P, 5);
    CHECK(madvise(nofork, M, MADV_DONTFORK) == 0 && madvise(wipe, M, MADV_WIPEONFORK) == 0 && madvise(nodump, M, MADV_DONTDUMP) == 0); int merges = madvise(merge, M, MADV_MERGEABLE) == 0; madvise(sequential, M, MADV_SEQUENTIAL); madvise(random, M, MADV_RANDOM);
    CHECK(mlock(locked, 16 * P) == 0 && mprotect(readOnly, M, PROT_READ) == 0 && mprotect(none, M, PROT_NONE) == 0);
    for (int i = 0; i < 64; i++) holes[i * P] = i; for (int i = 0; i < 64; i += 4) CHECK(munmap(holes + i * P, P) == 0); CHECK(mprotect(holes + 5 * P, P, PROT_READ) == 0);
    memset(guard, 9, 16 * P); int guards = madvise(guard + 4 * P, 2 * P, 102) == 0; CHECK(!guards || faults(guard + 4 * P));
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); CHECK(mprotect(code, P, PROT_READ | PROT_EXEC) == 0 && ((int (*)(void))code)() == 42);
    char *grow = mmap((void *)0x30000000000, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0); CHECK(grow != MAP_FAILED); grow[0] = 1;
    char *edge = sbrk(0); CHECK(sbrk(3 * M + 123) != (void *)-1); memset(edge, 0x5a, 3 * M); char *end = sbrk(0); char *reserve = anon(64L << 30, PROT_NONE, MAP_NORESERVE); unsigned *cheap = anon(1L << 30, PROT_READ | PROT_WRITE, MAP_NORESERVE); fill(cheap, M, 7);
    void *moved = mremap(anon(2 * M, PROT_READ | PROT_WRITE, 0), 2 * M, 5 * M, MREMAP_MAYMOVE); CHECK(moved != MAP_FAILED); fill(moved, 5 * M, 6);
    void *list[] = { shared, copy, plain, nofork, wipe, nodump, merge, locked, sequential, random, readOnly, none, big, small, holes + P, holes + 5 * P, holes + 9 * P, guard, code, grow, edge, reserve, moved, cheap };
    areas(before, sizeof before, list, sizeof list / sizeof *list);
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 }; unsigned long n = 0;
    while (poll(&pf, 1, 1) == 0 || n < 5) { plain[(n * 16) % (M / 4)] = plain[(n * 16) % (M / 4)]; shared[1 + n % 1000 * 16] = n; n++; }
    areas(after, sizeof after, list, sizeof list / sizeof *list); if (strcmp(before, after)) { printf("FAILED areas\n%s\nthen\n%s\n", before, after); return 1; }
    CHECK(good(shared, M, 1) && good(copy, M / 2, 2) && good(big, 8 * M, 3) && good(small, 4 * M, 4) && good(locked, 16 * P, 5) && good(moved, 5 * M, 6) && good(cheap, M, 7)); CHECK(copy[M / 8 + 16] == shared[M / 8 + 16]); // never written: still the file's
    CHECK(faults((char *)none) && faults(holes) && faults(holes + 4 * P) && (!guards || faults(guard + 5 * P)) && guard[3 * P] == 9 && guard[6 * P] == 9); CHECK(mprotect(none, M, PROT_READ) == 0);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) CHECK(good(all[i], M, 10 + i)); for (int i = 1; i < 64; i++) if (i % 4) CHECK(holes[i * P] == i);
    CHECK(((int (*)(void))code)() == 42); for (int i = 0; i < 3 * M; i += 64) CHECK(edge[i] == 0x5a); CHECK((char *)sbrk(0) >= end); char *more = sbrk(M); CHECK(more >= end); memset(more, 1, M);
    for (int i = 1; i < 40; i++) grow[-i * P] = i; CHECK(grow[0] == 1 && grow[-39 * P] == 39); CHECK(deep(1000) == 1000);
    pid_t child = fork(); if (!child) { int bad = !faults((char *)nofork) | (wipe[0] != 0) << 1 | !good(nodump, M, 13) << 2; _exit(bad); } int st; CHECK(waitpid(child, &st, 0) == child && st == 0);
    int f2 = open(path, O_RDONLY); unsigned v; CHECK(pread(f2, &v, 4, 64 * 5) == 4 && v == shared[16 * 5]); unlink(path); (void)merges;
    printf("done %08x\n", nonce); return 0;
}
