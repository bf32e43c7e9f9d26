namespace TreCr.Linux;

/// <summary>System call numbers of x86-64 Linux. Source: arch/x86/entry/syscalls/syscall_64.tbl.</summary>
public enum SyscallNumber : long
{
    Read = 0, Write = 1, Open = 2, Close = 3, Fstat = 5, Poll = 7, Lseek = 8, Mmap = 9, Mprotect = 10, Munmap = 11, Brk = 12,
    RtSigaction = 13, RtSigprocmask = 14, RtSigreturn = 15, Ioctl = 16, Pread64 = 17, Pwrite64 = 18, SchedYield = 24, Mremap = 25,
    Madvise = 28, Dup = 32, Dup2 = 33, Pause = 34, Nanosleep = 35, Getitimer = 36, Setitimer = 38, Getpid = 39, Socket = 41, Connect = 42,
    Sendmsg = 46, Recvmsg = 47, Bind = 49, Listen = 50, Socketpair = 53, Getsockopt = 55, Clone = 56, Fork = 57, Execve = 59, Exit = 60,
    Wait4 = 61, Kill = 62, Fcntl = 72, Flock = 73, Fsync = 74, Fdatasync = 75, Ftruncate = 77, Chdir = 80, Fchdir = 81, Rename = 82,
    Mkdir = 83, Rmdir = 84, Unlink = 87, Readlink = 89, Fchmod = 91, Umask = 95, Ptrace = 101, Getuid = 102, Getgid = 104, Geteuid = 107, Getegid = 108, Setpgid = 109,
    Getppid = 110, Setsid = 112, Capget = 125, Capset = 126, RtSigqueueinfo = 129, RtSigtimedwait = 128, Sigaltstack = 131, Personality = 135,
    Statfs = 137, Mlock = 149, Prctl = 157, ArchPrctl = 158, Chroot = 161, Mount = 165, Gettid = 186, Futex = 202, SchedSetaffinity = 203,
    SchedGetaffinity = 204, Tkill = 200, SetTidAddress = 218, RestartSyscall = 219, ClockGettime = 228, ExitGroup = 231, Tgkill = 234, Openat = 257,
    Mkdirat = 258, Newfstatat = 262, Unlinkat = 263, Unshare = 272, SetRobustList = 273, GetRobustList = 274, Tee = 276, Utimensat = 280, Fallocate = 285, Accept4 = 288,
    Eventfd2 = 290, EpollCreate1 = 291, Dup3 = 292, Pipe2 = 293, Preadv = 295, Pwritev = 296, RtTgsigqueueinfo = 297, Prlimit64 = 302, Setns = 308,
    ProcessVmReadv = 310, ProcessVmWritev = 311, Kcmp = 312, SchedSetattr = 314, SchedGetattr = 315, Renameat2 = 316, Getrandom = 318, MemfdCreate = 319,
    Execveat = 322, Userfaultfd = 323, Membarrier = 324, Statx = 332, Rseq = 334, PidfdSendSignal = 424, PidfdOpen = 434, Clone3 = 435,
    CloseRange = 436, PidfdGetfd = 438, Mseal = 462,
    Setgroups = 116, Setresuid = 117, Setresgid = 119, Setfsuid = 122, Setfsgid = 123, Setpriority = 141, Getdents64 = 217, SyncFileRange = 277, Getrlimit = 97, Signalfd4 = 289, Getpgid = 121, Getsid = 124,
    Stat = 4, Lstat = 6, Shmget = 29, Shmat = 30, Shmctl = 31, Sendto = 44, Recvfrom = 45, Shutdown = 48, Getsockname = 51, Getpeername = 52, Setsockopt = 54,
    Semget = 64, Semctl = 66, Shmdt = 67, Msgget = 68, Msgsnd = 69, Msgrcv = 70, Msgctl = 71, Link = 86, Chown = 92, Fchown = 93, Mknod = 133, Fstatfs = 138,
    TimerSettime = 223, TimerGettime = 224, TimerGetoverrun = 225, TimerDelete = 226, MqOpen = 240, MqUnlink = 241, MqTimedsend = 242, MqTimedreceive = 243,
    MqNotify = 244, MqGetsetattr = 245, InotifyAddWatch = 254, InotifyRmWatch = 255, TimerfdGettime = 287, InotifyInit1 = 294, OpenByHandleAt = 304,
    EpollCtl = 233, EpollWait = 232, TimerCreate = 222, TimerfdCreate = 283, TimerfdSettime = 286, IoprioGet = 252, IoprioSet = 251, Waitid = 247,
}
