using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

// What a rank does because there are others: waits for them before the gate, says how its program ended, and ends with its launcher.
internal sealed partial class RankSupervisor
{
    /// <summary>How long the end of a program is delayed until the coordinator knows of it; and a stopped rank's, until the others have written out what their programs had written.</summary>
    private const int TellMs = 5_000, OthersStopMs = 10_000;

    private readonly SortedDictionary<uint, EndedRank> _endedRanks = [];
    private (ulong Epoch, EpochStep Step) _allReady;

    /// <summary>Signal by which the program ended, and by which we shall, so that the launcher sees what it would have seen of the program; 0: none.</summary>
    public int EndSignal { get; private set; }

    /// <summary>Where memory that several ranks share is found at this start: of the launch, whose name alone may come again with another launcher, and ours alone where nobody launched us.</summary>
    public ulong Meeting => Fnv(Slot.Launch.Length > 0 ? $"{Slot.Launch} {Launcher?.Identity} {Job} {Sys.EffectiveUserId()}" : $"{Job} {Environment.ProcessId} {_startedUnixMs}");

    /// <summary>The lowest rank that runs does what is done once for a job.</summary>
    private bool LeadsJob
    {
        get
        {
            lock (_decision)
                for (uint rank = 0; rank < Slot.Rank; rank++)
                    if (!_endedRanks.ContainsKey(rank)) return false;
            return true;
        }
    }

    /// <summary>Ranks that had ended before the checkpoint that this job restarts from.</summary>
    public void AddEnded(IEnumerable<EndedRank> ranks)
    {
        lock (_decision)
            foreach (EndedRank rank in ranks) _endedRanks[rank.Rank] = rank;
    }

    /// <summary>This rank is ready for a step of an epoch: waits until all are.</summary>
    /// <returns>how long that took, ms</returns>
    /// <exception cref="TrecrException">the coordinator has given the epoch up, or is silent</exception>
    public long AwaitOthers(ulong epoch, EpochStep step)
    {
        if (!Slot.IsOneOfSeveral) return 0;
        long begun = Environment.TickCount64;
        if (!Send(new Envelope { Epoch = epoch, Ready = new RankReady { Step = step } })) throw new TrecrException(TrecrError.CoordinatorLost, "the coordinator ended during the checkpoint");
        while (true)
        {
            RequireLease(epoch);
            lock (_decision)
            {
                if (_allReady == (epoch, step)) return Environment.TickCount64 - begun;
                Monitor.Wait(_decision, 500);
            }
        }
    }

    private void HearAllReady(ulong epoch, EpochStep step)
    {
        lock (_decision)
        {
            _lease.Heard(Environment.TickCount64);
            _allReady = (epoch, step);
            Monitor.PulseAll(_decision);
        }
    }

    private void HearNote(JobNote note)
    {
        lock (_decision)
        {
            foreach (EndedRank rank in note.EndedRanks)
                if (rank.Rank != Slot.Rank) _endedRanks[rank.Rank] = rank;
            Monitor.PulseAll(_decision);
        }
    }

    /// <summary>
    /// The program has ended and its output is written out. With 0, or stopped with a checkpoint: the coordinator is told, so that later checkpoints have it. With anything else the launcher ends the job.
    /// A rank that was stopped waits for the others: the launcher kills them all when the first of them has ended, and their output is not to be lost.
    /// </summary>
    private void EndAmongOthers(int code)
    {
        bool stopped = StoppedAt.Length > 0;
        if (code != 0 && !stopped) return;
        _link.SendWithin(new Envelope { Ended = new RankEnded { Rank = new EndedRank { Rank = Slot.Rank, ExitCode = stopped ? 0 : code, Stopped = stopped, Host = Environment.MachineName } } }, TellMs);
        if (!stopped) return;
        long end = Environment.TickCount64 + OthersStopMs;
        lock (_decision)
            while (_endedRanks.Count + 1 < Slot.Size && end - Environment.TickCount64 is > 0 and var left) Monitor.Wait(_decision, (int)left);
    }

    /// <summary>A launcher that is killed leaves its ranks behind: ours ends then.</summary>
    private void WatchLauncher()
    {
        if (Launcher is not { DaemonPid: > 0 and var pid } || Slot.Launcher.Length == 0) return;
        int pidfd = Sys.PidfdOpen(pid);
        if (pidfd < 0) return;
        new Thread(() =>
        {
            Span<PollEntry> ended = [new PollEntry { Fd = pidfd, Events = Sys.POLLIN }, new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }];
            Sys.Poll(ended, -1);
            bool gone = ended[0].Returned != 0 && !ProgramEnded;
            Sys.Close(pidfd);
            if (!gone) return;
            Output.Note($"the launcher (process {pid}) has ended, and this rank with it");
            KillProgram();
        }, 256 * 1024)
        { IsBackground = true, Name = "launcher" }.Start();
    }
}
