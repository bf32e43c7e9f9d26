using System.Globalization;
using System.Text;

namespace TreCr.Api;

/// <summary>A checkpoint that is to leave the scratch directory: what has to be known to bring it out without the program that took it.</summary>
/// <param name="Original">in file mode the program's own path, absolute, which the persistent file becomes a link to; null: memory mode</param>
/// <param name="Ranks">that take the checkpoint together</param>
/// <param name="ChecksumDirectory">as in <see cref="CheckpointSettings"/>, like what follows</param>
public sealed record FlushRequest(CheckpointId Id, string? Original, int Ranks, string? Persistent, string? Store, string? StorePolicy, string? ChecksumDirectory, int MaxVersions)
{
    private const string Header = "trecr-flush 1";

    /// <summary>One line for each value.</summary>
    public string ToText()
    {
        StringBuilder text = new($"{Header}\nid {Id.Stem}\nranks {Ranks}\nkeep {MaxVersions}\n");
        foreach ((string key, string? value) in ((string, string?)[])[("original", Original), ("persistent", Persistent), ("store", Store), ("policy", StorePolicy), ("checksums", ChecksumDirectory)])
            if (value is not null) text.Append(CultureInfo.InvariantCulture, $"{key} {Uri.EscapeDataString(value)}\n");
        return text.ToString();
    }

    /// <returns>null: not a request</returns>
    public static FlushRequest? Parse(string text)
    {
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || lines[0] != Header) return null;
        Dictionary<string, string> values = [];
        foreach (string line in lines[1..])
            if (line.Split(' ', 2) is [var key, var value]) values[key] = Uri.UnescapeDataString(value);
        if (CheckpointId.FromStem(values.GetValueOrDefault("id", "")) is not { } id || !int.TryParse(values.GetValueOrDefault("ranks"), out int ranks)
            || !int.TryParse(values.GetValueOrDefault("keep"), out int keep)) return null;
        return new(id, values.GetValueOrDefault("original"), ranks, values.GetValueOrDefault("persistent"), values.GetValueOrDefault("store"), values.GetValueOrDefault("policy"),
            values.GetValueOrDefault("checksums"), keep);
    }
}
