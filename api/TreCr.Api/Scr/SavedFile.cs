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

    /// <returns>null: what the tree says cannot be of files below a directory</returns>
    internal static List<SavedFile>? FromTree(KvTree? tree)
    {
        List<SavedFile> files = tree is null ? [] : [.. tree.Numbers.Select(n => FromEntry(tree[n]))];
        return files.TrueForAll(f => f.Bytes >= 0 && IsBelow(f.Path)) ? files : null;
    }

    /// <summary>Files are written and removed under these names: none may lead out of the directory, or to what is ours in it.</summary>
    private static bool IsBelow(string path) => path.Split('/') is var names && names[0] != ".scr" && names.All(n => n is not ("" or "." or ".."));

    internal static UInt128? ParseHash(string? text) => UInt128.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out UInt128 hash) ? hash : null;

    private static SavedFile FromEntry(KvTree entry) => new(entry.Value("PATH") ?? "", entry.Number("SIZE") ?? 0, ParseHash(entry.Value("XXH128")));
}
