using TreCr.Control;

namespace TreCr.Cli;

/// <summary>What <c>run</c> and <c>restart</c> take about the checkpoints of a job.</summary>
internal sealed record JobOptions
{
    /// <summary>A checkpoint every so many seconds; 0: only when asked for.</summary>
    public int IntervalSeconds { get; init; }

    /// <summary>Bytes that the store may hold when a checkpoint begins; 0: what it holds at the job's start and half of what is free then.</summary>
    public long StoreLimitBytes { get; init; }

    /// <summary>Files open for writing up to this size are saved with a checkpoint; -1: as the engine has it.</summary>
    public long SaveFilesBelowBytes { get; init; } = -1;

    /// <summary>Mapped programs and libraries are saved with each checkpoint.</summary>
    public bool Bundle { get; init; }

    /// <summary>Writes of the program are not tracked: it is never slowed, and each checkpoint reads all of its memory.</summary>
    public bool NoTrack { get; init; }

    /// <summary>Memory that a checkpoint may take beside the program's, engine and delegators together; 0: what they choose by the memory that is free.</summary>
    public long MaxExtraMemoryBytes { get; init; }

    /// <summary>Programs are told of a device for which libraries choose PTX, so that the job can move to the software device. Of run only; a restart goes on as the job was.</summary>
    public bool Portable { get; init; }

    /// <summary>Full paths of the program's hooks.</summary>
    public IReadOnlyList<string> Hooks { get; init; } = [];

    /// <summary>Longest time for one hook; 0: not given.</summary>
    public int HookTimeoutSeconds { get; init; }

    /// <summary>Further tiers for the checkpoints; null: the store is all.</summary>
    public Store.Tiers.StorePolicy? Policy { get; init; }

    /// <summary>Restarts of the job by itself after failures, without a new checkpoint in between; 0: none.</summary>
    public int MostRestarts { get; init; }

    /// <summary>Of them.</summary>
    public int RestartsLeft { get; init; }

    /// <summary>What such a restart is given: all that was given for this start and means something then.</summary>
    public IReadOnlyList<string> RestartWords { get; init; } = [];

    public const int DefaultHookTimeoutSeconds = 30;

    private const int DefaultMostRestarts = 3;

    /// <summary>Options of run and restart that are read here.</summary>
    public static readonly Option[] Options =
    [
        new("--interval", "SECONDS", "take a checkpoint every so often, and keep the last 3"),
        new("--store-limit", "SIZE", "refuse checkpoints while the store holds more, such as 20G (default: half of the free space at the start)"),
        new("--save-files-below", "SIZE", "files open for writing up to this size are saved too (default 64M)"),
        new("--bundle", "", "save programs and libraries with each checkpoint, for a restart where they are missing"),
        new("--no-track", "", "do not track what the program writes: every checkpoint copies all of its memory while it stands still"),
        new("--max-extra-memory", "SIZE", "memory that a checkpoint may take for copies, 16M or more; where it is not enough the program stands still until they are stored, which is said (default: by the free memory)"),
        new("--hook", "FILE", "a command or shared library to run before and after each checkpoint and after a restart; may be repeated"),
        JobTiers.PolicyOption,
        new("--restart-on-failure", "", "when the program is killed, or a rank of it is lost, restart the job from its newest checkpoint"),
        new("--max-restarts", "N", "that often without a new checkpoint in between (default 3)"),
        new("--restarts-left", "N", "of these (given by TreCr itself)"),
        new("--hook-timeout", "SECONDS", "longest time for one hook (default 30)"),
    ];

    /// <exception cref="TrecrException">Usage</exception>
    public static JobOptions Read(Arguments arguments) => new()
    {
        Policy = JobTiers.Given(arguments), Bundle = arguments.Has("--bundle"), NoTrack = arguments.Has("--no-track"),
        Hooks = [.. arguments.Values("--hook").Select(h => JobHooks.Resolve(h) ?? throw arguments.Usage($"--hook {h}: no such command or shared library"))],
        HookTimeoutSeconds = arguments.Number("--hook-timeout", 0, 1, 86_400),
        IntervalSeconds = arguments.Number("--interval", 0, 1, 10_000_000), StoreLimitBytes = arguments.Size("--store-limit", 0, 1), SaveFilesBelowBytes = arguments.Size("--save-files-below", -1, 0),
        MaxExtraMemoryBytes = arguments.Size("--max-extra-memory", 0, 16 << 20),
        MostRestarts = arguments.Has("--restart-on-failure") ? arguments.Number("--max-restarts", DefaultMostRestarts, 1, 1_000_000) : 0,
        RestartsLeft = arguments.Number("--restarts-left", arguments.Number("--max-restarts", DefaultMostRestarts)), RestartWords = [.. arguments.Words(name => name is not ("--store" or "--restarts-left") && Verbs.Find("restart").AllOptions.Any(o => o.Name == name))],
    };
}
