using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Restore;

/// <summary>
/// The empty processes of a tree, stopped: with their pids, parents, sessions, controlling terminals and process groups; zombies have ended already. All are
/// attached with EXITKILL, hold the work area at the same address, and block every signal but SIGTRAP. Tracer thread only.
/// </summary>
/// <remarks>
/// A session cannot be joined, only inherited, so a process is cloned by its parent while that is in the session which the child needs: before the
/// parent's own setsid where the child is of the session before. Helpers stand in for what is dead but still seen: session and group leaders, and the parents of
/// processes that init has taken over. They have exit signal 0 and are gone before anything runs. Source: credentials(7), CRIU's pstree.
/// </remarks>
internal sealed unsafe class SkeletonTree(SavedTree saved, OpenFileRestore files, RemoteBatch batch)
{
    private const int PidRetryMs = 30_000, PR_SET_NAME = 15, PR_SET_CHILD_SUBREAPER = 36, TIOCSCTTY = 0x540E, TIOCSPGRP = 0x5410, RLIMIT_CORE = 4;

    /// <summary>Helpers' pids: below engines', far above programs'.</summary>
    private const int FirstHelperPid = Launch.InitProtocol.EngineFirstPid - 100_000;

    private readonly Dictionary<int, TreeProcess> _all = saved.Tree.Processes.ToDictionary(p => p.Pid);
    private readonly Dictionary<int, int> _sessionNow = [];
    private readonly Dictionary<int, int> _terminals = [];
    private readonly List<(int Pid, int Parent)> _helpers = [];
    private int _nextHelper = FirstHelperPid;

    /// <summary>Every process made, also helpers and ended zombies.</summary>
    public List<int> Made { get; } = [];

    /// <param name="launcher">stopped, in a session that no saved process is of; it clones and dies later</param>
    public void Make(int launcher)
    {
        _sessionNow[launcher] = 0;
        foreach (TreeProcess p in _all.Values)
            if (p.Parent != 1 && !_all.ContainsKey(p.Parent)) throw new ImageException($"process {p.Pid} of the saved tree has a parent that is not in it");
        List<TreeProcess> later = [];
        foreach (TreeProcess p in _all.Values.Where(p => p.Parent == 1).OrderBy(p => p.Pid == saved.Tree.Root ? 0 : 1))
            if (SessionNeeded(p) == 0) Clone(launcher, p, later);
            else later.Add(p);
        PlaceAdopted(launcher, later);
        SetGroups();
        foreach (var (pid, parent) in Enumerable.Reverse(_helpers)) EndHelper(pid, parent, launcher);
        CheckParents(launcher);
        EndZombies();
    }

    /// <summary>The session in which a process has to be cloned; 0: any, because it makes its own and no child is of an earlier one.</summary>
    private int SessionNeeded(TreeProcess p)
    {
        if (p.Session != p.Pid) return p.Session;
        foreach (TreeProcess child in Children(p))
            if (SessionNeeded(child) is var needed && needed != 0 && needed != p.Pid) return needed;
        return 0;
    }

    private IEnumerable<TreeProcess> Children(TreeProcess p) => _all.Values.Where(c => c.Parent == p.Pid);

    private void Clone(int creator, TreeProcess p, List<TreeProcess> later)
    {
        CloneWithPid(creator, p.Pid, p.ExitSignal);
        _sessionNow[p.Pid] = _sessionNow[creator];
        batch.AddOptional("prctl(PR_SET_NAME)", SyscallNumber.Prctl, PR_SET_NAME, batch.Text(p.Name));
        // Before its children: who has lost its parent goes to the nearest subreaper.
        if (saved.Processes.FirstOrDefault(i => i.Pid == p.Pid) is { } image && image.Prctls.Any(c => c.Set == PR_SET_CHILD_SUBREAPER)) batch.Add("prctl(PR_SET_CHILD_SUBREAPER)", SyscallNumber.Prctl, PR_SET_CHILD_SUBREAPER, 1);
        List<TreeProcess> rest = [];
        foreach (TreeProcess child in Children(p))
            if (p.Session == p.Pid && SessionNeeded(child) is var needed && needed != 0 && needed != p.Pid)
            {
                if (needed == _sessionNow[p.Pid]) Clone(p.Pid, child, later); else later.Add(child);
            }
            else rest.Add(child);
        if (p.Session == p.Pid) MakeSession(p);
        else batch.Run(p.Pid);
        foreach (TreeProcess child in rest)
            if (SessionNeeded(child) is var needed && (needed == 0 || needed == p.Session)) Clone(p.Pid, child, later);
            else later.Add(child);
    }

