using System.Globalization;
using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary><c>gaspi_run</c>: starts the ranks of a job on this host. Unlike mpirun it leaves the others alone when one dies, so that spares can take over.</summary>
public static class GaspiRun
{
    public const string ProgramName = "gaspi_run";

    private const string Usage = "usage: gaspi_run -n RANKS PROGRAM [ARGUMENTS]\n  Starts so many processes on this host, spares included. Its exit code is that of the process that ends last.";
    private const int ExitUsage = 2, ExitNotFound = 127;

    /// <returns>exit code</returns>
    public static int Main(string[] arguments)
    {
        if (arguments is ["-h" or "--help"])
        {
            Console.Out.WriteLine(Usage);
            return 0;
        }
        if (arguments is not ["-n", var text, _, ..] || !ushort.TryParse(text, NumberStyles.None, null, out ushort ranks) || ranks == 0)
        {
            if (arguments.Contains("-m")) Console.Error.WriteLine($"{ProgramName}: -m: ranks on other hosts are not supported");
            Console.Error.WriteLine(Usage);
            return ExitUsage;
        }
        List<int> pids = [];
        using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => End());
        string[] environment = [.. OwnEnvironment.Words(name => name is LaunchPlace.RankVariable or LaunchPlace.CountVariable or LaunchPlace.JobVariable)];
        string job = $"{Environment.ProcessId}-{Sys.ClockNs(0):x}", program = Find(arguments[2]);
        for (int rank = 0; rank < ranks; rank++)
        {
            try { lock (pids) pids.Add(Sys.Spawn(program, arguments[2..], [.. environment, $"{LaunchPlace.RankVariable}={rank}", $"{LaunchPlace.CountVariable}={ranks}", $"{LaunchPlace.JobVariable}={job}"])); }
            catch (LinuxException e)
            {
                Console.Error.WriteLine($"{ProgramName}: {program}: {e.Message}");
                End();
                return ExitNotFound;
            }
        }
        int last = 0;
        for (int left = ranks; left > 0;)
        {
            int pid = Sys.Wait(-1, 0, out int status);
            if (pid < 0) break;
            lock (pids)
                if (!pids.Remove(pid)) continue;
            left--;
            last = (status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f);
        }
        return last;

        void End()
        {
            lock (pids)
                foreach (int pid in pids) Sys.Kill(pid, Sys.SIGTERM);
        }
    }

    private static string Find(string program)
        => program.Contains('/') ? program : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(d => $"{d}/{program}").FirstOrDefault(Sys.CanExecute) ?? program;
}
