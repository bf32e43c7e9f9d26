// 8 threads pass a token under a mutex and condition variable; thread-local values and tids are checked at every turn.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <unistd.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s\n", __LINE__, #c); fflush(stdout); _exit(1); } } while (0)
#define N 8
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER, ec; static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static unsigned long turn, count[N], stop; static unsigned nonce; static __thread unsigned long mine, tidval;
static void *work(void *a)
{
    long id = (long)a; mine = 0; tidval = syscall(SYS_gettid); char name[16]; snprintf(name, 16, "worker-%ld", id); pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&mu);
    while (!stop) {
        if (turn % N != (unsigned long)id) { pthread_cond_wait(&cv, &mu); continue; }
        mine++; count[id]++; CHECK(mine == count[id]); CHECK(tidval == (unsigned long)syscall(SYS_gettid));
        CHECK(pthread_mutex_lock(&ec) == 0); CHECK(pthread_mutex_unlock(&ec) == 0);
        turn++; pthread_cond_broadcast(&cv);
    }
    pthread_mutex_unlock(&mu); char got[16]; pthread_getname_np(pthread_self(), got, 16); CHECK(got[7] == '0' + id);
    return (void *)mine;
}
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4); unsigned copy = nonce; pid_t me = getpid();
    pthread_mutexattr_t ma; pthread_mutexattr_init(&ma); pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK); pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST); pthread_mutex_init(&ec, &ma);
    pthread_t t[N]; for (long i = 0; i < N; i++) CHECK(pthread_create(&t[i], 0, work, (void *)i) == 0);
    printf("ready %08x\n", nonce);
    struct pollfd pf = { 0, POLLIN, 0 }; CHECK(poll(&pf, 1, -1) == 1);
    pthread_mutex_lock(&mu); stop = 1; pthread_cond_broadcast(&cv); pthread_mutex_unlock(&mu);
    unsigned long sum = 0; for (int i = 0; i < N; i++) { void *r; CHECK(pthread_join(t[i], &r) == 0); sum += (unsigned long)r; }
    CHECK(sum == turn && nonce == copy && getpid() == me);
    printf("done %08x\n", nonce); return 0;
}
