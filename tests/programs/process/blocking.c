// Threads that sit in calls a stop could make fail (epoll_wait, sigtimedwait, nanosleep, poll, timed condvar, read of a pipe), one with all vector
// registers full, one that computes. No call may answer EINTR.
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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/time.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
static volatile int stop; static int ep, ev, pp[2]; static unsigned nonce; static volatile int alarms;
static void *t_epoll(void *a) { struct epoll_event e; int r = epoll_wait(ep, &e, 1, -1); CHECK(r == 1 && e.data.u64 == 0x1122334455667788UL); return 0; }
static void *t_epollt(void *a) { struct epoll_event e; int none = epoll_create1(0); while (!stop) { int r = epoll_wait(none, &e, 1, 20); CHECK(r == 0); } return 0; }
static void *t_sig(void *a) { sigset_t m; sigemptyset(&m); sigaddset(&m, SIGRTMIN + 3); int r = sigwaitinfo(&m, 0); CHECK(r == SIGRTMIN + 3); return 0; }
static void *t_sleep(void *a) { while (!stop) { struct timespec t = { 0, 15000000 }; CHECK(nanosleep(&t, 0) == 0); } return 0; }
static void *t_poll(void *a) { struct pollfd f = { ev, POLLIN, 0 }; while (!stop) { int r = poll(&f, 1, 10); CHECK(r == 0 || r == 1); } return 0; }
static void *t_cond(void *a) { pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_cond_t c = PTHREAD_COND_INITIALIZER; pthread_mutex_lock(&m);
    while (!stop) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); t.tv_nsec += 12000000; if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; } CHECK(pthread_cond_timedwait(&c, &m, &t) == ETIMEDOUT); } return 0; }
