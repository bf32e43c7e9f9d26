using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr coordinator</c>: in the foreground by hand, as a daemon when a supervisor needs one.</summary>
internal static class CoordinatorVerb
{
    public static int Run(Arguments arguments)
    {
        if (arguments.Has("--port"))
            throw new TrecrException(TrecrError.NotYet, $"trecr coordinator --port {arguments.Number("--port", ControlWire.DefaultPort, 1, 65535)}: this version serves only this user on this host, on a Unix socket");
        RuntimeDirectory directory = RuntimeDirectory.Open();
        int ready = arguments.Number("--ready-fd", -1);
        CoordinatorServer server = new(directory, new StoreCatalogs(), text => Output.Note($"{DateTimeOffset.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {text}"));
        int idle = arguments.Has("--idle") ? arguments.Number("--idle", 30, 1, 1_000_000) * 1000 : -1;
        bool served = server.Run(idle, () =>
        {
            if (ready >= 0) Sys.Close(ready);
            else Output.Note($"serving at {directory.CoordinatorSocket}");
        });
        if (!served && ready < 0) throw new TrecrException(TrecrError.Coordinator, $"cannot serve: another coordinator serves at {directory.CoordinatorSocket}");
        return 0;
    }
}
