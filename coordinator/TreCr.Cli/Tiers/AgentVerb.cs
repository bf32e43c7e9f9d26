using TreCr.Control;
using TreCr.Linux;
using TreCr.Store.Tiers;

namespace TreCr.Cli;

/// <summary><c>trecr agent</c>: serves a directory of this node as a tier's place.</summary>
internal static class AgentVerb
{
    public static int Run(Arguments arguments)
    {
        string directory = Path.GetFullPath(arguments.Operands[0]), socket = Path.GetFullPath(arguments.Operands[1]);
        using StoreAgent agent = new(directory, socket);
        using System.Runtime.InteropServices.PosixSignalRegistration end = System.Runtime.InteropServices.PosixSignalRegistration.Create(System.Runtime.InteropServices.PosixSignal.SIGTERM, _ =>
        {
            File.Delete(socket);
            Environment.Exit(0);
        });
        Output.Line($"agent {Environment.ProcessId} serves {directory} at {socket}");
        agent.Run();
        return 0;
    }
}
