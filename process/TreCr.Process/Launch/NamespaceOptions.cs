namespace TreCr.Process.Launch;

/// <summary>How <see cref="RankNamespace.Start"/> makes a namespace.</summary>
public sealed record NamespaceOptions
{
    /// <summary>The trecr-init program; readable and executable by this user.</summary>
    public required string InitPath { get; init; }

    /// <summary>Added to CLOCK_MONOTONIC inside, ns, so that it goes on where it was at the checkpoint. Without effect where time namespaces are missing.</summary>
    public long MonotonicOffsetNs { get; init; }

    /// <summary>The same for CLOCK_BOOTTIME.</summary>
    public long BoottimeOffsetNs { get; init; }
}

/// <summary>A process started inside a namespace.</summary>
/// <param name="HostPid">as the supervisor sees it</param>
/// <param name="Pid">inside the namespace</param>
/// <param name="Pidfd">readable at its end; the caller closes it</param>
public readonly record struct SpawnedProcess(int HostPid, int Pid, int Pidfd);

/// <summary>A program or a namespace could not be started.</summary>
/// <param name="exitCode">what trecr run ends with: 125, 126 not executable, 127 not found</param>
/// <param name="errorNumber">errno, or 0</param>
public sealed class LaunchException(int exitCode, int errorNumber, string message, string cure = "") : Exception(cure.Length > 0 ? $"{message}; {cure}" : message)
{
    /// <summary>How to permit what was refused, also the end of the message; empty: not known.</summary>
    public string Cure => cure;

    public int ExitCode => exitCode;
    public int ErrorNumber => errorNumber;
}

/// <summary>capabilities(7) of a thread, one bit per capability.</summary>
internal readonly record struct CapabilitySets(ulong Inheritable, ulong Permitted, ulong Effective, ulong Bounding, ulong Ambient)
{
    public static CapabilitySets OfThisProcess() => Parse(File.ReadLines("/proc/self/status"));

    public static CapabilitySets Parse(IEnumerable<string> statusLines)
    {
        ulong i = 0, p = 0, e = 0, b = 0, a = 0;
        foreach (string line in statusLines)
        {
            if (!line.StartsWith("Cap", StringComparison.Ordinal)) continue;
            ulong value = Convert.ToUInt64(line[(line.IndexOf(':') + 1)..].Trim(), 16);
            switch (line[3])
            {
                case 'I': i = value; break;
                case 'P': p = value; break;
                case 'E': e = value; break;
                case 'B': b = value; break;
                case 'A': a = value; break;
            }
        }
        return new CapabilitySets(i, p, e, b, a);
    }
}
