using TreCr.Control;
using TreCr.Coordinator;

namespace TreCr.Cli;

/// <summary>
/// Finds the coordinator of a job: the one that the user names (TRECR_COORDINATOR), else, for a job on several hosts, the one that its note in the store names, else this host's. The note is the work of the job's leading rank (the lowest
/// that runs), whose host's coordinator serves the job.
/// </summary>
internal static class JobCoordinator
{
    /// <summary>How long a rank looks for the note before it says that there is none; it looks on.</summary>
    private const int FindMs = 60_000;

    /// <summary>For a supervisor.</summary>
    /// <param name="leads">whether ours is the leading rank, now</param>
    /// <param name="ended">the supervisor is ending</param>
    /// <exception cref="TrecrException">it is not there, cannot be reached, or could not be started</exception>
    public static ControlChannel ForRank(RuntimeDirectory directory, string store, string job, LaunchSlot slot, Func<bool> leads, Func<bool> ended)
    {
        if (HostConnection.Named is { } name) return HostConnection.Connect(name);
        if (!slot.HasOtherHosts) return CoordinatorClient.Connect(directory, start: true);
        ShowKey(store);
        TrecrException? last = null;
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + FindMs; Environment.TickCount64 < end && !ended(); never.Wait(100))
        {
            CoordinatorNote? note = CoordinatorNotes.TryRead(store, job);
            bool isOurs = note?.Launch == slot.Launch, isHere = note?.Host == Environment.MachineName;
            if (isOurs && !(isHere && leads()))
            {
                try { return HostConnection.Connect(note!); }
                catch (TrecrException e) when (e.Error == TrecrError.HostUnreachable) { last = e; } // it has died, and there will be another
            }
            if (leads()) return CoordinatorClient.Connect(directory, start: true);
        }
        throw last ?? new TrecrException(TrecrError.HostUnreachable, $"rank 0 has left no note in {store} within {FindMs / 1000} s that says where the coordinator is");
    }

    /// <summary>For a command about a job.</summary>
    /// <returns>null: the job is not on several hosts, as far as the store says; its coordinator is this host's</returns>
    /// <exception cref="TrecrException">the coordinator that the user names cannot be reached</exception>
    public static ControlChannel? Elsewhere(string store, string? job)
    {
        if (HostConnection.Named is { } name) return HostConnection.Connect(name);
        if (job is null || CoordinatorNotes.TryRead(store, job) is not { } note) return null;
        try
        {
            ShowKey(store);
            return HostConnection.Connect(note);
        }
        catch (TrecrException) { return null; } // of a job that is no more
    }

    /// <exception cref="TrecrException">HostKey, StoreIO</exception>
    private static void ShowKey(string store)
    {
        string key = HostIdentity.Open().Fingerprint;
        try { CoordinatorNotes.ShowKey(store, key); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TrecrException(TrecrError.StoreIO, $"cannot write {store}, where the coordinator looks for our key: {e.Message}", e); }
    }

    /// <summary>Refuses a name that a job has which runs on other hosts.</summary>
    /// <param name="error">JobNameTaken or StillRunning</param>
    /// <exception cref="TrecrException">the error</exception>
    public static void RequireFree(string store, string job, LaunchSlot slot, TrecrError error, string what)
    {
        if (slot.Rank != 0 || CoordinatorNotes.TryRead(store, job) is not { } note || (note.Launch == slot.Launch && slot.Launch.Length > 0)) return;
        using ControlChannel? channel = Elsewhere(store, job);
        if (channel is not null && JobVerbs.Listed(channel, job)) throw new TrecrException(error, $"{what}: job {job} runs, with its coordinator on {note.Host}");
    }
}
