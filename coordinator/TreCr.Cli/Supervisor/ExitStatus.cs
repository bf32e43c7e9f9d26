namespace TreCr.Cli;

/// <summary>A wait status in words and as an exit code.</summary>
internal static class ExitStatus
{
    /// <summary>The exit code, or 128 + n for signal n.</summary>
    public static int Code(int status) => (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);

    /// <summary>The signal that ended it; 0: none.</summary>
    public static int Signal(int status) => status & 0x7f;

    public static string Describe(int status) => (status & 0x7f) == 0 ? $"exit code {(status >> 8) & 0xff}" : $"signal {status & 0x7f}";

    public static bool HasEnded(int status) => (status & 0xff) != 0x7f && status != 0xffff;

    /// <summary>Stopped by a signal (job control).</summary>
    public static bool IsStopped(int status) => (status & 0xff) == 0x7f;
}
