namespace TreCr.Control;

/// <summary>
/// One attempt at a checkpoint of a job, as the coordinator sees it: a two-phase commit over the ranks. No I/O, no clock of its own: it is fed
/// events with the time, and answers with actions, so that tests can drive it on a fake clock and a fake network.
/// </summary>
/// <remarks>
/// Preparing: every rank was told. Of several ranks none closes its gate before all are ready, so that they stand still together: one that copies much ahead does not
/// keep the others waiting. None is captured before all are frozen, and none goes on before all are captured, so that nothing that one does after the cut is in another's image, such as bytes of a file that they share. All prepared: Committing. One failed, lost or late: Aborted, and every rank that may be gated is told.
/// Committing: the manifest is written by the caller. From here on a lost rank changes nothing: its snapshot is durable. Not thread safe.
/// Times are milliseconds of any steady clock.
/// </remarks>
public sealed class EpochMachine
{
    private readonly SortedSet<uint> _waiting;
    private readonly SortedSet<uint> _lost = [], _ready = [], _frozen = [], _captured = [];
    private readonly SortedDictionary<uint, RankPrepared> _prepared = [];
    private readonly uint[] _ranks;
    private readonly long _deadline;
    private readonly uint _deadlineMs;
    private readonly bool _stop;
    private long _nextKeepAlive;

    /// <param name="ranks">all ranks of the job</param>
    /// <param name="deadlineMs">from now on; an epoch that has not reached its commit by then is aborted</param>
    public EpochMachine(ulong epoch, IEnumerable<uint> ranks, bool stop, uint deadlineMs, long nowMs)
    {
        Epoch = epoch;
        _ranks = [.. ranks];
        if (_ranks.Length == 0) throw new ArgumentException("a job has at least one rank", nameof(ranks));
        _waiting = [.. _ranks];
        _stop = stop;
        _deadlineMs = deadlineMs;
        _deadline = nowMs + deadlineMs;
        _nextKeepAlive = nowMs + ControlWire.KeepAliveMs;
    }

    /// <summary>Number of the attempt.</summary>
    public ulong Epoch { get; }

    public EpochState State { get; private set; } = EpochState.Preparing;

    /// <summary>What ranks that have prepared said.</summary>
    public IReadOnlyDictionary<uint, RankPrepared> Prepared => _prepared;

    /// <summary>First actions.</summary>
    public IReadOnlyList<EpochAction> Start() => [.. _ranks.Select(r => new EpochAction.SendPrepare(r, _deadlineMs, _stop))];

    /// <summary>A rank has come as far as it may alone, and waits for the others.</summary>
    public IReadOnlyList<EpochAction> RankReady(uint rank, ulong epoch, EpochStep step)
    {
        SortedSet<uint> ready = step switch { EpochStep.Gate => _ready, EpochStep.Capture => _frozen, _ => _captured };
        if (State != EpochState.Preparing || epoch != Epoch || !_ranks.Contains(rank) || !ready.Add(rank)) return Late(rank, epoch);
        return ready.Count < _ranks.Length ? [] : [.. _ranks.Select(r => new EpochAction.SendAllReady(r, step))];
    }

    /// <summary>A rank's snapshots are durable.</summary>
    public IReadOnlyList<EpochAction> RankPrepared(uint rank, ulong epoch, RankPrepared prepared)
    {
        if (State != EpochState.Preparing || epoch != Epoch || !_waiting.Remove(rank)) return Late(rank, epoch);
        _prepared[rank] = prepared;
        if (_waiting.Count > 0) return [];
        State = EpochState.Committing;
        return [new EpochAction.Commit(_prepared)];
    }

    /// <summary>A rank cannot, and runs on.</summary>
    public IReadOnlyList<EpochAction> RankFailed(uint rank, ulong epoch, RankFailed failed)
    {
        if (State != EpochState.Preparing || epoch != Epoch || !_ranks.Contains(rank)) return [];
        string which = _ranks.Length > 1 ? $"rank {rank}: " : "";
        return Abort(failed.Error, which + failed.Reason, [.. failed.Findings.Select(f => which + f)], except: rank);
    }

    /// <summary>The connection to a rank's supervisor closed. One whose program only ends says so first (<see cref="RankFailed"/>), so this one died.</summary>
    public IReadOnlyList<EpochAction> RankLost(uint rank)
    {
        _lost.Add(rank);
        return State == EpochState.Preparing && _ranks.Contains(rank) ? Abort(TrecrError.SupervisorFailed.Number, $"the supervisor of rank {rank} ended while the checkpoint was taken, and the program with it", [], except: rank) : [];
    }

    /// <summary>Whom the others wait for: of the last step that any rank is ready for those that are not.</summary>
    private IEnumerable<uint> LateRanks
    {
        get
        {
            SortedSet<uint> step = _captured.Count > 0 ? _captured : _frozen.Count > 0 ? _frozen : _ready;
            return step.Count < _ranks.Length ? _waiting.Except(step) : _waiting;
        }
    }

    /// <summary>Time passes: deadline and signs of life.</summary>
    public IReadOnlyList<EpochAction> Tick(long nowMs)
    {
        if (State is EpochState.Committed or EpochState.Aborted) return [];
        if (State == EpochState.Preparing && nowMs >= _deadline)
            return Abort(TrecrError.Deadline.Number, $"rank {string.Join(", ", LateRanks)} had not prepared after {_deadlineMs} ms", [], except: null);
        if (nowMs < _nextKeepAlive) return [];
        _nextKeepAlive = nowMs + ControlWire.KeepAliveMs;
        return [.. _ranks.Where(r => !_lost.Contains(r)).Select(r => new EpochAction.SendKeepAlive(r))];
    }

    /// <summary>The job manifest is in place and durable.</summary>
    public IReadOnlyList<EpochAction> CommitFinished()
    {
        if (State != EpochState.Committing) return [];
        State = EpochState.Committed;
        return [.. _ranks.Where(r => !_lost.Contains(r)).Select(r => (EpochAction)new EpochAction.SendCommit(r)), new EpochAction.Finished(0, "", [])];
    }

    /// <summary>The job manifest could not be written.</summary>
    public IReadOnlyList<EpochAction> CommitFailed(int error, string reason) => State == EpochState.Committing ? Abort(error, reason, [], except: null) : [];

    private IReadOnlyList<EpochAction> Abort(int error, string reason, IReadOnlyList<string> findings, uint? except)
    {
        State = EpochState.Aborted;
        return [.. _ranks.Where(r => r != except && !_lost.Contains(r)).Select(r => (EpochAction)new EpochAction.SendAbort(r, reason, Epoch)),
            new EpochAction.Finished(error, reason, findings)];
    }

    /// <summary>A message that came too late: a rank that still holds the program for an epoch that is over is told so.</summary>
    private IReadOnlyList<EpochAction> Late(uint rank, ulong epoch)
        => State == EpochState.Aborted || epoch < Epoch ? [new EpochAction.SendAbort(rank, $"epoch {epoch} is over", epoch)] : [];
}
