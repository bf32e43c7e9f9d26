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

    /// <summary>Options of run and restart that are read here.</summary>
    public static readonly Option[] Options =
    [
        new("--interval", "SECONDS", "take a checkpoint every so often, and keep the last 3"),
        new("--store-limit", "SIZE", "refuse checkpoints while the store holds more, such as 20G (default: half of the free space at the start)"),
        new("--save-files-below", "SIZE", "files open for writing up to this size are saved too (default 64M)"),
    ];

    /// <exception cref="TrecrException">Usage</exception>
    public static JobOptions Read(Arguments arguments) => new()
    {
        IntervalSeconds = arguments.Number("--interval", 0, 1, 10_000_000), StoreLimitBytes = arguments.Size("--store-limit", 0, 1), SaveFilesBelowBytes = arguments.Size("--save-files-below", -1, 0),
    };
}
