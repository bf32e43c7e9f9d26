namespace TreCr.Samples.Tests;

/// <summary>One sample, point, process and kind of <see cref="FaultSoak"/>, and what came of it.</summary>
/// <param name="First">the case with Nth = 1</param>
/// <param name="OfRestart">the fault hits a restart, not a checkpoint</param>
internal sealed record FaultSoakRow(Sample Sample, FaultCase First, bool OfRestart)
{
    /// <summary>Times at which the fault fired.</summary>
    public List<int> Hit { get; } = [];

    /// <summary>Why it failed; empty: it did not.</summary>
    public string Failure { get; set; } = "";

    public bool Done { get; set; }

    /// <summary>Attempts, the one that did not hit among them.</summary>
    public int Cases { get; set; }

    /// <summary>Name in the state file.</summary>
    public string Key => $"{Sample.Name} {First}";

    public void Clear()
    {
        Hit.Clear();
        (Failure, Done, Cases) = ("", false, 0);
    }
}
