using TreCr.Backend.Mpi;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr mpi-delegator</c>: the process that owns a rank's MPI library. Started by the supervisor with the launcher's environment and descriptors.</summary>
internal static class MpiDelegatorVerb
{
    public const string Name = "mpi-delegator";

    public static int Run(Arguments arguments)
    {
        int control = arguments.Number("--control-fd", -1);
        if (control < 0) throw arguments.Usage("is started by run and restart");
        Sys.Check(Sys.Raw(SyscallNumber.Fcntl, control, Sys.F_SETFD, 1), "fcntl", $"fd {control}");
        return MpiDelegator.Run(control);
    }
}
