using TreCr.Backend.Mpi;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr mpi-delegator</c>: the process that owns a rank's MPI library. Started by the supervisor with the launcher's environment and descriptors.</summary>
internal static class MpiDelegatorVerb
{
    public const string Name = "mpi-delegator";

    /// <summary>How long it may stay after its supervisor is gone: the library may be in a call that does not end.</summary>
    private const int AloneMs = 10_000;

    public static int Run(Arguments arguments)
    {
        int control = arguments.Number("--control-fd", -1);
        if (control < 0) throw arguments.Usage("is started by run and restart");
        Sys.Check(Sys.Raw(SyscallNumber.Fcntl, control, Sys.F_SETFD, 1), "fcntl", $"fd {control}");
        int watched = Sys.Duplicate(control);
        new Thread(() =>
        {
            Sys.Poll([new PollEntry { Fd = watched }], -1); // it hung up
            Sys.SleepNs(AloneMs * 1_000_000L);
            Sys.Kill(Environment.ProcessId, Sys.SIGKILL);
        }, 128 * 1024)
        { IsBackground = true, Name = "supervisor's end" }.Start();
        return MpiDelegator.Run(control);
    }
}
