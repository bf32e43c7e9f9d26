using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda;

/// <summary>How long a module image is: the API passes a pointer only. Layouts: facts/cuda.md, section 5.1; ELF: elf(5).</summary>
internal static unsafe class ImageLength
{
    private const uint WrapperMagic = 0x466243B1, FatbinMagic = 0xBA55ED50, ElfMagic = 0x464C457F;

    /// <summary>The last image that was put together on this thread; freed by the next.</summary>
    [ThreadStatic] private static nint t_linked;

    /// <summary>Finds the image that a pointer stands for and its length.</summary>
    /// <param name="image">in: what the program passed; out: a fatbin's header behind a wrapper struct, else the same</param>
    /// <returns>CUDA_ERROR_INVALID_IMAGE: neither wrapper, fatbin, ELF, text, nor the result of a link</returns>
    /// <remarks>Fatbins to be linked (nvcc -rdc=true) become one image, which is good until the next call on this thread.</remarks>
    public static CUresult Find(ref byte* image, out nuint bytes)
    {
        bytes = 0;
        if (image == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (*(uint*)image == WrapperMagic)
        {
            byte* inner = *(byte**)(image + 8);
            if (*(int*)(image + 4) == 2)
            {
                byte** list = *(byte***)(image + 16);
                if (list != null && list[0] != null)
                {
                    if (list[1] != null) return Link(list, ref image, out bytes);
                    inner = list[0];
                }
            }
            if (inner == null) return CUresult.CUDA_ERROR_INVALID_IMAGE;
            image = inner;
        }
        if (*(uint*)image == unchecked((uint)LinkedImage.Magic) && *(ulong*)image == LinkedImage.Magic)
        {
            bytes = *(nuint*)(image + 16);
            return CUresult.CUDA_SUCCESS;
        }
        switch (*(uint*)image)
        {
            case FatbinMagic:
                bytes = *(ushort*)(image + 6) + (nuint)(*(ulong*)(image + 8));
                return CUresult.CUDA_SUCCESS;
            case ElfMagic:
                bytes = ElfLength(image);
                return bytes == 0 ? CUresult.CUDA_ERROR_INVALID_IMAGE : CUresult.CUDA_SUCCESS;
            default:
                // Text begins with a printable character, a blank or a byte-order mark.
                if (*image is < 9 or (> 13 and < 32)) return CUresult.CUDA_ERROR_INVALID_IMAGE;
                bytes = (nuint)MemoryMarshal.CreateReadOnlySpanFromNullTerminated(image).Length + 1;
                return CUresult.CUDA_SUCCESS;
        }
    }

    /// <param name="list">fat binaries, up to a NULL</param>
    private static CUresult Link(byte** list, ref byte* image, out nuint bytes)
    {
        List<byte[]> pieces = [];
        bytes = 0;
        for (int n = 0; list[n] != null; n++)
        {
            if (*(uint*)list[n] != FatbinMagic) return CUresult.CUDA_ERROR_INVALID_IMAGE;
            pieces.Add(new ReadOnlySpan<byte>(list[n], *(ushort*)(list[n] + 6) + (int)*(ulong*)(list[n] + 8)).ToArray());
        }
        byte[] whole = LinkedImage.Make(pieces);
        NativeMemory.Free((void*)t_linked);
        t_linked = (nint)NativeMemory.Alloc((nuint)whole.Length);
        Marshal.Copy(whole, 0, t_linked, whole.Length);
        image = (byte*)t_linked;
        bytes = (nuint)whole.Length;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>End of the last section or program segment of a 64-bit ELF file; 0: not one.</summary>
    private static nuint ElfLength(byte* elf)
    {
        if (elf[4] != 2) return 0;
        ulong segments = *(ulong*)(elf + 32), sections = *(ulong*)(elf + 40);
        int segmentBytes = *(ushort*)(elf + 54), segmentCount = *(ushort*)(elf + 56), sectionBytes = *(ushort*)(elf + 58), sectionCount = *(ushort*)(elf + 60);
        ulong end = Math.Max(segments + (ulong)(segmentBytes * segmentCount), sections + (ulong)(sectionBytes * sectionCount));
        const uint withoutBytes = 8;
        for (int i = 0; i < sectionCount; i++)
        {
            byte* section = elf + sections + i * sectionBytes;
            if (*(uint*)(section + 4) != withoutBytes) end = Math.Max(end, *(ulong*)(section + 24) + *(ulong*)(section + 32));
        }
        for (int i = 0; i < segmentCount; i++)
        {
            byte* segment = elf + segments + i * segmentBytes;
            end = Math.Max(end, *(ulong*)(segment + 8) + *(ulong*)(segment + 32));
        }
        return (nuint)end;
    }
}
