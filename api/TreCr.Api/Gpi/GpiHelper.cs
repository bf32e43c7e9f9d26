using System.Globalization;
using TreCr.Linux;
using TreCr.XxHash;

namespace TreCr.Api.Gpi;

/// <summary>The agent's process: one for each job and host, started by the rank that comes first.</summary>
public static class GpiHelper
{
    /// <summary>Name of the program, a link to trecr.</summary>
    public const string ProgramName = "gpi_cp-agent";

    private const int ConnectAttempts = 500, PauseMs = 20;

    /// <summary>A connection to the agent of a job, which is started where there is none.</summary>
    /// <exception cref="GpiException">it cannot be reached</exception>
    internal static int Connect(string job)
    {
        try
        {
            string path = SocketPath(job);
            for (int attempt = 0; ; attempt++)
            {
                int socket = Sys.ConnectUnix(path, Sys.SOCK_STREAM);
                if (socket >= 0) return socket;
                if (attempt == ConnectAttempts) throw new GpiException(GpiCode.Error, $"{path}: {Errno.Describe(-socket)}");
                // Whoever does not get its lock waits here until the other's listens.
                if (attempt % 50 == 0) DetachedHelper.Start(DetachedHelper.Find(ProgramName, null, "ranks cannot reach each other"), HelperProcess.StartOption, job);
                else Thread.Sleep(PauseMs);
            }
        }
        catch (Exception e) when (e is IOException or LinuxException or CheckpointException) { throw new GpiException(GpiCode.Error, e.Message); }
    }

    /// <summary>What the program does.</summary>
    /// <returns>exit code</returns>
    public static int Main(string[] arguments)
    {
        try
        {
            switch (arguments)
            {
                case [HelperProcess.StartOption, var job]:
                    return DetachedHelper.Launch(ProgramName, $"{SocketPath(job)}.lock", SocketPath(job), Sys.SOCK_STREAM, null, HelperProcess.ServeOption, job);
                case [HelperProcess.ServeOption, var job, var listener]:
                    try { new GpiAgent(int.Parse(listener, CultureInfo.InvariantCulture)).Run(); }
                    finally
                    {
                        // While we hold the lock nobody else has made these.
                        File.Delete(SocketPath(job));
                        File.Delete($"{SocketPath(job)}.lock");
                    }
                    return 0;
                default:
                    Console.Error.WriteLine($"{ProgramName}: started by libgpi_cp.so when it is needed; nothing to do");
                    return 0;
            }
        }
        catch (Exception e) when (e is CheckpointException or LinuxException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"{ProgramName}: {e.Message}");
            return 1;
        }
    }

    private static string SocketPath(string job)
    {
        // A socket's path has at most 107 bytes, of which the directory may take 65.
        string name = job.Length <= 28 ? job : $"{job[..11]}-{XxHash128.HashToUInt128(System.Text.Encoding.UTF8.GetBytes(job)) & ulong.MaxValue:x16}";
        return $"{PrivateDirectory.Open()}/gpi-{name}.sock";
    }
}
