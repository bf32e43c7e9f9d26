// What few programs do, compared again and again: a thread that is nearly always inside a restartable sequence, sealed memory, limits, priorities and attributes that the program has changed itself.
// With WANT_HUGE=1 also memory in huge pages, which has to be in huge pages again at the end.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
#define M (1UL << 20)
extern const long __rseq_offset __attribute__((weak)); extern const unsigned __rseq_size __attribute__((weak));
static volatile int stop; static volatile unsigned long finished, aborted; static unsigned nonce; static char *sealed, *huge;
// One sequence of some milliseconds. 0: to its end, 1: aborted, 2: to its end, but the kernel did not watch it any more.
static int sequence(char *area, unsigned long spin)
{
    int result;
    __asm__ volatile(
        ".pushsection .data.rseq, \"aw\"\n .balign 32\n 9: .long 0, 0\n .quad 1f, 2f - 1f, 4f\n .popsection\n"
        "lea 9b(%%rip), %%rax\n mov %%rax, 8(%[area])\n"
        "1: mov %[spin], %%rcx\n 3: dec %%rcx\n jnz 3b\n cmp %%rax, 8(%[area])\n jne 5f\n"
        "2: mov $0, %[result]\n jmp 6f\n"
        ".byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n" // the signature that glibc has registered
        "4: mov $1, %[result]\n jmp 6f\n 5: mov $2, %[result]\n 6:\n"
        : [result] "=&r"(result) : [area] "r"(area), [spin] "r"(spin) : "rax", "rcx", "memory", "cc");
    *(volatile unsigned long *)(area + 8) = 0;
    return result;
}
static void *guarded(void *a)
{
    if (!&__rseq_size || __rseq_size == 0) { finished = 1; return 0; }
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    while (!stop) { int r = sequence(area, 3000000); CHECK(r != 2); if (r) aborted++; else finished++; }
    for (int i = 0; i < 1000 && finished == 0; i++) if (sequence(area, 100) == 0) finished++; // a very busy machine
    return 0;
}
static const struct { int which; unsigned long soft, hard; } limits[] = { { RLIMIT_NOFILE, 300, 500 }, { RLIMIT_CORE, 0, 12345 }, { RLIMIT_STACK, 4 << 20, 64 << 20 }, { RLIMIT_FSIZE, 1 << 30, 3UL << 30 }, { RLIMIT_NPROC, 3000, 4000 },
    { RLIMIT_MSGQUEUE, 70000, 80000 }, { RLIMIT_SIGPENDING, 500, 600 }, { RLIMIT_AS, 1UL << 40, 1UL << 41 }, { RLIMIT_CPU, 5000, 6000 }, { RLIMIT_RTPRIO, 0, 0 } };
static void attributes(void)
{
    struct rlimit l; char text[64]; int f; struct sched_param p; ssize_t n;
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) CHECK(getrlimit(limits[i].which, &l) == 0 && l.rlim_cur == limits[i].soft && l.rlim_max == limits[i].hard);
    errno = 0; CHECK(getpriority(PRIO_PROCESS, 0) == 7 && errno == 0 && sched_getscheduler(0) == SCHED_BATCH && syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 5));
    CHECK(prctl(PR_GET_TIMERSLACK) == 77777 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && (personality(-1) & ADDR_NO_RANDOMIZE) && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0);
    mode_t m = umask(0); umask(m); CHECK(m == 027);
    f = open("/proc/self/oom_score_adj", O_RDONLY); n = read(f, text, 63); close(f); CHECK(n > 0); text[n] = 0; CHECK(atoi(text) == 321);
}
static void memory(void)
{
    if (sealed) { CHECK(mprotect(sealed, 4096, PROT_READ) == -1 && errno == EPERM && munmap(sealed + 8192, 4096) == -1 && errno == EPERM && madvise(sealed + 4096, 4096, MADV_DONTNEED) == -1 && errno == EPERM);
        for (int i = 0; i < 3; i++) CHECK(*(unsigned *)(sealed + i * 4096) == nonce + i); }
    if (huge) for (int i = 0; i < 8 * M; i += 4096) CHECK(*(unsigned *)(huge + i) == nonce + i);
}
// Field of the area at an address in smaps.
static unsigned long area(void *at, const char *field, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "r"); char line[512]; unsigned long from, to, kib = 0; int in = 0; CHECK(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-') < strchr(line, ' ')) in = (unsigned long)at >= from && (unsigned long)at < to;
        else if (in && !strncmp(line, field, strlen(field))) { if (flag) kib = strstr(line, flag) != 0; else sscanf(line + strlen(field), ": %lu", &kib); }
    }
    fclose(f); return kib;
}
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4);
    struct rlimit l; struct sched_param p = { 0 };
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) { l.rlim_cur = limits[i].soft; l.rlim_max = limits[i].hard; CHECK(setrlimit(limits[i].which, &l) == 0); }
    CHECK(setpriority(PRIO_PROCESS, 0, 7) == 0 && sched_setscheduler(0, SCHED_BATCH, &p) == 0 && syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 77777) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && personality(personality(-1) | ADDR_NO_RANDOMIZE) != -1); umask(027);
    int f = open("/proc/self/oom_score_adj", O_WRONLY); CHECK(f >= 0 && write(f, "321", 3) == 3); close(f);
    sealed = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(sealed != MAP_FAILED); for (int i = 0; i < 3; i++) *(unsigned *)(sealed + i * 4096) = nonce + i;
    CHECK(mprotect(sealed + 4096, 8192, PROT_READ) == 0); if (syscall(462, sealed, 3 * 4096, 0) != 0) { CHECK(errno == ENOSYS); sealed = 0; } // before Linux 6.10
    unsigned long before = 0;
    if (getenv("WANT_HUGE")) { huge = mmap(0, 10 * M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(huge != MAP_FAILED); huge = (char *)(((unsigned long)huge + 2 * M - 1) & ~(2 * M - 1)); CHECK(madvise(huge, 8 * M, MADV_HUGEPAGE) == 0);
        for (int i = 0; i < 8 * M; i += 4096) *(unsigned *)(huge + i) = nonce + i; before = area(huge, "AnonHugePages", 0); }
    pthread_t t; CHECK(pthread_create(&t, 0, guarded, 0) == 0);
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    do { attributes(); memory(); } while (poll(&pf, 1, 5) == 0);
    stop = 1; CHECK(pthread_join(t, 0) == 0); attributes(); memory(); CHECK(finished > 0);
    if (huge) { unsigned long after = area(huge, "AnonHugePages", 0); // What the kernel has to give just now: memory may be in pieces.
        char *now = mmap(0, 10 * M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(now != MAP_FAILED); now = (char *)(((unsigned long)now + 2 * M - 1) & ~(2 * M - 1)); CHECK(madvise(now, 8 * M, MADV_HUGEPAGE) == 0);
        for (int i = 0; i < 8 * M; i += 4096) now[i] = 1; unsigned long given = area(now, "AnonHugePages", 0); if (given < before) before = given;
        printf("huge %lu then %lu KiB\n", before, after); CHECK(area(huge, "VmFlags", " hg") == 1 && after >= before / 2); }
    printf("done %08x\n", nonce); return 0;
}
