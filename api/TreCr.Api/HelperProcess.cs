using System.Globalization;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>Starts the helper: a short-lived process of the program takes the lock, listens, starts the helper in a session of its own and ends, so that the helper is nobody's child.</summary>
public static class HelperProcess
{
    /// <summary>Name of the program, as VELOC's; a link to trecr.</summary>
    public const string ProgramName = "veloc-backend";

    internal const string StartOption = "--start", ServeOption = "--serve";
    private const int MostAttempts = 3;
    private const string LockFile = "lock", LogFile = "veloc-backend.log";

    /// <summary>Where the calling library lies; set by it. Looked at after <see cref="CheckpointSettings.HelperDirectory"/>.</summary>
    public static string? LibraryDirectory { get; set; }

    /// <summary>Returns when a helper listens, or another one holds the lock.</summary>
    /// <exception cref="CheckpointException">there is none, or it did not start</exception>
    internal static void Start(CheckpointDirectory scratch, CheckpointSettings settings)
    {
        string program = Find(settings);
        for (int attempt = 1; ; attempt++)
        {
            int pid;
            try { pid = Sys.Spawn(program, [program, StartOption, scratch.Path, settings.LogDirectory ?? ""]); }
            catch (LinuxException e) { throw new CheckpointException($"{program}: does not start: {e.Message}", e); }
            // A program that ignores SIGCHLD has no status of it; then the connection shows whether it started.
            if (Sys.Wait(pid, 0, out int status) != pid || status == 0) return;
            bool wasKilled = (status & 0x7f) != 0; // by somebody who clears up, or for lack of memory: that passes
            if (!wasKilled || attempt == MostAttempts) throw new CheckpointException($"{program}: did not start (status {status})");
        }
    }

    /// <summary>What the helper program does.</summary>
    /// <param name="arguments">as this class gives them</param>
    /// <returns>exit code</returns>
    public static int Main(string[] arguments)
    {
        try
        {
            switch (arguments)
            {
                case [StartOption, var scratch, var log]: return StartServer(new CheckpointDirectory(scratch), log);
                case [ServeOption, var scratch, var listener]:
                    new HelperServer(new CheckpointDirectory(scratch), int.Parse(listener, CultureInfo.InvariantCulture)).Run();
                    return 0;
                default:
                    // As a daemon of its own the original waits for programs. Here each scratch directory gets a helper when it needs one.
                    Console.Error.WriteLine($"{ProgramName}: started by libveloc-client.so when it is needed; nothing to do");
                    return 0;
            }
        }
        catch (Exception e) when (e is CheckpointException or LinuxException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"{ProgramName}: {e.Message}");
            return 1;
        }
    }

    private static int StartServer(CheckpointDirectory scratch, string log)
    {
        const int CLOSE_RANGE_CLOEXEC = 4;
        Sys.Raw(SyscallNumber.CloseRange, 3, uint.MaxValue, CLOSE_RANGE_CLOEXEC); // nobody shall wait for a pipe's end because the helper has it
        int held = Sys.Open(scratch.OwnPath(LockFile), Sys.O_RDWR | Sys.O_CREAT | Sys.O_CLOEXEC, 0x180);
        if (Sys.Flock(held, Sys.LOCK_EX | Sys.LOCK_NB) < 0) return 0;
        int directory = Sys.Open(scratch.OwnPath(""), Sys.O_PATH | Sys.O_DIRECTORY | Sys.O_CLOEXEC);
        File.Delete(scratch.OwnPath("socket"));
        int listener = Sys.ListenUnix(HelperQueue.SocketPath(directory));
        Sys.Raw(SyscallNumber.Setsid);
        int nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC);
        int errors = log.Length == 0 ? nothing : Sys.Open($"{log}/{LogFile}", Sys.O_WRONLY | Sys.O_CREAT | Sys.O_APPEND | Sys.O_CLOEXEC, 0x1A4);
        for (int standard = 0; standard < 3; standard++) Sys.Raw(SyscallNumber.Dup3, standard == 2 ? errors : nothing, standard, 0);
        Sys.SetInheritable(held);
        Sys.SetInheritable(listener);
        string self = Sys.ReadLink("/proc/self/exe") ?? throw new CheckpointException("/proc/self/exe cannot be read");
        Sys.Spawn(self, [ProgramName, ServeOption, scratch.Path, listener.ToString(CultureInfo.InvariantCulture)]);
        return 0;
    }

    private static string Find(CheckpointSettings settings)
    {
        List<string> places = [];
        if (settings.HelperDirectory is { } own) places.Add(own);
        if (LibraryDirectory is { } library) places.AddRange([$"{library}/../bin", library]);
        places.AddRange((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries));
        return places.Select(p => $"{p}/{ProgramName}").FirstOrDefault(Sys.CanExecute)
            ?? throw new CheckpointException($"{ProgramName} is not in {string.Join(':', places)}: without it no checkpoint leaves the scratch directory in async mode");
    }
}
