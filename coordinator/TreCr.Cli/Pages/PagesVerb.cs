using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary><c>trecr pages</c>: brings the device memory of a lazily restarted program into its delegator. Started by the supervisor; ends with it, with the delegator, and when all is there.</summary>
internal static class PagesVerb
{
    public const string Name = "pages";

    /// <summary>What it is given.</summary>
    private const int SupervisorDescriptor = 3, FaultDescriptor = 4, DoneDescriptor = 5;

    public static int Run(Arguments arguments)
    {
        Fault.Role = Name;
        using SnapshotStore store = SnapshotStore.Open(Installation.Store(arguments), new StoreOptions { Create = false });
        using StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(Convert.FromHexString(arguments.Operands[0])));
        using DevicePageServer server = new(reader, FaultDescriptor);
        if (server.Run(SupervisorDescriptor)) Sys.SignalEventFd(DoneDescriptor);
        return 0;
    }
}
