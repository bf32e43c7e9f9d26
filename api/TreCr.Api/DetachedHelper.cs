using System.Globalization;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>Starts a process that serves programs and outlives them: a short-lived process of the program takes the lock, listens, starts the helper in a session of its own and ends, so that the helper is nobody's child.</summary>
internal static class DetachedHelper
{
    private const int MostAttempts = 3;

    /// <summary>Returns when a helper listens, or another one holds the lock.</summary>
    /// <exception cref="CheckpointException">it did not start</exception>
    public static void Start(string program, params string[] arguments)
    {
        for (int attempt = 1; ; attempt++)
        {
            int pid;
            try { pid = Sys.Spawn(program, [program, .. arguments]); }
            catch (LinuxException e) { throw new CheckpointException($"{program}: does not start: {e.Message}", e); }
            // A program that ignores SIGCHLD has no status of it; then the connection shows whether it started.
            if (Sys.Wait(pid, 0, out int status) != pid || status == 0) return;
            bool wasKilled = (status & 0x7f) != 0; // by somebody who clears up, or for lack of memory: that passes
            if (!wasKilled || attempt == MostAttempts) throw new CheckpointException($"{program}: did not start (status {status})");
        }
    }

    /// <summary>What the short-lived process does.</summary>
    /// <param name="name">of the helper's program</param>
    /// <param name="socketPath">where it listens; what lies there is removed</param>
    /// <param name="log">file for its standard error; null: none</param>
    /// <param name="arguments">of the helper; the listener's number comes behind them</param>
    /// <returns>exit code</returns>
    public static int Launch(string name, string lockPath, string socketPath, int socketType, string? log, params string[] arguments)
    {
        const int CLOSE_RANGE_CLOEXEC = 4;
        Sys.Raw(SyscallNumber.CloseRange, 3, uint.MaxValue, CLOSE_RANGE_CLOEXEC); // nobody shall wait for a pipe's end because the helper has it
        int held = Sys.Open(lockPath, Sys.O_RDWR | Sys.O_CREAT | Sys.O_CLOEXEC, 0x180);
        if (Sys.Flock(held, Sys.LOCK_EX | Sys.LOCK_NB) < 0) return 0;
        File.Delete(socketPath);
        int listener = Sys.ListenUnix(socketPath, socketType);
        Sys.Raw(SyscallNumber.Setsid);
        int nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC);
        int errors = log is null ? nothing : Sys.Open(log, Sys.O_WRONLY | Sys.O_CREAT | Sys.O_APPEND | Sys.O_CLOEXEC, 0x1A4);
        for (int standard = 0; standard < 3; standard++) Sys.Raw(SyscallNumber.Dup3, standard == 2 ? errors : nothing, standard, 0);
        Sys.SetInheritable(held);
        Sys.SetInheritable(listener);
        string self = Sys.ReadLink("/proc/self/exe") ?? throw new CheckpointException("/proc/self/exe cannot be read");
        Sys.Spawn(self, [name, .. arguments, listener.ToString(CultureInfo.InvariantCulture)]);
        return 0;
    }

    /// <summary>Where the helper's program lies.</summary>
    /// <param name="directory">looked at first; null: none</param>
    /// <param name="without">what does not work without it</param>
    /// <exception cref="CheckpointException">nowhere</exception>
    public static string Find(string name, string? directory, string without)
    {
        List<string> places = [];
        if (directory is { } own) places.Add(own);
        if (HelperProcess.LibraryDirectory is { } library) places.AddRange([$"{library}/../bin", library]);
        places.AddRange((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries));
        return places.Select(p => $"{p}/{name}").FirstOrDefault(Sys.CanExecute) ?? throw new CheckpointException($"{name} is not in {string.Join(':', places)}: without it {without}");
    }
}
