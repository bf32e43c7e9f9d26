// Runs a command under a seccomp filter that answers EPERM to the system calls named, as sandboxes and Yama do.
//   forbid NAME[,NAME...] CMD...     names: ptrace (PTRACE_ATTACH and PTRACE_SEIZE only, as Yama with kernel.yama.ptrace_scope=3), kcmp, process_vm, pidfd_getfd, userfaultfd, clone3
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter program[64];
static int length;

static void add(unsigned short code, unsigned char yes, unsigned char no, unsigned value)
{
    program[length++] = (struct sock_filter)BPF_JUMP(code, value, yes, no);
}

static void forbid(unsigned number)
{
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
    for (char *name = strtok(argv[1], ","); name; name = strtok(NULL, ",")) {
        if (!strcmp(name, "ptrace")) {
            add(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, SYS_ptrace);
            add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args[0]));
            add(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, PTRACE_ATTACH);
            add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PTRACE_SEIZE);
            add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
            add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
        } else if (!strcmp(name, "kcmp")) forbid(SYS_kcmp);
        else if (!strcmp(name, "process_vm")) { forbid(SYS_process_vm_readv); forbid(SYS_process_vm_writev); }
        else if (!strcmp(name, "pidfd_getfd")) forbid(SYS_pidfd_getfd);
        else if (!strcmp(name, "userfaultfd")) forbid(SYS_userfaultfd);
        else if (!strcmp(name, "clone3")) forbid(SYS_clone3);
        else if (strcmp(name, "nothing")) return 2;
    }
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = { (unsigned short)length, program };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) { perror("forbid"); return 3; }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
