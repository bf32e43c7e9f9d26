namespace TreCr.Control;

/// <summary>A failure with a number: becomes one line <c>trecr: what failed: why; what to do (TRECR-nnnn)</c> and an exit code.</summary>
/// <param name="error">number, exit code, what to do</param>
/// <param name="message">what failed: why</param>
public sealed class TrecrException(TrecrError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public TrecrError Error => error;

    /// <summary>Further lines, such as a check's findings.</summary>
    public IReadOnlyList<string> Findings { get; init; } = [];
}
