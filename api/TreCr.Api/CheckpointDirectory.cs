using Microsoft.Win32.SafeHandles;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>
/// A directory of checkpoint files, NAME-RANK-VERSION.dat, as VELOC keeps them in its scratch and persistent directories. A directory <c>.trecr</c> in it has their seals, and files that are not
/// finished: a file gets its name when its bytes are there.
/// </summary>
/// <remarks>
/// Several processes use it at once; each rank changes only its own files. Order of a publication: the seal of the new bytes is added to that of the old, the file is renamed, the old seal goes.
/// Whoever dies in between leaves a file that has a seal.
/// </remarks>
public sealed class CheckpointDirectory
{
    private const string SealSuffix = ".seal", FreshSuffix = ".new";

    private readonly string _own;
    private readonly Dictionary<string, (long Ticks, long Length, FileSeal? Seal)> _checked = [];

    /// <summary>Makes the directory where it is missing.</summary>
    /// <exception cref="CheckpointException">it cannot be made</exception>
    public CheckpointDirectory(string path)
    {
        Path = System.IO.Path.GetFullPath(path);
        _own = $"{Path}/.trecr";
        try { Directory.CreateDirectory(_own); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CheckpointException($"{Path}: cannot be made: {e.Message}", e); }
    }

    /// <summary>Where it is, absolute.</summary>
    public string Path { get; }

    /// <summary>Path of a checkpoint's file.</summary>
    public string PathOf(CheckpointId id) => $"{Path}/{id.FileName}";

    /// <summary>A path beside it for something of ours.</summary>
    internal string OwnPath(string name) => $"{_own}/{name}";

    /// <summary>Where a file is written before it has its name: a path of this process alone.</summary>
    public string FreshPath(CheckpointId id, int attempt = 0) => OwnPath($"{id.Stem}.{Environment.ProcessId}.{attempt}{FreshSuffix}");

    /// <summary>All files of a rank's checkpoints of a name, whole or not, newest first.</summary>
    public IReadOnlyList<CheckpointId> List(string name, int rank) => [.. All(name).Where(i => i.Rank == rank).OrderByDescending(i => i.Version)];

    /// <summary>All files of a name, of all ranks.</summary>
    public IEnumerable<CheckpointId> All(string name)
        => Directory.EnumerateFiles(Path, $"{name}-*.dat").Select(p => CheckpointId.FromFileName(System.IO.Path.GetFileName(p))).OfType<CheckpointId>().Where(i => i.Name == name);

    /// <summary>Whether a file is there and holds what was written: reads it, once as long as it does not change.</summary>
    /// <returns>its seal; null: no such file, or damaged. A file without a seal that VELOC itself may have written is sealed as it is, if its layout is right.</returns>
    public FileSeal? Check(CheckpointId id)
    {
        string path = PathOf(id);
        using SafeFileHandle? file = FilePieces.TryOpen(path);
        if (file is null) return null;
        (long ticks, long length) = (File.GetLastWriteTimeUtc(file).Ticks, RandomAccess.GetLength(file));
        if (_checked.TryGetValue(id.Stem, out var known) && known.Ticks == ticks && known.Length == length) return known.Seal;
        IReadOnlyList<FileSeal>? seals = TryReadSeals(id);
        FileSeal? seal = seals?.FirstOrDefault(s => s.Holds(file));
        if (seals is null && RegionLayout.TryRead(new FileMemory(file, path), length) is not null) seal = SealOf(file, length);
        _checked[id.Stem] = (ticks, length, seal);
        return seal;
    }

    /// <summary>Gives a finished file its name.</summary>
    /// <param name="fresh">in this directory's file system; gone afterwards</param>
    /// <param name="durable">the bytes of <paramref name="fresh"/> are on the disk, and the name is when this returns</param>
    /// <param name="original">where the bytes go instead, the file being a link to them; null: here</param>
    public void Publish(CheckpointId id, string fresh, FileSeal seal, bool durable, string? original = null)
    {
        string sealPath = SealPath(id), path = PathOf(id);
        bool replaces = File.Exists(path);
        // A file without a seal keeps its bytes' own for the moment between the two renames.
        string before = replaces ? string.Concat(Seals(id).Append(Check(id)).OfType<FileSeal>().Select(s => s.ToText())) : "";
        FilePieces.Replace(sealPath, before + seal.ToText(), durable);
        if (original is null) File.Move(fresh, path, overwrite: true);
        else PublishOriginal(path, fresh, original, durable);
        if (before.Length > 0) FilePieces.Replace(sealPath, seal.ToText(), durable);
        _checked[id.Stem] = (File.GetLastWriteTimeUtc(path).Ticks, seal.LengthBytes, seal);
        if (!durable) return;
        FilePieces.SyncDirectory(_own);
        FilePieces.SyncDirectory(Path);
    }

