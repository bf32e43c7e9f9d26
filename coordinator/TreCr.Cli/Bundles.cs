using System.Text;
using TreCr.Images;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>
/// STORE/bundles: programs and libraries that came with a checkpoint (<c>--bundle</c>), laid out at a restart where they were missing. A directory in it is needed by programs that have mapped files of it, and by
/// checkpoints of such programs, which name its paths. The checkpoint that it was made from makes it again.
/// </summary>
internal static class Bundles
{
    /// <summary>Younger ones may belong to a restart that has not mapped them yet.</summary>
    private static readonly TimeSpan s_young = TimeSpan.FromMinutes(10);

    /// <summary>Removes those that nothing needs.</summary>
    /// <returns>their names</returns>
    public static IReadOnlyList<string> RemoveUnused(SnapshotStore store)
    {
        string all = $"{store.Location}/bundles";
        if (!Directory.Exists(all)) return [];
        List<string> unused = [.. Directory.EnumerateDirectories(all).Where(d => Directory.GetLastWriteTimeUtc(d) < DateTime.UtcNow - s_young).Select(d => Path.GetFileName(d))];
        if (unused.Count > 0) KeepMapped(unused);
        if (unused.Count > 0 && !KeepNamed(store, unused)) return [];
        foreach (string name in unused.ToArray())
            try { Directory.Delete($"{all}/{name}", recursive: true); }
            catch (DirectoryNotFoundException) { unused.Remove(name); } // another gc was faster
        return unused;
    }

    private static void KeepMapped(List<string> unused)
    {
        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            if (!char.IsAsciiDigit(process[6])) continue;
            try
            {
                string maps = File.ReadAllText($"{process}/maps");
                unused.RemoveAll(name => maps.Contains($"/bundles/{name}/", StringComparison.Ordinal));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // gone, or another user's, who cannot use this store
        }
    }

    /// <summary>Looks for the paths in all records, whatever they are.</summary>
    /// <returns>false: a checkpoint cannot be read, and nobody knows what it needs</returns>
    private static bool KeepNamed(SnapshotStore store, List<string> unused)
    {
        try
        {
            foreach (CheckpointInfo checkpoint in store.ListCheckpoints())
                foreach (SnapshotReference reference in store.FindCheckpoint(checkpoint.Id).Ranks.SelectMany(r => r.Snapshots))
                {
                    using StoreSnapshotReader snapshot = store.OpenSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
                    foreach (string record in snapshot.Records)
                    {
                        byte[] bytes = snapshot.GetRecord(record);
                        unused.RemoveAll(name => bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes($"/bundles/{name}/")) >= 0);
                    }
                }
            return true;
        }
        catch (Exception e) when (e is StoreException or ImageException) { return false; }
    }
}
