using System.Runtime.InteropServices;

namespace TreCr.Calls.Cuda;

/// <summary>CUDA_ARRAY_DESCRIPTOR_v2, 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_ARRAY_DESCRIPTOR
{
    /// <summary>Texels; height 0: one dimension.</summary>
    public ulong Width, Height;

    /// <summary>CUarray_format.</summary>
    public uint Format;
    public uint NumChannels;
}

/// <summary>CUDA_ARRAY3D_DESCRIPTOR_v2, 40 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_ARRAY3D_DESCRIPTOR
{
    /// <summary>Texels; 0 where there is no such dimension; depth also counts layers and faces.</summary>
    public ulong Width, Height, Depth;
    public uint Format, NumChannels;

    /// <summary>1 layered, 2 surfaces, 4 cube map, 8 gather, 16 depth, 32 colour attachment, 64 sparse, 128 deferred mapping.</summary>
    public uint Flags;
    private readonly uint _pad;
}

/// <summary>CUDA_RESOURCE_DESC, 144 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 144)]
public struct CUDA_RESOURCE_DESC
{
    /// <summary>0 array, 1 mipmapped array, 2 linear memory, 3 rows with a pitch.</summary>
    [FieldOffset(0)] public uint Type;

    /// <summary>Array, or device address.</summary>
    [FieldOffset(8)] public ulong Handle;
    [FieldOffset(16)] public uint Format;
    [FieldOffset(20)] public uint NumChannels;

    /// <summary>Bytes of linear memory; texels in a row otherwise.</summary>
    [FieldOffset(24)] public ulong Size;
    [FieldOffset(32)] public ulong Height;
    [FieldOffset(40)] public ulong PitchBytes;
    [FieldOffset(136)] public uint Flags;
}

/// <summary>CUDA_TEXTURE_DESC, 104 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 104)]
public unsafe struct CUDA_TEXTURE_DESC
{
    public fixed uint AddressMode[3];
    public uint FilterMode;

    /// <summary>1 integers as they are, 2 normalized coordinates, 16 sRGB, 32 no trilinear optimisation, 64 seamless cube maps.</summary>
    public uint Flags;
    public uint MaxAnisotropy, MipmapFilterMode;
    public float MipmapLevelBias, MinMipmapLevelClamp, MaxMipmapLevelClamp;
    public fixed float BorderColor[4];
}

/// <summary>CUDA_RESOURCE_VIEW_DESC, 112 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 112)]
public struct CUDA_RESOURCE_VIEW_DESC
{
    /// <summary>CUresourceViewFormat; 0: the array's own.</summary>
    public uint Format;
    private readonly uint _pad;
    public ulong Width, Height, Depth;
    public uint FirstMipmapLevel, LastMipmapLevel, FirstLayer, LastLayer;
}

/// <summary>CUDA_ARRAY_MEMORY_REQUIREMENTS, 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
public struct CUDA_ARRAY_MEMORY_REQUIREMENTS
{
    public ulong Size, Alignment;
}
