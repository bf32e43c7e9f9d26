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
#include <linux/if_packet.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
#define HAVE(c) do { if (!(c)) { printf("%s cannot be had here: errno %d\n", w, errno); fflush(stdout); exit(77); } } while (0) // of this machine, not of us
static int idle(void *a) { while (1) pause(); }
static void *alone(void *a) { CHECK(unshare(CLONE_FILES) == 0 && write(*(int *)a, "x", 1) == 1); while (1) pause(); }
static char stack[65536], other[64];
static void *away(void *a) { CHECK(unshare(((int *)a)[1]) == 0 && write(((int *)a)[0], "x", 1) == 1); while (1) pause(); }
// Follows what is traced as a debugger does, until it is killed.
static void follow(int ready) { int st; pid_t p; CHECK(write(ready, "x", 1) == 1); while ((p = waitpid(-1, &st, __WALL)) > 0) if (WIFSTOPPED(st)) ptrace(PTRACE_CONT, p, 0, st >> 16 ? 0 : WSTOPSIG(st)); while (1) pause(); }
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
    int space = !strcmp(w, "net") ? CLONE_NEWNET : !strcmp(w, "ipc") ? CLONE_NEWIPC : !strcmp(w, "mnt") ? CLONE_NEWNS : !strcmp(w, "user") ? CLONE_NEWUSER : !strcmp(w, "cgroup") ? 0x02000000 : !strncmp(w, "pid", 3) ? CLONE_NEWPID : !strcmp(w, "time") ? 0x80 : 0;
    if (space) HAVE(unshare(space) == 0);
    if (!strcmp(w, "pidchild")) { child = fork(); CHECK(child >= 0); if (!child) { prctl(PR_SET_PDEATHSIG, SIGKILL); while (1) pause(); } }
    if (!strncmp(w, "thread", 6)) { pthread_t t; int p[2]; CHECK(pipe(p) == 0); int a[2] = { p[1], strcmp(w, "threadnet") ? CLONE_NEWUTS : CLONE_NEWNET }; CHECK(pthread_create(&t, 0, away, a) == 0); char c; CHECK(read(p[0], &c, 1) == 1); close(p[0]); close(p[1]); }
    void *map = MAP_FAILED; size_t length = 8192; int f = -1; // the mapping outlives its descriptor
    if (!strcmp(w, "kvm")) { int k = open("/dev/kvm", O_RDWR | O_CLOEXEC); HAVE(k >= 0); int vm = ioctl(k, KVM_CREATE_VM, 0); HAVE(vm >= 0); f = ioctl(vm, KVM_CREATE_VCPU, 0); HAVE(f >= 0); length = ioctl(k, KVM_GET_VCPU_MMAP_SIZE, 0); close(vm); close(k); }
    if (!strcmp(w, "block")) { f = open("/dev/loop0", O_RDONLY); length = 4096; }
    if (!strcmp(w, "ring")) { f = socket(AF_PACKET, SOCK_RAW, 0); HAVE(f >= 0); struct tpacket_req q = { 4096, 2, 2048, 4 }; HAVE(setsockopt(f, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0); }
    if (!strcmp(w, "uring-map")) { struct io_uring_params q = { 0 }; f = syscall(425, 4, &q); length = 4096; }
    if (!strcmp(w, "perf-map")) { struct perf_event_attr q = { .type = PERF_TYPE_SOFTWARE, .size = sizeof q, .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 }; f = syscall(298, &q, 0, -1, -1, 0); }
    if (!strncmp(w, "secret", 6)) { f = syscall(447, 0); HAVE(f >= 0); CHECK(ftruncate(f, length) == 0); }
    if (!strcmp(w, "kvm") || !strcmp(w, "block") || !strcmp(w, "ring") || !strcmp(w, "uring-map") || !strcmp(w, "perf-map") || !strcmp(w, "secret"))
    { HAVE(f >= 0); map = mmap(0, length, strcmp(w, "block") ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, f, 0); HAVE(map != MAP_FAILED); close(f); }
    int begun[2]; pid_t self = getpid(); CHECK(pipe(begun) == 0);
    if (!strcmp(w, "traced")) { child = fork(); CHECK(child >= 0); if (!child) { CHECK(ptrace(PTRACE_SEIZE, self, 0, 0) == 0); follow(begun[1]); } }
    if (!strcmp(w, "tracer")) { child = fork(); CHECK(child >= 0); if (!child) { pid_t t = fork(); CHECK(t >= 0); if (!t) { prctl(PR_SET_PDEATHSIG, SIGKILL); while (1) getppid(), usleep(100); } CHECK(ptrace(PTRACE_SEIZE, t, 0, PTRACE_O_EXITKILL) == 0); follow(begun[1]); } }
    char b; if (!strncmp(w, "trace", 5)) CHECK(read(begun[0], &b, 1) == 1);
    close(begun[0]); close(begun[1]);
    printf("ready %d\n", getpid());
    char c; CHECK(read(0, &c, 1) == 0);
    if (end >= 0) { shutdown(fd, SHUT_WR); char some[1000]; ssize_t got; while ((got = read(end, some, sizeof some)) > 0) queued -= got; CHECK(got == 0 && queued == 0); }
    if (child) { kill(child, SIGKILL); CHECK(waitpid(child, 0, 0) == child); }
    if (m) { memset(m, 1, 4096); }
    if (map != MAP_FAILED) { if (!strcmp(w, "secret")) memset(map, 1, length); CHECK(munmap(map, length) == 0); }
    if (other[0]) unlink(other);
    printf("done\n"); return 0;
}
