// A tree: children, grandchildren, an own session, an own group with a dead leader, an orphan whose session leader is dead, zombies, stopped children, pipes with
// data, memory and a file offset shared by fork. Every process checks its place all the time; the root checks everything when stdin closes.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <errno.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/random.h>
#include <sys/prctl.h>
#define CHECK(c) do { if (!(c)) { fprintf(stderr, "FAILED %s line %d: %s errno %d\n", __FILE__, __LINE__, #c, errno); if (sh) sh->failed = __LINE__; _exit(1); } } while (0)
enum { WORKER, LEADER, MEMBER, ORPHAN, GROUPED, STOPPED, UNREPORTED, GRANDCHILD, N };
struct place { volatile unsigned long beats; volatile int pid, ppid, sid, pgid, ready; volatile unsigned nonce; };
struct shared { volatile int failed, stop; volatile unsigned counter; struct place at[N]; } *sh;
static volatile int childSignals; static void on_child(int s) { childSignals++; }
static unsigned nonce, private_copy[1024];
static void settle(int who)
{
    struct place *p = &sh->at[who];
    p->pid = getpid(); p->sid = getsid(0); p->pgid = getpgid(0); p->nonce = nonce;
    for (int i = 0; i < 1024; i++) private_copy[i] = nonce + who + i;
    if (who != ORPHAN && who != MEMBER) p->ppid = getppid();
    p->ready = 1;
}
static void verify(int who)
{
    struct place *p = &sh->at[who];
    CHECK(p->pid == getpid() && p->sid == getsid(0) && p->pgid == getpgid(0) && (p->ppid == 0 || p->ppid == getppid()) && p->nonce == nonce);
    for (int i = 0; i < 1024; i++) CHECK(private_copy[i] == nonce + who + i);
    p->beats++; __sync_fetch_and_add(&sh->counter, 1);
}
static void live(int who) { settle(who); while (!sh->stop) { verify(who); usleep(1000); } verify(who); }
static int spawned(int who) { while (!sh->at[who].ready) usleep(1000); return sh->at[who].pid; }
int main(int argc, char **argv)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4);
    sh = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int mf = memfd_create("tree", 0); CHECK(ftruncate(mf, 8192) == 0); unsigned *mem = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, mf, 0);
    char path[] = "/tmp/trecr-tree-XXXXXX"; int file = mkstemp(path); CHECK(file >= 0 && write(file, "abcdefghij", 10) == 10 && lseek(file, 0, SEEK_SET) == 0);
    int to[2], from[2], idle[2]; CHECK(pipe(to) == 0 && pipe(from) == 0 && pipe2(idle, O_NONBLOCK) == 0 && write(idle[1], "left in the pipe", 16) == 16);
    struct sigaction sa = { .sa_handler = on_child, .sa_flags = SA_RESTART }; sigaction(SIGCHLD, &sa, 0);
    pid_t worker = fork(), leader, grouped, stopped, unreported, z1, z2, dead;
    if (!worker) { // answers through pipes; has a child of its own
        close(to[1]); close(from[0]);
        pid_t grand = fork(); if (!grand) { live(GRANDCHILD); _exit(5); }
        settle(WORKER); unsigned v;
        while (read(to[0], &v, 4) == 4) { verify(WORKER); mem[v % 2048] = v; v = v * 2 + 1; CHECK(write(from[1], &v, 4) == 4); }
        int st; CHECK(waitpid(grand, &st, 0) == grand && WIFEXITED(st) && WEXITSTATUS(st) == 5); _exit(3);
    }
    leader = fork(); if (!leader) { CHECK(setsid() == getpid()); pid_t m = fork(); if (!m) { setpgid(0, 0); live(MEMBER); _exit(6); } live(LEADER); CHECK(waitpid(m, 0, 0) == m); _exit(4); }
    if (!fork()) { setsid(); if (!fork()) { while (getppid() != 1) usleep(1000); sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, 0); live(ORPHAN); _exit(0); } _exit(0); }
    while (wait(0) < 0) { } // the orphan's parent
    int gate[2]; CHECK(pipe(gate) == 0);
    dead = fork(); if (!dead) { char c; setpgid(0, 0); CHECK(write(gate[1], "x", 1) == 1); pause(); _exit(0); }
    char c; CHECK(read(gate[0], &c, 1) == 1);
    grouped = fork(); if (!grouped) { CHECK(setpgid(0, dead) == 0); live(GROUPED); _exit(7); } spawned(GROUPED); kill(dead, SIGKILL); CHECK(waitpid(dead, 0, 0) == dead); close(gate[0]); close(gate[1]);
    stopped = fork(); if (!stopped) { live(STOPPED); _exit(8); } spawned(STOPPED);
    unreported = fork(); if (!unreported) { setpgid(0, 0); live(UNREPORTED); _exit(9); } spawned(UNREPORTED);
    z1 = fork(); if (!z1) _exit(42); z2 = fork(); if (!z2) { signal(SIGUSR1, SIG_DFL); raise(SIGUSR1); _exit(0); }
    siginfo_t si; CHECK(waitid(P_PID, z1, &si, WEXITED | WNOWAIT) == 0 && waitid(P_PID, z2, &si, WEXITED | WNOWAIT) == 0);
    int st; kill(stopped, SIGSTOP); CHECK(waitpid(stopped, &st, WUNTRACED) == stopped && WIFSTOPPED(st));
    kill(unreported, SIGTSTP); CHECK(waitid(P_PID, unreported, &si, WSTOPPED | WNOWAIT) == 0);
    spawned(ORPHAN); spawned(LEADER); spawned(MEMBER); spawned(WORKER); spawned(GRANDCHILD);
    close(to[0]); close(from[1]);
    int inherited = dup(file); pid_t offset = fork(); if (!offset) { CHECK(lseek(inherited, 3, SEEK_SET) == 3); while (!sh->stop) usleep(1000); CHECK(read(file, &c, 1) == 1 && c == 'd'); _exit(0); }
    while (lseek(file, 0, SEEK_CUR) != 3) usleep(1000);
    unsigned long stoppedBeats = sh->at[STOPPED].beats; int signals = childSignals; unsigned v, n = 0; pid_t me = getpid(), parent = getppid(), sid = getsid(0);
    printf("ready %08x\n", nonce);
    struct pollfd pf = { 0, POLLIN, 0 };
    while (poll(&pf, 1, 1) == 0 || n < 3) { v = n++; CHECK(write(to[1], &v, 4) == 4 && read(from[0], &v, 4) == 4 && v == (n - 1) * 2 + 1 && mem[(n - 1) % 2048] == n - 1); CHECK(!sh->failed); }
    CHECK(getpid() == me && getppid() == parent && getsid(0) == sid);
    CHECK(childSignals == signals); // nothing told us of a child again
    CHECK(sh->at[STOPPED].beats == stoppedBeats);
    CHECK(waitpid(stopped, &st, WUNTRACED | WNOHANG) == 0); // told before
    CHECK(waitpid(unreported, &st, WUNTRACED | WNOHANG) == unreported && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTSTP);
    CHECK(waitpid(unreported, &st, WUNTRACED | WNOHANG) == 0);
    CHECK(waitpid(z1, &st, 0) == z1 && WIFEXITED(st) && WEXITSTATUS(st) == 42);
    CHECK(waitpid(z2, &st, 0) == z2 && WIFSIGNALED(st) && WTERMSIG(st) == SIGUSR1);
    char b[32]; CHECK(read(idle[0], b, 32) == 16 && !memcmp(b, "left in the pipe", 16) && read(idle[0], b, 1) == -1 && errno == EAGAIN);
    CHECK(sh->at[ORPHAN].sid != sid && kill(sh->at[ORPHAN].sid, 0) == -1 && getsid(sh->at[ORPHAN].pid) == sh->at[ORPHAN].sid);
    CHECK(getpgid(grouped) == dead && getsid(leader) == leader && getsid(sh->at[MEMBER].pid) == leader && getpgid(sh->at[MEMBER].pid) == sh->at[MEMBER].pid);
    unsigned long before[N]; for (int i = 0; i < N; i++) before[i] = sh->at[i].beats;
    CHECK(killpg(dead, SIGSTOP) == 0 && waitpid(grouped, &st, WUNTRACED) == grouped && WIFSTOPPED(st)); kill(grouped, SIGCONT);
    kill(stopped, SIGCONT); kill(unreported, SIGCONT);
    for (int i = 0; i < N; i++) while (i != WORKER && sh->at[i].beats == before[i]) { CHECK(!sh->failed); usleep(1000); }
    sh->stop = 1; close(to[1]);
    CHECK(waitpid(worker, &st, 0) == worker && WEXITSTATUS(st) == 3); CHECK(waitpid(leader, &st, 0) == leader && WEXITSTATUS(st) == 4); CHECK(waitpid(grouped, &st, 0) == grouped && WEXITSTATUS(st) == 7);
    CHECK(waitpid(stopped, &st, 0) == stopped && WEXITSTATUS(st) == 8); CHECK(waitpid(unreported, &st, 0) == unreported && WEXITSTATUS(st) == 9); CHECK(waitpid(offset, &st, 0) == offset && st == 0);
    CHECK(lseek(file, 0, SEEK_CUR) == 4 && wait(0) == -1 && errno == ECHILD && !sh->failed);
    while (kill(sh->at[ORPHAN].pid, 0) == 0) usleep(1000);
    unlink(path); printf("done %08x\n", nonce); return 0;
}
