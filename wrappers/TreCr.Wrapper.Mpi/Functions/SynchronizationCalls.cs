using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §11.5: epochs of windows. Assertions (MPI_MODE_NOCHECK and others) promise what need not be known here, but for MPI_MODE_NOSUCCEED.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class SynchronizationCalls
{
    private static int NoSucceed => MpiAbi.IsMpich ? 16384 : 16;

    public static void MPI_Win_fence(int assertion, Window window)
    {
        if (window.Access.IsPassive || window.Access.Started is not null || window.Target.Exposed is not null) throw new MpiException(ErrorClass.RmaSync, "another epoch is open");
        MpiException? failed = null;
        try { window.FlushAll(); }
        catch (MpiException e) { failed = e; } // the others wait for this rank
        Schedule.Run(window.Comm, Algorithms.Barrier);
        window.Access.Fenced = (assertion & NoSucceed) == 0;
        if (failed is not null) throw failed;
    }

    private static int[] RanksOf(Group group, Window window)
    {
        int[] ranks = [.. group.Ranks.Select(window.Comm.Group.RankOf)];
        return Array.IndexOf(ranks, MpiAbi.Undefined) < 0 ? ranks : throw new MpiException(ErrorClass.Group, "a rank that is not of the window");
    }

    public static void MPI_Win_post(Group group, int assertion, Window window)
    {
        if (window.Target.Exposed is not null) throw new MpiException(ErrorClass.RmaSync, "the window is exposed already");
        int[] ranks = RanksOf(group, window);
        window.Target.Exposed = ranks;
        foreach (int rank in ranks) window.Tell(rank, RemoteCallKind.Post);
    }

    public static void MPI_Win_start(Group group, int assertion, Window window)
    {
        if (window.Access.Started is not null || window.Access.IsPassive) throw new MpiException(ErrorClass.RmaSync, "an access epoch is open");
        int[] ranks = RanksOf(group, window);
        Waiting.Until(static s => Array.TrueForAll(s.ranks, rank => s.window.Target.Posts[rank] > 0), (ranks, window));
        foreach (int rank in ranks) window.Target.Posts[rank]--;
        window.Access.Started = ranks;
    }

    public static void MPI_Win_complete(Window window)
    {
        int[] ranks = window.Access.Started ?? throw new MpiException(ErrorClass.RmaSync, "no access epoch is open");
        MpiException? failed = null;
        try { window.FlushAll(); }
        catch (MpiException e) { failed = e; }
        window.Access.Started = null;
        foreach (int rank in ranks) window.Tell(rank, RemoteCallKind.Complete);
        if (failed is not null) throw failed;
    }

    private static bool AreComplete(Window window) => Array.TrueForAll(window.Target.Exposed!, rank => window.Target.Completes[rank] > 0);

    private static void EndExposure(Window window)
    {
        foreach (int rank in window.Target.Exposed!) window.Target.Completes[rank]--;
        window.Target.Exposed = null;
    }

    public static void MPI_Win_wait(Window window)
    {
        if (window.Target.Exposed is null) throw new MpiException(ErrorClass.RmaSync, "the window is not exposed");
        Waiting.Until(AreComplete, window);
        EndExposure(window);
    }

    public static void MPI_Win_test(Window window, int* flag)
    {
        if (window.Target.Exposed is null) throw new MpiException(ErrorClass.RmaSync, "the window is not exposed");
        Messages.Progress();
        *flag = AreComplete(window) ? 1 : 0;
        if (*flag != 0) EndExposure(window);
        else Idle.Turn();
    }

    public static void MPI_Win_lock(int type, Rank rank, int assertion, Window window)
    {
        if (rank.Value == MpiAbi.ProcNull) return;
        window.Comm.WorldRank(rank);
        bool exclusive = type == (MpiAbi.IsMpich ? 234 : 1);
        if (!exclusive && type != (MpiAbi.IsMpich ? 235 : 2)) throw new MpiException(ErrorClass.LockType, $"lock type {type}");
        if (window.Access.AllLocked || window.Access.Locked[rank] || window.Access.Started is not null) throw new MpiException(ErrorClass.RmaSync, "an access epoch is open");
        window.Ask(rank, exclusive ? RemoteCallKind.LockExclusive : RemoteCallKind.LockShared);
        (window.Access.Locked[rank], window.Access.Fenced) = (true, false);
    }

    public static void MPI_Win_lock_all(int assertion, Window window)
    {
        if (window.Access.IsPassive || window.Access.Started is not null) throw new MpiException(ErrorClass.RmaSync, "an access epoch is open");
        for (int rank = 0; rank < window.Comm.Size; rank++) window.Ask(rank, RemoteCallKind.LockShared);
        (window.Access.AllLocked, window.Access.Fenced) = (true, false);
    }

    public static void MPI_Win_unlock(Rank rank, Window window)
    {
        if (rank.Value == MpiAbi.ProcNull) return;
        window.Comm.WorldRank(rank);
        if (!window.Access.Locked[rank]) throw new MpiException(ErrorClass.RmaSync, $"rank {rank.Value} is not locked");
        window.Access.Locked[rank] = false;
        try { window.Ask(rank, RemoteCallKind.Unlock); }
        finally { window.Settle(rank); }
    }

    public static void MPI_Win_unlock_all(Window window)
    {
        if (!window.Access.AllLocked) throw new MpiException(ErrorClass.RmaSync, "not all ranks are locked");
        window.Access.AllLocked = false;
        MpiException? failed = null;
        for (int rank = 0; rank < window.Comm.Size; rank++)
            try
            {
                window.Ask(rank, RemoteCallKind.Unlock);
                window.Settle(rank);
            }
            catch (MpiException e) { failed ??= e; }
        if (failed is not null) throw failed;
    }

    private static void CheckPassive(Window window, Rank rank)
    {
        window.Comm.WorldRank(rank);
        if (!window.Access.AllLocked && !window.Access.Locked[rank]) throw new MpiException(ErrorClass.RmaSync, $"rank {rank.Value} is not locked");
    }

    private static void CheckPassive(Window window)
    {
        if (!window.Access.IsPassive) throw new MpiException(ErrorClass.RmaSync, "no rank is locked");
    }

    public static void MPI_Win_flush(Rank rank, Window window)
    {
        CheckPassive(window, rank);
        window.Flush(rank);
    }

    public static void MPI_Win_flush_all(Window window)
    {
        CheckPassive(window);
        window.FlushAll();
    }

    public static void MPI_Win_flush_local(Rank rank, Window window)
    {
        CheckPassive(window, rank);
        window.FlushLocal(rank);
    }

    public static void MPI_Win_flush_local_all(Window window)
    {
        CheckPassive(window);
        for (int rank = 0; rank < window.Comm.Size; rank++) window.FlushLocal(rank);
    }

    /// <summary>Both copies of a window are one here.</summary>
    public static void MPI_Win_sync(Window window)
    {
        Thread.MemoryBarrier();
        Messages.Progress();
    }
}
