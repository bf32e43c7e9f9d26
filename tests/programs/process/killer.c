// Processes that are killed by others that began later, and so are stopped later: a victim, then one that kills it, all the time; the statuses of both are checked.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/wait.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
static void *second(void *a) { while (1) usleep(200); return 0; }
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); unsigned nonce; CHECK(getrandom(&nonce, 4, 0) == 4);
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    for (unsigned n = 0; poll(&pf, 1, 0) == 0 || n < 4; n++)
    {
        int st; pid_t victim = fork(); CHECK(victim >= 0); if (!victim) { pthread_t t; if (n % 2) pthread_create(&t, 0, second, 0); while (1) usleep(100); }
        pid_t killer = fork(); CHECK(killer >= 0); if (!killer) { usleep(n * 37 % 2000); _exit(kill(victim, SIGKILL) == 0 ? 5 : 6); }
        CHECK(waitpid(victim, &st, 0) == victim && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL); CHECK(waitpid(killer, &st, 0) == killer && WIFEXITED(st) && WEXITSTATUS(st) == 5);
    }
    CHECK(wait(0) == -1 && errno == ECHILD); printf("done %08x\n", nonce); return 0;
}
