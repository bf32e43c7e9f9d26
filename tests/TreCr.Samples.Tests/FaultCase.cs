namespace TreCr.Samples.Tests;

/// <summary>One fault, as TRECR_FAULT has it (docs/environment.md).</summary>
/// <param name="Point">name in <c>trecr faults list</c></param>
/// <param name="Role">process that fails</param>
/// <param name="Kind">a kind that the point takes</param>
/// <param name="Nth">at the n-th time, from 1</param>
internal sealed record FaultCase(string Point, string Role, string Kind, int Nth = 1)
{
    private static readonly string[] s_writers = ["engine", "delegator", "supervisor"];

    /// <summary>Points on the way of a checkpoint, with the roles that come by.</summary>
    public static readonly (string Point, string[] Roles)[] OfCheckpoint =
    [
        ("PrepareArmed", ["engine"]), ("DumpInjectEntry", ["engine"]), ("DumpInjectExit", ["engine"]), ("DumpFrozen", ["engine"]), ("DumpState", ["engine"]), ("DumpMemory", ["engine"]),
        ("DumpCaptured", ["engine"]), ("DumpDetach", ["engine"]),
        ("DelegatorGate", ["delegator"]), ("DelegatorCapture", ["delegator"]),
        ("SupervisorGated", ["supervisor"]), ("SupervisorFrozen", ["supervisor"]), ("SupervisorCaptured", ["supervisor"]), ("SupervisorResumed", ["supervisor"]),
        ("StoreWrite", [.. s_writers, "coordinator"]), ("StoreSync", [.. s_writers, "coordinator"]), ("ManifestRename", ["coordinator"]),
        ("CoordinatorPrepared", ["coordinator"]), ("CoordinatorCommit", ["coordinator"]),
    ];

    /// <summary>Points on the way of a restart.</summary>
    public static readonly (string Point, string[] Roles)[] OfRestart =
    [
        ("DelegatorRestore", ["delegator"]), ("RestoreStart", ["engine"]), ("RestoreSkeleton", ["engine"]), ("RestoreMapped", ["engine"]), ("RestoreFilled", ["engine"]), ("RestoreThreads", ["engine"]),
        ("RestoreComplete", ["engine"]), ("RestoreDetach", ["engine"]), ("DelegatorServe", ["delegator"]),
    ];

    /// <summary>Points that this sweep leaves out, and why.</summary>
    public static readonly (string Point, string Reason)[] LeftOut =
    [
        ("DumpReadoutAsked", "the samples have nothing that init reads out; FaultTests.EngineDiesInReadout of TreCr.Process.Tests does it"),
        ("DumpReadoutTaken", "the samples have nothing that init reads out; FaultTests.EngineDiesInReadout of TreCr.Process.Tests does it"),
        ("StorePatch", "the samples, held, write nothing between two checkpoints; PatchTests and FaultTests of TreCr.Store.Tests do it"),
        .. from point in (string[])["LazyCopied", "LazyEvent", "LazyFilled", "LazyUnregister"] select (point, "only lazy restarts come by; LazyTests.EngineDies of TreCr.Process.Tests does it"),
    ];

    /// <summary>Kinds, as <c>trecr faults list</c> names them.</summary>
    public static readonly string[] Kinds = ["kill", "errno", "delay", "exception", "enospc", "torn", "killpeer"];

    /// <summary>Does the program end with it? Otherwise it runs on. The supervisor's peer is its engine, all others' takes the program with it.</summary>
    public bool EndsTheProgram => (Kind == "kill" && (Role is "delegator" or "supervisor")) || (Kind == "killpeer" && Role != "supervisor");

    /// <summary>The checkpoint is taken all the same.</summary>
    public bool IsHarmless => Kind == "delay";

    /// <summary>
    /// The checkpoint is durable when this point is reached, or the process that dies is not needed any more, so it may be reported as taken or as failed.
    /// </summary>
    public bool IsAfterCommit => Kind == "killpeer" && (Role == "coordinator" || Point.StartsWith("Store") || Point == "DumpDetach") || Point == "CoordinatorCommit" || Role == "coordinator" && (Point == "StoreSync" || Point == "StoreWrite" && Nth > 1);

    public string Text => $"{Role}/{Point}:{Nth}:{Kind}";

    /// <summary>The cases of a kind, at the points that take it.</summary>
    public static IEnumerable<FaultCase> Of((string Point, string[] Roles)[] points, string kind) =>
        points.Where(p => Takes(p.Point, kind)).SelectMany(p => p.Roles.Select(r => new FaultCase(p.Point, r, kind)));

    /// <summary>Whether a point takes a kind; a test compares this with <c>trecr faults list</c>.</summary>
    public static bool Takes(string point, string kind) => kind switch
    {
        "torn" => point == "StoreWrite",
        "enospc" => point is "StoreWrite" or "StoreSync" or "ManifestRename",
        "killpeer" => !OfRestart.Any(p => p.Point == point) && !point.StartsWith("Lazy"),
        _ => true,
    };

    public override string ToString() => Text;
}
