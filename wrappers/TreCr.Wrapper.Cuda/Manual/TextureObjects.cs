using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Images;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: an object is a DeviceImage in device memory, its value that image's address. CUDA Driver API, "Texture Object Management", "Surface Object Management".
internal static unsafe class TextureObjects
{
    private const uint FromArray = 0, FromMipmapped = 1, FromLinear = 2, FromPitched = 3;

    private static int s_toldView, s_toldDevice;

    [UnmanagedCallersOnly(EntryPoint = "cuTexObjectCreate")]
    public static CUresult Create(ulong* made, CUDA_RESOURCE_DESC* resource, CUDA_TEXTURE_DESC* texture, CUDA_RESOURCE_VIEW_DESC* view)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (made == null || resource == null || texture == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        DeviceImage image = default;
        result = Texture(in *resource, in *texture, view, ref image);
        return result == CUresult.CUDA_SUCCESS ? Publish(thread, made, ref image, false, in *resource, in *texture, view) : result;
    }

    /// <summary>The image that kernels read through a texture, object or reference.</summary>
    internal static CUresult Texture(in CUDA_RESOURCE_DESC resource, in CUDA_TEXTURE_DESC texture, CUDA_RESOURCE_VIEW_DESC* view, ref DeviceImage image)
    {
        CUresult result = Describe(in resource, view, ref image, out bool isInteger);
        if (result != CUresult.CUDA_SUCCESS) return result;
        for (int n = 0; n < 3; n++)
        {
            if (texture.AddressMode[n] > 3) return CUresult.CUDA_ERROR_INVALID_VALUE;
            image.AddressMode[n] = texture.AddressMode[n];
        }
        if (texture.FilterMode > 1 || texture.MipmapFilterMode > 1) return CUresult.CUDA_ERROR_INVALID_VALUE;
        bool asInteger = (texture.Flags & 1) != 0 && isInteger || image.Format is 3 or 10;
        // Filtered integers have no meaning: the driver refuses.
        if (asInteger && texture.FilterMode == 1) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (asInteger) image.Flags |= DeviceImageFlags.ReadAsInteger;
        if ((texture.Flags & 2) != 0) image.Flags |= DeviceImageFlags.Normalized;
        if ((texture.Flags & 16) != 0) image.Flags |= DeviceImageFlags.Srgb;
        (image.Filter, image.MipmapFilter) = (texture.FilterMode, texture.MipmapFilterMode);
        (image.LevelBias, image.MinLevel, image.MaxLevel) = (texture.MipmapLevelBias, texture.MinMipmapLevelClamp, texture.MaxMipmapLevelClamp);
        for (int n = 0; n < 4; n++) image.Border[n] = texture.BorderColor[n];
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuSurfObjectCreate")]
    public static CUresult CreateSurface(ulong* made, CUDA_RESOURCE_DESC* resource)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (made == null || resource == null || resource->Type != FromArray) return CUresult.CUDA_ERROR_INVALID_VALUE;
        DeviceImage image = default;
        result = Surface(in *resource, ref image);
        return result == CUresult.CUDA_SUCCESS ? Publish(thread, made, ref image, true, in *resource, default, null) : result;
    }

    internal static CUresult Surface(in CUDA_RESOURCE_DESC resource, ref DeviceImage image)
    {
        CUresult result = Describe(in resource, null, ref image, out _);
        image.Flags |= DeviceImageFlags.Surface;
        return result;
    }

