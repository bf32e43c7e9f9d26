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

    /// <summary>Looks at a running process. Any thread.</summary>
    /// <returns>empty: can be saved</returns>
    public static List<string> Run(int pid, ExternalObjects externals) => Run(pid, externals, tracked: false);

    /// <param name="tracked">our own write tracking watches its memory</param>
    internal static List<string> Run(int pid, ExternalObjects externals, bool tracked)
    {
        try { return Run(pid, externals, Vma.ReadAll(pid), OpenDescriptor.ReadAll(pid), tracked, tracedByUs: false); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return [$"process {pid} cannot be looked at: {e.Message}"]; }
    }

    internal static List<string> Run(int pid, ExternalObjects externals, List<Vma> areas, List<OpenDescriptor> descriptors, bool tracked, bool tracedByUs)
    {
        List<string> findings = [];
        CheckProcess(pid, findings, tracedByUs);
        Classification classification = new(externals, findings);
        foreach (Vma area in areas) classification.Of(area, tracked);
        foreach (OpenDescriptor d in descriptors) if (!d.IsLeftover) classification.Of(d, pid);
        HashSet<int> numbers = [.. descriptors.Select(d => d.Number)];
        foreach (OpenDescriptor d in descriptors)
            foreach (var (target, _, _) in d.EpollTargets)
                if (!numbers.Contains(target)) findings.Add($"descriptor {d.Number} is an epoll instance that watches descriptor {target}, which is closed");
        CheckPipes(pid, externals, descriptors, findings);
        lock (s_more)
            foreach (var check in s_more) findings.AddRange(check(pid));
        return findings;
    }

    private static void CheckProcess(int pid, List<string> findings, bool tracedByUs)
    {
        ProcStatus leader = ProcStatus.Read(pid);
        if (leader.State is 'Z' or 'X') findings.Add($"process {pid} has ended, or its first thread has (pthread_exit in main)");
        if (!tracedByUs && leader["TracerPid"] is not ("0" or "")) findings.Add($"process {pid} is being traced (debugged) by process {leader["TracerPid"]}");
        if (leader["x86_Thread_features"].Length > 0) findings.Add("shadow stacks are in use");
        foreach (string name in (string[])["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"])
            if (Sys.ReadLink($"/proc/{pid}/ns/{name}") is { } theirs && theirs != Sys.ReadLink($"/proc/self/ns/{name}")) findings.Add($"the program is in another {name} namespace than its job");
        if (Sys.ReadLink($"/proc/{pid}/root") is not "/") findings.Add($"the program's root directory is {Sys.ReadLink($"/proc/{pid}/root")} (chroot)");
        if (Sys.ReadLink($"/proc/{pid}/exe") is not { } executable || executable.EndsWith(" (deleted)", StringComparison.Ordinal)) findings.Add("the executable file is deleted or cannot be read");
        if (Sys.ReadLink($"/proc/{pid}/cwd") is not { } directory || directory.EndsWith(" (deleted)", StringComparison.Ordinal)) findings.Add("the working directory is deleted or cannot be read");
        string timers = File.ReadAllText($"/proc/{pid}/timers");
        if (timers.Length > 0) findings.Add($"{timers.Split('\n').Count(l => l.StartsWith("ID:", StringComparison.Ordinal))} POSIX timers (timer_create) are in use");
        string[] credentials = ["Uid", "Gid", "Groups"];
        foreach (int tid in ProcStatus.Threads(pid))
        {
            try
            {
                ProcStatus thread = ProcStatus.Read(pid, tid);
                if (thread["Seccomp"] is not ("0" or "")) findings.Add($"thread {tid} has a seccomp filter (mode {thread["Seccomp"]})");
                foreach (string c in credentials) if (thread[c] != leader[c]) findings.Add($"thread {tid} has another {c} than the first thread");
                if (((thread.Hex("SigPnd") | thread.Hex("ShdPnd")) >> (Sys.SIGTRAP - 1) & 1) != 0) findings.Add($"SIGTRAP is pending for thread {tid}");
                foreach (string child in File.ReadAllText($"/proc/{pid}/task/{tid}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                    findings.Add($"it has a child process {child} ({NameOf(child)})");
            }
            catch (IOException) { } // the thread ended
        }
    }

    private static string NameOf(string pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/comm").Trim(); } catch (IOException) { return "ended"; }
    }

    /// <summary>A pipe is ours to save when both ends are inside, or one end is closed everywhere.</summary>
    private static void CheckPipes(int pid, ExternalObjects externals, List<OpenDescriptor> descriptors, List<string> findings)
    {
        var pipes = descriptors.Where(d => d.Link.StartsWith("pipe:", StringComparison.Ordinal) && externals.Streams.All(s => s.Link != d.Link)).GroupBy(d => d.Link);
        foreach (var pipe in pipes)
        {
            bool reads = pipe.Any(d => (d.Flags & 3) != Sys.O_WRONLY), writes = pipe.Any(d => (d.Flags & 3) != Sys.O_RDONLY);
            if (reads && writes) continue;
            if (PipeContent.OtherEndClosed(pid, pipe.First().Number, reads)) continue;
            findings.Add($"descriptor {pipe.First().Number} is a pipe whose other end is outside the program");
        }
    }
}
