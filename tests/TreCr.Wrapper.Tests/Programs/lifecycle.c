// One way in which processes, threads and signals of programs meet the library: the argument names it (facts/nativeaot.md, section 4). Needs the fake delegator of the tests.
#define _GNU_SOURCE
#include "cudriver.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;
static const char *self;
enum { NOT_INITIALIZED = 3, DEINITIALIZED = 4 };

static void start(void)
{
    u64 context;
    IS(0, CALL(cuInit, 0));
    IS(0, CALL(cuDevicePrimaryCtxRetain, &context, 0));
    IS(0, CALL(cuCtxSetCurrent, context));
}

// Calls of all kinds whose effect is looked at: answered, enqueued, with bytes in the record and outside of it.
static int round_trip(unsigned seed)
{
    enum { BYTES = 9000 };
    unsigned char a[BYTES], b[BYTES]; // more than a record holds
    u64 p;
    for (int i = 0; i < BYTES; i++) a[i] = (unsigned char)(i * 7 + seed);
    if (CALL(cuMemAlloc_v2, &p, (u64)BYTES)) return 1;
    memset(b, 0, BYTES);
    if (CALL(cuMemcpyHtoD_v2, p, a, (u64)BYTES) || CALL(cuMemcpyDtoH_v2, b, p, (u64)BYTES) || memcmp(a, b, BYTES)) return 2;
    if (CALL(cuMemsetD8Async, p, (unsigned char)seed, (u64)100, (u64)0) || CALL(cuMemcpyDtoH_v2, b, p, (u64)100)) return 3;
    for (int i = 0; i < 100; i++) if (b[i] != (unsigned char)seed) return 4;
    return CALL(cuMemFree_v2, p) ? 5 : 0;
}

static int ended_well(pid_t child)
{
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int threads_of_process(void)
{
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(tasks));) n += e->d_name[0] != '.';
    closedir(tasks);
    return n;
}

// What a child is told whose parent has begun: nothing of it reaches the parent's ring.
static int is_answered_as_a_child(void)
{
    u64 p = 0;
    int n;
    return CALL(cuMemAlloc_v2, &p, (u64)16) == NOT_INITIALIZED && CALL(cuCtxGetCurrent, &p) == NOT_INITIALIZED && CALL(cuDeviceGetCount, &n) == NOT_INITIALIZED && CALL(cuInit, 0) == NOT_INITIALIZED
        && CALL(cuMemsetD8Async, (u64)0x700000000000, 1, (u64)16, (u64)0) == NOT_INITIALIZED && CALL(cuCtxSynchronize) == NOT_INITIALIZED;
}

static void fork_before_init(void)
{
    find("cuInit"); // the library is there
    pid_t child = fork();
    if (child == 0) {
        start();
        _exit(failures || round_trip(1));
    }
    CHECK(ended_well(child));
    start();
    CHECK(!round_trip(2));
}

static int at_exit_calls;
static void count_exit(void) { at_exit_calls++; }

static void *child_thread(void *unused) { return (void *)(long)is_answered_as_a_child(); }

static void fork_after_init(void)
{
    start();
    CHECK(!round_trip(3));
    atexit(count_exit);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        pthread_t t;
        void *well;
        size_t much = (size_t)1 << 30;
        char *memory = malloc(much);
        for (size_t i = 0; i < much; i += (size_t)64 << 20) memory[i] = 1;
        free(memory);
        int good = is_answered_as_a_child() && !pthread_create(&t, NULL, child_thread, NULL) && !pthread_join(t, &well) && well;
        exit(good ? 0 : 1); // handlers of exit and destructors run in the child too
    }
    CHECK(ended_well(child));
    CHECK(!round_trip(4));
    // A child of the child.
    child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(!is_answered_as_a_child());
        _exit(!ended_well(grandchild));
    }
    CHECK(ended_well(child));
}

