// mover MIB THREADS FILE [dump]: the yardstick of a dump and a restore. Moves the memory of another process into a file, until it is durable, and from there into a process whose memory was never touched; with
// as many threads as asked for, 1 MiB at a time. Prints "dump SECONDS" and "restore SECONDS"; with "dump" the first only.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
static long bytes; static int file; static pid_t child; static char *area; static int writing; static long next;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void *move(void *a)
{
    char *buffer = malloc(1 << 20); long at;
    while ((at = __atomic_fetch_add(&next, 1 << 20, __ATOMIC_RELAXED)) < bytes) {
        struct iovec here = { buffer, 1 << 20 }, there = { area + at, 1 << 20 };
        if (writing ? pread(file, buffer, 1 << 20, at) != 1 << 20 || process_vm_writev(child, &here, 1, &there, 1, 0) != 1 << 20
                    : process_vm_readv(child, &here, 1, &there, 1, 0) != 1 << 20 || pwrite(file, buffer, 1 << 20, at) != 1 << 20) { perror("mover"); exit(1); }
    }
    free(buffer); return 0;
}
static pid_t hold(int fill)
{
    int ready[2]; char c; if (pipe(ready)) exit(1);
    pid_t pid = fork();
    if (!pid) { if (fill) { unsigned long x = time(0) * 2654435761UL | 1; for (long i = 0; i < bytes / 8; i++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; ((unsigned long *)area)[i] = x; } } if (write(ready[1], "", 1) != 1) _exit(1); for (;;) pause(); }
    if (read(ready[0], &c, 1) != 1) exit(1);
    return pid;
}
static double run(int threads)
{
    pthread_t t[64]; next = 0; double start = now();
    for (int i = 0; i < threads; i++) pthread_create(&t[i], 0, move, 0);
    for (int i = 0; i < threads; i++) pthread_join(t[i], 0);
    if (!writing && fsync(file)) exit(1);
    return now() - start;
}
int main(int argc, char **argv)
{
    bytes = atol(argv[1]) << 20; int threads = atoi(argv[2]); file = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600); if (file < 0) return 1;
    area = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); if (area == MAP_FAILED) return 1;
    child = hold(1); printf("dump %.6f\n", run(threads)); kill(child, SIGKILL); waitpid(child, 0, 0);
    if (argc > 4 && !strcmp(argv[4], "dump")) { unlink(argv[3]); return 0; }
    writing = 1; child = hold(0); printf("restore %.6f\n", run(threads)); kill(child, SIGKILL); waitpid(child, 0, 0);
    unlink(argv[3]); return 0;
}
