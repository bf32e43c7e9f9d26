using System.Buffers.Binary;

namespace TreCr.Ptx.Container;

/// <summary>Expands one zstd frame. The decoder belongs to another part, so it comes in as a callback.</summary>
/// <returns>bytes written, or -1</returns>
public delegate int ZstdDecoder(ReadOnlySpan<byte> source, Span<byte> target);

/// <summary>Walks NVIDIA fat binaries and picks the PTX to run. Layout: facts/cuda.md section 5.1. All lengths are taken as hostile.</summary>
public static class Fatbin
{
    public const uint WrapperMagic = 0x466243B1, Magic = 0xBA55ED50, ElfMagic = 0x464C457F;
    const uint ZstdMagic = 0xFD2FB528, Lz4FrameMagic = 0x184D2204;
    const ulong FlagLz4 = 0x2000, FlagZstd = 0x8000, FlagArch = 0x100000, FlagFamily = 0x200000;
    const int MaxExpanded = 256 << 20;

    /// <summary>Bytes of one fat binary, header included, from its first 16 bytes; -1 when they are no header.</summary>
    public static long LengthBytes(ReadOnlySpan<byte> header)
    {
        if (header.Length < 16 || BinaryPrimitives.ReadUInt32LittleEndian(header) != Magic) return -1;
        ulong body = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        int head = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        return head < 16 || body > 1L << 40 ? -1 : head + (long)body;
    }

    /// <summary>All PTX and ELF entries of the concatenated fat binaries in <paramref name="image"/>.</summary>
    /// <exception cref="PtxException">200: a header or length makes no sense.</exception>
    public static List<FatbinEntry> Entries(ReadOnlySpan<byte> image)
    {
        List<FatbinEntry> found = [];
        long at = 0;
        while (image.Length - at >= 16 && BinaryPrimitives.ReadUInt32LittleEndian(image[(int)at..]) == Magic)
        {
            ReadOnlySpan<byte> head = image[(int)at..];
            int headBytes = BinaryPrimitives.ReadUInt16LittleEndian(head[6..]);
            long body = (long)BinaryPrimitives.ReadUInt64LittleEndian(head[8..]);
            if (headBytes < 16 || body < 0 || body > image.Length - at - headBytes) throw Bad("fat binary longer than its image");
            Walk(image, at + headBytes, at + headBytes + body, found);
            at = (at + headBytes + body + 7) & ~7L;
        }
        if (at == 0) throw Bad("no fat binary header");
        return found;
    }

    static void Walk(ReadOnlySpan<byte> image, long at, long end, List<FatbinEntry> found)
    {
        while (end - at >= 64)
        {
            ReadOnlySpan<byte> e = image[(int)at..(int)end];
            int kind = BinaryPrimitives.ReadUInt16LittleEndian(e);
            long head = BinaryPrimitives.ReadUInt32LittleEndian(e[4..]);
            long payload = BinaryPrimitives.ReadUInt32LittleEndian(e[8..]);
            long compressed = BinaryPrimitives.ReadUInt32LittleEndian(e[16..]);
            int sm = (int)BinaryPrimitives.ReadUInt32LittleEndian(e[28..]);
            ulong flags = BinaryPrimitives.ReadUInt64LittleEndian(e[40..]);
            long expanded = (long)BinaryPrimitives.ReadUInt64LittleEndian(e[56..]);
            long stored = Math.Max(payload, compressed);
            if (head < 64 || head + stored > end - at) throw Bad("fat binary entry longer than its container");
            if (kind is (int)FatbinKind.Ptx or (int)FatbinKind.Elf)
            {
                long used = expanded != 0 && compressed != 0 ? compressed : payload;
                FatbinCompression how = FatbinCompression.None;
                if (expanded != 0)
                {
                    uint magic = used >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(e[(int)head..]) : 0;
                    how = magic == ZstdMagic || (flags & FlagZstd) != 0 ? FatbinCompression.Zstd : FatbinCompression.Lz4;
                    if (magic == Lz4FrameMagic && (flags & FlagLz4) == 0) throw Bad("LZ4 frames inside fat binaries are not supported");
                }
                found.Add(new((FatbinKind)kind, sm, (flags & (FlagArch | FlagFamily)) != 0, at + head, used, expanded, how));
            }
            at = (at + head + stored + 7) & ~7L;
        }
    }

    /// <summary>PTX text of the best entry for a device: the highest architecture not above <paramref name="deviceSm"/>.</summary>
    /// <exception cref="PtxException">209: no PTX this device can run (also: machine code only); 200: damaged.</exception>
    public static byte[] SelectPtx(ReadOnlySpan<byte> image, int deviceSm, ZstdDecoder? zstd = null)
    {
        FatbinEntry? best = null;
        int ptx = 0, elf = 0;
        foreach (FatbinEntry entry in Entries(image))
        {
            if (entry.Kind == FatbinKind.Elf) { elf++; continue; }
            ptx++;
            if (entry.ArchSpecific || entry.Sm > deviceSm || best is { } b && b.Sm >= entry.Sm) continue;
            best = entry;
        }
        if (best is not { } chosen)
            throw new PtxException(PtxException.NoBinaryForGpu, ptx > 0 ? $"none of the {ptx} PTX images is for sm_{deviceSm} or lower"
                : $"the fat binary holds machine code only ({elf} images); the software device needs PTX");
        return Expand(image, chosen, zstd);
    }

    /// <summary>The bytes of one entry, without trailing NULs for PTX.</summary>
    public static byte[] Expand(ReadOnlySpan<byte> image, FatbinEntry entry, ZstdDecoder? zstd = null)
    {
        ReadOnlySpan<byte> payload = image.Slice((int)entry.PayloadOffset, (int)entry.PayloadBytes);
        byte[] bytes;
        if (entry.Compression == FatbinCompression.None) bytes = payload.ToArray();
        else
        {
            if (entry.ExpandedBytes is <= 0 or > MaxExpanded) throw Bad($"expanded size {entry.ExpandedBytes} is out of range");
            bytes = new byte[entry.ExpandedBytes];
            int got;
            if (entry.Compression == FatbinCompression.Lz4) got = Lz4Block.Decode(payload, bytes);
            else if (zstd is null) throw new PtxException(PtxException.NoBinaryForGpu, "the fat binary is compressed with zstd and no zstd decoder is installed");
            else got = zstd(payload, bytes);
            if (got < 0) throw Bad($"damaged {entry.Compression} payload");
            if (got < bytes.Length) Array.Resize(ref bytes, got);
        }
        if (entry.Kind != FatbinKind.Ptx) return bytes;
        int length = bytes.Length;
        while (length > 0 && bytes[length - 1] == 0) length--;
        Array.Resize(ref bytes, length);
        return bytes;
    }

    static PtxException Bad(string what) => new(PtxException.InvalidImage, what);
}
