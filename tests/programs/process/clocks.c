// Clocks never go back, absolute waits end at their time, relative ones not too early; threads in all of them when the program is frozen. The runner may restore it where
// the machine's own clocks are ten days back.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <poll.h>
#include <time.h>
#include <sys/random.h>
#include <sys/time.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { SLACK = 300 }; // seconds that a loaded machine may take
static volatile int stop; static unsigned nonce; static volatile int alarms; static long long startMono, startBoot;
static long long now(int c) { struct timespec t; CHECK(clock_gettime(c, &t) == 0); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static struct timespec spec(long long ns) { return (struct timespec){ ns / 1000000000, ns % 1000000000 }; }
static void *t_forward(void *a) { int c = (long)a; long long last = now(c), begin = last; while (!stop) { long long t = now(c); CHECK(t >= last && t - begin < 3600 * 1000000000LL); last = t; usleep(500); } return 0; }
static void *t_absolute(void *a) { int c = (long)a; while (!stop) { long long end = now(c) + 25000000; struct timespec t = spec(end); CHECK(clock_nanosleep(c, TIMER_ABSTIME, &t, 0) == 0); long long n = now(c); CHECK(n >= end && n < end + SLACK * 1000000000LL); } return 0; }
static void *t_long(void *a) { long long end = startMono + 2500000000LL; struct timespec t = spec(end); CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == 0); long long n = now(CLOCK_MONOTONIC); CHECK(n >= end && n < end + SLACK * 1000000000LL); return 0; }
static void *t_cond(void *a)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_cond_t c; pthread_condattr_t ca; pthread_condattr_init(&ca); pthread_condattr_setclock(&ca, CLOCK_MONOTONIC); pthread_cond_init(&c, &ca); pthread_mutex_lock(&m);
    while (!stop) { long long end = now(CLOCK_MONOTONIC) + 20000000; struct timespec t = spec(end); CHECK(pthread_cond_timedwait(&c, &m, &t) == ETIMEDOUT); long long n = now(CLOCK_MONOTONIC); CHECK(n >= end && n < end + SLACK * 1000000000LL); }
    return 0;
}
static void *t_wall(void *a) { while (!stop) { time_t before = time(0); struct timespec t; clock_gettime(CLOCK_REALTIME, &t); time_t after = time(0); CHECK(before <= t.tv_sec && t.tv_sec <= after + 1); usleep(1000); } return 0; }
static void on_alarm(int s) { alarms++; }
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4); startMono = now(CLOCK_MONOTONIC); startBoot = now(CLOCK_BOOTTIME);
    sigset_t m; sigemptyset(&m); sigaddset(&m, SIGALRM); pthread_sigmask(SIG_BLOCK, &m, 0); pthread_t t[8]; int n = 0;
    pthread_create(&t[n++], 0, t_forward, (void *)CLOCK_MONOTONIC); pthread_create(&t[n++], 0, t_forward, (void *)CLOCK_BOOTTIME); pthread_create(&t[n++], 0, t_absolute, (void *)CLOCK_MONOTONIC);
    pthread_create(&t[n++], 0, t_absolute, (void *)CLOCK_BOOTTIME); pthread_create(&t[n++], 0, t_absolute, (void *)CLOCK_REALTIME); pthread_create(&t[n++], 0, t_long, 0); pthread_create(&t[n++], 0, t_cond, 0); pthread_create(&t[n++], 0, t_wall, 0);
    pthread_sigmask(SIG_UNBLOCK, &m, 0); struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }; sigaction(SIGALRM, &sa, 0);
    struct itimerval it = { { 0, 40000 }, { 0, 40000 } }; CHECK(setitimer(ITIMER_REAL, &it, 0) == 0);
    printf("ready %08x\n", nonce); char c; CHECK(read(0, &c, 1) == 0);
    int seen = alarms; while (alarms == seen) pause();
    struct itimerval off = {0}, left; CHECK(setitimer(ITIMER_REAL, &off, &left) == 0 && left.it_interval.tv_usec == 40000);
    stop = 1; for (int i = 0; i < n; i++) pthread_join(t[i], 0);
    CHECK(now(CLOCK_MONOTONIC) >= startMono && now(CLOCK_BOOTTIME) >= startBoot);
    printf("done %08x\n", nonce); return 0;
}
