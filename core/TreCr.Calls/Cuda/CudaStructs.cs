using System.Runtime.InteropServices;

namespace TreCr.Calls.Cuda;

/// <summary>16-byte universal unique identifier (CUuuid).</summary>
public unsafe struct CUuuid
{
    public fixed byte Bytes[16];
}

/// <summary>
/// Everything a program may ask about a device, fetched once at cuInit and answered in the wrapper from then on. It is saved with the
/// segment: a restarted program goes on seeing the identity it started with.
/// </summary>
public unsafe struct DeviceFacts
{
    /// <summary>Attribute numbers stored: 0 .. Attributes-1 (CUdevice_attribute).</summary>
    public const int AttributeCount = 160;

    /// <summary>NUL-terminated device name.</summary>
    public fixed byte Name[256];

    /// <summary>Total memory, bytes (cuDeviceTotalMem_v2).</summary>
    public ulong TotalMemoryBytes;

    public CUuuid Uuid;

    /// <summary>Values by attribute number; numbers the driver does not know have their bit in <see cref="AttributeErrors"/> set.</summary>
    public fixed int Attributes[AttributeCount];

    /// <summary>Bit n set: cuDeviceGetAttribute(n) is CUDA_ERROR_INVALID_VALUE.</summary>
    public fixed ulong AttributeErrors[3];

    /// <summary>cuDriverGetVersion, 1000 * major + 10 * minor.</summary>
    public int DriverVersion;

    /// <summary>Devices in this session (the same in each device's facts).</summary>
    public int DeviceCount;

    /// <summary>cuCtxGetStreamPriorityRange.</summary>
    public int LeastStreamPriority, GreatestStreamPriority;
}

/// <summary>What the delegator knows about an address; the wrapper answers cuPointerGetAttribute(s) from it.</summary>
public struct PointerFacts
{
    /// <summary>0 unknown to CUDA, 1 pinned host (CU_MEMORYTYPE_HOST), 2 device, 4 managed.</summary>
    public uint MemoryType;

    public int DeviceOrdinal;
    public ulong RangeStart, RangeBytes;

    /// <summary>Unique per allocation, never reused (CU_POINTER_ATTRIBUTE_BUFFER_ID).</summary>
    public ulong BufferId;

    /// <summary>Virtual handle of the context it was allocated in.</summary>
    public ulong Context;

    /// <summary>Flags of cuMemHostAlloc. Of device memory: 0 where cuMemAlloc gave it.</summary>
    public uint HostFlags;

    public uint IsManaged;
}

/// <summary>CUDA_MEMCPY2D_v2, 128 bytes: widths and pitches in bytes, offsets x in bytes, y in rows.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_MEMCPY2D
{
    public ulong SrcXInBytes, SrcY;
    /// <summary>1 host, 2 device, 3 array, 4 unified (CUmemorytype).</summary>
    public uint SrcMemoryType;
    private readonly uint _pad0;
    public ulong SrcHost, SrcDevice, SrcArray, SrcPitch;
    public ulong DstXInBytes, DstY;
    public uint DstMemoryType;
    private readonly uint _pad1;
    public ulong DstHost, DstDevice, DstArray, DstPitch;
    public ulong WidthInBytes, Height;
}

/// <summary>CUlaunchConfig, 56 bytes (CUDA 11.8 and later).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUlaunchConfig
{
    public uint GridDimX, GridDimY, GridDimZ, BlockDimX, BlockDimY, BlockDimZ, SharedMemBytes;
    private readonly uint _pad;
    public CUstream Stream;
    /// <summary>Program address of CUlaunchAttribute[NumAttrs].</summary>
    public ulong Attrs;
    public uint NumAttrs;
    private readonly uint _pad1;
}

/// <summary>CUmemAllocationProp, 32 bytes: physical memory of the VMM calls.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUmemAllocationProp
{
    /// <summary>1 = CU_MEM_ALLOCATION_TYPE_PINNED.</summary>
    public int Type;
    /// <summary>Bit set: 1 POSIX file descriptor.</summary>
    public int RequestedHandleTypes;
    /// <summary>1 = CU_MEM_LOCATION_TYPE_DEVICE.</summary>
    public int LocationType;
    public int LocationId;
    public ulong Win32HandleMetaData;
    public byte CompressionType, GpuDirectRdmaCapable;
    public ushort Usage;
    private readonly uint _reserved;
}

/// <summary>CUmemAccessDesc, 12 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUmemAccessDesc
{
    public int LocationType, LocationId;
    /// <summary>3 = CU_MEM_ACCESS_FLAGS_PROT_READWRITE.</summary>
    public int Flags;
}

/// <summary>What the wrapper must know of a kernel to encode a launch without asking: sizes and limits. Fetched with cuModuleGetFunction.</summary>
public unsafe struct FunctionFacts
{
    /// <summary>Most parameters kept here; a kernel with more is launched through an answer call.</summary>
    public const int MaxParameters = 128;

    public uint ParameterCount;

    /// <summary>Bytes of the whole parameter block.</summary>
    public uint ParameterBlockBytes;

    public int MaxThreadsPerBlock, StaticSharedBytes, ConstBytes, LocalBytes, RegisterCount, PtxVersion, BinaryVersion, MaxDynamicSharedBytes;

    /// <summary>offset | size &lt;&lt; 16 of each parameter in the block, bytes.</summary>
    public fixed uint Parameters[MaxParameters];
}

/// <summary>CUDA_LAUNCH_PARAMS, 56 bytes: one launch of cuLaunchCooperativeKernelMultiDevice.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUDA_LAUNCH_PARAMS
{
    public CUfunction Function;
    public uint GridX, GridY, GridZ, BlockX, BlockY, BlockZ, SharedBytes;
    private readonly uint _pad;
    public CUstream Stream;

    /// <summary>void**: the program's array, one address for each parameter.</summary>
    public ulong Parameters;
}
