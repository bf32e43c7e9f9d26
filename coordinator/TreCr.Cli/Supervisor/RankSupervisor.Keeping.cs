using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Cli;

// Checkpoints by the clock, and how much of the store they may take.
internal sealed partial class RankSupervisor
{
    private long _storeLimitBytes;

    /// <summary>Half of what is free now, where the user gave no limit.</summary>
    private void FindStoreLimit()
    {
        _storeLimitBytes = Options.StoreLimitBytes;
        if (_storeLimitBytes != 0) return;
        using SnapshotStore store = SnapshotStore.OpenExisting(Store);
        _storeLimitBytes = store.UsedBytes() + store.EstimateFits(0).FreeBytes / 2;
    }

    private void StartKeeping()
    {
        if (Options.IntervalSeconds > 0) new Thread(TakeCheckpoints, 512 * 1024) { IsBackground = true, Name = "interval" }.Start();
    }

    /// <summary>Asks the coordinator as a user would, until the program ends. A failure is told once for each kind; the next attempt comes at its time.</summary>
    private void TakeCheckpoints()
    {
        HashSet<int> told = [];
        Span<PollEntry> ended = [new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }];
        long next = Environment.TickCount64;
        while (true)
        {
            // A checkpoint that takes longer than the interval is followed by a full one without.
            next = Math.Max(next + Options.IntervalSeconds * 1000L, Environment.TickCount64);
            if (Sys.Poll(ended, (int)Math.Min(next - Environment.TickCount64, int.MaxValue)) != 0 || ProgramEnded) return;
            if (!LeadsJob) continue;
            try
            {
                using ControlChannel channel = ConnectCoordinator(() => ProgramEnded);
                CoordinatorClient.Ask(channel, new Envelope { Job = Job, CheckpointJob = new CheckpointJob() }, ControlWire.DefaultDeadlineMs + 30_000);
                RemoveOldCheckpoints();
            }
            catch (Exception e)
            {
                if (ProgramEnded) return;
                (TrecrError error, string message, _) = Program.Explain(e);
                if (error != TrecrError.CheckpointBusy && told.Add(error.Number)) Output.Error(error, $"no checkpoint at its time: {message}");
            }
        }
    }

    /// <summary>Keeps the last few of this job, or what its policy says; those of other jobs are not touched. What cannot be removed now is next time.</summary>
    private void RemoveOldCheckpoints()
    {
        try
        {
            using SnapshotStore store = SnapshotStore.OpenExisting(Store);
            Retention keep = Options.Policy?.Keep ?? new Retention();
            if (store.ListCheckpoints().Count(c => c.Job == Job) > keep.Last) store.Gc(new GcOptions { Retention = keep, Job = Job });
        }
        catch (StoreException) { } // in use, or something in it is damaged: gc by hand says so
    }

    /// <summary>Whether the store is over its limit even without the old checkpoints of this job.</summary>
    /// <returns>null: a checkpoint may begin</returns>
    private TrecrException? RefusalForSpace()
    {
        try
        {
            using SnapshotStore store = SnapshotStore.OpenExisting(Store);
            if (store.UsedBytes() < _storeLimitBytes) return null;
            RemoveOldCheckpoints();
            long used = store.UsedBytes();
            return used < _storeLimitBytes ? null
                : new TrecrException(TrecrError.NoSpace, $"no checkpoint is taken: the store {Store} holds {Output.Bytes((ulong)used)}, and its limit is {Output.Bytes((ulong)_storeLimitBytes)} (--store-limit)");
        }
        catch (Exception e) when (e is StoreException or LinuxException)
        {
            (TrecrError error, string message, _) = Program.Explain(e);
            return new TrecrException(error, message, e);
        }
    }
}
