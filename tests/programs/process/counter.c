// One thread: pipe with data, eventfd, alternate stack, a blocked pending signal, stdio buffers, a file. Runs until stdin closes, then checks all.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include <poll.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/mman.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
static volatile int usr1, usr2; static void on(int s) { if (s == SIGUSR1) usr1++; else usr2++; }
int main(int argc, char **argv)
{
    setvbuf(stdout, 0, _IOLBF, 0);
    unsigned nonce, nonce2; CHECK(getrandom(&nonce, 4, 0) == 4); nonce2 = nonce;
    int p[2], e = eventfd(5, EFD_SEMAPHORE | EFD_NONBLOCK); CHECK(pipe(p) == 0 && write(p[1], "hello pipe", 10) == 10);
    int d = dup(p[0]); CHECK(d > 0);
    char path[] = "/tmp/trecr-counter-XXXXXX"; int f = mkstemp(path); CHECK(f >= 0);
    CHECK(write(f, "0123456789", 10) == 10); CHECK(lseek(f, 4, SEEK_SET) == 4); int f2 = dup(f);
    stack_t ss = { .ss_sp = malloc(65536), .ss_size = 65536 }; CHECK(sigaltstack(&ss, 0) == 0);
    struct sigaction sa = { .sa_handler = on, .sa_flags = SA_ONSTACK }; sigaction(SIGUSR2, &sa, 0); sigaction(SIGUSR1, &sa, 0);
    sigset_t m; sigemptyset(&m); sigaddset(&m, SIGUSR2); sigprocmask(SIG_BLOCK, &m, 0);
    union sigval v = { .sival_int = 77 }; sigqueue(getpid(), SIGUSR2, v); raise(SIGUSR2);
    unsigned char *big = mmap(0, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8 << 20; i += 4096) big[i] = i >> 12;
    unsigned char *ro = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); memset(ro, 7, 65536); mprotect(ro, 65536, PROT_NONE);
    mmap((void *)0x700000000000, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    unsigned char *wf = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); madvise(wf, 4096, MADV_WIPEONFORK); madvise(big, 4096, MADV_DONTFORK);
    int *sh = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); sh[100] = 4711;
    int mf = memfd_create("mine", 0); CHECK(ftruncate(mf, 1 << 20) == 0 && pwrite(mf, "memfd", 5, 500000) == 5);
    char *mm = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, mf, 0); mm[1] = 'x';
    pid_t me = getpid();
    printf("ready %08x\n", nonce);
    unsigned long n = 0; double x = 1; struct pollfd pf = { 0, POLLIN, 0 };
    while (poll(&pf, 1, 0) == 0 || n == 0) { for (int i = 0; i < 10000; i++) { x = x * 1.0000001 + 1e-9; n++; big[(n * 4096) % (8 << 20)] += 0; } CHECK(nonce == nonce2); }
    CHECK(getpid() == me); CHECK(n > 0 && x > 1);
    char b[32] = {0}; CHECK(read(d, b, 32) == 10 && !strcmp(b, "hello pipe"));
    unsigned long c; CHECK(read(e, &c, 8) == 8 && c == 1); for (int i = 0; i < 4; i++) CHECK(read(e, &c, 8) == 8); CHECK(read(e, &c, 8) == -1 && errno == EAGAIN);
    siginfo_t si; struct timespec ts = {0}; CHECK(sigtimedwait(&m, &si, &ts) == SIGUSR2); CHECK(si.si_code <= 0 && si.si_value.sival_int != 77 && si.si_pid == me); // the thread's own comes first
    CHECK(sigtimedwait(&m, &si, &ts) == SIGUSR2); CHECK(si.si_code == SI_QUEUE && si.si_value.sival_int == 77 && si.si_pid == me);
    CHECK(sigtimedwait(&m, &si, &ts) == -1);
    CHECK(lseek(f2, 0, SEEK_CUR) == 4 && read(f, b, 1) == 1 && b[0] == '4' && lseek(f2, 0, SEEK_CUR) == 5);
    stack_t os; CHECK(sigaltstack(0, &os) == 0 && os.ss_sp == ss.ss_sp && os.ss_size == 65536);
    for (int i = 0; i < 8 << 20; i += 4096) CHECK(big[i] == (unsigned char)(i >> 12));
    CHECK(mprotect(ro, 65536, PROT_READ) == 0 && ro[0] == 7 && ro[65535] == 7);
    CHECK(sh[100] == 4711 && mm[1] == 'x' && !memcmp(mm + 500000, "memfd", 5) && pread(mf, b, 5, 500000) == 5);
    raise(SIGUSR1); CHECK(usr1 == 1 && usr2 == 0);
    unlink(path);
    printf("done %08x\n", nonce);
    return 7;
}
