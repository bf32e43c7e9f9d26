// The loops of facts/peers.md: ns an operation, one line each.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
static void *nothing(void *a) { return 0; }
#define LOOP(name, count, body) do { double b = now(); for (long i = 0; i < count; i++) { body; } printf("%s %.2f\n", name, (now() - b) / count); } while (0)
int main(void)
{
    volatile double x = 1; int zero = open("/dev/zero", O_RDONLY), p[2]; char c = 0; struct timespec ts; pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_t t; socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    LOOP("compute", 50000000, x = x * 1.0000001 + 1e-9);
    LOOP("malloc_free", 5000000, { void *volatile q = malloc(16 + i % 512); free(q); });
    LOOP("malloc_1MiB", 2000000, { char *volatile q = malloc(1 << 20); q[0] = 1; free(q); });
    LOOP("mmap_munmap", 200000, { void *q = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(q, 4096); });
    LOOP("clock_gettime", 5000000, clock_gettime(CLOCK_MONOTONIC, &ts));
    LOOP("read_zero", 1000000, if (read(zero, &c, 1) != 1) return 1);
    LOOP("open_close", 200000, close(open("/dev/null", O_RDONLY)));
    LOOP("socketpair", 300000, if (write(p[0], &c, 1) != 1 || read(p[1], &c, 1) != 1) return 1);
    LOOP("mutex", 20000000, { pthread_mutex_lock(&m); pthread_mutex_unlock(&m); });
    LOOP("pthread", 5000, { pthread_create(&t, 0, nothing, 0); pthread_join(t, 0); });
    LOOP("fork_wait", 500, { pid_t q = fork(); if (!q) _exit(0); waitpid(q, 0, 0); });
    LOOP("getpid", 3000000, syscall(SYS_getpid));
    return 0;
}
