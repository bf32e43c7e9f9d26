// Holds one thing that cannot be saved, says ready, waits for the end of stdin, uses the thing once more, says done.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <poll.h>
#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
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
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/io_uring.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
static int idle(void *a) { while (1) pause(); }
static void *alone(void *a) { CHECK(unshare(CLONE_FILES) == 0 && write(*(int *)a, "x", 1) == 1); while (1) pause(); }
static char stack[65536], other[64];
static int sleeper(void *a) { for (;;) syscall(34); }
int main(int argc, char **argv)
{
    setvbuf(stdout, 0, _IOLBF, 0); const char *w = argv[1]; int many = !strcmp(w, "many"), fd = -1; pid_t child = 0; timer_t timer;
    if (!strcmp(w, "abort")) { printf("ready 1\n"); char c; CHECK(read(0, &c, 1) == 0); abort(); }
    if (!strcmp(w, "sharedvm")) { char *stack = malloc(65536); child = clone(idle, stack + 65536, CLONE_VM | SIGCHLD, 0); CHECK(child > 0); }
    if (!strcmp(w, "unshared")) { pthread_t t; int p[2]; CHECK(pipe(p) == 0); CHECK(pthread_create(&t, 0, alone, &p[1]) == 0); char c; CHECK(read(p[0], &c, 1) == 1); close(p[0]); close(p[1]); }
    if (!strcmp(w, "tcp") || many) { fd = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = { AF_INET, htons(atoi(argv[3])), { htonl(INADDR_LOOPBACK) } }; CHECK(connect(fd, (void *)&a, sizeof a) == 0); }
    if (!strcmp(w, "unix")) { // the other end is in the test
        fd = socket(AF_UNIX, SOCK_STREAM, 0); struct sockaddr_un u = { AF_UNIX }; strcpy(u.sun_path, argv[2]); CHECK(connect(fd, (void *)&u, sizeof u) == 0); }
    if (!strcmp(w, "raw")) CHECK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0);
    if (!strcmp(w, "packet")) CHECK(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
    if (!strcmp(w, "netlink")) CHECK(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
    if (!strcmp(w, "filter")) { int p[2]; CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0); struct sock_filter all = { BPF_RET | BPF_K, 0, 0, -1 }; struct sock_fprog f = { 1, &all };
        CHECK(setsockopt(p[0], SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof f) == 0); }
    if (!strcmp(w, "io_uring")) { struct io_uring_params q = { 0 }; CHECK(syscall(425, 4, &q) >= 0); }
    if (!strcmp(w, "fanotify")) CHECK(syscall(300, 0, O_RDONLY) >= 0);
    if (!strcmp(w, "perf")) { struct perf_event_attr q = { .type = PERF_TYPE_SOFTWARE, .size = sizeof q, .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 }; CHECK(syscall(298, &q, 0, -1, -1, 0) >= 0); }
    if (!strcmp(w, "bpf")) { unsigned q[32] = { 2 /* array */, 4, 4, 1 }; CHECK(syscall(321, 0 /* BPF_MAP_CREATE */, q, sizeof q) >= 0); }
    if (!strcmp(w, "userfaultfd")) { int u = syscall(323, O_CLOEXEC | 1); unsigned long q[3] = { 0xaa, 0, 0 }; CHECK(u >= 0 && ioctl(u, 0xc018aa3f, q) == 0); }
    if (!strcmp(w, "seccomp")) { struct sock_filter all = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW }; struct sock_fprog f = { 1, &all }; CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f) == 0); }
    if (!strcmp(w, "namespace")) CHECK(syscall(272 /* unshare */, 0x04000000 /* CLONE_NEWUTS */) == 0);
    if (!strcmp(w, "linked")) { char t[] = "/tmp/trecr-linked-XXXXXX"; fd = mkstemp(t); sprintf(other, "%s.other", t); CHECK(link(t, other) == 0); unlink(t); }
    if (!strcmp(w, "lease") || many) { char t[] = "/tmp/trecr-lease-XXXXXX"; int l = mkstemp(t); close(l); l = open(t, O_RDONLY); CHECK(fcntl(l, F_SETLEASE, F_RDLCK) == 0); unlink(t); }
    if (!strcmp(w, "timer") || many) { CHECK(clone(&sleeper, stack + sizeof stack, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS | CLONE_FILES, 0) > 0); struct sigevent s = { .sigev_notify = SIGEV_NONE }; CHECK(timer_create(CLOCK_THREAD_CPUTIME_ID, &s, &timer) == 0); }
    int id = -1; void *m = 0; if (!strcmp(w, "shm")) { id = shmget(IPC_PRIVATE, 4096, 0600); m = shmat(id, 0, 0); CHECK(m != (void *)-1); shmctl(id, IPC_RMID, 0); }
    if (!strcmp(w, "pty")) CHECK(open(argv[4], O_RDWR | O_NOCTTY) >= 0); // its master is in the test
    if (!strcmp(w, "chroot")) CHECK(chroot("/tmp") == 0);
    int end = -1; long queued = 0; if (!strcmp(w, "room")) { // more on the way than the reader may ever have room for
        struct sockaddr_in a = { AF_INET, 0, { htonl(INADDR_LOOPBACK) } }; socklen_t n = sizeof a; int l = socket(AF_INET, SOCK_STREAM, 0); CHECK(bind(l, (void *)&a, n) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&a, &n) == 0);
        fd = socket(AF_INET, SOCK_STREAM, 0); CHECK(connect(fd, (void *)&a, n) == 0); end = accept(l, 0, 0); CHECK(end >= 0); close(l); char some[1000]; ssize_t sent; while ((sent = send(fd, some, sizeof some, MSG_DONTWAIT)) > 0) queued += sent; }
    printf("ready %d\n", getpid());
    char c; CHECK(read(0, &c, 1) == 0);
    if (end >= 0) { shutdown(fd, SHUT_WR); char some[1000]; ssize_t got; while ((got = read(end, some, sizeof some)) > 0) queued -= got; CHECK(got == 0 && queued == 0); }
    if (child) { kill(child, SIGKILL); CHECK(waitpid(child, 0, 0) == child); }
    if (m) { memset(m, 1, 4096); }
    if (other[0]) unlink(other);
    printf("done\n"); return 0;
}
