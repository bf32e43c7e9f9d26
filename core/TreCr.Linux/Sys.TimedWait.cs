using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>wait4(2) that ends in time: it has no timeout of its own, and sleeping between looks is late by a turn of the scheduler wherever processors are short.</summary>
public static unsafe partial class Sys
{
    /// <summary>Ends a blocking call of the thread that it is sent to. No runtime and no program of ours uses it otherwise.</summary>
    private const int TimeoutSignal = 63;

    private const int SIGEV_THREAD_ID = 4;

    private static readonly Lazy<bool> s_handled = new(HandleTimeoutSignal);

    [ThreadStatic] private static int t_timer; // number + 1 of this thread's timer; a thread that waits so keeps it

    [LibraryImport("libc", EntryPoint = "sigaction")]
    private static partial int LibcSigaction(int signal, ulong* action, void* old);

    /// <summary>Waits for a stop or the end of a child or tracee.</summary>
    /// <returns>its pid; 0 when the time has passed; or -errno (ECHILD)</returns>
    public static int Wait(int pid, int options, out int status, long timeoutNs)
    {
        status = 0;
        long end = ClockNs(1) + Math.Max(1, timeoutNs);
        if (t_timer == 0 && !TryMakeTimer()) return WaitSleeping(pid, options, out status, end);
        // Again and again after the deadline: the first may come before the wait has begun.
        SetTimer(Math.Max(1, timeoutNs), 20_000_000);
        try
        {
            while (true)
            {
                int s = 0;
                long got = Raw(SyscallNumber.Wait4, pid, (long)&s, options);
                status = s;
                if (got != -Errno.EINTR) return (int)got;
                if (ClockNs(1) >= end) return 0;
            }
        }
        finally { SetTimer(0, 0); }
    }

    private static int WaitSleeping(int pid, int options, out int status, long end)
    {
        while (true)
        {
            int got = Wait(pid, options | WNOHANG, out status);
            if (got != 0 || ClockNs(1) >= end) return got;
            SleepNs(50_000);
        }
    }

    private static bool TryMakeTimer()
    {
        if (!s_handled.Value) return false;
        byte* sigevent = stackalloc byte[64];
        new Span<byte>(sigevent, 64).Clear();
        (*(int*)(sigevent + 8), *(int*)(sigevent + 12), *(int*)(sigevent + 16)) = (TimeoutSignal, SIGEV_THREAD_ID, Gettid());
        int timer;
        if (Raw(SyscallNumber.TimerCreate, 1, (long)sigevent, (long)&timer) < 0) return false;
        t_timer = timer + 1;
        return true;
    }

    private static void SetTimer(long firstNs, long intervalNs)
    {
        long* times = stackalloc long[4];
        (times[0], times[1], times[2], times[3]) = (intervalNs / 1_000_000_000, intervalNs % 1_000_000_000, firstNs / 1_000_000_000, firstNs % 1_000_000_000);
        Raw(SyscallNumber.TimerSettime, t_timer - 1, 0, (long)times);
    }

    /// <summary>The handler is a function of libc that does nothing: calls are to end with EINTR, and managed code cannot run in a handler.</summary>
    private static bool HandleTimeoutSignal()
    {
        ulong* action = stackalloc ulong[19]; // handler, mask (128 bytes), flags, restorer; no SA_RESTART
        new Span<ulong>(action, 19).Clear();
        fixed (byte* name = CString("getppid")) action[0] = (ulong)LibcDlsym(null, name);
        return action[0] != 0 && LibcSigaction(TimeoutSignal, action, null) == 0;
    }
}
