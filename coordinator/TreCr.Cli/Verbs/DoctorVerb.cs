using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;
using TreCr.Process.Launch;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary><c>trecr doctor</c>: what TreCr needs of this machine, and the command that cures what is missing.</summary>
internal static class DoctorVerb
{
    private enum State { Ok, Degraded, Missing }

    private readonly record struct Finding(string Name, State State, string Text, string Cure);

    public static int Run(Arguments arguments)
    {
        List<Finding> findings = [Kernel(), Namespaces(), Ptrace(), Userfault(), SharedMemory(), RuntimeFiles(), StoreState(arguments), Parts(), Gpu(), Limits()];
        if (arguments.Json)
            Output.Json("trecr.doctor/1", j => j.WriteObjects("findings", findings, f =>
            {
                j.WriteString("name", f.Name);
                j.WriteString("state", f.State.ToString().ToLowerInvariant());
                j.WriteString("text", f.Text);
                j.WriteString("cure", f.Cure);
            }));
        else
            foreach (Finding f in findings)
                Output.Line($"{f.Name,-18} {f.State.ToString().ToLowerInvariant(),-9} {f.Text}{(f.Cure.Length > 0 ? $" -- {f.Cure}" : "")}");
        return findings.Any(f => f.State == State.Missing) ? 1 : 0;
    }

    private static Finding Kernel()
    {
        string[] numbers = HostFacts.KernelRelease.Split('.', '-');
        bool enough = numbers.Length > 1 && int.TryParse(numbers[0], out int major) && int.TryParse(numbers[1], out int minor) && (major > 6 || (major == 6 && minor >= 7));
        return enough ? new("kernel", State.Ok, HostFacts.KernelRelease, "")
            : new("kernel", State.Degraded, $"{HostFacts.KernelRelease}: before 6.7 written pages cannot be found by PAGEMAP_SCAN", "use a kernel from 6.7 on for incremental checkpoints");
    }

    private static Finding Namespaces()
    {
        try
        {
            using RankNamespace space = RankNamespace.Start(new NamespaceOptions { InitPath = Installation.Init });
            return new("namespaces", State.Ok, space.HasUserNamespace ? "pid, mount and user namespaces" : "pid and mount namespaces with the capabilities at hand", "");
        }
        catch (TrecrException e) { return new("namespaces", State.Missing, e.Message, "build or install trecr-init"); }
        catch (LaunchException e)
        {
            return new("namespaces", State.Missing, e.Message, "sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 (those that exist)");
        }
    }

    private static Finding Ptrace()
    {
        string scope = HostFacts.ReadLine("/proc/sys/kernel/yama/ptrace_scope");
        return scope switch
        {
            "3" => new("ptrace", State.Missing, "kernel.yama.ptrace_scope is 3: nobody may trace, until the next boot", "boot with kernel.yama.ptrace_scope below 3"),
            "" => new("ptrace", State.Ok, "no yama", ""),
            _ => new("ptrace", State.Ok, $"kernel.yama.ptrace_scope {scope}", ""),
        };
    }

    private static Finding Userfault()
    {
        const int UFFD_USER_MODE_ONLY = 1;
        long fd = Sys.Raw(SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | UFFD_USER_MODE_ONLY);
        if (fd < 0) return new("userfaultfd", State.Degraded, $"{Errno.Describe((int)-fd)}: every checkpoint copies all memory", "allow the userfaultfd system call (seccomp profile of the container)");
        Sys.Close((int)fd);
        return new("userfaultfd", State.Ok, "", "");
    }

    private static Finding SharedMemory()
    {
        long fd = Sys.TryOpen("/dev/shm", Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_CLOEXEC);
        if (fd < 0) return new("/dev/shm", State.Degraded, Errno.Describe((int)-fd), "mount -t tmpfs tmpfs /dev/shm");
        long free = Sys.FreeBytes((int)fd);
        Sys.Close((int)fd);
        return free < 64 << 20 ? new("/dev/shm", State.Degraded, $"{Output.Bytes((ulong)free)} free", "mount -o remount,size=50% /dev/shm") : new("/dev/shm", State.Ok, $"{Output.Bytes((ulong)free)} free", "");
    }

    private static Finding RuntimeFiles()
    {
        try { return new("runtime directory", State.Ok, $"{RuntimeDirectory.Open().Path} (coordinator.log is there)", ""); }
        catch (TrecrException e) { return new("runtime directory", State.Missing, e.Message, e.Error.WhatToDo); }
    }

    private static Finding StoreState(Arguments arguments)
    {
        try
        {
            string path = Installation.Store(arguments);
            if (!Directory.Exists(path)) return new("store", State.Ok, $"{path} (made at the first run)", "");
            using SnapshotStore store = SnapshotStore.Open(path, new StoreOptions { Create = false });
            long free = store.EstimateFits(0).FreeBytes;
            return free < 1 << 30 ? new("store", State.Degraded, $"{path}: {Output.Bytes((ulong)free)} free", "trecr gc, or another --store") : new("store", State.Ok, $"{path}: {Output.Bytes((ulong)free)} free", "");
        }
        catch (StoreException e) { return new("store", State.Missing, e.Message, StoreErrors.For(e.Kind).WhatToDo); }
    }

    private static Finding Parts()
    {
        string[] missing = [.. ((string[])[$"{Installation.Home}/trecr-init", $"{Installation.Home}/lib/libcuda.so.1", $"{Installation.Home}/delegator/trecr-delegator"]).Where(p => !File.Exists(p))];
        return missing.Length == 0 ? new("installation", State.Ok, Installation.Home, "") : new("installation", State.Missing, $"not there: {string.Join(", ", missing)}", "./build.sh, or set TRECR_HOME");
    }

    private static Finding Gpu()
        => File.Exists("/dev/nvidiactl") ? new("gpu", State.Ok, string.Join(", ", Directory.EnumerateFiles("/dev", "nvidia?")), "")
            : new("gpu", State.Ok, "none: the software device is used", "");

    private static Finding Limits()
    {
        string text = "";
        foreach (string line in File.ReadLines("/proc/self/limits"))
            if (line.StartsWith("Max address space", StringComparison.Ordinal) && !line.Contains("unlimited", StringComparison.Ordinal)) text = "address space is limited: device addresses take 1 TiB of it";
        return text.Length > 0 ? new("limits", State.Missing, text, "ulimit -v unlimited") : new("limits", State.Ok, "", "");
    }
}
