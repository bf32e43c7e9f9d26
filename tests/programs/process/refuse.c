// Holds one thing that cannot be saved, says ready, waits for the end of stdin, uses the thing once more, says done.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <poll.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <sched.h>
#include <pthread.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/inotify.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
static int idle(void *a) { while (1) pause(); }
static void *alone(void *a) { CHECK(unshare(CLONE_FILES) == 0 && write(*(int *)a, "x", 1) == 1); while (1) pause(); }
int main(int argc, char **argv)
{
    setvbuf(stdout, 0, _IOLBF, 0); const char *w = argv[1]; int many = !strcmp(w, "many"), fd = -1; pid_t child = 0; timer_t timer;
    if (!strcmp(w, "abort")) { printf("ready 1\n"); char c; CHECK(read(0, &c, 1) == 0); abort(); }
    if (!strcmp(w, "tcp") || many) { fd = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = { AF_INET, 0, { htonl(INADDR_LOOPBACK) } }; CHECK(bind(fd, (void *)&a, sizeof a) == 0 && listen(fd, 1) == 0); }
    if (!strcmp(w, "unix")) { int p[2]; CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0); }
    if (!strcmp(w, "sharedvm")) { char *stack = malloc(65536); child = clone(idle, stack + 65536, CLONE_VM | SIGCHLD, 0); CHECK(child > 0); }
    if (!strcmp(w, "unshared")) { pthread_t t; int p[2]; CHECK(pipe(p) == 0); CHECK(pthread_create(&t, 0, alone, &p[1]) == 0); char c; CHECK(read(p[0], &c, 1) == 1); close(p[0]); close(p[1]); }
    if (!strcmp(w, "timer") || many) { struct sigevent s = { .sigev_notify = SIGEV_NONE }; CHECK(timer_create(CLOCK_MONOTONIC, &s, &timer) == 0); }
    if (!strcmp(w, "deleted")) { char t[] = "/tmp/trecr-deleted-XXXXXX"; fd = mkstemp(t); unlink(t); }
    int id = -1; void *m = 0; if (!strcmp(w, "shm")) { id = shmget(IPC_PRIVATE, 4096, 0600); m = shmat(id, 0, 0); CHECK(m != (void *)-1); shmctl(id, IPC_RMID, 0); }
    sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR1);
    if (!strcmp(w, "signalfd") || many) CHECK(signalfd(-1, &s, 0) >= 0);
    if (!strcmp(w, "timerfd")) CHECK(timerfd_create(CLOCK_MONOTONIC, 0) >= 0);
    if (!strcmp(w, "inotify")) CHECK(inotify_init() >= 0);
    if (!strcmp(w, "lock")) { char t[] = "/tmp/trecr-lock-XXXXXX"; fd = mkstemp(t); CHECK(lockf(fd, F_LOCK, 0) == 0); unlink(t); fd = -1; }
    if (!strcmp(w, "pty")) { fd = posix_openpt(O_RDWR | O_NOCTTY); CHECK(grantpt(fd) == 0 && unlockpt(fd) == 0); CHECK(open(ptsname(fd), O_RDWR | O_NOCTTY) >= 0); }
    printf("ready %d\n", getpid());
    char c; CHECK(read(0, &c, 1) == 0);
    if (child) { kill(child, SIGKILL); CHECK(waitpid(child, 0, 0) == child); }
    if (m) { memset(m, 1, 4096); }
    printf("done\n"); return 0;
}
