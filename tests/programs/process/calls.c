// A thread in each of many blocking calls, all begun before "ready"; none may answer EINTR or anything early because of a checkpoint, and each must end rightly when stdin closes.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/futex.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
static volatile int stop; static int ev[6], pp[2], full[2], word, child, go[2]; static unsigned nonce; static volatile int usr1;
static long long now(int clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static void *t_select(void *a) { fd_set s; FD_ZERO(&s); FD_SET(ev[0], &s); CHECK(select(ev[0] + 1, &s, 0, 0, 0) == 1 && FD_ISSET(ev[0], &s)); return 0; }
static void *t_select_timed(void *a) { while (!stop) { struct timeval t = { 0, 7000 }; fd_set s; FD_ZERO(&s); FD_SET(ev[5], &s); CHECK(select(ev[5] + 1, &s, 0, 0, &t) == 0); } return 0; }
static void *t_pselect(void *a) { sigset_t m; sigfillset(&m); fd_set s; FD_ZERO(&s); FD_SET(ev[1], &s); CHECK(pselect(ev[1] + 1, &s, 0, 0, 0, &m) == 1); return 0; }
static void *t_ppoll(void *a) { sigset_t m; sigfillset(&m); struct pollfd f = { ev[2], POLLIN }; CHECK(ppoll(&f, 1, 0, &m) == 1); return 0; }
static void *t_ppoll_timed(void *a) { while (!stop) { struct timespec t = { 0, 9000000 }; struct pollfd f = { ev[5], POLLIN }; CHECK(ppoll(&f, 1, &t, 0) == 0); } return 0; }
static void *t_eventfd(void *a) { unsigned long v; CHECK(read(ev[3], &v, 8) == 8 && v == 1); return 0; }
static void *t_pipe(void *a) { char b[16]; CHECK(read(pp[0], b, 16) == 4 && !memcmp(b, "pipe", 4)); return 0; }
static void *t_write(void *a) { char b[8192]; memset(b, 'w', 8192); CHECK(write(full[1], b, 8192) == 8192); return 0; } // into a full pipe
static void *t_wait(void *a) { int st; CHECK(waitpid(child, &st, 0) == child && WIFEXITED(st) && WEXITSTATUS(st) == 77); return 0; }
static void *t_futex(void *a) { while (word == 0) { long r = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0); CHECK(r == 0 || errno == EAGAIN); } return 0; }
static void *t_futex_timed(void *a) { static int never; while (!stop) { struct timespec t = { 0, 11000000 }; CHECK(syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &t, 0, 0) == -1 && errno == ETIMEDOUT); } return 0; }
static void *t_sleep_absolute(void *a)
{
    while (!stop) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); t.tv_nsec += 13000000; if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
        long long end = t.tv_sec * 1000000000LL + t.tv_nsec; CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == 0 && now(CLOCK_MONOTONIC) >= end && now(CLOCK_MONOTONIC) < end + 300000000000LL); }
    return 0;
}
static void *t_sleep(void *a) { while (!stop) { struct timespec t = { 0, 17000000 }; long long b = now(CLOCK_BOOTTIME); CHECK(clock_nanosleep(CLOCK_BOOTTIME, 0, &t, 0) == 0 && now(CLOCK_BOOTTIME) - b >= 17000000); } return 0; }
static void *t_sigtimedwait(void *a) { sigset_t m; sigemptyset(&m); sigaddset(&m, SIGUSR2); while (!stop) { struct timespec t = { 0, 5000000 }; CHECK(sigtimedwait(&m, 0, &t) == -1 && errno == EAGAIN); } return 0; }
static void on_usr1(int s) { usr1++; }
static void *t_sigsuspend(void *a) { sigset_t m; sigfillset(&m); sigdelset(&m, SIGUSR1); CHECK(sigsuspend(&m) == -1 && errno == EINTR && usr1 == 1); return 0; }
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4); for (int i = 0; i < 6; i++) CHECK((ev[i] = eventfd(0, 0)) >= 0);
    CHECK(pipe(pp) == 0 && pipe(full) == 0 && pipe(go) == 0); fcntl(full[1], F_SETPIPE_SZ, 4096); char b[8192]; memset(b, 'f', 4096); CHECK(write(full[1], b, 4096) == 4096);
    child = fork(); if (!child) { close(go[1]); char c; CHECK(read(go[0], &c, 1) == 0); _exit(77); } close(go[0]);
    struct sigaction sa = { .sa_handler = on_usr1 }; sigaction(SIGUSR1, &sa, 0); sigset_t all; sigfillset(&all); pthread_sigmask(SIG_BLOCK, &all, 0);
    void *(*f[])(void *) = { t_select, t_select_timed, t_pselect, t_ppoll, t_ppoll_timed, t_eventfd, t_pipe, t_write, t_wait, t_futex, t_futex_timed, t_sleep_absolute, t_sleep, t_sigtimedwait, t_sigsuspend };
    enum { N = sizeof f / sizeof *f }; pthread_t t[N]; for (int i = 0; i < N; i++) CHECK(pthread_create(&t[i], 0, f[i], 0) == 0);
    printf("ready %08x\n", nonce);
    char c; CHECK(read(0, &c, 1) == 0);
    stop = 1; unsigned long one = 1; for (int i = 0; i < 4; i++) CHECK(write(ev[i], &one, 8) == 8);
    CHECK(write(pp[1], "pipe", 4) == 4); close(go[1]); word = 1; syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0); pthread_kill(t[N - 1], SIGUSR1);
    int got = 0, n; while (got < 4096 + 8192 && (n = read(full[0], b, 8192)) > 0) { for (int i = 0; i < n; i++) CHECK(b[i] == (got + i < 4096 ? 'f' : 'w')); got += n; } CHECK(got == 4096 + 8192);
    for (int i = 0; i < N; i++) pthread_join(t[i], 0);
    printf("done %08x\n", nonce); return 0;
}
