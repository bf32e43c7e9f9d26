// trace PID: attaches to a process as a debugger does, says so, and lets it run until it is killed itself.
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    if (ptrace(PTRACE_SEIZE, atoi(argv[1]), 0, 0)) { perror("PTRACE_SEIZE"); return 3; }
    puts("attached");
    fflush(stdout);
    int status;
    pid_t who;
    while ((who = waitpid(-1, &status, __WALL)) > 0)
        if (WIFSTOPPED(status)) ptrace(PTRACE_CONT, who, 0, status >> 16 ? 0 : WSTOPSIG(status));
    return 0;
}