static volatile int stop;
static void *hammer(void *failed)
{
    u64 context;
    CALL(cuDevicePrimaryCtxRetain, &context, 0);
    CALL(cuCtxSetCurrent, context);
    for (unsigned i = 0; !stop; i++) if (round_trip(i)) { *(int *)failed = 1; break; }
    return NULL;
}

static void forks_while_threads_call(void)
{
    enum { FORKS = 60 };
    pthread_t t[2];
    int failed[2] = {0};
    start();
    for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, hammer, &failed[i]);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) _exit(!is_answered_as_a_child());
        if (!ended_well(child)) { CHECK(!"child"); break; }
    }
    stop = 1;
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    CHECK(!failed[0] && !failed[1]);
}

static void execute(void)
{
    struct sigaction pipe;
    if (getenv("LIFECYCLE_EXECUTED")) {
        sigaction(SIGPIPE, NULL, &pipe);
        CHECK(pipe.sa_handler == SIG_DFL);
        start();
        CHECK(!round_trip(6));
        return;
    }
    signal(SIGPIPE, SIG_DFL);
    start();
    CHECK(!round_trip(5));
    setenv("LIFECYCLE_EXECUTED", "1", 1);
    fflush(stdout);
    execl(self, self, "execute", (char *)NULL);
    CHECK(!"execl");
}

static void *endless(void *unused)
{
    u64 context;
    CALL(cuDevicePrimaryCtxRetain, &context, 0);
    CALL(cuCtxSetCurrent, context);
    while (1) round_trip(7);
}

static void exit_while_threads_call(void)
{
    pthread_t t;
    start();
    for (int i = 0; i < 4; i++) pthread_create(&t, NULL, endless, NULL);
    for (int i = 0; i < 50; i++) CHECK(!round_trip(i));
}

static int wait_posted(sem_t *s) { while (sem_wait(s)) if (errno != EINTR) return -1; return 0; }

static sem_t entered, go_on;
static void waiting_host_function(void *unused) { sem_post(&entered); wait_posted(&go_on); }

static void at_exit(void)
{
    u64 p;
    printf("at exit %d\n", CALL(cuMemAlloc_v2, &p, (u64)16));
    fflush(stdout);
}
__attribute__((destructor)) static void at_unload(void)
{
    u64 p;
    if (!self || !getenv("LIFECYCLE_LATE")) return;
    printf("at unload %d %d\n", CALL(cuMemAlloc_v2, &p, (u64)16), CALL(cuCtxSynchronize));
    fflush(stdout);
}
static void at_thread_end(void *result) { *(int *)result = round_trip(8); }

static pthread_key_t key;
static void *ends_by_exit(void *result)
{
    u64 context;
    CALL(cuDevicePrimaryCtxRetain, &context, 0);
    CALL(cuCtxSetCurrent, context);
    pthread_setspecific(key, result);
    if (round_trip(9)) return NULL;
    pthread_exit(NULL);
}

static void calls_at_the_end(void)
{
    pthread_t t;
    int result = -1;
    setenv("LIFECYCLE_LATE", "1", 1);
    atexit(at_exit);
    pthread_key_create(&key, at_thread_end); // before the library's own key: its destructor runs first
    start();
    pthread_create(&t, NULL, ends_by_exit, &result);
    pthread_join(t, NULL);
    CHECK(result == 0 || result == 1); // called after the thread's state was given back, or before: an answer in both
    pthread_key_t later;
    pthread_key_create(&later, at_thread_end);
    key = later;
    result = -1;
    pthread_create(&t, NULL, ends_by_exit, &result);
    pthread_join(t, NULL);
    CHECK(result == 0 || result == 1);
    CHECK(!round_trip(10));
}

static int constructed = -1;
__attribute__((constructor)) static void constructor(int argc, char **argv)
{
    u64 context;
    if (argc < 2 || strcmp(argv[1], "constructor")) return;
    constructed = CALL(cuInit, 0) || CALL(cuDevicePrimaryCtxRetain, &context, 0) || CALL(cuCtxSetCurrent, context) || round_trip(11);
}
static void in_a_constructor(void)
{
    CHECK(constructed == 0);
    CHECK(!round_trip(12));
}

