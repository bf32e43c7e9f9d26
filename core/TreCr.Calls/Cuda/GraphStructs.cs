using System.Runtime.InteropServices;

namespace TreCr.Calls.Cuda;

/// <summary>CUDA_KERNEL_NODE_PARAMS_v2, 72 bytes; the first 56 are the first form.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_KERNEL_NODE_PARAMS
{
    /// <summary>Length of the first form, bytes.</summary>
    public const int FirstFormBytes = 56;

    public CUfunction Function;
    public uint GridX, GridY, GridZ, BlockX, BlockY, BlockZ, SharedBytes;
    private readonly uint _pad;

    /// <summary>Program addresses of void*[] (one for each parameter), and of the extra array; one of them is 0.</summary>
    public ulong Parameters, Extra;

    /// <summary>A CUkernel in place of the function, and the context to run in; 0: none, the current one.</summary>
    public ulong Kernel, Context;
}

/// <summary>CUDA_MEMCPY3D_v2, and CUDA_MEMCPY3D_PEER, 200 bytes: widths, pitches and x in bytes, y, z and heights in rows and slices.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_MEMCPY3D
{
    public ulong SrcXInBytes, SrcY, SrcZ, SrcLod;

    /// <summary>1 host, 2 device, 3 array, 4 unified (CUmemorytype).</summary>
    public uint SrcMemoryType;
    private readonly uint _pad0;
    public ulong SrcHost, SrcDevice, SrcArray, SrcContext, SrcPitch, SrcHeight;
    public ulong DstXInBytes, DstY, DstZ, DstLod;
    public uint DstMemoryType;
    private readonly uint _pad1;
    public ulong DstHost, DstDevice, DstArray, DstContext, DstPitch, DstHeight;
    public ulong WidthInBytes, Height, Depth;
}

/// <summary>CUDA_MEMSET_NODE_PARAMS, 40 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_MEMSET_NODE_PARAMS
{
    public ulong Destination;

    /// <summary>Bytes between rows; ignored where there is one.</summary>
    public ulong Pitch;
    public uint Value;

    /// <summary>Bytes: 1, 2 or 4.</summary>
    public uint ElementSize;

    /// <summary>Elements in a row, rows.</summary>
    public ulong Width, Height;
}

/// <summary>CUDA_MEM_ALLOC_NODE_PARAMS, 120 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 120)]
public struct CUDA_MEM_ALLOC_NODE_PARAMS
{
    /// <summary>Of the pool: 1 pinned; handle types; location 1 device.</summary>
    [FieldOffset(0)] public int AllocationType;
    [FieldOffset(4)] public int HandleTypes;
    [FieldOffset(8)] public int LocationType;
    [FieldOffset(12)] public int LocationId;

    /// <summary>Program address of CUmemAccessDesc[], and their number.</summary>
    [FieldOffset(88)] public ulong AccessDescriptions;
    [FieldOffset(96)] public ulong AccessCount;
    [FieldOffset(104)] public ulong Bytes;

    /// <summary>Device address; written when the node is made.</summary>
    [FieldOffset(112)] public ulong Address;
}

/// <summary>CUDA_BATCH_MEM_OP_NODE_PARAMS, 32 bytes; the second form has the same layout.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_BATCH_MEM_OP_NODE_PARAMS
{
    public CUcontext Context;
    public uint Count;
    private readonly uint _pad0;

    /// <summary>CUstreamBatchMemOpParams*, [Count].</summary>
    public ulong Entries;
    public uint Flags;
    private readonly uint _pad1;
}

/// <summary>CUDA_HOST_NODE_PARAMS, 16 bytes: void (*)(void*) of the program and its argument.</summary>
public struct CUDA_HOST_NODE_PARAMS
{
    public ulong Function, UserData;
}
