using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Runtime;

/// <summary>The program's thread that runs host functions (cuLaunchHostFunc) one after another, started at the first use. All signals are blocked on it.</summary>
/// <remarks>Protocol: SegmentHeader.HostFunction*. The function may never return; then its stream never goes on, as with the driver.</remarks>
public static unsafe class HostFunctionThread
{
    private static readonly Lock Gate = new();
    private static bool s_runs;

    /// <summary>Makes sure that the thread runs.</summary>
    /// <exception cref="LinuxException">pthread_create failed</exception>
    public static void Start()
    {
        if (Volatile.Read(ref s_runs)) return;
        lock (Gate)
        {
            if (s_runs) return;
            Sys.PthreadStart(&Serve, ProgramSession.Segment!.Header);
            Volatile.Write(ref s_runs, true);
        }
    }

    [UnmanagedCallersOnly]
    private static void* Serve(void* argument)
    {
        SegmentHeader* header = (SegmentHeader*)argument;
        while (true)
        {
            uint posted = Volatile.Read(ref header->HostFunctionPosted);
            if (posted == Volatile.Read(ref header->HostFunctionDone))
            {
                Sys.FutexWait(&header->HostFunctionPosted, posted);
                continue;
            }
            ((delegate* unmanaged<void*, void>)header->HostFunctionAddress)((void*)header->HostFunctionUserData);
            Interlocked.Exchange(ref header->HostFunctionDone, posted);
            Sys.FutexWake(&header->HostFunctionDone);
        }
    }
}
