// Forks all the time: plain fork, vfork and exec, a child with a child; checks every exit status and what the child inherited.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <poll.h>
#include <errno.h>
#include <spawn.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/random.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
extern char **environ;
int main()
{
    setvbuf(stdout, 0, _IOLBF, 0); unsigned nonce; CHECK(getrandom(&nonce, 4, 0) == 4); unsigned *table = malloc(1 << 20); for (int i = 0; i < 1 << 18; i++) table[i] = nonce ^ i;
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 }; unsigned n = 0;
    while (poll(&pf, 1, 0) == 0 || n < 4)
    {
        pid_t p; int st, want = n % 100; char code[16];
        if (n % 3 == 0) { p = fork(); if (!p) { for (int i = 0; i < 1 << 18; i += 512) if (table[i] != (nonce ^ i)) _exit(200); _exit(want); } }
        else if (n % 3 == 1) { sprintf(code, "exit %d", want); char *a[] = { "sh", "-c", code, 0 }; CHECK(posix_spawn(&p, "/bin/sh", 0, 0, a, environ) == 0); }
        else { p = fork(); if (!p) { pid_t q = fork(); if (!q) { usleep(500); _exit(want); } int s; if (waitpid(q, &s, 0) != q || !WIFEXITED(s)) _exit(201); _exit(WEXITSTATUS(s)); } }
        CHECK(p > 0 && waitpid(p, &st, 0) == p && WIFEXITED(st)); if (WEXITSTATUS(st) != want) { printf("FAILED child %u: %x instead of %d\n", n, st, want); exit(1); }
        n++;
    }
    CHECK(wait(0) == -1 && errno == ECHILD); printf("done %08x\n", nonce); return 0;
}
