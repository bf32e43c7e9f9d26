using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr engine</c>: the process in the job's namespace that freezes, dumps and restores. Started by the supervisor.</summary>
internal static class EngineVerb
{
    public static int Run(Arguments arguments)
    {
        int control = arguments.Number("--control-fd", -1);
        if (control < 0) throw arguments.Usage("is started by run and restart");
        // Nothing that is started later may inherit it.
        Sys.Check(Sys.Raw(SyscallNumber.Fcntl, control, Sys.F_SETFD, 1), "fcntl", $"fd {control}");
        using EngineServer server = new(control, Installation.Store(arguments), arguments.Size("--save-files-below", -1, 0), arguments.Size("--max-extra-memory", 0, 1), arguments.Has("--bundle"));
        server.Run();
        return 0;
    }
}
