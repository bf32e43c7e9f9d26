using TreCr.Linux;

namespace TreCr.Process.Check;

/// <summary>
/// What a sandbox around TreCr forbids that the engine needs: seccomp filters of containers, Yama. Each call is tried where it can do nothing: a filter answers before the kernel sees that the process asked
/// for does not exist.
/// </summary>
internal static unsafe class SandboxCheck
{
    private const int Nobody = int.MaxValue;

    /// <summary>All findings; empty: a checkpoint can be taken.</summary>
    public static List<string> Run()
    {
        List<string> findings = [];
        if (File.Exists("/proc/sys/kernel/yama/ptrace_scope") && File.ReadAllText("/proc/sys/kernel/yama/ptrace_scope").Trim() == "3") findings.Add("kernel.yama.ptrace_scope is 3: nobody may trace on this machine until its next boot");
        Try("ptrace", Sys.Ptrace(Sys.PTRACE_SEIZE, Nobody), "the program cannot be stopped", findings);
        byte none;
        Try("process_vm_readv", Sys.ProcessVmRead(Nobody, 0, &none, 1), "its memory cannot be read", findings);
        Try("kcmp", Sys.Kcmp(Environment.ProcessId, Environment.ProcessId, 0, 2, 2), "it cannot be told which descriptors are the same", findings);
        int self = Sys.PidfdOpen(Environment.ProcessId), copy = self < 0 ? -Errno.EBADF : Sys.PidfdGetfd(self, self);
        Try("pidfd_open", self, "its descriptors cannot be looked at", findings);
        Try("pidfd_getfd", copy, "its descriptors cannot be looked at", findings);
        Sys.Close(copy);
        Sys.Close(self);
        return findings;
    }

    private static void Try(string call, long result, string consequence, List<string> findings)
    {
        if (result is -Errno.EPERM or -Errno.EACCES or -Errno.ENOSYS)
            findings.Add($"{call}(2) is forbidden here ({Errno.Describe((int)-result)}), by the seccomp filter of a container or sandbox or by the kernel's settings: {consequence}");
    }
}
