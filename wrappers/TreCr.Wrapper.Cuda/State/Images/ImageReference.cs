using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Images;

/// <summary>A texture or surface reference of a module, and what the program has bound to it.</summary>
/// <param name="handle">the program's</param>
/// <param name="slot">device address of the eight bytes that kernels look at; 0: a reference of no module (cuTexRefCreate)</param>
internal sealed class ImageReference(ulong handle, bool isSurface, ulong slot, ulong module, ulong context)
{
    /// <summary>As a 32-bit float of one channel, until something is bound.</summary>
    private const uint Float = 0x20;

    private CUDA_RESOURCE_DESC _resource = new() { Format = Float, NumChannels = 1 };
    private CUDA_TEXTURE_DESC _texture;
    private CUDA_RESOURCE_DESC _rememberedResource;
    private CUDA_TEXTURE_DESC _rememberedTexture;
    private bool _isRemembered, _rememberedBound;

    public ulong Handle => handle;

    public bool IsSurface => isSurface;

    public ulong Slot => slot;

    public ulong Module => module;

    public ulong Context => context;

    public bool IsBound { get; set; }

    /// <summary>Device memory of its DeviceImage, and the delegator's handle for that; 0: it was never used by a launch.</summary>
    public (ulong Memory, ulong Logged) Image { get; set; }

    /// <summary>What is bound; format and channels also where nothing is.</summary>
    public ref CUDA_RESOURCE_DESC Resource => ref _resource;

    public ref CUDA_TEXTURE_DESC Texture => ref _texture;

    /// <summary>Nothing is other than <see cref="Remember"/> found it: cudart sets all of it again at each launch.</summary>
    public bool IsAsRemembered => _isRemembered && _rememberedBound == IsBound && Same(in _resource, in _rememberedResource) && Same(in _texture, in _rememberedTexture);

    /// <summary>It is on the device as it is now.</summary>
    public void Remember() => (_isRemembered, _rememberedBound, _rememberedResource, _rememberedTexture) = (true, IsBound, _resource, _texture);

    private static bool Same<T>(in T a, in T b) where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in a)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in b)));
}
