using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr coordinator</c>: in the foreground by hand, as a daemon when a supervisor needs one.</summary>
internal static class CoordinatorVerb
{
    public static int Run(Arguments arguments)
    {
        int port = arguments.Has("--port") ? arguments.Number("--port", ControlWire.DefaultPort, 1, 65535) : 0;
        RuntimeDirectory directory = RuntimeDirectory.Open();
        int ready = arguments.Number("--ready-fd", -1);
        CoordinatorServer server = new(directory, new StoreCatalogs(), text => Output.Note($"{DateTimeOffset.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {text}"));
        int idle = arguments.Has("--idle") ? arguments.Number("--idle", 30, 1, 1_000_000) * 1000 : -1;
        bool served = server.Run(idle, port, key =>
        {
            if (ready >= 0) Sys.Close(ready);
            else Output.Note($"serving at {directory.CoordinatorSocket}{(key is null ? "" : $" and, for other hosts, on port {port} with the key {key}")}");
        });
        if (!served && ready < 0) throw new TrecrException(TrecrError.Coordinator, $"cannot serve: another coordinator serves at {directory.CoordinatorSocket}");
        return 0;
    }
}
