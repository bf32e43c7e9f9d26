using TreCr.Control;
using TreCr.Linux;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>
/// The MPI delegator of a launch slot: it inherits what the launcher gave us, runs MPI_Init in our place, and lives until the program has ended. A launcher knows one MPI process
/// for each of its slots, so there is no second one.
/// </summary>
internal sealed class MpiDelegatorProcess : IDisposable
{
    /// <summary>MPI_Init waits for all ranks of the job; the end for those that have messages under way.</summary>
    private const int InitMs = 600_000, EndMs = 10_000;

    private readonly int _pid, _pidfd;
    private int _aborts; // closed by the thread that watches, where there is one
    private bool _isWatched;
    private volatile bool _ending;

    private MpiDelegatorProcess(RankPeer peer, CloneResult process) => (Peer, _pid, _pidfd) = (peer, process.Pid, process.Pidfd);

    public RankPeer Peer { get; }
    public int HostPid => _pid;
    public int Rank { get; private set; }
    public int Size { get; private set; }

    /// <summary>What the MPI library says it is.</summary>
    public string Library { get; private set; } = "";

    /// <summary>Starts it and runs MPI_Init in it.</summary>
    /// <param name="segment">the program's MPI segment</param>
    /// <param name="lost">called where it ends before it should</param>
    /// <param name="aborting">called with the program's code before MPI_Abort ends the ranks</param>
    /// <exception cref="TrecrException">it cannot be started, or the library does not start: says why</exception>
    public static MpiDelegatorProcess Start(int segment, MpiAttachRequest attach, Action<string> lost, Action<int> aborting)
    {
        List<string> environment = [.. OwnEnvironment.Words(without: Store.StoreKeySource.IsAboutKey)];
        // The launcher's own descriptors keep their numbers, which its variables name.
        int[] kept = [.. LaunchSlot.DescriptorVariables.Select(Environment.GetEnvironmentVariable).Where(v => int.TryParse(v, out int fd) && fd > 2 && Sys.IsOpen(fd)).Select(v => int.Parse(v!)).Distinct().Order()];
        int target = Enumerable.Range(3, kept.Length + 1).First(n => !kept.Contains(n));
        (int ours, int theirs) = Sys.SocketPair();
        (int aborts, int theirAborts) = Sys.SocketPair();
        MpiDelegatorProcess? made = null;
        try
        {
            CloneResult process = OutsideProcess.Start(Installation.Trecr, ["trecr", MpiDelegatorVerb.Name, "--control-fd", $"{target}"], environment, [theirs, .. kept], TrecrError.DelegatorStart, targets: [target, .. kept]);
            made = new MpiDelegatorProcess(new RankPeer(ours, "MPI delegator", TrecrError.DelegatorLost, process.Pidfd), process);
            (ours, made._aborts, aborts) = (-1, aborts, -1);
            Reply reply = made.Peer.Ask(new Request { MpiAttach = attach }, InitMs, TrecrError.DelegatorStart, [segment, theirAborts]);
            (made.Rank, made.Size, made.Library) = (reply.MpiRank, reply.MpiSize, reply.MpiLibrary);
            made._isWatched = true;
            made.Watch(lost, aborting);
            return made;
        }
        catch
        {
            made?.Dispose();
            throw;
        }
        finally
        {
            foreach (int fd in (int[])[ours, theirs, aborts, theirAborts]) Sys.Close(fd);
        }
    }

    private void Watch(Action<string> lost, Action<int> aborting) => new Thread(() =>
    {
        Span<PollEntry> ended = [new PollEntry { Fd = _pidfd, Events = Sys.POLLIN }, new PollEntry { Fd = _aborts, Events = Sys.POLLIN }];
        Sys.Poll(ended, -1);
        if (ended[1].Returned != 0 && HearAbort() is { } code)
        {
            aborting(code);
            Sys.Send(_aborts, [1]);
        }
        Sys.Poll(ended[..1], -1);
        Sys.Close(_aborts);
        if (_ending) return;
        Sys.Wait(_pid, Sys.WNOHANG, out int status);
        lost(ExitStatus.Describe(status));
    }, 256 * 1024)
    { IsBackground = true, Name = "MPI delegator watch" }.Start();

    private unsafe int? HearAbort()
    {
        int code = 0;
        return Sys.Read(_aborts, &code, sizeof(int)) == sizeof(int) ? code : null;
    }

    /// <summary>Its end is expected from here on.</summary>
    public void ExpectEnd() => _ending = true;

    /// <summary>The program has ended: MPI_Finalize where that called it, else MPI_Abort, so that the launcher hears of it.</summary>
    public void Dispose()
    {
        _ending = true;
        Peer.Dispose();
        Span<PollEntry> ended = [new PollEntry { Fd = _pidfd, Events = Sys.POLLIN }];
        if (Sys.Poll(ended, EndMs) == 0)
        {
            Sys.Raw(SyscallNumber.PidfdSendSignal, _pidfd, Sys.SIGKILL, 0, 0);
            Sys.Poll(ended, EndMs);
        }
        Sys.Wait(_pid, Sys.WNOHANG, out _);
        Sys.Close(_pidfd);
        if (!_isWatched) Sys.Close(_aborts);
    }
}
