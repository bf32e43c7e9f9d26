using System.Globalization;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>The helper of a scratch directory, for VELOC programs in async mode.</summary>
public static class HelperProcess
{
    /// <summary>Name of the program, as VELOC's; a link to trecr.</summary>
    public const string ProgramName = "veloc-backend";

    internal const string StartOption = "--start", ServeOption = "--serve";
    private const string LockFile = "lock", LogFile = "veloc-backend.log";

    /// <summary>Where the calling library lies; set by it. Looked at after <see cref="CheckpointSettings.HelperDirectory"/>.</summary>
    public static string? LibraryDirectory { get; set; }

    /// <summary>Returns when a helper listens, or another one holds the lock.</summary>
    /// <exception cref="CheckpointException">there is none, or it did not start</exception>
    internal static void Start(CheckpointDirectory scratch, CheckpointSettings settings)
    {
        string program = DetachedHelper.Find(ProgramName, settings.HelperDirectory, "no checkpoint leaves the scratch directory in async mode");
        DetachedHelper.Start(program, StartOption, scratch.Path, settings.LogDirectory ?? "");
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
        int directory = Sys.Open(scratch.OwnPath(""), Sys.O_PATH | Sys.O_DIRECTORY);
        return DetachedHelper.Launch(ProgramName, scratch.OwnPath(LockFile), HelperQueue.SocketPath(directory), Sys.SOCK_SEQPACKET, log.Length == 0 ? null : $"{log}/{LogFile}", ServeOption, scratch.Path);
    }
}