    private void MakeSession(TreeProcess p)
    {
        batch.Add("setsid", SyscallNumber.Setsid);
        _sessionNow[p.Pid] = p.Pid;
        batch.Run(p.Pid);
        if (p.Terminal == 0) return;
        batch.Add("pidfd_open of the engine", SyscallNumber.PidfdOpen, Environment.ProcessId);
        int engine = (int)batch.Run(p.Pid)[0];
        batch.Add("pidfd_getfd of the terminal", SyscallNumber.PidfdGetfd, engine, files.Get(p.Terminal));
        int terminal = (int)batch.Run(p.Pid)[0];
        batch.Add("ioctl(TIOCSCTTY)", SyscallNumber.Ioctl, terminal, TIOCSCTTY, 0);
        batch.Add("close", SyscallNumber.Close, engine);
        batch.Run(p.Pid);
        _terminals[p.Pid] = terminal;
    }

    /// <summary>Processes whose parent is not who cloned them: taken over by init, or by a subreaper, in a session that others began.</summary>
    private void PlaceAdopted(int launcher, List<TreeProcess> later)
    {
        while (later.Count > 0)
        {
            // The leader of its session may be among those that wait.
            TreeProcess p = later.FirstOrDefault(l => SessionNeeded(l) is var s && (!_all.ContainsKey(s) || _sessionNow.GetValueOrDefault(s) == s))
                ?? throw new ProcessException($"process {later[0].Pid} cannot be made in session {SessionNeeded(later[0])}");
            later.Remove(p);
            PlaceOne(launcher, p, later);
        }
    }

    private void PlaceOne(int launcher, TreeProcess p, List<TreeProcess> later)
    {
        int session = SessionNeeded(p), creator;
        if (_all.ContainsKey(session)) creator = NewHelper(session, _nextHelper++);
        else if (_sessionNow.ContainsKey(session)) creator = session; // the helper that stands in for a leader that has ended
        else
        {
            creator = NewHelper(p.Parent == 1 ? launcher : p.Parent, session);
            batch.Add("setsid", SyscallNumber.Setsid);
            batch.Run(creator);
            _sessionNow[creator] = creator;
        }
        Clone(creator, p, later);
    }

    private int NewHelper(int creator, int pid)
    {
        CloneWithPid(creator, pid, 0);
        _sessionNow[pid] = _sessionNow[creator];
        _helpers.Add((pid, creator));
        return pid;
    }

    private void CloneWithPid(int creator, int pid, int exitSignal)
    {
        long end = Environment.TickCount64 + PidRetryMs;
        while (true)
        {
            long wanted = batch.Put(BitConverter.GetBytes(pid));
            // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
            batch.AddOptional("clone3", SyscallNumber.Clone3, batch.Put([0, 0, 0, 0, (ulong)exitSignal, 0, 0, 0, (ulong)wanted, 1, 0]), 88);
            long result = batch.Run(creator)[0];
            if (result == pid) break;
            if (result != -Errno.EEXIST) Sys.Check(result, "clone3(set_tid)", $"pid {pid}");
            // The zombie of the old process, or the end of its memory, can hold the pid for a while.
            if (Environment.TickCount64 > end) throw new ProcessException($"pid {pid} is in use by {Holder(pid)}");
            Thread.Sleep(10);
        }
        Made.Add(pid);
        RestoreStops.WaitForEventStop(pid);
    }

    private static string Holder(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/comm").Trim(); } catch (IOException) { return "an ending process"; }
    }

