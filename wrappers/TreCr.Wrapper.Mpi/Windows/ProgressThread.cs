using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// A thread that handles what arrives while the program computes: one-sided calls of other ranks do not wait until the program calls MPI. There is one while there are windows or files with a
/// shared pointer, and it is saved and restored like any thread of the program.
/// </summary>
/// <remarks>It runs no function of the program (no collective call goes on in it), and takes none of its signals. Source: MPI-3.1 §11.7.3 (progress).</remarks>
internal static unsafe class ProgressThread
{
    private const long LongestNs = 100_000_000, MeanwhileNs = 200_000;

    private static int s_users;
    private static bool s_runs;

    /// <summary>Somebody needs it. The caller is in an MPI call.</summary>
    public static void Acquire()
    {
        if (s_users++ > 0 || s_runs) return;
        Library.BecomeMultiple();
        s_runs = true;
        Sys.PthreadStart(&Run, null);
    }

    /// <summary>Nobody needs it soon: it ends when it wakes the next time.</summary>
    public static void Release() => s_users--;

    [UnmanagedCallersOnly]
    private static void* Run(void* unused)
    {
        // The delegator sleeps shortly only, as if a call of the program waited.
        Interlocked.Increment(ref Transport.Header->WaitingCalls);
        while (s_runs)
        {
            // Calls that wait handle what comes themselves.
            if (Volatile.Read(ref Transport.Header->WaitingCalls) > 1) Sys.SleepNs(MeanwhileNs);
            else if (!Transport.HasArrivals && !Messages.HasUnsent) Transport.Sleep(LongestNs);
            else Sys.Yield();
            Library.Between(Turn);
        }
        Interlocked.Decrement(ref Transport.Header->WaitingCalls);
        return null;
    }

    private static void Turn()
    {
        if (s_users == 0 || Library.State != LibraryState.Running) s_runs = false;
        else if (Transport.HasArrivals || Messages.HasUnsent) Messages.ProgressPackets();
    }
}