static void pays_nothing(void)
{
    find("cuInit");
    CHECK(threads_of_process() == 1); // the managed runtime does not start when the library is loaded
    dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    CHECK(threads_of_process() == 1);
}

static pthread_barrier_t together;
static void *first_call(void *unused)
{
    u64 context;
    pthread_barrier_wait(&together);
    int r = CALL(cuInit, 0) || CALL(cuDevicePrimaryCtxRetain, &context, 0) || CALL(cuCtxSetCurrent, context);
    return (void *)(long)(r || round_trip(13));
}
static void first_calls_together(void)
{
    pthread_t t[4];
    find("cuInit");
    pthread_barrier_init(&together, NULL, 4);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, first_call, NULL);
    for (int i = 0; i < 4; i++) {
        void *bad = (void *)1;
        pthread_join(t[i], &bad);
        CHECK(!bad);
    }
}

static void closed_and_opened(void)
{
    start();
    CHECK(!round_trip(14));
    for (int i = 0; i < 3; i++) {
        CHECK(!dlclose(cuda_library));
        CHECK(!round_trip(15)); // still mapped: a program may have kept addresses
        void *again = dlopen("libcuda.so.1", RTLD_NOW);
        CHECK(again == cuda_library);
        CHECK(!round_trip(16));
    }
}

static volatile int signals;
static void count_signal(int n) { signals++; }
static void signals_while_calling(void)
{
    struct itimerval often = {{0, 100}, {0, 100}};
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGALRM, &action, NULL);
    start();
    CHECK(!round_trip(17));
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; signals < 2000 && !failures; i++) CHECK(!round_trip(i));
    CHECK(signals >= 2000);
    // The program's own real-time signal is its own.
    memset(&often, 0, sizeof often);
    setitimer(ITIMER_REAL, &often, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    int before = signals;
    raise(SIGRTMIN);
    CHECK(signals == before + 1);
    CHECK(!round_trip(18));
}

static sem_t sleeping;
static void *sleeps(void *unused)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += 200 * 1000 * 1000;
    if (end.tv_nsec >= 1000000000) { end.tv_nsec -= 1000000000; end.tv_sec++; }
    u64 context;
    CALL(cuCtxGetCurrent, &context); // known to the library
    sem_post(&sleeping);
    return (void *)(long)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
}
static void sleepers_are_not_woken(void)
{
    pthread_t t;
    void *interrupted = (void *)1;
    start();
    pthread_create(&t, NULL, sleeps, NULL);
    wait_posted(&sleeping);
    for (unsigned i = 0; i < 300; i++) CHECK(!round_trip(i));
    pthread_join(t, &interrupted);
    CHECK(!interrupted);
}

static volatile int handler_result = -1;
static void calls_in_handler(int n) { int devices = 0; u64 p = 0; handler_result = CALL(cuDeviceGetCount, &devices) || devices != 1 || CALL(cuMemAlloc_v2, &p, (u64)16) || CALL(cuMemFree_v2, p); }

// The thread waits in the kernel, or computes in its own code, when its handler calls.
static pthread_t waiter;
static void *waits(void *unused)
{
    u64 context;
    CALL(cuDevicePrimaryCtxRetain, &context, 0);
    CALL(cuCtxSetCurrent, context);
    sem_post(&entered);
    return (void *)(long)wait_posted(&go_on);
}
static void call_in_a_handler(void)
{
    struct sigaction action = {.sa_handler = calls_in_handler};
    sigaction(SIGUSR1, &action, NULL);
    start();
    find("cuDeviceGetCount");
    raise(SIGUSR1);
    CHECK(handler_result == 0);
    handler_result = -1;
    pthread_create(&waiter, NULL, waits, NULL);
    wait_posted(&entered);
    pthread_kill(waiter, SIGUSR1);
    while (handler_result < 0) sched_yield();
    CHECK(handler_result == 0);
    sem_post(&go_on);
    pthread_join(waiter, NULL);
    CHECK(!round_trip(19));
}

