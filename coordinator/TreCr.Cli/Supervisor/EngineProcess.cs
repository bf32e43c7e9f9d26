using TreCr.Control;
using TreCr.Linux;
using TreCr.Process.Launch;

namespace TreCr.Cli;

/// <summary>The engine that this supervisor started inside the namespace. Init reaps it.</summary>
internal sealed class EngineProcess : IDisposable
{
    /// <summary>How long it may take to end by itself, and then to die: both at once but on a machine that has no time for it.</summary>
    private const int EndMs = 10_000, KilledMs = 30_000;

    private readonly int _pidfd;

    private EngineProcess(RankPeer peer, SpawnedProcess process) => (Peer, HostPid, Pid, _pidfd) = (peer, process.HostPid, process.Pid, process.Pidfd);

    public RankPeer Peer { get; }
    public int HostPid { get; }

    /// <summary>In the namespace.</summary>
    public int Pid { get; }

    /// <summary>It answers, as far as we know.</summary>
    public bool IsAlive
    {
        get
        {
            Span<PollEntry> ready = [new PollEntry { Fd = _pidfd, Events = Sys.POLLIN }];
            return !Peer.Lost && Sys.Poll(ready, 0) == 0;
        }
    }

    public static EngineProcess Start(RankNamespace space, string store, JobOptions options)
    {
        (int ours, int theirs) = Sys.SocketPair();
        try
        {
            List<string> words = ["trecr", "engine", "--control-fd", "3", "--store", store];
            if (options.SaveFilesBelowBytes >= 0) words.AddRange(["--save-files-below", $"{options.SaveFilesBelowBytes}"]);
            if (options.MaxExtraMemoryBytes > 0) words.AddRange(["--max-extra-memory", $"{options.MaxExtraMemoryBytes / 2}"]); // the other half is the delegators'
            if (options.Bundle) words.Add("--bundle");
            SpawnedProcess process = space.SpawnEngine(Installation.Trecr, words, [theirs], Store.StoreKeySource.ForChild(OwnEnvironment.Words()));
            Fault.Peer = process.HostPid;
            return new EngineProcess(new RankPeer(ours, "engine", TrecrError.EngineLost, process.Pidfd), process);
        }
        catch
        {
            Sys.Close(ours);
            throw;
        }
        finally { Sys.Close(theirs); }
    }

    /// <summary>Ends it and waits until it has let go of a program that it had frozen: its connection closes before that.</summary>
    public void Dispose()
    {
        bool stuck = Peer.Lost && !WaitForEnd(100); // lost: it dies, or does not answer
        Peer.Dispose();
        if (stuck || !WaitForEnd(EndMs)) Sys.Raw(SyscallNumber.PidfdSendSignal, _pidfd, Sys.SIGKILL, 0, 0);
        WaitForEnd(KilledMs);
        Sys.Close(_pidfd);
    }

    private bool WaitForEnd(int timeoutMs)
    {
        Span<PollEntry> ready = [new PollEntry { Fd = _pidfd, Events = Sys.POLLIN }];
        return Sys.Poll(ready, timeoutMs) == 1;
    }
}
