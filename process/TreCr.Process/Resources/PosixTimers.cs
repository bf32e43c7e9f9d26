using System.Globalization;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>
/// POSIX timers (timer_create) of a process: which there are from /proc/PID/timers, how long they have to go from the process itself. Clock and number come back
/// as they were; whether a time was absolute the kernel does not tell, so that every timer has as long to go as at the checkpoint.
/// </summary>
internal static unsafe class PosixTimers
{
    private const int SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD_ID = 4, CLOCK_THREAD_CPUTIME_ID = 3, OwnThread = -2; // -2: how the kernel keeps it
    private const int PR_TIMER_CREATE_RESTORE_IDS = 77, MaxNumber = 20_000;

    /// <summary>What cannot be saved.</summary>
    public static IEnumerable<string> Check(int pid, int threads)
    {
        foreach (PosixTimerImage timer in Read(pid))
        {
            if (timer.Clock is CLOCK_THREAD_CPUTIME_ID or OwnThread && threads > 1) yield return $"POSIX timer {timer.Id} counts the processor time of a thread";
            // The clock of a process or thread: ~id << 3, bit 2 for a thread.
            if (timer.Clock < 0 && ~(timer.Clock >> 3) is var of && of != 0 && ((timer.Clock & 4) == 0 ? of != pid : !Directory.Exists($"/proc/{pid}/task/{of}"))) yield return $"POSIX timer {timer.Id} counts the processor time of another process or thread";
            if (timer.Id > MaxNumber && !HasNumbers()) yield return $"the numbers of its POSIX timers have come to {timer.Id}";
        }
    }

    /// <summary>Kernels from 6.15 on make a timer with a given number.</summary>
    private static bool HasNumbers() => Sys.Raw(SyscallNumber.Prctl, PR_TIMER_CREATE_RESTORE_IDS, 2) >= 0;

    /// <summary>Timers without their times.</summary>
    public static List<PosixTimerImage> Read(int pid)
    {
        List<PosixTimerImage> timers = [];
        foreach (string line in File.ReadLines($"/proc/{pid}/timers"))
        {
            int colon = line.IndexOf(':');
            if (colon < 0) continue;
            string value = line[(colon + 1)..].Trim();
            switch (line[..colon])
            {
                case "ID": timers.Add(new PosixTimerImage { Id = int.Parse(value) }); break;
                case "signal": // NUMBER/SIGVAL
                    string[] signal = value.Split('/');
                    timers[^1].Signal = int.Parse(signal[0]);
                    timers[^1].Value = ulong.TryParse(signal[1].Replace("0x", ""), NumberStyles.HexNumber, null, out ulong sigval) ? sigval : 0;
                    break;
                case "notify": // signal/pid.N, signal/tid.N, none/pid.N
                    timers[^1].Notify = value.StartsWith("none", StringComparison.Ordinal) ? SIGEV_NONE : value.Contains("/tid.", StringComparison.Ordinal) ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
                    if (timers[^1].Notify == SIGEV_THREAD_ID) timers[^1].Tid = int.Parse(value.AsSpan(value.LastIndexOf('.') + 1));
                    break;
                case "ClockID": timers[^1].Clock = int.Parse(value); break;
            }
        }
        return timers;
    }

    /// <summary>Notes how long a timer has to go.</summary>
    /// <param name="spec">struct itimerspec, 32 bytes</param>
    public static void SetTime(PosixTimerImage timer, byte[] spec)
    {
        timer.IntervalNs = BitConverter.ToInt64(spec) * 1_000_000_000 + BitConverter.ToInt64(spec, 8);
        timer.ValueNs = BitConverter.ToInt64(spec, 16) * 1_000_000_000 + BitConverter.ToInt64(spec, 24);
    }

    /// <summary>Makes and starts them.</summary>
    /// <param name="scratch">address of a page of the process</param>
    /// <param name="step">runs one system call in it</param>
    public static void Restore(int pid, ProcessImage image, ulong scratch, Func<SyscallNumber, long, long, long, long, long> step)
    {
        if (image.PosixTimers.Count == 0) return;
        bool numbers = step(SyscallNumber.Prctl, PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0) >= 0;
        HashSet<int> wanted = [.. image.PosixTimers.Select(t => t.Id)];
        ulong* data = stackalloc ulong[9]; // struct sigevent, 64 bytes; the number
        foreach (PosixTimerImage timer in image.PosixTimers.OrderBy(t => t.Id))
            for (int made = -1; made != timer.Id;)
            {
                if (made >= 0 && !wanted.Contains(made)) Sys.Check(step(SyscallNumber.TimerDelete, made, 0, 0, 0), "timer_delete");
                new Span<ulong>(data, 9).Clear();
                (data[0], ((int*)data)[2], ((int*)data)[3], ((int*)data)[4], ((int*)data)[16]) = (timer.Value, timer.Signal, timer.Notify, timer.Tid, timer.Id);
                Write(pid, scratch, data, 72);
                Sys.Check(step(SyscallNumber.TimerCreate, timer.Clock, (long)scratch, (long)scratch + 64, 0), "timer_create", $"timer {timer.Id}");
                int number;
                if (Sys.ProcessVmRead(pid, scratch + 64, &number, 4) != 4 || number > timer.Id || number <= made) throw new Engine.ProcessException($"POSIX timer {timer.Id} cannot have its number again");
                made = number;
            }
        if (numbers) step(SyscallNumber.Prctl, PR_TIMER_CREATE_RESTORE_IDS, 0, 0, 0);
        long* spec = stackalloc long[4];
        foreach (PosixTimerImage timer in image.PosixTimers)
        {
            // Fired, its signal not taken yet: the next period begins with that.
            long value = timer.ValueNs == 0 ? timer.IntervalNs : timer.ValueNs;
            if (value == 0) continue;
            (spec[0], spec[1], spec[2], spec[3]) = (timer.IntervalNs / 1_000_000_000, timer.IntervalNs % 1_000_000_000, value / 1_000_000_000, value % 1_000_000_000);
            Write(pid, scratch, spec, 32);
            Sys.Check(step(SyscallNumber.TimerSettime, timer.Id, 0, (long)scratch, 0), "timer_settime", $"timer {timer.Id}");
        }
    }

    private static void Write(int pid, ulong at, void* data, int bytes)
    {
        if (Sys.ProcessVmWrite(pid, at, data, bytes) != bytes) throw new Engine.ProcessException("cannot write a timer's data");
    }
}
