using System.Reflection;
using TreCr.Control;
using TreCr.Images;

namespace TreCr.Cli;

/// <summary><c>trecr --version</c>.</summary>
internal static class VersionVerb
{
    /// <summary>Version of this build.</summary>
    public static string Version { get; } = Informational(0);

    private static string Commit { get; } = Informational(1) is { Length: > 0 } commit ? commit : "unknown";

    private static string Informational(int part)
        => (typeof(VersionVerb).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0").Split('+') is var parts && parts.Length > part ? parts[part] : "";

    public static int Print(bool json)
    {
        if (json)
            Output.Json("trecr.version/1", j =>
            {
                j.WriteString("version", Version);
                j.WriteString("commit", Commit);
                j.WriteNumber("store_format", FormatVersion.Newest);
                j.WriteNumber("store_format_oldest", FormatVersion.Oldest);
                j.WriteNumber("control_wire", ControlWire.Version);
            });
        else Output.Line($"trecr {Version} (commit {Commit}; store format {FormatVersion.Newest}, reads from {FormatVersion.Oldest}; control wire {ControlWire.Version})");
        return 0;
    }
}
