// Three hundred threads in rounds over a barrier and condition variables; each with a name, CPU set, policy, nice value, timer slack, alternate stack, blocked and queued signals
// with data, a robust mutex that it holds, thread-local data. All of it is checked when stdin closes; a thread that ends with its mutex held leaves it to the next.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <poll.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { N = 300, SIGNALS = 3 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, held[N]; static pthread_cond_t begin = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static unsigned long round_, done_; static int stop; static unsigned nonce; static cpu_set_t allowed; static unsigned long work[N]; static __thread unsigned mine[64];
static int policy_of(int i) { return i % 3 == 0 ? SCHED_OTHER : i % 3 == 1 ? SCHED_BATCH : SCHED_IDLE; }
static int cpu_of(int i) { int n = i % CPU_COUNT(&allowed); for (int c = 0; ; c++) if (CPU_ISSET(c, &allowed) && n-- == 0) return c; }
static void *run(void *a)
{
    int i = (long)a, tid = gettid(); char name[16], got[16]; snprintf(name, 16, "many-%03d", i); pthread_setname_np(pthread_self(), name);
    cpu_set_t set, seen; CPU_ZERO(&set); CPU_SET(cpu_of(i), &set); CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
    struct sched_param p = {0}; CHECK(sched_setscheduler(0, policy_of(i), &p) == 0); if (policy_of(i) != SCHED_IDLE) CHECK(setpriority(PRIO_PROCESS, tid, i % 5) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 60000 + i) == 0); for (int k = 0; k < 64; k++) mine[k] = nonce + i * 64 + k;
    stack_t ss = { .ss_sp = malloc(16384), .ss_size = 16384 }, os; CHECK(sigaltstack(&ss, 0) == 0);
    int sig = SIGRTMIN + 1 + i % 20; sigset_t m, om; sigemptyset(&m); sigaddset(&m, sig); pthread_sigmask(SIG_BLOCK, &m, 0); pthread_sigmask(0, 0, &om);
    for (int k = 0; k < SIGNALS; k++) CHECK(pthread_sigqueue(pthread_self(), sig, (union sigval){ .sival_int = i * 10 + k }) == 0);
    CHECK(pthread_mutex_lock(&held[i]) == 0);
    unsigned long seenRound = 0;
    for (;;)
    {
        pthread_mutex_lock(&lock); if (++done_ == N) pthread_cond_signal(&ended);
        while (round_ == seenRound && !stop) pthread_cond_wait(&begin, &lock);
        int over = stop; seenRound = round_; pthread_mutex_unlock(&lock);
        if (over) break;
        work[i]++; CHECK(mine[seenRound % 64] == nonce + i * 64 + seenRound % 64);
    }
    CHECK(gettid() == tid && pthread_getname_np(pthread_self(), got, 16) == 0 && !strcmp(got, name));
    CHECK(sched_getaffinity(0, sizeof seen, &seen) == 0 && CPU_EQUAL(&seen, &set) && sched_getscheduler(0) == policy_of(i)); if (policy_of(i) != SCHED_IDLE) CHECK(getpriority(PRIO_PROCESS, 0) == i % 5);
    CHECK(prctl(PR_GET_TIMERSLACK) == 60000 + i && sigaltstack(0, &os) == 0 && os.ss_sp == ss.ss_sp && os.ss_size == ss.ss_size);
    sigset_t now; pthread_sigmask(0, 0, &now); CHECK(!memcmp(&now, &om, 8)); struct timespec none = {0}; siginfo_t si;
    for (int k = 0; k < SIGNALS; k++) CHECK(sigtimedwait(&m, &si, &none) == sig && si.si_code == SI_QUEUE && si.si_value.sival_int == i * 10 + k && si.si_pid == getpid());
    CHECK(sigtimedwait(&m, &si, &none) == -1); for (int k = 0; k < 64; k++) CHECK(mine[k] == nonce + i * 64 + k);
    return 0; // with the mutex held
}
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4 && sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    pthread_t t[N]; pthread_attr_t at; pthread_attr_init(&at); pthread_attr_setstacksize(&at, 65536); pthread_mutexattr_t ma; pthread_mutexattr_init(&ma); pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
    for (long i = 0; i < N; i++) { pthread_mutex_init(&held[i], &ma); CHECK(pthread_create(&t[i], &at, run, (void *)i) == 0); }
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 }; unsigned long rounds = 0;
    while (poll(&pf, 1, 5) == 0 || rounds < 3)
    {
        pthread_mutex_lock(&lock); while (done_ != N) pthread_cond_wait(&ended, &lock);
        for (int i = 0; i < N; i++) CHECK(work[i] == rounds);
        rounds++; done_ = 0; round_++; pthread_cond_broadcast(&begin); pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock); while (done_ != N) pthread_cond_wait(&ended, &lock); stop = 1; pthread_cond_broadcast(&begin); pthread_mutex_unlock(&lock);
    for (int i = 0; i < N; i++) { CHECK(pthread_join(t[i], 0) == 0); CHECK(work[i] == rounds); CHECK(pthread_mutex_lock(&held[i]) == EOWNERDEAD); }
    printf("done %08x\n", nonce); return 0;
}
