using System.Runtime.InteropServices;

namespace TreCr.Calls.Cuda;

/// <summary>
/// What a texture or surface object of the software device is: the object's 64-bit value is the device address of one of these, in memory of the GMMU. The wrapper writes it when the
/// program makes the object; the device reads it at each access. So values and contents come back at a restart like all device memory, and nothing needs to be replayed.
/// </summary>
/// <remarks>A kernel could overwrite it: the device looks up every texel's address like any other access of the kernel. Images and device live in one version: the layout is saved in snapshots
/// and only grows, by <see cref="Version"/>.</remarks>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct DeviceImage
{
    /// <summary>"TreCrImg", little-endian.</summary>
    public const ulong ImageMagic = 0x676d497243657254;

    /// <summary>Mipmap levels at most: 32768 texels a side have 16.</summary>
    public const int MaxLevels = 16;

    /// <summary>What <see cref="Version"/> is now.</summary>
    public const uint CurrentVersion = 1;

    public ulong Magic;
    public uint Version;
    public DeviceImageFlags Flags;

    /// <summary>1, 2 or 3; a layer or a cube's face is not counted.</summary>
    public uint Dimensions;

    /// <summary>CUarray_format: 1, 2, 3 unsigned of 8, 16, 32 bits; 8, 9, 10 signed; 0x10 half, 0x20 float.</summary>
    public uint Format;

    /// <summary>1, 2 or 4.</summary>
    public uint Channels;

    /// <summary>CUfilter_mode: 0 point, 1 linear.</summary>
    public uint Filter, MipmapFilter;

    /// <summary>CUaddress_mode of each coordinate: 0 wrap, 1 clamp, 2 mirror, 3 border.</summary>
    public fixed uint AddressMode[3];
    public float LevelBias, MinLevel, MaxLevel;
    public fixed float Border[4];

    /// <summary>Levels in use; 1 without mipmaps.</summary>
    public uint LevelCount;
    private readonly uint _pad;

    /// <summary>[MaxLevels][3]: device address; width | height &lt;&lt; 32; depth or layers | bytes between rows &lt;&lt; 32. Texels, rows, slices; 1 where there is no such dimension.</summary>
    private fixed ulong _levels[MaxLevels * 3];

    public DeviceImageLevel this[int level]
    {
        readonly get => new(_levels[3 * level], (uint)_levels[3 * level + 1], (uint)(_levels[3 * level + 1] >> 32), (uint)_levels[3 * level + 2], (uint)(_levels[3 * level + 2] >> 32));
        set => (_levels[3 * level], _levels[3 * level + 1], _levels[3 * level + 2]) = (value.Address, value.Width | (ulong)value.Height << 32, value.Depth | (ulong)value.PitchBytes << 32);
    }

    /// <summary>Bytes of a channel; 0 for a format that is not supported.</summary>
    public static int ChannelBytes(uint format) => format switch { 1 or 8 => 1, 2 or 9 or 0x10 => 2, 3 or 10 or 0x20 => 4, _ => 0 };
}

/// <summary>One level of an image.</summary>
/// <param name="Depth">slices, layers, or faces</param>
/// <param name="PitchBytes">from row to row; slices follow each other without gaps</param>
public readonly record struct DeviceImageLevel(ulong Address, uint Width, uint Height, uint Depth, uint PitchBytes);

/// <summary>How an image is read.</summary>
[Flags]
public enum DeviceImageFlags : uint
{
    None = 0,

    /// <summary>CU_TRSF_READ_AS_INTEGER: 8 and 16-bit integers are not turned into numbers of 0 to 1.</summary>
    ReadAsInteger = 1,

    /// <summary>CU_TRSF_NORMALIZED_COORDINATES.</summary>
    Normalized = 2,

    /// <summary>CU_TRSF_SRGB.</summary>
    Srgb = 4,
    Layered = 8,
    Cube = 16,

    /// <summary>Linear memory, read by index (tex1Dfetch): outside of it lies zero.</summary>
    Linear = 32,

    /// <summary>A surface: kernels read and write bytes.</summary>
    Surface = 64,
}