    /// <summary>Leaders first; a helper leads where the leader has ended.</summary>
    private void SetGroups()
    {
        HashSet<int> made = [.. _sessionNow.Where(s => s.Key == s.Value).Select(s => s.Key)]; // session leaders lead their groups
        foreach (TreeProcess p in _all.Values.Where(p => p.ProcessGroup == p.Pid && made.Add(p.Pid))) SetGroup(p.Pid, 0);
        foreach (TreeProcess p in _all.Values.Where(p => p.ProcessGroup > 0 && p.ProcessGroup != p.Pid))
        {
            if (made.Add(p.ProcessGroup)) SetGroup(NewHelper(p.Pid, p.ProcessGroup), 0);
            SetGroup(p.Pid, p.ProcessGroup);
        }
        foreach (var (leader, terminal) in _terminals)
        {
            if (_all[leader].ForegroundGroup > 0) batch.AddOptional("ioctl(TIOCSPGRP)", SyscallNumber.Ioctl, terminal, TIOCSPGRP, batch.Put(BitConverter.GetBytes(_all[leader].ForegroundGroup)));
            batch.Run(leader);
        }
        void SetGroup(int pid, int group)
        {
            batch.Add($"setpgid({group}) of process {pid}", SyscallNumber.Setpgid, 0, group);
            batch.Run(pid);
        }
    }

    /// <summary>Its children go to init or a subreaper; a creator that stays reaps it.</summary>
    private void EndHelper(int pid, int creator, int launcher)
    {
        Sys.Kill(pid, Sys.SIGKILL);
        for (int i = 0; i < 20 && TraceWait.Try(pid, 5000) is { Stopped: true }; i++) { }
        if (creator == launcher || _helpers.Any(h => h.Pid == creator)) return; // they end too, and init reaps all
        batch.Add("wait4 for a helper", SyscallNumber.Wait4, pid, 0, Sys.WALL);
        batch.Run(creator);
    }

    /// <summary>The root's parent is the launcher until that ends.</summary>
    private void CheckParents(int launcher)
    {
        foreach (TreeProcess p in _all.Values)
            if (ProcStatus.Read(p.Pid).Parent is var parent && parent != p.Parent && !(p.Parent == 1 && parent == launcher)) throw new ProcessException($"process {p.Pid} became a child of {parent}, not of {p.Parent}");
    }

    private void EndZombies()
    {
        HashSet<int> parents = [];
        ulong* none = stackalloc ulong[2];
        (none[0], none[1]) = (0, 0);
        foreach (TreeProcess p in _all.Values.Where(p => p.Zombie))
        {
            Sys.Raw(SyscallNumber.Prlimit64, p.Pid, RLIMIT_CORE, (long)none, 0);
            int signal = p.WaitStatus & 0x7f;
            if (signal == 0)
            {
                UserRegisters r = Sys.GetRegisters(p.Pid);
                (r.Rip, r.Rax, r.OrigRax, r.Rdi) = (batch.WorkArea + StubCode.PauseSyscall, (ulong)SyscallNumber.ExitGroup, ulong.MaxValue, (ulong)(p.WaitStatus >> 8 & 0xff));
                Sys.SetRegisters(p.Pid, r);
            }
            else
            {
                Sys.SetSignalMask(p.Pid, ~(1UL << signal - 1));
                Sys.Kill(p.Pid, signal);
            }
            Sys.Ptrace(Sys.PTRACE_CONT, p.Pid);
            while (TraceWait.Next(p.Pid) is { Stopped: true } stop) Sys.Ptrace(Sys.PTRACE_CONT, p.Pid, 0, stop.Event == 0 ? stop.Signal : 0);
            parents.Add(p.Parent);
        }
        foreach (int parent in parents) TakeChildSignal(parent, batch);
    }

    /// <summary>Takes out a SIGCHLD that only the restore has caused; the saved ones are queued later.</summary>
    public static void TakeChildSignal(int pid, RemoteBatch batch)
    {
        ulong* words = stackalloc ulong[3];
        (words[0], words[1], words[2]) = (1UL << Sys.SIGCHLD - 1, 0, 0); // set; timeout 0
        if (Sys.ProcessVmWrite(pid, batch.Scratch, words, 24) != 24) throw new ProcessException($"cannot write to process {pid}");
        for (int i = 0; i < 64; i++) // exit signals of children do not queue up, but those of several kinds may
            if (RestoreStops.Step(pid, batch.WorkArea + StubCode.PauseSyscall, SyscallNumber.RtSigtimedwait, (long)batch.Scratch, 0, (long)batch.Scratch + 8, 8) < 0) return;
    }
}
