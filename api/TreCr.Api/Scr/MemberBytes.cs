using Microsoft.Win32.SafeHandles;

namespace TreCr.Api.Scr;

/// <summary>A member's files as one row of bytes with zeroes behind, and its parity: what stripes are cut from, and written to.</summary>
internal sealed class MemberBytes : IDisposable
{
    private readonly List<(SafeFileHandle File, long Start, long Bytes)> _files = [];
    private readonly SafeFileHandle? _parity;
    private readonly long _chunkBytes;

    /// <param name="pathOf">where a file lies</param>
    /// <param name="parityPath">null: nobody asks for it</param>
    /// <param name="writeData">makes the files, in their length</param><param name="writeParity">makes the parity</param>
    public MemberBytes(IEnumerable<SavedFile> files, Func<SavedFile, string> pathOf, string? parityPath, SetRecord set, bool writeData, bool writeParity)
    {
        _chunkBytes = set.ChunkBytes;
        try
        {
            long start = 0;
            foreach (SavedFile file in files)
            {
                SafeFileHandle handle = Open(pathOf(file), writeData);
                _files.Add((handle, start, file.Bytes));
                if (writeData) RandomAccess.SetLength(handle, file.Bytes);
                start += file.Bytes;
            }
            if (parityPath is not null) _parity = Open(parityPath, writeParity);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Read(StripeLayout.Place place, long offset, Span<byte> into)
    {
        long at = place.Chunk * _chunkBytes + offset;
        if (place.IsParity)
        {
            if (FilePieces.Read(_parity!, into, at) != into.Length) throw new CheckpointException("parity is cut off");
            return;
        }
        foreach ((SafeFileHandle file, long start, long bytes) in _files)
        {
            if (into.Length == 0) return;
            if (at >= start + bytes) continue;
            int part = (int)Math.Min(into.Length, start + bytes - at);
            if (FilePieces.Read(file, into[..part], at - start) != part) throw new CheckpointException("a file is shorter than it was");
            into = into[part..];
            at += part;
        }
        into.Clear();
    }

    public void Write(StripeLayout.Place place, long offset, ReadOnlySpan<byte> bytes)
    {
        long at = place.Chunk * _chunkBytes + offset;
        if (place.IsParity)
        {
            RandomAccess.Write(_parity!, bytes, at);
            return;
        }
        foreach ((SafeFileHandle file, long start, long length) in _files)
        {
            if (bytes.Length == 0) return;
            if (at >= start + length) continue;
            int part = (int)Math.Min(bytes.Length, start + length - at);
            RandomAccess.Write(file, bytes[..part], at - start);
            bytes = bytes[part..];
            at += part;
        }
    }

    public void Dispose()
    {
        foreach ((SafeFileHandle file, _, _) in _files) file.Dispose();
        _parity?.Dispose();
    }

    private static SafeFileHandle Open(string path, bool write)
    {
        if (!write) return FilePieces.TryOpen(path) ?? throw new CheckpointException($"{path}: is not there");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
    }
}
