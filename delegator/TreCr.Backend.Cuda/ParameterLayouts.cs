using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Ptx;
using TreCr.Ptx.Container;
using TreCr.Ptx.Parse;

namespace TreCr.Backend.Cuda;

/// <summary>
/// Where the parameters of kernels lie, read from the PTX of the loaded images: for drivers that do not tell (cuFuncGetParamInfo came with CUDA 12.4). An image
/// that holds machine code only has no layouts here.
/// </summary>
/// <remarks>Any thread.</remarks>
internal sealed unsafe class ParameterLayouts
{
    private readonly ConcurrentDictionary<ulong, Dictionary<string, (int Offset, int Size)[]>> _modules = [];
    private readonly ConcurrentDictionary<ulong, (int Offset, int Size)[]> _functions = [];

    /// <summary>A module was loaded from an image: PTX text, fat binary or ELF.</summary>
    public void Loaded(CUmodule module, void* image, nuint imageBytes) => _modules[module.Value] = Read(new ReadOnlySpan<byte>(image, (int)Math.Min(imageBytes, int.MaxValue)));

    /// <summary>A function was looked up: its layout is remembered for launches by pointers.</summary>
    /// <returns>(offset, size) of each parameter, bytes; null where the image told nothing of this kernel</returns>
    public (int Offset, int Size)[]? Found(CUmodule module, byte* name, CUfunction function)
    {
        if (!_modules.TryGetValue(module.Value, out Dictionary<string, (int, int)[]>? kernels)
            || !kernels.TryGetValue(Marshal.PtrToStringUTF8((nint)name) ?? "", out (int, int)[]? parameters)) return null;
        _functions[function.Value] = parameters;
        return parameters;
    }

    /// <summary>Layout of a function that was found before.</summary>
    public (int Offset, int Size)[]? Of(CUfunction function) => _functions.GetValueOrDefault(function.Value);

    /// <summary>All kernels of an image; what cannot be read contributes none.</summary>
    /// <remarks>zstd-compressed entries come from newer toolkits than the drivers that need this.</remarks>
    internal static Dictionary<string, (int Offset, int Size)[]> Read(ReadOnlySpan<byte> image)
    {
        Dictionary<string, (int, int)[]> all = [];
        try
        {
            uint magic = image.Length >= 4 ? MemoryMarshal.Read<uint>(image) : 0;
            if (magic == Fatbin.ElfMagic) return all;
            if (magic != Fatbin.Magic) return EntryParameters.Read(image.IndexOf((byte)0) is >= 0 and var end ? image[..end] : image);
            foreach (FatbinEntry entry in Fatbin.Entries(image))
            {
                if (entry.Kind != FatbinKind.Ptx || entry.Compression == FatbinCompression.Zstd) continue;
                foreach ((string name, (int, int)[] parameters) in EntryParameters.Read(Fatbin.Expand(image, entry))) all.TryAdd(name, parameters);
            }
        }
        catch (PtxException)
        {
            // The driver has accepted the image; kernels read so far keep their layouts, the others cannot be launched and are refused where they are looked up.
        }
        return all;
    }
}