static sigjmp_buf after_fault;
static void *volatile fault_address;
static void on_fault(int n, siginfo_t *info, void *context) { fault_address = info->si_addr; siglongjmp(after_fault, 1); }
static void fault_here(void *at)
{
    fault_address = NULL;
    if (!sigsetjmp(after_fault, 1)) { *(volatile char *)at = 1; CHECK(!"no fault"); }
    CHECK(fault_address == at);
}
static void faults_of_the_program(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    void *guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &action, NULL); // before the library begins
    fault_here(guarded);
    start();
    fault_here(guarded);
    fault_here((void *)0x20);
    CHECK(!round_trip(20));
    sigaction(SIGSEGV, &action, NULL); // and after
    fault_here(guarded);
    CHECK(!round_trip(21));
    CHECK(!round_trip(22));
}

static void *cancelled_in_a_call(void *kind)
{
    u64 context;
    pthread_setcanceltype((int)(long)kind, NULL);
    CALL(cuDevicePrimaryCtxRetain, &context, 0);
    CALL(cuCtxSetCurrent, context);
    CALL(cuLaunchHostFunc, (u64)0, waiting_host_function, NULL);
    CALL(cuCtxSynchronize); // waits for the function
    pthread_testcancel();
    return NULL;
}
static void a_thread_dies_in_a_call(void)
{
    start();
    for (int i = 0; i < 3; i++) {
        pthread_t t;
        void *ended;
        pthread_create(&t, NULL, cancelled_in_a_call, (void *)PTHREAD_CANCEL_DEFERRED);
        wait_posted(&entered);
        pthread_cancel(t);
        sem_post(&go_on);
        CHECK(!pthread_join(t, &ended));
        CHECK(ended == PTHREAD_CANCELED);
        CHECK(!round_trip(23));
    }
    // Its channel is given to others again: more threads, one after the other, than there are channels.
    for (int i = 0; i < 600 && !failures; i++) {
        pthread_t t;
        void *bad = (void *)1;
        pthread_create(&t, NULL, first_call, NULL);
        pthread_join(t, &bad);
        CHECK(!bad);
    }
}

static void *small(void *bad)
{
    *(int *)bad = 0;
    u64 context, p, module;
    unsigned char bytes[64] = {1}, back[64];
    if (CALL(cuDevicePrimaryCtxRetain, &context, 0) || CALL(cuCtxSetCurrent, context)) *(int *)bad = 1;
    if (CALL(cuMemAlloc_v2, &p, (u64)64) || CALL(cuMemcpyHtoD_v2, p, bytes, (u64)64) || CALL(cuMemcpyDtoH_v2, back, p, (u64)64) || memcmp(bytes, back, 64)) *(int *)bad = 2;
    if (CALL(cuModuleLoadData, &module, ".version 6.0\n.target sm_30\n")) *(int *)bad = 3;
    if (CALL(cuMemFree_v2, (u64)0x1234) != 1) *(int *)bad = 4;
    return NULL;
}
static void small_stacks(void)
{
    pthread_attr_t attributes;
    pthread_t t;
    int bad = -1;
    // The first call of the process among them: the runtime starts on this stack.
    pthread_attr_init(&attributes);
    CHECK(!pthread_attr_setstacksize(&attributes, 32 * 1024));
    find("cuInit");
    if (CALL(cuInit, 0)) CHECK(!"cuInit");
    for (int i = 0; i < 3; i++) {
        CHECK(!pthread_create(&t, &attributes, small, &bad));
        pthread_join(t, NULL);
        CHECK(bad == 0);
    }
}