static void *t_read(void *a) { char b[8]; CHECK(read(pp[0], b, 8) == 3 && !memcmp(b, "end", 3)); return 0; }
__attribute__((target("avx2"))) static void *t_avx2(void *a)
{
    unsigned char in[512], out[512]; CHECK(getrandom(in, 512, 0) == 512);
    while (!stop) {
        memset(out, 0, 512); long spin = 3000000;
        __asm__ volatile("vmovdqu (%1),%%ymm0\n vmovdqu 32(%1),%%ymm1\n vmovdqu 64(%1),%%ymm2\n vmovdqu 96(%1),%%ymm3\n vmovdqu 128(%1),%%ymm4\n vmovdqu 160(%1),%%ymm5\n vmovdqu 192(%1),%%ymm6\n vmovdqu 224(%1),%%ymm7\n"
            "vmovdqu 256(%1),%%ymm8\n vmovdqu 288(%1),%%ymm9\n vmovdqu 320(%1),%%ymm10\n vmovdqu 352(%1),%%ymm11\n vmovdqu 384(%1),%%ymm12\n vmovdqu 416(%1),%%ymm13\n vmovdqu 448(%1),%%ymm14\n vmovdqu 480(%1),%%ymm15\n"
            "1: dec %0\n jnz 1b\n"
            "vmovdqu %%ymm0,(%2)\n vmovdqu %%ymm1,32(%2)\n vmovdqu %%ymm2,64(%2)\n vmovdqu %%ymm3,96(%2)\n vmovdqu %%ymm4,128(%2)\n vmovdqu %%ymm5,160(%2)\n vmovdqu %%ymm6,192(%2)\n vmovdqu %%ymm7,224(%2)\n"
            "vmovdqu %%ymm8,256(%2)\n vmovdqu %%ymm9,288(%2)\n vmovdqu %%ymm10,320(%2)\n vmovdqu %%ymm11,352(%2)\n vmovdqu %%ymm12,384(%2)\n vmovdqu %%ymm13,416(%2)\n vmovdqu %%ymm14,448(%2)\n vmovdqu %%ymm15,480(%2)\n"
            : "+r"(spin) : "r"(in), "r"(out) : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
        CHECK(!memcmp(in, out, 512));
    }
    return 0;
}
#define R4(f, n) f(n##0) f(n##1)
__attribute__((target("avx512f"))) static void *t_avx512(void *a)
{
    unsigned char in[1024], out[1024]; CHECK(getrandom(in, 1024, 0) == 1024); unsigned short k = 0xa5c3, k2;
    while (!stop) {
        memset(out, 0, 1024); long spin = 3000000;
        __asm__ volatile("kmovw %4,%%k3\n vmovdqu64 (%2),%%zmm16\n vmovdqu64 64(%2),%%zmm17\n vmovdqu64 128(%2),%%zmm18\n vmovdqu64 192(%2),%%zmm19\n vmovdqu64 256(%2),%%zmm20\n vmovdqu64 320(%2),%%zmm21\n vmovdqu64 384(%2),%%zmm22\n vmovdqu64 448(%2),%%zmm23\n"
            "vmovdqu64 512(%2),%%zmm24\n vmovdqu64 576(%2),%%zmm25\n vmovdqu64 640(%2),%%zmm26\n vmovdqu64 704(%2),%%zmm27\n vmovdqu64 768(%2),%%zmm28\n vmovdqu64 832(%2),%%zmm29\n vmovdqu64 896(%2),%%zmm30\n vmovdqu64 960(%2),%%zmm31\n"
            "1: dec %0\n jnz 1b\n"
            "kmovw %%k3,%1\n vmovdqu64 %%zmm16,(%3)\n vmovdqu64 %%zmm17,64(%3)\n vmovdqu64 %%zmm18,128(%3)\n vmovdqu64 %%zmm19,192(%3)\n vmovdqu64 %%zmm20,256(%3)\n vmovdqu64 %%zmm21,320(%3)\n vmovdqu64 %%zmm22,384(%3)\n vmovdqu64 %%zmm23,448(%3)\n"
            "vmovdqu64 %%zmm24,512(%3)\n vmovdqu64 %%zmm25,576(%3)\n vmovdqu64 %%zmm26,640(%3)\n vmovdqu64 %%zmm27,704(%3)\n vmovdqu64 %%zmm28,768(%3)\n vmovdqu64 %%zmm29,832(%3)\n vmovdqu64 %%zmm30,896(%3)\n vmovdqu64 %%zmm31,960(%3)\n"
            : "+r"(spin), "=r"(*(unsigned *)&k2) : "r"(in), "r"(out), "r"((unsigned)k) : "memory", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k3");
        CHECK(!memcmp(in, out, 1024) && k2 == k);
    }
    return 0;
}
static void on_alarm(int s) { alarms++; }
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4);
    ep = epoll_create1(EPOLL_CLOEXEC); ev = eventfd(0, 0); CHECK(pipe(pp) == 0);
    struct epoll_event e = { EPOLLIN, { .u64 = 0x1122334455667788UL } }; CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0);
    sigset_t m; sigfillset(&m); sigdelset(&m, SIGALRM); pthread_t rt, t[9]; int n = 0;
    sigset_t all; sigfillset(&all); pthread_sigmask(SIG_BLOCK, &all, 0);
    void *(*f[])(void *) = { t_epoll, t_epollt, t_sleep, t_poll, t_cond, t_read, t_avx2 };
    for (unsigned i = 0; i < sizeof f / sizeof *f; i++) CHECK(pthread_create(&t[n++], 0, f[i], 0) == 0);
    if (__builtin_cpu_supports("avx512f")) CHECK(pthread_create(&t[n++], 0, t_avx512, 0) == 0); else fprintf(stderr, "no AVX-512 here\n");
    CHECK(pthread_create(&rt, 0, t_sig, 0) == 0);
    pthread_sigmask(SIG_SETMASK, &m, 0); struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }; sigaction(SIGALRM, &sa, 0);
    struct itimerval it = { { 0, 30000 }, { 0, 30000 } }; CHECK(setitimer(ITIMER_REAL, &it, 0) == 0);
    printf("ready %08x\n", nonce);
    char c; CHECK(read(0, &c, 1) == 0); int seen = alarms; while (alarms == seen) pause();
    struct itimerval off = {0}; setitimer(ITIMER_REAL, &off, 0);
    stop = 1; unsigned long one = 1; CHECK(write(ev, &one, 8) == 8 && write(pp[1], "end", 3) == 3); pthread_kill(rt, SIGRTMIN + 3);
    for (int i = 0; i < n; i++) pthread_join(t[i], 0);
    pthread_join(rt, 0);
    printf("done %08x\n", nonce); return 0;
}
