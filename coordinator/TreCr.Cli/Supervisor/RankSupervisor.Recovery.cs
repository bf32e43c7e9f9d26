using TreCr.Control;
using TreCr.Process.Launch;

namespace TreCr.Cli;

// --restart-on-failure: what the coordinator needs to bring the job back, and what the supervisor does itself where it stands in the foreground.
internal sealed partial class RankSupervisor
{
    private string _firstCheckpointId = "";
    private volatile bool _endedOnPurpose;

    private bool Recovers => Options.MostRestarts > 0;

    /// <summary>Restarts itself, in the place of this process: only the coordinator can do that where a launcher takes part.</summary>
    private bool RecoversItself => Recovers && Slot.Launcher.Length == 0;

    /// <summary>Command line of the restart that takes the place of this process, and how long to wait before; null: none.</summary>
    public (IReadOnlyList<string> Words, int DelayMs)? RestartInPlace { get; private set; }

    private RecoveryPolicy? Recovery()
    {
        if (!Recovers) return null;
        RecoveryPolicy policy = new() { Most = (uint)Options.MostRestarts, Left = (uint)Options.RestartsLeft, StreamsOf = Launcher is { Pid: > 0 and var pid } ? pid : Environment.ProcessId };
        policy.Arguments.AddRange(Options.RestartWords);
        return policy;
    }

    /// <summary>Somebody ends the job: what follows is no failure. Said at once, since a launcher may kill us a moment later.</summary>
    /// <param name="final">by the program itself</param>
    private void TellThatItIsEnded(string how, bool final = false)
    {
        _endedOnPurpose = true;
        if (Recovers) Send(new Envelope { Leaves = new RankLeaves { How = how, Final = final } });
    }

    /// <summary>The program has ended. With an exit code that is its own word, and no failure of the machine's.</summary>
    private void TellHowItEnded(int status, bool initLost)
    {
        if (!Recovers) return;
        int signal = initLost ? Linux.Sys.SIGKILL : ExitStatus.Signal(status);
        string how = initLost ? "lost its init" : signal != 0 ? $"was killed by signal {signal}" : $"ended with exit code {ExitStatus.Code(status)}";
        bool failed = signal != 0 && !_endedOnPurpose && !RestartBudget.IsOnPurpose(signal) && StoppedAt.Length == 0;
        if (failed && RecoversItself) PlanRestart(how);
        if (signal != 0 || !Slot.IsOneOfSeveral || ExitStatus.Code(status) != 0) // a rank of several that ended with 0 has said so, and the others run
            _link.SendWithin(new Envelope { Leaves = new RankLeaves { Failed = failed && !RecoversItself, How = how } }, TellMs);
    }

    /// <summary>The program is given up as it is, as by a crash, and this process goes on with it from the checkpoint.</summary>
    private void RollBack(string checkpointId)
    {
        TellThatItIsEnded($"was rolled back to {checkpointId}");
        RestartInPlace = (["trecr", "restart", checkpointId, "--store", Store, .. Options.RestartWords], 0);
        _journal?.Note(Job, "rolled-back", j => j.WriteString("checkpoint_id", checkpointId));
        Output.Note($"job {Job} is rolled back to {checkpointId}");
        KillProgram();
    }

    private void PlanRestart(string how)
    {
        string newest;
        lock (_lock) newest = _lastCheckpointId;
        if (newest.Length == 0) Output.Note($"job {Job} failed: it {how}; it has no checkpoint to be restarted from");
        else if (RestartBudget.Next(Options.MostRestarts, Options.RestartsLeft, advanced: newest != _firstCheckpointId) is not { } next)
            Output.Note($"job {Job} failed: it {how}; it was restarted {Options.MostRestarts} times since {newest}, and is given up");
        else
        {
            Output.Note($"job {Job} failed: it {how}; it is restarted from {newest} in {next.DelayMs / 1000} s");
            RestartInPlace = (["trecr", "restart", newest, "--store", Store, .. Options.RestartWords, "--restarts-left", $"{next.Left}"], next.DelayMs);
        }
    }
}
