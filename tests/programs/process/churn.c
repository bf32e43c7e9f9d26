// Threads that begin and end all the time, joined and detached, so that a freeze meets some at every step of their lives. All that began have ended, each with its own values, when stdin closes.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { LANES = 4 };
static volatile int stop; static unsigned nonce; static unsigned long begun, ended, joined[LANES]; static __thread unsigned long mine[64];
static void live(unsigned long id) { int tid = gettid(); for (int i = 0; i < 64; i++) mine[i] = id * 64 + i + nonce; if (id % 3) usleep(id % 700); for (int i = 0; i < 64; i++) CHECK(mine[i] == id * 64 + i + nonce); CHECK(gettid() == tid); }
static void *brief(void *a) { live((long)a); return (void *)((long)a + 1); }
static void *alone(void *a) { live((long)a); __sync_fetch_and_add(&ended, 1); return 0; }
static void *lane(void *a)
{
    long me = (long)a; pthread_attr_t detached; pthread_attr_init(&detached); pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED); pthread_attr_setstacksize(&detached, 65536);
    for (long n = me; !stop || joined[me] < 3; n += LANES) {
        pthread_t t[3], d; void *r; for (int i = 0; i < 3; i++) CHECK(pthread_create(&t[i], 0, brief, (void *)(n + i)) == 0);
        __sync_fetch_and_add(&begun, 1); CHECK(pthread_create(&d, &detached, alone, (void *)n) == 0);
        for (int i = 0; i < 3; i++) CHECK(pthread_join(t[i], &r) == 0 && (long)r == n + i + 1);
        joined[me]++; usleep(300);
    }
    return 0;
}
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4); pthread_t t[LANES]; char c;
    for (long i = 0; i < LANES; i++) CHECK(pthread_create(&t[i], 0, lane, (void *)i) == 0);
    printf("ready %08x\n", nonce); CHECK(read(0, &c, 1) == 0); stop = 1;
    for (int i = 0; i < LANES; i++) CHECK(pthread_join(t[i], 0) == 0 && joined[i] >= 3);
    while (__sync_fetch_and_add(&ended, 0) != begun) usleep(1000);
    printf("done %08x\n", nonce); return 0;
}
