using System.Security.Cryptography;
using TreCr.Images;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>
/// The copy of the wrapper library that programs map: <c>STORE/wrappers/HASH/libcuda.so.1</c>. A program must find the same bytes at its restart, whatever has
/// been installed meanwhile, so it never maps the one of the installation (design.md §2).
/// </summary>
internal static class WrapperCopy
{
    /// <summary>Makes the copy where it is missing.</summary>
    /// <returns>its directory's name (the hash) and path; null where this installation has no wrapper</returns>
    public static (string Hash, string Directory)? Ensure(string store)
    {
        if (Installation.Wrapper is not { } source) return null;
        byte[] bytes = File.ReadAllBytes(source);
        string hash = Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16)), directory = DirectoryOf(store, hash), target = $"{directory}/libcuda.so.1";
        if (!File.Exists(target) || new FileInfo(target).Length != bytes.Length) LayOut(store, directory, target, bytes);
        LinkNccl(directory);
        return (hash, directory);
    }

    /// <summary>The same library is NCCL to a program that asks for one.</summary>
    private static void LinkNccl(string directory)
    {
        try { File.CreateSymbolicLink($"{directory}/libnccl.so.2", "libcuda.so.1"); }
        catch (IOException) when (new FileInfo($"{directory}/libnccl.so.2").LinkTarget is not null) { }
    }

    /// <summary>Saves the copy as a snapshot of one part.</summary>
    public static SnapshotResult Write(SnapshotStore store, string hash)
    {
        byte[] bytes = File.ReadAllBytes($"{DirectoryOf(store.Location, hash)}/libcuda.so.1");
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart(Part, bytes.Length);
        for (int at = 0; at < bytes.Length; at += ISnapshotWriter.FrameSizeBytes) part.WriteFrame(at, bytes.AsSpan(at, Math.Min(ISnapshotWriter.FrameSizeBytes, bytes.Length - at)));
        // A restart compares it: a mapped file must be the one that it was.
        writer.PutRecord(ModifiedRecord, BitConverter.GetBytes(File.GetLastWriteTimeUtc($"{DirectoryOf(store.Location, hash)}/libcuda.so.1").Ticks));
        return writer.Finish();
    }

    /// <summary>Makes the copy again, out of a checkpoint that has it, where the store was lost.</summary>
    public static void Restore(SnapshotStore store, JobManifest manifest, string hash)
    {
        string directory = DirectoryOf(store.Location, hash), target = $"{directory}/libcuda.so.1";
        if (hash.Length == 0 || File.Exists(target) || manifest.Ranks.SelectMany(r => r.Snapshots).Where(s => s.Role == RankRecord.WrapperRole).FirstOrDefault() is not { } reference) return;
        using StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
        byte[] bytes = new byte[reader.OpenPart(Part).LengthBytes];
        reader.ReadFrames(Part, (offset, frames) => frames[..(int)Math.Min(frames.Length, bytes.Length - offset)].CopyTo(bytes.AsSpan((int)offset)));
        if (Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16)) == hash) LayOut(store.Location, directory, target, bytes, new DateTime(BitConverter.ToInt64(reader.GetRecord(ModifiedRecord)), DateTimeKind.Utc));
    }

    private const string Part = "libcuda.so.1", ModifiedRecord = "modified";

    private static void LayOut(string store, string directory, string target, byte[] bytes, DateTime? modified = null)
    {
        System.IO.Directory.CreateDirectory($"{store}/wrappers", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        System.IO.Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string temporary = $"{directory}/.tmp-{Environment.ProcessId}";
        using (FileStream file = new(temporary, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserExecute }))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }
        if (modified is { } time) File.SetLastWriteTimeUtc(temporary, time);
        // Of several ranks that begin at once one makes it: a program that has mapped it keeps the file of that name.
        try { File.Move(temporary, target, overwrite: false); }
        catch (IOException) when (File.Exists(target)) { File.Delete(temporary); }
    }

    public static string DirectoryOf(string store, string hash) => $"{store}/wrappers/{hash}";
}
