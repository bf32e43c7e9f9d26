using System.Globalization;

namespace TreCr.Api.Scr;

/// <summary>A file of a dataset.</summary>
/// <param name="Path">below the prefix directory</param>
/// <param name="Hash">null: it is not known (a file that several ranks write)</param>
public sealed record SavedFile(string Path, long Bytes, UInt128? Hash)
{
    internal static KvTree ToTree(IEnumerable<SavedFile> files)
    {
        KvTree tree = new();
        int number = 0;
        foreach (SavedFile file in files)
        {
            KvTree entry = tree[number++];
            entry.Set("PATH", file.Path);
            entry.Set("SIZE", file.Bytes);
            if (file.Hash is { } hash) entry.Set("XXH128", hash.ToString("x32", CultureInfo.InvariantCulture));
        }
        return tree;
    }

    internal static List<SavedFile> FromTree(KvTree? tree) => tree is null ? [] : [.. tree.Numbers.Select(n => FromEntry(tree[n]))];

    internal static UInt128? ParseHash(string? text) => UInt128.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out UInt128 hash) ? hash : null;

    private static SavedFile FromEntry(KvTree entry) => new(entry.Value("PATH") ?? "", entry.Number("SIZE") ?? 0, ParseHash(entry.Value("XXH128")));
}