    /// <summary>Copies a file into this directory under the same name; the bytes are those of its seal, or nothing comes.</summary>
    /// <exception cref="CheckpointException">the source does not hold what was written</exception>
    public void Take(CheckpointId id, SafeFileHandle source, FileSeal seal, bool durable, string? original = null)
    {
        DropUnfinished(id);
        using SealedFileWriter writer = new(original is null ? FreshPath(id) : $"{original}.{id.Stem}{FreshSuffix}", seal.Launch);
        writer.Append(new FileMemory(source, $"{id}"), 0, seal.LengthBytes);
        if (!writer.Finish(durable).IsSameAs(seal))
        {
            File.Delete(writer.Path);
            throw new CheckpointException($"{id}: does not hold what was written");
        }
        Publish(id, writer.Path, seal, durable, original);
    }

    /// <summary>Removes a checkpoint's file; in file mode a persistent file is a link, and the program's own file stays.</summary>
    public void Delete(CheckpointId id)
    {
        File.Delete(PathOf(id));
        File.Delete(SealPath(id));
        _checked.Remove(id.Stem);
    }

    /// <summary>Removes what processes that have ended left of unfinished files of a rank.</summary>
    /// <param name="all">whether the caller is the only one that writes for this rank: what this process has begun goes too</param>
    public void DropUnfinished(CheckpointId id, bool all = false)
    {
        foreach (string path in Directory.EnumerateFiles(_own, $"{id.Name}-{id.Rank}-*{FreshSuffix}"))
        {
            if (!all)
            {
                long fd = Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
                if (fd < 0) continue;
                bool written = Sys.Flock((int)fd, Sys.LOCK_EX | Sys.LOCK_NB) < 0;
                Sys.Close((int)fd);
                if (written) continue;
            }
            File.Delete(path);
        }
    }

    /// <summary>The seals that stand beside a file; the last one is that of the file that was published last.</summary>
    internal IReadOnlyList<FileSeal> Seals(CheckpointId id) => TryReadSeals(id) ?? [];

    /// <returns>null: nobody has sealed the file; empty: it was sealed, and what was written is lost</returns>
    private IReadOnlyList<FileSeal>? TryReadSeals(CheckpointId id)
    {
        try { return FileSeal.Parse(File.ReadAllText(SealPath(id))); }
        catch (FileNotFoundException) { return null; }
    }

    /// <summary>The launch that wrote a file; 0: unknown.</summary>
    internal int LaunchOf(CheckpointId id) => Seals(id).LastOrDefault()?.Launch ?? 0;

    /// <summary>Seals bytes as they are.</summary>
    internal static FileSeal SealOf(SafeFileHandle file, long length, int launch = 0)
    {
        FileSeal seal = new(launch);
        byte[] buffer = new byte[(int)Math.Min(FileSeal.PieceBytes, length)];
        for (long at = 0; at < length; at += FileSeal.PieceBytes) seal.Add(buffer.AsSpan(0, FilePieces.Read(file, buffer, at)));
        return seal;
    }

    private string SealPath(CheckpointId id) => OwnPath(id.Stem + SealSuffix);

    /// <summary>The link comes first: from then on it is the new seal that must fit, and until the rename a version that was behind the same original keeps its bytes.</summary>
    private static void PublishOriginal(string path, string fresh, string original, bool durable)
    {
        string link = $"{path}.{Environment.ProcessId}.link";
        File.Delete(link);
        File.CreateSymbolicLink(link, original);
        File.Move(link, path, overwrite: true);
        File.Move(fresh, original, overwrite: true);
        if (durable) FilePieces.SyncDirectory(System.IO.Path.GetDirectoryName(original)!);
    }
}
