using System.Globalization;
using System.Security.Cryptography;

namespace TreCr.Samples.Tests;

/// <summary>
/// The rows that <see cref="FaultSoak"/> has done: a text file, a head line <c>build seed</c>, then a line for each row with tabs: key, seconds, cases, hits, failure. Of another
/// build's file nothing is taken but the name.
/// </summary>
internal sealed class FaultSoakState
{
    private readonly string _path;
    private double _seconds;

    private FaultSoakState(string path, int seed, string build) => (_path, Seed, Build) = (path, seed, build);

    public int Seed { get; private set; }

    /// <summary>Hash of the programs under test.</summary>
    public string Build { get; }

    /// <summary>Time that all rows took, in all runs.</summary>
    public double Minutes => _seconds / 60;

    /// <param name="seed">where nothing was begun</param>
    /// <param name="rows">filled from the file</param>
    public static FaultSoakState Open(string path, int seed, IReadOnlyList<FaultSoakRow> rows)
    {
        FaultSoakState state = new(path, seed, BuildHash());
        string[] lines = File.Exists(path) ? File.ReadAllLines(path) : [];
        if (lines.Length > 0 && lines[0].Split(' ') is [var build, var before] && build == state.Build)
        {
            state.Seed = int.Parse(before, CultureInfo.InvariantCulture);
            Dictionary<string, FaultSoakRow> byKey = rows.ToDictionary(r => r.Key);
            foreach (string[] fields in lines.Skip(1).Select(l => l.Split('\t')).Where(f => f.Length == 5))
            {
                state._seconds += double.Parse(fields[1], CultureInfo.InvariantCulture);
                if (!byKey.TryGetValue(fields[0], out FaultSoakRow? row)) continue;
                row.Clear(); // a row that was done again stands there twice
                row.Cases = int.Parse(fields[2], CultureInfo.InvariantCulture);
                row.Hit.AddRange(fields[3].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse));
                (row.Failure, row.Done) = (fields[4], true);
            }
            return state;
        }
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        File.WriteAllText(path, $"{state.Build} {seed}\n");
        return state;
    }

    /// <summary>A row is done.</summary>
    public void Note(FaultSoakRow row, TimeSpan took)
    {
        _seconds += took.TotalSeconds;
        File.AppendAllText(_path, string.Create(CultureInfo.InvariantCulture, $"{row.Key}\t{took.TotalSeconds:0.0}\t{row.Cases}\t{string.Join(' ', row.Hit)}\t{row.Failure.Replace('\t', ' ')}\n"));
    }

    private static string BuildHash()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string home = Path.Combine(Repository.Root, "out");
        foreach (string file in Directory.GetFiles(home, "*", SearchOption.AllDirectories).Where(f => Path.GetRelativePath(home, f) is "trecr" or "trecr-init" || f.Contains("/lib/") || f.Contains("/delegator/")).Order(StringComparer.Ordinal))
            hash.AppendData(File.ReadAllBytes(file));
        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 8));
    }
}
