using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using TreCr.XxHash;

namespace TreCr.Api.Scr;

/// <summary>The hash of a file, taken in pieces as it is read or written: that of the hashes of each 4 MiB.</summary>
internal sealed class FileDigest
{
    public const int PieceBytes = FileSeal.PieceBytes;

    private readonly List<byte> _pieces = [];

    /// <param name="piece">[<see cref="PieceBytes"/>], less at the end only</param>
    public void Add(ReadOnlySpan<byte> piece)
    {
        Span<byte> hash = stackalloc byte[XxHash128.HashLengthBytes];
        BinaryPrimitives.WriteUInt128BigEndian(hash, XxHash128.HashToUInt128(piece));
        _pieces.AddRange(hash);
    }

    public UInt128 Value => XxHash128.HashToUInt128([.. _pieces]);

    /// <summary>Reads a file to its end.</summary>
    public static (long Bytes, UInt128 Hash) Of(SafeFileHandle file)
    {
        FileDigest digest = new();
        byte[] buffer = new byte[PieceBytes];
        long at = 0;
        while (FilePieces.Read(file, buffer, at) is var n and > 0)
        {
            digest.Add(buffer.AsSpan(0, n));
            at += n;
        }
        return (at, digest.Value);
    }

    /// <summary>Whether a file holds what was written.</summary>
    public static bool Matches(string path, long bytes, UInt128? hash)
    {
        using SafeFileHandle? file = FilePieces.TryOpen(path);
        return file is not null && RandomAccess.GetLength(file) == bytes && (hash is null || Of(file).Hash == hash);
    }

    /// <summary>Copies a file that is as it was written.</summary>
    /// <param name="durable">the bytes of the copy are on the disk when this returns</param>
    /// <exception cref="CheckpointException">it is not; the copy is gone</exception>
    public static void Copy(string from, string to, long bytes, UInt128? hash, bool durable)
    {
        bool good = false;
        try
        {
            using SafeFileHandle source = FilePieces.TryOpen(from) ?? throw new CheckpointException($"{from}: is not there");
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            using SafeFileHandle target = File.OpenHandle(to, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
            FileDigest digest = new();
            byte[] buffer = new byte[PieceBytes];
            long at = 0;
            while (FilePieces.Read(source, buffer, at) is var n and > 0)
            {
                digest.Add(buffer.AsSpan(0, n));
                RandomAccess.Write(target, buffer.AsSpan(0, n), at);
                at += n;
            }
            if (at != bytes || (hash is not null && digest.Value != hash)) throw new CheckpointException($"{from}: does not hold what was written");
            if (durable) RandomAccess.FlushToDisk(target);
            good = true;
        }
        finally
        {
            if (!good) File.Delete(to);
        }
    }
}
