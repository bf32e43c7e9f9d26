using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Resources;

namespace TreCr.Process.Check;

/// <summary>Finds what of a process cannot be saved. Reads only; nothing is stopped. Every finding is given, not the first.</summary>
public static class ProcessCheck
{
    private static readonly List<Func<int, IEnumerable<string>>> s_more = [];

    /// <summary>Adds a check of another part (wrappers, MPI): pid in, findings out. At start-up, before the first check.</summary>
    public static void Register(Func<int, IEnumerable<string>> check)
    {
        lock (s_more) s_more.Add(check);
    }

    private static readonly Lazy<string> s_ownFilters = new(() => ProcStatus.Read(Environment.ProcessId)["Seccomp_filters"] is { Length: > 0 } count ? count : "unknown");

    private const int Looks = 9, FirstWaitMs = 2, LongestWaitMs = 64, Attempts = 5;

    /// <summary>
    /// Looks at running processes. Any thread. What is seen once need not be there: a program opens and closes files while they are read one after the other, and some
    /// it has for a moment only (a file of /proc, a netlink socket, whose number is in its finding). What counts is seen every time.
    /// </summary>
    /// <param name="tracked">whether our own write tracking watches the memory of a process</param>
    /// <returns>empty: can be saved</returns>
    internal static List<string> Run(int root, ExternalObjects externals, Func<int, bool> tracked)
    {
        List<string> findings = Look(root, externals, tracked);
        for (int look = 1, wait = FirstWaitMs; look < Looks && findings.Count > 0; look++, wait = Math.Min(4 * wait, LongestWaitMs))
        {
            Thread.Sleep(wait);
            List<string> again = Look(root, externals, tracked);
            findings.RemoveAll(f => !again.Contains(f));
        }
        return findings;
    }

    /// <summary>One look at everything. Begun again where something ended or was closed under it; where a process ended, the last attempt gives what it had found by then.</summary>
    private static List<string> Look(int root, ExternalObjects externals, Func<int, bool> tracked)
    {
        List<string> findings = [];
        for (int attempt = 1; attempt <= Attempts && !TryLook(root, externals, tracked, findings = [], last: attempt == Attempts); attempt++) { }
        return findings;
    }