    /// <summary>Where the texels lie, and what they are.</summary>
    private static CUresult Describe(in CUDA_RESOURCE_DESC resource, CUDA_RESOURCE_VIEW_DESC* view, ref DeviceImage image, out bool isInteger)
    {
        isInteger = false;
        image.Magic = DeviceImage.ImageMagic;
        image.Version = DeviceImage.CurrentVersion;
        image.LevelCount = 1;
        switch (resource.Type)
        {
            case FromArray or FromMipmapped:
                if (Images.Images.Array(resource.Handle) is not { } array) return CUresult.CUDA_ERROR_INVALID_HANDLE;
                (image.Format, image.Channels, image.Dimensions) = (array.Shape.Format, array.Shape.NumChannels, array.Dimensions);
                if ((array.Shape.Flags & CudaArray.Layered) != 0) image.Flags |= DeviceImageFlags.Layered;
                if ((array.Shape.Flags & CudaArray.CubeMap) != 0) image.Flags |= DeviceImageFlags.Cube;
                uint first = 0, count = resource.Type == FromMipmapped ? array.Levels : 1;
                if (view != null)
                {
                    if (view->Format != 0 && !TryView(view->Format, out image.Format, out image.Channels)) return Unsupported.Use(ref s_toldView, "cuTexObjectCreate"u8, "with a compressed view"u8);
                    if (view->FirstLayer != 0 || view->LastLayer != 0 && view->LastLayer != array.Shape.Depth - 1) return Unsupported.Use(ref s_toldView, "cuTexObjectCreate"u8, "with a view of some layers"u8);
                    if (view->FirstMipmapLevel > view->LastMipmapLevel || view->LastMipmapLevel >= count) return CUresult.CUDA_ERROR_INVALID_VALUE;
                    (first, count) = (view->FirstMipmapLevel, view->LastMipmapLevel - view->FirstMipmapLevel + 1);
                    if ((uint)DeviceImage.ChannelBytes(image.Format) * image.Channels != array.TexelBytes) return CUresult.CUDA_ERROR_INVALID_VALUE;
                }
                image.LevelCount = count;
                for (uint n = 0; n < count; n++) image[(int)n] = array.Level(first + n);
                break;
            case FromLinear or FromPitched:
                uint texel = (uint)DeviceImage.ChannelBytes(resource.Format) * resource.NumChannels;
                if (texel == 0 || resource.NumChannels is not (1 or 2 or 4) || !Addresses.IsDevice(resource.Handle) && !Addresses.IsPinned(resource.Handle)) return CUresult.CUDA_ERROR_INVALID_VALUE;
                (image.Format, image.Channels) = (resource.Format, resource.NumChannels);
                bool linear = resource.Type == FromLinear;
                image.Dimensions = linear ? 1u : 2u;
                if (linear) image.Flags |= DeviceImageFlags.Linear;
                ulong width = linear ? resource.Size / texel : resource.Size;
                if (width is 0 or > 1 << 28 || !linear && (resource.Height is 0 or > 1 << 20 || resource.PitchBytes < width * texel || resource.PitchBytes > uint.MaxValue || resource.PitchBytes % 32 != 0))
                    return CUresult.CUDA_ERROR_INVALID_VALUE;
                // The driver wants CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT.
                if (resource.Handle % (uint)Devices.Attribute(0, 14) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
                image[0] = new DeviceImageLevel(resource.Handle, (uint)width, linear ? 1 : (uint)resource.Height, 1, linear ? (uint)(width * texel) : (uint)resource.PitchBytes);
                break;
            default: return CUresult.CUDA_ERROR_INVALID_VALUE;
        }
        isInteger = image.Format is 1 or 2 or 3 or 8 or 9 or 10;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>CUresourceViewFormat 1 to 24: format and channels.</summary>
    private static bool TryView(uint view, out uint format, out uint channels)
    {
        ReadOnlySpan<uint> formats = [1, 8, 2, 9, 3, 10, 0x10, 0x20];
        bool known = view is >= 1 and <= 24;
        format = known ? formats[(int)(view - 1) / 3] : 0;
        channels = known ? 1u << (int)((view - 1) % 3) : 0;
        return known;
    }

    private static CUresult Publish(ProgramThread* thread, ulong* made, ref DeviceImage image, bool isSurface, in CUDA_RESOURCE_DESC resource, in CUDA_TEXTURE_DESC texture, CUDA_RESOURCE_VIEW_DESC* view)
    {
        try
        {
            CUresult result = ImageMemory.Make(thread, (ulong)sizeof(DeviceImage), out CUdeviceptr memory, out CUarray handle);
            if (result != CUresult.CUDA_SUCCESS) return result == CUresult.CUDA_ERROR_NOT_SUPPORTED ? Unsupported.Use(ref s_toldDevice, isSurface ? "cuSurfObjectCreate"u8 : "cuTexObjectCreate"u8, "on a real GPU"u8) : result;
            fixed (DeviceImage* from = &image) result = CudaCopyCalls.Send_cuMemcpyHtoDAsync_v2(thread, CallClass.Blocking, 0, memory, from, (nuint)sizeof(DeviceImage), CUstream.Legacy);
            if (result != CUresult.CUDA_SUCCESS)
            {
                ImageMemory.End(thread, memory.Value, handle.Value);
                return result;
            }
            lock (Images.Images.Gate) Images.Images.Add(new ImageObject(memory.Value, handle.Value, thread->Context, isSurface, resource, texture, view == null ? null : *view));
            *made = memory.Value;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuTexObjectCreate"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuTexObjectDestroy")]
    public static CUresult Destroy(ulong value) => End(value, isSurface: false);

    [UnmanagedCallersOnly(EntryPoint = "cuSurfObjectDestroy")]
    public static CUresult DestroySurface(ulong value) => End(value, isSurface: true);

    private static CUresult End(ulong value, bool isSurface)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            ImageObject? found;
            lock (Images.Images.Gate)
            {
                found = Images.Images.Object(value, isSurface);
                if (found is null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
                Images.Images.Remove(found);
            }
            return ImageMemory.End(thread, value, found.Logged);
        }
        catch (Exception e) { return Session.Failed("cuTexObjectDestroy"u8, e); }
    }

    private static CUresult Ask<T>(T* into, ulong value, bool isSurface, Func<ImageObject, T?> give) where T : unmanaged
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (into == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ImageObject? found;
        lock (Images.Images.Gate) found = Images.Images.Object(value, isSurface);
        if (found is null || give(found) is not { } answer) return found is null ? CUresult.CUDA_ERROR_INVALID_HANDLE : CUresult.CUDA_ERROR_INVALID_VALUE;
        *into = answer;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuTexObjectGetResourceDesc")]
    public static CUresult GetResource(CUDA_RESOURCE_DESC* into, ulong value) => Ask(into, value, false, o => (CUDA_RESOURCE_DESC?)o.Resource);

    [UnmanagedCallersOnly(EntryPoint = "cuSurfObjectGetResourceDesc")]
    public static CUresult GetSurfaceResource(CUDA_RESOURCE_DESC* into, ulong value) => Ask(into, value, true, o => (CUDA_RESOURCE_DESC?)o.Resource);

    [UnmanagedCallersOnly(EntryPoint = "cuTexObjectGetTextureDesc")]
    public static CUresult GetTexture(CUDA_TEXTURE_DESC* into, ulong value) => Ask(into, value, false, o => (CUDA_TEXTURE_DESC?)o.Texture);

    /// <returns>CUDA_ERROR_INVALID_VALUE: it was made without a view</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuTexObjectGetResourceViewDesc")]
    public static CUresult GetView(CUDA_RESOURCE_VIEW_DESC* into, ulong value) => Ask(into, value, false, o => o.View);

    /// <summary>CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH does not depend on the format here.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetTexture1DLinearMaxWidth")]
    public static CUresult MaxLinearWidth(nuint* width, uint format, uint channels, CUdevice device)
    {
        const int linearWidth = 69;
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (width == null || DeviceImage.ChannelBytes(format) == 0 || channels is not (1 or 2 or 4)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        *width = (nuint)Devices.Attribute(device.Value, linearWidth);
        return CUresult.CUDA_SUCCESS;
    }
}
