using System.Runtime.CompilerServices;

namespace TreCr.Samples.Tests;

/// <summary>The checkout that these tests were compiled from.</summary>
internal static class Repository
{
    /// <summary>The folder of TreCr.sln.</summary>
    public static string Root { get; } = Find(Environment.GetEnvironmentVariable("TRECR_ROOT") ?? Path.GetDirectoryName(ThisFile())!);

    /// <summary>All files with this ending, build outputs left out; paths relative to <see cref="Root"/>, with slashes.</summary>
    public static IEnumerable<string> Files(string ending, string below = "")
    {
        foreach (string path in Directory.EnumerateFiles(Path.Combine(Root, below), "*" + ending, SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(Root, path);
            if (!relative.StartsWith("out/") && !relative.StartsWith("artifacts/") && !relative.StartsWith('.') && !relative.Contains("/obj/"))
                yield return relative;
        }
    }

    public static string Read(string relative) => File.ReadAllText(Path.Combine(Root, relative));

    private static string Find(string start)
    {
        for (string? d = start; d is not null; d = Path.GetDirectoryName(d))
            if (File.Exists(Path.Combine(d, "TreCr.sln")))
                return d;
        throw new DirectoryNotFoundException($"no TreCr.sln above {start}");
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