    /// <param name="last">what fails for another reason than the end of a process is thrown</param>
    /// <returns>false: something was gone when it was looked at, and not everything was</returns>
    private static bool TryLook(int root, ExternalObjects externals, Func<int, bool> tracked, List<string> findings, bool last)
    {
        List<ProcessFacts> processes = [];
        try
        {
            List<ProcStatus> tree = JobProcesses.List(root);
            if (tree.All(p => p.Pid != root || p.IsZombie)) findings.Add($"process {root} has ended");
            foreach (int pid in tree.Where(p => !p.IsZombie).Select(p => p.Pid))
            {
                try { processes.Add(new ProcessFacts(pid, Vma.ReadAll(pid), OpenDescriptor.ReadAll(pid))); }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    if (pid == root) findings.Add($"process {pid} cannot be looked at: {e.Message}");
                }
            }
            if (findings.Count == 0) Run(processes, externals, tracked, tracedByUs: false, findings);
            return true;
        }
        catch (Exception e) when (e is IOException or LinuxException or UnauthorizedAccessException && (!last || processes.Any(p => HasEnded(p.Pid)))) { return false; }
    }

    private static bool HasEnded(int pid)
    {
        try { return ProcStatus.Read(pid).State is 'Z' or 'X'; } catch (IOException) { return true; }
    }

    internal static void Run(IReadOnlyList<ProcessFacts> processes, ExternalObjects externals, Func<int, bool> tracked, bool tracedByUs, List<string> findings)
    {
        TreeCheck check = new(externals, [.. processes.Select(p => (p.Pid, p.Descriptors))], findings, frozen: tracedByUs);
        foreach (ProcessFacts process in processes)
        {
            string prefix = check.Of(process.Pid);
            CheckProcess(process, findings, prefix, tracedByUs);
            Classification classification = new(externals, findings, prefix);
            foreach (Vma area in process.Areas) classification.Of(area, tracked(process.Pid));
        }
        check.Run();
        lock (s_more)
            foreach (var more in s_more)
                foreach (ProcessFacts process in processes) findings.AddRange(more(process.Pid));
    }

    /// <summary>Those that a thread can leave alone; for a mount namespace it needs a working directory of its own, which is found.</summary>
    private static readonly string[] s_ofThreads = ["net", "ipc", "uts"];

    private static readonly (int Kind, string What)[] s_shared = [(1, "memory"), (2, "a table of descriptors"), (3, "a working directory and umask")]; // KCMP_VM, FILES, FS

    /// <summary>Processes made by clone that share what only threads share.</summary>
    private static void CheckSharing(int pid, int parent, List<string> findings)
    {
        if (parent <= 1) return;
        foreach (var (kind, what) in s_shared)
            if (Sys.Kcmp(pid, parent, kind) == 0) findings.Add($"it shares {what} with its parent, process {parent} (clone)");
    }

    private static IReadOnlyList<ProcStatus> ThreadsOf(ProcessFacts process)
    {
        if (process.Threads.Count > 0) return process.Threads;
        List<ProcStatus> all = [];
        foreach (int tid in ProcStatus.Threads(process.Pid))
        {
            try { all.Add(ProcStatus.Read(process.Pid, tid)); } catch (IOException) { } // the thread ended
        }
        return all;
    }

    private static void CheckProcess(ProcessFacts process, List<string> all, string prefix, bool tracedByUs)
    {
        int pid = process.Pid;
        List<string> findings = [];
        ProcStatus leader = ProcStatus.Read(pid);
        if (leader.State is 'Z' or 'X') findings.Add($"process {pid} has ended, or its first thread has (pthread_exit in main)");
        if (!tracedByUs && leader["TracerPid"] is not ("0" or "")) findings.Add($"process {pid} is being traced (debugged) by process {leader["TracerPid"]}");
        if (leader["x86_Thread_features"].Length > 0) findings.Add("shadow stacks are in use");
        foreach (string name in (string[])["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"])
            if (Sys.ReadLink($"/proc/{pid}/ns/{name}") is { } theirs && theirs != Sys.ReadLink($"/proc/self/ns/{name}")) findings.Add($"the program is in another {name} namespace than its job");
        foreach (string name in (string[])["pid", "time"])
        {
            // A pid namespace in which no process is yet has no link.
            if (Sys.ReadLink($"/proc/{pid}/ns/{name}") is { } own && Sys.ReadLink($"/proc/{pid}/ns/{name}_for_children") is var theirs && theirs != own && (theirs is not null || Sys.ReadLink($"/proc/self/ns/{name}_for_children") is not null))
                findings.Add($"it has called unshare(2) or setns(2): its children would be in another {name} namespace");
        }
        if (Sys.ReadLink($"/proc/{pid}/root") is not "/") findings.Add($"the program's root directory is {Sys.ReadLink($"/proc/{pid}/root")} (chroot)");
        if (Sys.ReadLink($"/proc/{pid}/exe") is not { } executable || executable.EndsWith(" (deleted)", StringComparison.Ordinal)) findings.Add("the executable file is deleted or cannot be read");
        if (Sys.ReadLink($"/proc/{pid}/cwd") is not { } directory || directory.EndsWith(" (deleted)", StringComparison.Ordinal)) findings.Add("the working directory is deleted or cannot be read");
        IReadOnlyList<ProcStatus> threads = ThreadsOf(process);
        findings.AddRange(PosixTimers.Check(pid, threads.Count));
        CheckSharing(pid, leader.Parent, findings);
        string[] credentials = ["Uid", "Gid", "Groups"];
        foreach (ProcStatus thread in threads)
        {
            int tid = thread.Pid;
            // Filters that this engine has as well are those of the sandbox around the whole job, which a restart finds again or can do without.
            if (thread["Seccomp"] is not ("0" or "") && (thread["Seccomp"] != "2" || thread["Seccomp_filters"] != s_ownFilters.Value)) findings.Add($"thread {tid} has a seccomp filter (mode {thread["Seccomp"]})");
            if (tid != pid && !tracedByUs && thread["TracerPid"] is not ("0" or "") && leader["TracerPid"] is "0") findings.Add($"thread {tid} is being traced (debugged) by process {thread["TracerPid"]}");
            foreach (string c in credentials) if (thread[c] != leader[c]) findings.Add($"thread {tid} has another {c} than the first thread");
            if (tid != pid && !tracedByUs) // not in the stop: three more links a thread
                foreach (string name in s_ofThreads)
                    if (Sys.ReadLink($"/proc/{pid}/task/{tid}/ns/{name}") is { } theirs && theirs != Sys.ReadLink($"/proc/self/ns/{name}")) findings.Add($"thread {tid} is in another {name} namespace");
            if (tid != pid)
                foreach (var (kind, what) in s_shared[1..]) if (Sys.Kcmp(pid, tid, kind) > 0) findings.Add($"thread {tid} has {what} of its own (unshare)");
            if (((thread.Hex("SigPnd") | thread.Hex("ShdPnd")) >> (Sys.SIGTRAP - 1) & 1) != 0) findings.Add($"SIGTRAP is pending for thread {tid}");
        }
        all.AddRange(findings.Select(f => prefix + f));
    }
}

/// <summary>What /proc shows of one process.</summary>
internal sealed record ProcessFacts(int Pid, List<Vma> Areas, List<OpenDescriptor> Descriptors)
{
    /// <summary>Empty while the process runs: they are looked at when it comes to them.</summary>
    public IReadOnlyList<ProcStatus> Threads { get; init; } = [];
}
