using TreCr.Control;
using TreCr.Process.Restore;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>What a restart shall do otherwise than the run before: <c>--env</c>, <c>--cwd</c>, <c>--map-path</c>, <c>--cpus</c>, <c>--lazy</c>.</summary>
internal sealed class RestartChanges
{
    private readonly PathChanges _paths = new();
    private readonly IReadOnlyList<string> _environment;
    private readonly string? _cpus;
    private readonly byte[]? _cpuMask;
    private readonly bool _lazy;

    public static readonly Option[] Options =
    [
        new("--env", "NAME=VALUE", "another value, not longer than the old one, for a variable that the program was started with; may be repeated"),
        new("--cwd", "DIR", "working directory"),
        new("--map-path", "OLD=NEW", "files that were below OLD lie below NEW; may be repeated"),
        new("--cpus", "LIST", "run on these processors only, such as 0-3,8"),
        new("--lazy", "", "run at once, and bring memory when it is needed; for root, others get all of it first"),
    ];

    /// <exception cref="TrecrException">Usage; RestoreRefused: no such directory</exception>
    public RestartChanges(Arguments arguments)
    {
        _environment = arguments.Values("--env");
        foreach (string change in _environment)
            if (change.IndexOf('=') <= 0) throw arguments.Usage($"--env {change}: wants NAME=VALUE");
        foreach (string map in arguments.Values("--map-path"))
        {
            int at = map.IndexOf("=/", StringComparison.Ordinal);
            if (at <= 0 || map[0] != '/') throw arguments.Usage($"--map-path {map}: wants /OLD=/NEW");
            _paths.Maps.Add((map[..at], map[(at + 1)..]));
        }
        _lazy = arguments.Has("--lazy");
        _cpus = arguments.Value("--cpus");
        if (_cpus is not null) _cpuMask = CpuList.Parse(_cpus) ?? throw arguments.Usage($"--cpus {_cpus}: wants a list such as 0-3,8");
        if (arguments.Value("--cwd") is not { } directory) return;
        _paths.WorkingDirectory = Path.GetFullPath(directory);
        if (!Directory.Exists(_paths.WorkingDirectory)) throw new TrecrException(TrecrError.RestoreRefused, $"--cwd {directory}: no such directory");
    }

    /// <summary>The program runs before its memory is there.</summary>
    public bool Lazy => _lazy;

    /// <summary>The program's working directory now.</summary>
    /// <param name="saved">then</param>
    public string WorkingDirectory(string saved) => _paths.WorkingDirectory.Length > 0 ? _paths.WorkingDirectory : _paths.Of(saved);

    /// <summary>A path of then, now.</summary>
    public string PathOf(string saved) => _paths.Of(saved);

    public void AddTo(ProcessRestoreRequest request)
    {
        request.PathMaps.AddRange(_paths.Maps.Select(m => new PathMap { Old = m.Old, New = m.New }));
        request.WorkingDirectory = _paths.WorkingDirectory;
        request.Lazy = _lazy;
    }

    /// <summary>The program is complete and stopped.</summary>
    /// <param name="init">pid 1 of its namespace, as this process sees it</param>
    /// <param name="program">the root process, as this process sees it</param>
    /// <exception cref="TrecrException">RestoreRefused: something cannot be as it was asked for</exception>
    public void Apply(int init, int program)
    {
        if (_cpuMask is not null) CpuList.Apply(init, _cpuMask, _cpus!);
        if (_environment.Count > 0) EnvironmentChange.Apply(program, _environment);
    }
}
