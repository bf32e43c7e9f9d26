namespace TreCr.Cli;

/// <summary>How well a machine serves TreCr in one respect.</summary>
internal enum DoctorState
{
    Ok,
    /// <summary>Works, slower or with less; the text says what.</summary>
    Degraded,
    /// <summary>Something does not work at all.</summary>
    Missing,
}

/// <summary>A line of <c>trecr doctor</c>.</summary>
/// <param name="Name">what was looked at</param>
/// <param name="Text">what was found</param>
/// <param name="Cure">what to do; empty: nothing</param>
internal readonly record struct DoctorFinding(string Name, DoctorState State, string Text, string Cure)
{
    public static DoctorFinding Ok(string name, string text) => new(name, DoctorState.Ok, text, "");

    public static DoctorFinding Degraded(string name, string text, string cure) => new(name, DoctorState.Degraded, text, cure);

    public static DoctorFinding Missing(string name, string text, string cure) => new(name, DoctorState.Missing, text, cure);
}
