// Cost of driver calls as the caller sees them: bursts of enqueued calls that fit the ring, then waiting calls.
// Prints "enqueue_ns MEDIAN wait_us MEDIAN". With --socket the same exchange goes through a Unix stream socket to a child that answers.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 256, BURSTS = 2000, WAITS = 50000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, n, sizeof *values, ascending);
    return values[n / 2];
}

static double bursts[BURSTS], waits[WAITS];

static void report(void)
{
    printf("enqueue_ns %.1f wait_us %.3f\n", median(bursts, BURSTS) * 1e9, median(waits, WAITS) * 1e6);
}

static int through_socket(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return perror("socketpair"), 1;
    pid_t child = fork();
    if (child == 0) {
        char record[64];
        close(ends[0]);
        while (recv(ends[1], record, sizeof record, MSG_WAITALL) == sizeof record)
            if (record[0] && send(ends[1], record, sizeof record, MSG_NOSIGNAL) != sizeof record) break;
        _exit(0);
    }
    close(ends[1]);
    char record[64] = {0};
    for (int b = 0; b < BURSTS; b++) {
        record[0] = 0;
        double start = now();
        for (int i = 0; i < BURST; i++)
            if (send(ends[0], record, sizeof record, MSG_NOSIGNAL) != sizeof record) return perror("send"), 1;
        bursts[b] = (now() - start) / BURST;
        record[0] = 1;
        send(ends[0], record, sizeof record, MSG_NOSIGNAL);
        recv(ends[0], record, sizeof record, MSG_WAITALL);
    }
    for (int i = 0; i < WAITS; i++) {
        record[0] = 1;
        double start = now();
        send(ends[0], record, sizeof record, MSG_NOSIGNAL);
        if (recv(ends[0], record, sizeof record, MSG_WAITALL) != sizeof record) return perror("recv"), 1;
        waits[i] = now() - start;
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    report();
    return 0;
}

#define CALL(x) do { int r_ = (x); if (r_) { fprintf(stderr, "%s: %d\n", #x, r_); return 1; } } while (0)

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--socket")) return through_socket();
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW);
    if (!cuda) return fprintf(stderr, "%s\n", dlerror()), 1;
    int (*cuInit)(unsigned) = (int (*)(unsigned))dlsym(cuda, "cuInit");
    int (*retain)(void **, int) = (int (*)(void **, int))dlsym(cuda, "cuDevicePrimaryCtxRetain");
    int (*setCurrent)(void *) = (int (*)(void *))dlsym(cuda, "cuCtxSetCurrent");
    int (*eventCreate)(void **, unsigned) = (int (*)(void **, unsigned))dlsym(cuda, "cuEventCreate");
    int (*eventRecord)(void *, void *) = (int (*)(void *, void *))dlsym(cuda, "cuEventRecord");
    int (*streamGetFlags)(void *, unsigned *) = (int (*)(void *, unsigned *))dlsym(cuda, "cuStreamGetFlags");
    int (*synchronize)(void) = (int (*)(void))dlsym(cuda, "cuCtxSynchronize");
    int (*streamCreate)(void **, unsigned) = (int (*)(void **, unsigned))dlsym(cuda, "cuStreamCreate");
    void *context, *event, *stream;
    unsigned flags;
    CALL(cuInit(0));
    CALL(retain(&context, 0));
    CALL(setCurrent(context));
    CALL(eventCreate(&event, 2));
    CALL(streamCreate(&stream, 1));
    for (int b = 0; b < BURSTS; b++) {
        double start = now();
        for (int i = 0; i < BURST; i++) CALL(eventRecord(event, stream));
        bursts[b] = (now() - start) / BURST;
        CALL(synchronize());
    }
    for (int i = 0; i < WAITS; i++) {
        double start = now();
        CALL(streamGetFlags(stream, &flags));
        waits[i] = now() - start;
    }
    report();
    return 0;
}
