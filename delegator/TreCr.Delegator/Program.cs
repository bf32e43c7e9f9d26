using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Rank;

namespace TreCr.Delegator;

/// <summary>
/// <c>trecr-delegator --control-fd N --device auto|soft|cuda --store DIR --job NAME [--rank N]</c>: the delegator of one program, started by the supervisor,
/// which asks on the inherited SOCK_SEQPACKET socket (core/TreCr.Rank/rank.proto). Exit code 0: ended in order; 1: failed, said on stderr; 2: usage.
/// </summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        if (Backends.TryCompileKernels(arguments) is { } done) return done;
        if (!Options.TryParse(arguments, out Options? options, out string? problem))
        {
            Messages.Say($"{problem}; usage: trecr-delegator --control-fd N --device auto|soft|cuda --store DIR --job NAME [--rank N]");
            return 2;
        }
        Sys.SetProcessName($"trecr-delegator");
        Fault.Role = "delegator";
        // Terminal signals are the program's: the delegator ends when its connections do.
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, c => c.Cancel = true);
        using PosixSignalRegistration quit = PosixSignalRegistration.Create(PosixSignal.SIGQUIT, c => c.Cancel = true);
        try
        {
            using RankConnection control = new(options.ControlDescriptor);
            return new ControlLoop(control, options).Run();
        }
        catch (Exception e)
        {
            Messages.Say($"failed: {e}");
            return 1;
        }
    }
}
