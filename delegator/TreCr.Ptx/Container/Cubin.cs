using System.Buffers.Binary;
using System.Text;

namespace TreCr.Ptx.Container;

/// <summary>Machine code of a GPU: an ELF file with a section <c>.text.NAME</c> for each kernel (facts/cuda.md section 5.1). All lengths are taken as hostile.</summary>
public static class Cubin
{
    private const int HeaderBytes = 64, SectionBytes = 64;

    /// <summary>Kernels and device functions in the order of the file; empty where it cannot be read.</summary>
    public static List<string> Functions(ReadOnlySpan<byte> elf)
    {
        List<string> found = [];
        if (elf.Length < HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(elf) != Fatbin.ElfMagic) return found;
        ulong table = BinaryPrimitives.ReadUInt64LittleEndian(elf[0x28..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3C..]), names = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3E..]);
        if (BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3A..]) != SectionBytes || names >= count || table > (ulong)elf.Length || (ulong)count * SectionBytes > (ulong)elf.Length - table) return found;
        ReadOnlySpan<byte> sections = elf.Slice((int)table, count * SectionBytes);
        ulong start = BinaryPrimitives.ReadUInt64LittleEndian(sections[(names * SectionBytes + 0x18)..]), length = BinaryPrimitives.ReadUInt64LittleEndian(sections[(names * SectionBytes + 0x20)..]);
        if (start > (ulong)elf.Length || length > (ulong)elf.Length - start) return found;
        ReadOnlySpan<byte> text = elf.Slice((int)start, (int)length);
        for (int i = 0; i < count; i++)
        {
            uint at = BinaryPrimitives.ReadUInt32LittleEndian(sections[(i * SectionBytes)..]);
            if (at >= text.Length) continue;
            ReadOnlySpan<byte> name = text[(int)at..];
            int end = name.IndexOf((byte)0);
            if (end > 0 && name[..end].StartsWith(".text."u8)) found.Add(Encoding.Latin1.GetString(name[".text.".Length..end]));
        }
        return found;
    }
}
