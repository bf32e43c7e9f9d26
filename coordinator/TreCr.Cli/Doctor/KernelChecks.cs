using TreCr.Control;
using TreCr.Linux;
using TreCr.Process.Launch;

namespace TreCr.Cli;

/// <summary>What <c>trecr doctor</c> asks of the kernel: each thing is tried, not only looked up.</summary>
internal static unsafe class KernelChecks
{
    public static DoctorFinding Version()
    {
        string[] numbers = HostFacts.KernelRelease.Split('.', '-');
        bool enough = numbers.Length > 1 && int.TryParse(numbers[0], out int major) && int.TryParse(numbers[1], out int minor) && (major > 6 || (major == 6 && minor >= 7));
        return enough && TreCr.Process.ProcessEngine.WhyNoTracking is null ? DoctorFinding.Ok("kernel", HostFacts.KernelRelease)
            : DoctorFinding.Degraded("kernel", $"{HostFacts.KernelRelease} without PAGEMAP_SCAN: checkpoints are full, the stop follows the program's memory", "use a kernel from 6.7 on (Debian 12: one of bookworm-backports)");
    }

    /// <summary>A job's namespaces with their init, and ptrace on it as the engine does it.</summary>
    public static IEnumerable<DoctorFinding> Namespaces()
    {
        DoctorFinding ptrace = DoctorFinding.Degraded("ptrace", "not tried: no namespaces", "see namespaces");
        DoctorFinding namespaces;
        try
        {
            using RankNamespace space = RankNamespace.Start(new NamespaceOptions { InitPath = Installation.Init });
            namespaces = DoctorFinding.Ok("namespaces", space.HasUserNamespace ? "pid, mount and user namespaces" : "pid and mount namespaces with the capabilities at hand");
            ptrace = Ptrace(space.InitPid);
        }
        catch (TrecrException e) { namespaces = DoctorFinding.Missing("namespaces", e.Message, "build or install trecr-init"); }
        catch (LaunchException e) { namespaces = DoctorFinding.Missing("namespaces", e.Message, e.Cure.Length > 0 ? e.Cure : AllowUserNamespaces); }
        return [namespaces, ptrace];
    }

    private const string AllowUserNamespaces = "sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 (those that exist)";

    /// <summary>Root does without; every other user needs them.</summary>
    public static DoctorFinding UserNamespaces()
    {
        int nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC);
        try
        {
            using CloneTable quiet = new(); // its output goes nowhere
            quiet.Add("dup3", SyscallNumber.Dup3, nothing, 1, 0);
            quiet.AddExecute(Installation.Trecr, ["trecr", "--version"], []);
            CloneResult result = quiet.Run(CloneTable.CLONE_NEWUSER);
            if (result.Succeeded)
            {
                Sys.Wait(result.Pid, Sys.WALL, out _);
                Sys.Close(result.Pidfd);
                return DoctorFinding.Ok("user namespaces", $"at most {HostFacts.ReadLine("/proc/sys/user/max_user_namespaces")}");
            }
            string why = $"{result.FailedStep}: {Errno.Describe(result.ErrorNumber)}";
            return Sys.EffectiveUserId() == 0 ? DoctorFinding.Degraded("user namespaces", $"{why}; root does without, other users cannot run", AllowUserNamespaces)
                : DoctorFinding.Missing("user namespaces", why, AllowUserNamespaces);
        }
        finally { Sys.Close(nothing); }
    }

    /// <summary>Seizes a process of ours, stops it, lets it go.</summary>
    private static DoctorFinding Ptrace(int pid)
    {
        string scope = HostFacts.ReadLine("/proc/sys/kernel/yama/ptrace_scope");
        string yama = scope.Length == 0 ? "no yama" : $"kernel.yama.ptrace_scope {scope}";
        const string Cure = "sysctl -w kernel.yama.ptrace_scope=1 (from 3 only by a boot), or allow ptrace in the container's seccomp profile";
        if (scope == "3") return DoctorFinding.Missing("ptrace", "kernel.yama.ptrace_scope is 3: nobody may trace, until the next boot", Cure);
        long result = Sys.Ptrace(Sys.PTRACE_SEIZE, pid);
        if (result < 0) return DoctorFinding.Missing("ptrace", $"a process of our own cannot be traced: {Errno.Describe((int)-result)} ({yama})", Cure);
        Sys.Ptrace(Sys.PTRACE_INTERRUPT, pid);
        if (Sys.Wait(pid, Sys.WALL, out _) != pid || Sys.Ptrace(Sys.PTRACE_DETACH, pid) < 0) return DoctorFinding.Missing("ptrace", $"a traced process does not stop ({yama})", Cure);
        return DoctorFinding.Ok("ptrace", yama);
    }

    /// <summary>userfaultfd with asynchronous write-protect, the mode that the engine uses.</summary>
    public static DoctorFinding Userfault()
    {
        const int UFFD_USER_MODE_ONLY = 1;
        const long UFFDIO_API = 0xc018aa3f;
        const string Without = "every checkpoint copies all memory";
        long fd = Sys.Raw(SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | UFFD_USER_MODE_ONLY);
        if (fd < 0) return DoctorFinding.Degraded("userfaultfd", $"{Errno.Describe((int)-fd)}: {Without}", "allow the userfaultfd system call (seccomp profile of the container)");
        ulong* api = stackalloc ulong[3]; // features: PAGEFAULT_FLAG_WP, WP_HUGETLBFS_SHMEM, WP_UNPOPULATED, WP_ASYNC (linux/userfaultfd.h)
        (api[0], api[1], api[2]) = (0xAA, 1 | 1 << 12 | 1 << 13 | 1 << 15, 0);
        long result = Sys.Raw(SyscallNumber.Ioctl, fd, UFFDIO_API, (long)api);
        Sys.Close((int)fd);
        return result < 0 ? DoctorFinding.Degraded("userfaultfd", $"no asynchronous write-protect ({Errno.Describe((int)-result)}): {Without}", "use a kernel from 6.7 on, with CONFIG_PTE_MARKER_UFFD_WP")
            : DoctorFinding.Ok("userfaultfd", "asynchronous write-protect");
    }

    /// <summary>ioctl(PAGEMAP_SCAN) of one page of our own. Source: Documentation/admin-guide/mm/pagemap.rst.</summary>
    public static DoctorFinding PagemapScan()
    {
        const long PAGEMAP_SCAN = 0xC0606610, PAGE_IS_PRESENT = 8;
        long pagemap = Sys.TryOpen("/proc/self/pagemap", Sys.O_RDONLY | Sys.O_CLOEXEC);
        if (pagemap < 0) return DoctorFinding.Degraded("PAGEMAP_SCAN", $"/proc/self/pagemap: {Errno.Describe((int)-pagemap)}: every checkpoint copies all memory", "mount /proc");
        long* regions = stackalloc long[3];
        long* a = stackalloc long[12];
        long page = (long)a & ~4095L;
        (a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]) = (96, 0, page, page + 4096, 0, (long)regions, 1, 0);
        (a[8], a[9], a[10], a[11]) = (0, PAGE_IS_PRESENT, 0, PAGE_IS_PRESENT);
        long result = Sys.Raw(SyscallNumber.Ioctl, pagemap, PAGEMAP_SCAN, (long)a);
        Sys.Close((int)pagemap);
        return result == 1 ? DoctorFinding.Ok("PAGEMAP_SCAN", "")
            : DoctorFinding.Degraded("PAGEMAP_SCAN", result < 0 ? $"{Errno.Describe((int)-result)}: every checkpoint copies all memory" : "did not find a page that is there", "use a kernel from 6.7 on");
    }
}
