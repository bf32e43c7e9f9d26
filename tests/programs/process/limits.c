// Has more of everything than its resource limits allow, because it lowered them afterwards: threads, locked memory, address space, data, stack, queued signals and timers, a message queue, file sizes, descriptors.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { M = 1 << 20, P = 4096, THREADS = 6, SIGNALS = 20, TIMERS = 4, HIGH = 200, LOCKED = 16 * P };
static const struct { int which; unsigned long most; } limits[] = { { RLIMIT_NPROC, 1 }, { RLIMIT_MEMLOCK, 0 }, { RLIMIT_AS, M }, { RLIMIT_DATA, P }, { RLIMIT_STACK, 64 << 10 }, { RLIMIT_SIGPENDING, 1 }, { RLIMIT_MSGQUEUE, 0 }, { RLIMIT_FSIZE, 10 }, { RLIMIT_NOFILE, 40 } };
static unsigned nonce; static int go[2]; static char out[P], name[64], *memory, *locked; static unsigned long sums[THREADS];
static void *wait_for_end(void *a) { char c; CHECK(read(go[0], &c, 1) == 1); ++*(unsigned long *)a; return 0; }
static int deep(int n) { volatile char page[3000]; page[0] = n; return n == 0 ? 0 : deep(n - 1) + (page[0] == (char)n); }
static long locked_kib(void)
{
    char text[4096]; int f = open("/proc/self/status", O_RDONLY); CHECK(f >= 0); ssize_t n = read(f, text, sizeof text - 1); close(f); CHECK(n > 0); text[n] = 0;
    char *at = strstr(text, "VmLck:"); CHECK(at); return atol(at + 6);
}
static void check(void)
{
    struct rlimit l;
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) CHECK(getrlimit(limits[i].which, &l) == 0 && l.rlim_cur == limits[i].most && l.rlim_max == limits[i].most);
}
int main(void)
{
    setvbuf(stdout, out, _IOLBF, sizeof out); CHECK(getrandom(&nonce, 4, 0) == 4); CHECK(pipe(go) == 0); CHECK(deep(300) == 300);
    memory = mmap(0, 32 * M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(memory != MAP_FAILED); for (int i = 0; i < 32 * M; i += P) *(unsigned *)(memory + i) = nonce + i;
    locked = mmap(0, LOCKED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(locked != MAP_FAILED && mlock(locked, LOCKED) == 0);
    pthread_t t[THREADS]; for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&t[i], 0, wait_for_end, &sums[i]) == 0);
    sigset_t set; sigemptyset(&set); sigaddset(&set, SIGRTMIN); sigaddset(&set, SIGRTMIN + 1); CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0); CHECK(pthread_sigmask(SIG_BLOCK, &set, 0) == 0);
    // To this thread: others do not block it.
    for (int i = 0; i < SIGNALS; i++) CHECK(pthread_sigqueue(pthread_self(), SIGRTMIN, (union sigval){ .sival_int = i }) == 0);
    timer_t timers[TIMERS]; struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 }; struct itimerspec far = { .it_value.tv_sec = 100000 }, left;
    for (int i = 0; i < TIMERS; i++) CHECK(timer_create(CLOCK_MONOTONIC, &e, &timers[i]) == 0 && timer_settime(timers[i], 0, &far, 0) == 0);
    snprintf(name, sizeof name, "/trecr-limits-%08x", nonce); struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 64 }; mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &a); CHECK(q >= 0 && mq_send(q, (char *)&nonce, 4, 3) == 0); mq_unlink(name);
    char path[] = "/tmp/trecr-limits-XXXXXX"; int gone = mkstemp(path), mem = memfd_create("large", 0); CHECK(gone >= 0 && mem >= 0); unlink(path);
    CHECK(pwrite(gone, memory, M, 0) == M && pwrite(mem, memory, M, 0) == M); CHECK(dup2(mem, HIGH) == HIGH);
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) { struct rlimit l = { limits[i].most, limits[i].most }; CHECK(setrlimit(limits[i].which, &l) == 0); }
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    do check(); while (poll(&pf, 1, 5) == 0);
    check();
    CHECK(locked_kib() == LOCKED / 1024); // not before: a checkpoint that finds a file of /proc open is refused
    for (int i = 0; i < 32 * M; i += P) CHECK(*(unsigned *)(memory + i) == nonce + i);
    CHECK(mmap(0, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM); CHECK(dup(mem) < 40); CHECK(timer_create(CLOCK_MONOTONIC, &e, &timers[0]) == -1 && errno == EAGAIN);
    siginfo_t si; struct timespec now = { 0 }; for (int i = 0; i < SIGNALS; i++) CHECK(sigtimedwait(&set, &si, &now) == SIGRTMIN && si.si_value.sival_int == i); CHECK(sigtimedwait(&set, &si, &now) == -1 && errno == EAGAIN);
    for (int i = 1; i < TIMERS; i++) CHECK(timer_gettime(timers[i], &left) == 0 && left.it_value.tv_sec > 90000);
    char text[64]; unsigned priority, word; CHECK(mq_receive(q, text, 64, &priority) == 4 && !memcmp(text, &nonce, 4) && priority == 3);
    CHECK(pread(HIGH, &word, 4, M - P) == 4 && word == nonce + M - P); CHECK(pread(gone, &word, 4, M - P) == 4 && word == nonce + M - P);
    CHECK(write(go[1], "123456", THREADS) == THREADS); for (int i = 0; i < THREADS; i++) CHECK(pthread_join(t[i], 0) == 0 && sums[i] == 1);
    printf("done %08x\n", nonce); return 0;
}
