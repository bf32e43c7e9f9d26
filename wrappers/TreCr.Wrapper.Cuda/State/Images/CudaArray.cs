using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Images;

/// <summary>An array, a mipmapped array, or a level of one: device memory in rows.</summary>
/// <param name="context">the context it was made in, and goes with</param>
internal sealed class CudaArray(in CUDA_ARRAY3D_DESCRIPTOR shape, uint levels, ulong context)
{
    private const ulong RowBytes = 64, LevelBytes = 512;

    public const uint Layered = 1, Surface = 2, CubeMap = 4, Gather = 8, Sparse = 64, Deferred = 128;

    private readonly CUDA_ARRAY3D_DESCRIPTOR _shape = shape;

    public ref readonly CUDA_ARRAY3D_DESCRIPTOR Shape => ref _shape;

    public uint Levels => levels;

    public ulong Context => context;

    /// <summary>The virtual handle that the program has.</summary>
    public ulong Handle { get; set; }

    /// <summary>Device address of the first level; 0 in the levels that a mipmapped array gave out, whose memory is its own.</summary>
    public ulong Memory { get; set; }

    /// <summary>Address of a level's handle: of its first level in <see cref="Parent"/>.</summary>
    public ulong Address { get; set; }

    /// <summary>The mipmapped array that this is a level of.</summary>
    public CudaArray? Parent { get; init; }

    public Dictionary<uint, CudaArray> Given { get; } = [];

    public uint TexelBytes => (uint)DeviceImage.ChannelBytes(_shape.Format) * _shape.NumChannels;

    /// <summary>1, 2 or 3; layers and faces are not counted.</summary>
    public uint Dimensions => _shape.Depth != 0 && (_shape.Flags & (Layered | CubeMap)) == 0 ? 3u : _shape.Height != 0 ? 2u : 1u;

    /// <summary>Shape of a level, and where it lies from the first.</summary>
    public CUDA_ARRAY3D_DESCRIPTOR LevelShape(uint level, out ulong offset)
    {
        offset = 0;
        CUDA_ARRAY3D_DESCRIPTOR at = _shape;
        for (uint n = 0; n < level; n++)
        {
            offset += (PitchOf(in at) * Math.Max(1, at.Height) * Math.Max(1, at.Depth) + LevelBytes - 1) & ~(LevelBytes - 1);
            at.Width = Math.Max(1, at.Width / 2);
            if (at.Height != 0) at.Height = Math.Max(1, at.Height / 2);
            if (at.Depth != 0 && (at.Flags & (Layered | CubeMap)) == 0) at.Depth = Math.Max(1, at.Depth / 2);
        }
        return at;
    }

    /// <summary>Bytes of all levels.</summary>
    public ulong MemoryBytes
    {
        get
        {
            LevelShape(levels, out ulong end);
            return end;
        }
    }

    /// <summary>The level as kernels find it.</summary>
    public DeviceImageLevel Level(uint level)
    {
        CUDA_ARRAY3D_DESCRIPTOR at = LevelShape(level, out ulong offset);
        return new DeviceImageLevel(Address + offset, (uint)at.Width, (uint)Math.Max(1, at.Height), (uint)Math.Max(1, at.Depth), (uint)PitchOf(in at));
    }

    private ulong PitchOf(in CUDA_ARRAY3D_DESCRIPTOR at) => (at.Width * TexelBytes + RowBytes - 1) & ~(RowBytes - 1);
}