static ucontext_t main_context, coroutine;
static int coroutine_result = -1;
static void in_coroutine(void)
{
    coroutine_result = round_trip(24);
    swapcontext(&coroutine, &main_context);
    coroutine_result |= round_trip(25);
}
static void coroutines(void)
{
    static char stack[128 * 1024];
    start();
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = sizeof stack;
    coroutine.uc_link = &main_context;
    makecontext(&coroutine, in_coroutine, 0);
    swapcontext(&main_context, &coroutine);
    CHECK(coroutine_result == 0);
    CHECK(!round_trip(26));
    coroutine_result = -1;
    swapcontext(&main_context, &coroutine);
    CHECK(coroutine_result == -1); // all bits stay set
}

static void one_instance(void)
{
    // The library stands under several names, and programs open it by some of them.
    void *first = dlopen("libcuda.so.1", RTLD_NOW), *second;
    char real[4096], other[4200];
    Dl_info info;
    CHECK(dladdr(dlsym(first, "cuInit"), &info));
    CHECK(realpath(info.dli_fname, real) != NULL);
    second = dlopen(real, RTLD_NOW);
    CHECK(second == first);
    start();
    snprintf(other, sizeof other, "/tmp/trecr-lifecycle-%d.so", getpid());
    CHECK(!symlink(real, other));
    second = dlopen(other, RTLD_NOW);
    unlink(other);
    CHECK(second && dlsym(second, "cuMemAlloc_v2") == find("cuMemAlloc_v2"));
    CHECK(!round_trip(27));
}

static void bad_pointers(void)
{
    // As with the driver: the program ends by SIGSEGV where it stands, or the call is refused; never an exit of ours.
    void *guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u64 p;
    start();
    IS(0, CALL(cuMemAlloc_v2, &p, (u64)100000));
    int r = CALL(cuMemcpyHtoD_v2, p, guarded, (u64)100000); // read by the delegator
    CHECK(r == 1 || r == 700 || r == 719);
    IS(1, CALL(cuMemcpyHtoD_v2, p, NULL, (u64)16));
    IS(1, CALL(cuMemAlloc_v2, NULL, (u64)16));
}

// A copy of the file is a second library with a runtime of its own, and there is one session in a process.
static void byte_copy(void)
{
    char copy[4096], command[9000];
    Dl_info info;
    start();
    CHECK(dladdr(find("cuInit"), &info));
    snprintf(copy, sizeof copy, "/tmp/trecr-lifecycle-copy-%d.so", getpid());
    snprintf(command, sizeof command, "cp -L '%s' %s", info.dli_fname, copy);
    CHECK(!system(command));
    void *second = dlopen(copy, RTLD_NOW);
    unlink(copy);
    CHECK(second && second != cuda_library);
    int (*init)(int) = dlsym(second, "cuInit"), (*alloc)(u64 *, u64) = dlsym(second, "cuMemAlloc_v2");
    u64 p = 77;
    int r = init(0);
    printf("second cuInit %d\n", r);
    CHECK(r != 0 && r != NOT_INITIALIZED);
    CHECK(alloc(&p, 16) == NOT_INITIALIZED);
    CHECK(!round_trip(28));
}

static void preloaded(void)
{
    CHECK(getenv("LD_PRELOAD") != NULL);
    CHECK(dlsym(RTLD_DEFAULT, "cuInit") == find("cuInit"));
    CHECK(threads_of_process() == 1);
    start();
    CHECK(!round_trip(29));
    fflush(stdout);
    CHECK(!system("true")); // a child that has it preloaded too
    CHECK(!round_trip(30));
}

