using TreCr.Control;
using TreCr.Linux;
using TreCr.Process.Launch;

namespace TreCr.Cli;

/// <summary>The engine that this supervisor started inside the namespace. Init reaps it.</summary>
internal sealed class EngineProcess : IDisposable
{
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

    public static EngineProcess Start(RankNamespace space, string store)
    {
        (int ours, int theirs) = Sys.SocketPair();
        try
        {
            SpawnedProcess process = space.SpawnEngine(Installation.Trecr, ["trecr", "engine", "--control-fd", "3", "--store", store], [theirs]);
            Fault.Peer = process.HostPid;
            return new EngineProcess(new RankPeer(ours, "engine", TrecrError.EngineLost), process);
        }
        catch
        {
            Sys.Close(ours);
            throw;
        }
        finally { Sys.Close(theirs); }
    }

    /// <summary>Ends it; a program that it had frozen runs on.</summary>
    public void Dispose()
    {
        bool stuck = Peer.Lost && IsRunning();
        Peer.Dispose();
        if (stuck) Sys.Raw(SyscallNumber.PidfdSendSignal, _pidfd, Sys.SIGKILL, 0, 0);
        Sys.Close(_pidfd);
    }

    private bool IsRunning()
    {
        Span<PollEntry> ready = [new PollEntry { Fd = _pidfd, Events = Sys.POLLIN }];
        return Sys.Poll(ready, 0) == 0;
    }
}
