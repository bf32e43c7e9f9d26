using System.Buffers;
using System.Globalization;

namespace TreCr.Api;

/// <summary>One rank's part of a checkpoint.</summary>
/// <param name="Name">what the program calls it: 1 to 127 characters of [A-Za-z0-9_.] (VELOC's rule)</param>
/// <param name="Rank">0 or more</param>
/// <param name="Version">0 or more</param>
public readonly record struct CheckpointId(string Name, int Rank, int Version)
{
    private const int MaxNameLength = 127; // VELOC: 128 bytes with the NUL

    private static readonly SearchValues<char> s_characters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");

    /// <summary>NAME-RANK-VERSION, the beginning of all names of its files.</summary>
    public string Stem => $"{Name}-{Rank}-{Version}";

    /// <summary>Name of the file in scratch and persistent directories, as VELOC has it.</summary>
    public string FileName => Stem + ".dat";

    /// <summary>Whether a program may call a checkpoint this.</summary>
    public static bool IsName(string name) => name.Length is >= 1 and <= MaxNameLength && !name.AsSpan().ContainsAnyExcept(s_characters);

    /// <summary>Reads NAME-RANK-VERSION.</summary>
    /// <returns>null: it is something else</returns>
    public static CheckpointId? FromStem(ReadOnlySpan<char> stem)
    {
        int last = stem.LastIndexOf('-');
        int middle = last > 0 ? stem[..last].LastIndexOf('-') : -1;
        return middle > 0 && int.TryParse(stem[(middle + 1)..last], NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
            && int.TryParse(stem[(last + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int version) ? new(stem[..middle].ToString(), rank, version) : null;
    }

    /// <summary>Reads a <see cref="FileName"/>.</summary>
    public static CheckpointId? FromFileName(string name) => name.EndsWith(".dat", StringComparison.Ordinal) ? FromStem(name.AsSpan(0, name.Length - 4)) : null;

    public override string ToString() => $"{Name} version {Version}, rank {Rank}";
}
