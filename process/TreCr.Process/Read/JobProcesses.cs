using TreCr.Linux;
using TreCr.Process.Launch;

namespace TreCr.Process.Read;

/// <summary>The processes of a job: everything in its pid namespace but init and engines.</summary>
internal static class JobProcesses
{
    /// <summary>What is there now: the root first, then ascending. Zombies of init are left out: it is about to reap them.</summary>
    /// <param name="root">pid of the program</param>
    public static List<ProcStatus> List(int root)
    {
        Dictionary<int, ProcStatus> all = [];
        foreach (string entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry.AsSpan()), out int pid)) continue;
            try { all[pid] = ProcStatus.Read(pid); } catch (IOException) { } // ended
        }
        // Outside of a namespace of ours only what descends from the program is its.
        bool ownNamespace = all.TryGetValue(1, out ProcStatus? init) && init.Name == "trecr-init";
        int self = Environment.ProcessId;
        string? engine = Sys.ReadLink("/proc/self/exe");
        bool Belongs(ProcStatus p)
        {
            for (int steps = 0; steps < 100_000; steps++)
            {
                if (p.Pid == root) return true;
                if (p.Pid == 1 || p.Pid == self) return false;
                if (p.Parent <= 1)
                    return ownNamespace && p.Parent == 1 && p.State is not ('Z' or 'X') && !(p.Pid >= InitProtocol.EngineFirstPid && Sys.ReadLink($"/proc/{p.Pid}/exe") == engine);
                if (!all.TryGetValue(p.Parent, out ProcStatus? parent)) return ownNamespace; // it ended meanwhile
                p = parent;
            }
            return false;
        }
        return [.. all.Values.Where(Belongs).OrderBy(p => p.Pid == root ? 0 : 1).ThenBy(p => p.Pid)];
    }
}