// Less stack than the managed runtime needs to collect garbage: such a thread is refused by name; one that has a stack of its own making is not.
static int tiny_results[4];
static void tiny_calls(void)
{
    u64 context, p = 0;
    tiny_results[0] = CALL(cuDevicePrimaryCtxRetain, &context, 0);
    tiny_results[1] = CALL(cuCtxSetCurrent, context);
    tiny_results[2] = CALL(cuMemAlloc_v2, &p, (u64)64);
    tiny_results[3] = CALL(cuCtxSynchronize);
}
static void *tiny(void *unused)
{
    tiny_calls();
    return NULL;
}
static ucontext_t tiny_thread, roomy;
static void *tiny_with_coroutine(void *stack)
{
    getcontext(&roomy);
    roomy.uc_stack.ss_sp = stack;
    roomy.uc_stack.ss_size = 128 * 1024;
    roomy.uc_link = &tiny_thread;
    makecontext(&roomy, tiny_calls, 0);
    swapcontext(&tiny_thread, &roomy);
    return NULL;
}
static void tiny_stacks(void)
{
    enum { OUT_OF_MEMORY = 2 };
    static char stack[128 * 1024];
    pthread_attr_t attributes;
    pthread_t t;
    start();
    pthread_attr_init(&attributes);
    CHECK(!pthread_attr_setstacksize(&attributes, 16 * 1024));
    CHECK(!pthread_create(&t, &attributes, tiny, NULL));
    pthread_join(t, NULL);
    for (int i = 0; i < 4; i++) CHECK(tiny_results[i] == OUT_OF_MEMORY);
    CHECK(!pthread_create(&t, &attributes, tiny_with_coroutine, stack));
    pthread_join(t, NULL);
    for (int i = 0; i < 4; i++) CHECK(tiny_results[i] == 0);
    CHECK(!round_trip(31));
}

// A bad pointer of the program, used inside a call: the process ends by a signal, as with the driver. Who jumps out of the fault ends at the next call: nothing goes on with half a call.
static const char *fault_kind = "";
static int ends_by_signal(const char *kind)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, "fault_inside", kind, (char *)NULL);
        _exit(127);
    }
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGABRT);
}
static void faults_in_calls(void)
{
    CHECK(ends_by_signal("low"));
    CHECK(ends_by_signal("high"));
    CHECK(ends_by_signal("jump"));
    start();
    CHECK(!round_trip(32));
}
static void fault_inside(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    void *guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    start();
    if (!strcmp(fault_kind, "jump")) {
        sigaction(SIGSEGV, &action, NULL);
        if (sigsetjmp(after_fault, 1)) {
            if (fault_address != guarded) _exit(2);
            CALL(cuCtxSynchronize);
            _exit(3);
        }
    }
    CALL(cuMemAlloc_v2, !strcmp(fault_kind, "low") ? (void *)0x20 : guarded, (u64)16);
    _exit(4);
}

static const struct { const char *name; void (*run)(void); } ways[] = {
    {"byte_copy", byte_copy}, {"preloaded", preloaded}, {"tiny_stacks", tiny_stacks}, {"faults_in_calls", faults_in_calls}, {"fault_inside", fault_inside},
    {"fork_before_init", fork_before_init}, {"fork_after_init", fork_after_init}, {"forks_while_threads_call", forks_while_threads_call}, {"execute", execute},
    {"exit_while_threads_call", exit_while_threads_call}, {"calls_at_the_end", calls_at_the_end}, {"constructor", in_a_constructor}, {"pays_nothing", pays_nothing},
    {"first_calls_together", first_calls_together}, {"closed_and_opened", closed_and_opened}, {"signals_while_calling", signals_while_calling},
    {"sleepers_are_not_woken", sleepers_are_not_woken}, {"call_in_a_handler", call_in_a_handler}, {"faults_of_the_program", faults_of_the_program},
    {"a_thread_dies_in_a_call", a_thread_dies_in_a_call}, {"small_stacks", small_stacks}, {"coroutines", coroutines}, {"one_instance", one_instance}, {"bad_pointers", bad_pointers},
};

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 2) fault_kind = argv[2];
    sem_init(&entered, 0, 0);
    sem_init(&go_on, 0, 0);
    sem_init(&sleeping, 0, 0);
    pthread_barrier_init(&together, NULL, 1);
    for (unsigned i = 0; argc > 1 && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i].name, argv[1])) {
            ways[i].run();
            printf(failures ? "%d failures\n" : "all well\n", failures);
            return failures != 0;
        }
    return 2;
}
