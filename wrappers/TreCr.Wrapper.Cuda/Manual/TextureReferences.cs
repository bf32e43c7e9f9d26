using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Images;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: what is set is the wrapper's own until a kernel is launched (State/Images/ImageReferences.cs). CUDA Driver API, "Texture Reference Management [DEPRECATED]", "Surface Reference Management
// [DEPRECATED]"; `texture<>` and `surface<>` variables of CUDA 11's compiler come here through cudart.
internal static unsafe class TextureReferences
{
    private const uint OverrideFormat = 1; // CU_TRSA_OVERRIDE_FORMAT
    private const uint FromArray = 0, FromMipmapped = 1, FromLinear = 2, FromPitched = 3;
    private const int TextureAlignment = 14;

    private static int s_toldDevice;

    private static CUresult Do(ReadOnlySpan<byte> name, Func<CUresult> body)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            lock (Images.Images.Gate) return body();
        }
        catch (Exception e) { return Session.Failed(name, e); }
    }

    private static CUresult Set(ulong reference, bool isSurface, Func<ImageReference, CUresult> change) => Do("a texture reference"u8, () =>
    {
        if (ImageReferences.Find(reference, isSurface) is not { } found) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        CUresult result = change(found);
        if (result == CUresult.CUDA_SUCCESS) ImageReferences.Change(found);
        return result;
    });

    private static CUresult Ask(ulong reference, bool isSurface, void* into, Func<ImageReference, CUresult> give) => Do("a texture reference"u8,
        () => into == null ? CUresult.CUDA_ERROR_INVALID_VALUE : ImageReferences.Find(reference, isSurface) is { } found ? give(found) : CUresult.CUDA_ERROR_INVALID_HANDLE);

    /// <summary>One word of what was set.</summary>
    private static CUresult AskWord<T>(ulong reference, T* into, Func<ImageReference, T> give) where T : unmanaged => Ask(reference, false, into, r =>
    {
        *into = give(r);
        return CUresult.CUDA_SUCCESS;
    });

    // ---- references

    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetTexRef")]
    public static CUresult GetTexture(ulong* reference, CUmodule module, byte* name) => Get(reference, module, name, isSurface: false);

    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetSurfRef")]
    public static CUresult GetSurface(ulong* reference, CUmodule module, byte* name) => Get(reference, module, name, isSurface: true);

    /// <summary>The same handle each time.</summary>
    private static CUresult Get(ulong* reference, CUmodule module, byte* name, bool isSurface) => Do(isSurface ? "cuModuleGetSurfRef"u8 : "cuModuleGetTexRef"u8, () =>
    {
        if (reference == null || name == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ProgramThread* thread = WrapperRuntime.Enter();
        string text = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        if (ImageReferences.Find(module.Value, text, isSurface) is not { } found)
        {
            CUdeviceptr slot = default;
            CUresult result = CudaModuleCalls.Send_trecrModuleGetReference(thread, &slot, module, name, isSurface ? 1u : 0);
            if (result == CUresult.CUDA_ERROR_NOT_SUPPORTED) return Unsupported.Use(ref s_toldDevice, isSurface ? "cuModuleGetSurfRef"u8 : "cuModuleGetTexRef"u8, "on a real GPU"u8);
            if (result != CUresult.CUDA_SUCCESS) return result;
            found = ImageReferences.Add(isSurface, slot.Value, module.Value, text, thread->Context);
        }
        *reference = found.Handle;
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>One of no module: it can be set and asked, and no kernel sees it.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefCreate")]
    public static CUresult Create(ulong* reference) => Do("cuTexRefCreate"u8, () =>
    {
        if (reference == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *reference = ImageReferences.Add(false, 0, 0, null, WrapperRuntime.Enter()->Context).Handle;
        return CUresult.CUDA_SUCCESS;
    });

    /// <returns>CUDA_ERROR_INVALID_VALUE: a module's</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefDestroy")]
    public static CUresult Destroy(ulong reference) => Do("cuTexRefDestroy"u8, () =>
    {
        if (ImageReferences.Find(reference, false) is not { } found) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        if (found.Slot != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ImageReferences.Forget(WrapperRuntime.Enter(), r => r == found);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>A kernel has the references of its module anyway; -1 (CU_PARAM_TR_DEFAULT) is the only unit.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuParamSetTexRef")]
    public static CUresult Parameter(CUfunction function, int unit, ulong reference) => Do("cuParamSetTexRef"u8, () =>
        Functions.Find(function) == null || ImageReferences.Find(reference, false) is not { } found ? CUresult.CUDA_ERROR_INVALID_HANDLE
            : unit != -1 || found.Module != Functions.ModuleOf(function.Value) ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS);

    // ---- what is bound

    /// <param name="offset">receives how far the address lies behind the place that is bound, which has the device's alignment; NULL: it must have it</param>
    /// <param name="address">0: nothing from now on</param>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetAddress_v2")]
    public static CUresult SetAddress(nuint* offset, ulong reference, ulong address, nuint bytes) => Set(reference, false, r =>
    {
        ulong behind = address % (uint)Devices.Attribute(0, TextureAlignment);
        if (address != 0 && (bytes == 0 || !Addresses.IsDevice(address) && !Addresses.IsPinned(address)) || behind != 0 && offset == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (offset != null) *offset = (nuint)behind;
        Bind(r, FromLinear, address - behind, r.Resource.Format, r.Resource.NumChannels, bytes + behind);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetAddress2D_v2")]
    public static CUresult SetAddress2D_v2(ulong reference, CUDA_ARRAY_DESCRIPTOR* shape, ulong address, nuint pitch) => SetRows(reference, shape, address, pitch);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetAddress2D_v3")]
    public static CUresult SetAddress2D(ulong reference, CUDA_ARRAY_DESCRIPTOR* shape, ulong address, nuint pitch) => SetRows(reference, shape, address, pitch);

    private static CUresult SetRows(ulong reference, CUDA_ARRAY_DESCRIPTOR* shape, ulong address, nuint pitch) => Set(reference, false, r =>
    {
        const int pitchAlignment = 51; // CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT
        if (shape == null || !IsFormat(shape->Format, shape->NumChannels) || shape->Width == 0 || shape->Height == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (address == 0 || address % (uint)Devices.Attribute(0, TextureAlignment) != 0 || pitch % (uint)Devices.Attribute(0, pitchAlignment) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        Bind(r, FromPitched, address, shape->Format, shape->NumChannels, shape->Width);
        (r.Resource.Height, r.Resource.PitchBytes) = (shape->Height, pitch);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetArray")]
    public static CUresult SetArray(ulong reference, ulong array, uint flags) => Set(reference, false, r => BindArray(r, array, flags, OverrideFormat, FromArray));

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetMipmappedArray")]
    public static CUresult SetMipmappedArray(ulong reference, ulong array, uint flags) => Set(reference, false, r => BindArray(r, array, flags, OverrideFormat, FromMipmapped));

    [UnmanagedCallersOnly(EntryPoint = "cuSurfRefSetArray")]
    public static CUresult SetSurface(ulong reference, ulong array, uint flags) => Set(reference, true, r => BindArray(r, array, flags, 0, FromArray));

    /// <param name="flags">with CU_TRSA_OVERRIDE_FORMAT the reference takes the array's format for later; an array is read as what it is anyway (cudart 11.8 gives 0)</param>
    private static CUresult BindArray(ImageReference r, ulong array, uint flags, uint known, uint type)
    {
        if ((flags & ~known) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (Images.Images.Array(array) is not { } found) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        (uint format, uint channels) = (flags & OverrideFormat) != 0 ? (found.Shape.Format, found.Shape.NumChannels) : (r.Resource.Format, r.Resource.NumChannels);
        Bind(r, type, array, format, channels, 0);
        return CUresult.CUDA_SUCCESS;
    }

    private static void Bind(ImageReference r, uint type, ulong what, uint format, uint channels, ulong size)
    {
        r.IsBound = what != 0;
        r.Resource = new CUDA_RESOURCE_DESC { Type = type, Handle = what, Format = format, NumChannels = channels, Size = size };
    }

    private static bool IsFormat(uint format, uint channels) => DeviceImage.ChannelBytes(format) != 0 && channels is 1 or 2 or 4;

    /// <returns>CUDA_ERROR_INVALID_VALUE: no linear memory is bound</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetAddress_v2")]
    public static CUresult GetAddress(ulong* address, ulong reference) => AskBound(address, reference, false, type => type is FromLinear or FromPitched);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetArray")]
    public static CUresult GetArray(ulong* array, ulong reference) => AskBound(array, reference, false, type => type == FromArray);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetMipmappedArray")]
    public static CUresult GetMipmappedArray(ulong* array, ulong reference) => AskBound(array, reference, false, type => type == FromMipmapped);

    [UnmanagedCallersOnly(EntryPoint = "cuSurfRefGetArray")]
    public static CUresult GetSurfaceArray(ulong* array, ulong reference) => AskBound(array, reference, true, type => type == FromArray);

    private static CUresult AskBound(ulong* into, ulong reference, bool isSurface, Func<uint, bool> isMeant) => Ask(reference, isSurface, into, r =>
    {
        if (!r.IsBound || !isMeant(r.Resource.Type)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *into = r.Resource.Handle;
        return CUresult.CUDA_SUCCESS;
    });

    // ---- how it is read

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetFormat")]
    public static CUresult SetFormat(ulong reference, uint format, int channels) => Set(reference, false, r =>
    {
        if (!IsFormat(format, (uint)channels)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        (r.Resource.Format, r.Resource.NumChannels) = (format, (uint)channels);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetFormat")]
    public static CUresult GetFormat(uint* format, int* channels, ulong reference) => Ask(reference, false, format, r =>
    {
        *format = r.Resource.Format;
        if (channels != null) *channels = (int)r.Resource.NumChannels;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetAddressMode")]
    public static CUresult SetAddressMode(ulong reference, int dimension, uint mode) => Set(reference, false, r =>
    {
        if (dimension is < 0 or > 2 || mode > 3) return CUresult.CUDA_ERROR_INVALID_VALUE;
        r.Texture.AddressMode[dimension] = mode;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetAddressMode")]
    public static CUresult GetAddressMode(uint* mode, ulong reference, int dimension)
        => dimension is < 0 or > 2 ? CUresult.CUDA_ERROR_INVALID_VALUE : AskWord(reference, mode, r => r.Texture.AddressMode[dimension]);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetFilterMode")]
    public static CUresult SetFilterMode(ulong reference, uint mode) => SetMode(reference, mode, r => r.Texture.FilterMode = mode);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetFilterMode")]
    public static CUresult GetFilterMode(uint* mode, ulong reference) => AskWord(reference, mode, r => r.Texture.FilterMode);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetMipmapFilterMode")]
    public static CUresult SetMipmapFilterMode(ulong reference, uint mode) => SetMode(reference, mode, r => r.Texture.MipmapFilterMode = mode);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetMipmapFilterMode")]
    public static CUresult GetMipmapFilterMode(uint* mode, ulong reference) => AskWord(reference, mode, r => r.Texture.MipmapFilterMode);

    /// <param name="mode">0 point, 1 linear</param>
    private static CUresult SetMode(ulong reference, uint mode, Action<ImageReference> change) => Set(reference, false, r =>
    {
        if (mode > 1) return CUresult.CUDA_ERROR_INVALID_VALUE;
        change(r);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetMipmapLevelBias")]
    public static CUresult SetBias(ulong reference, float bias) => Put(reference, r => r.Texture.MipmapLevelBias = bias);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetMipmapLevelBias")]
    public static CUresult GetBias(float* bias, ulong reference) => AskWord(reference, bias, r => r.Texture.MipmapLevelBias);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetMipmapLevelClamp")]
    public static CUresult SetClamp(ulong reference, float least, float most) => Put(reference, r => (r.Texture.MinMipmapLevelClamp, r.Texture.MaxMipmapLevelClamp) = (least, most));

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetMipmapLevelClamp")]
    public static CUresult GetClamp(float* least, float* most, ulong reference) => Ask(reference, false, least, r =>
    {
        *least = r.Texture.MinMipmapLevelClamp;
        if (most != null) *most = r.Texture.MaxMipmapLevelClamp;
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>A hint.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetMaxAnisotropy")]
    public static CUresult SetAnisotropy(ulong reference, uint most) => Put(reference, r => r.Texture.MaxAnisotropy = most);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetMaxAnisotropy")]
    public static CUresult GetAnisotropy(int* most, ulong reference) => AskWord(reference, most, r => (int)r.Texture.MaxAnisotropy);

    /// <param name="color">[4]</param>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetBorderColor")]
    public static CUresult SetBorder(ulong reference, float* color) => color == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Put(reference, r =>
    {
        for (int n = 0; n < 4; n++) r.Texture.BorderColor[n] = color[n];
    });

    /// <param name="color">[4]</param>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetBorderColor")]
    public static CUresult GetBorder(float* color, ulong reference) => Ask(reference, false, color, r =>
    {
        for (int n = 0; n < 4; n++) color[n] = r.Texture.BorderColor[n];
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="flags">1 integers as they are, 2 normalized coordinates, 16 sRGB, 32 no trilinear optimisation, 64 seamless cube maps</param>
    [UnmanagedCallersOnly(EntryPoint = "cuTexRefSetFlags")]
    public static CUresult SetFlags(ulong reference, uint flags) => (flags & ~0x73u) != 0 ? CUresult.CUDA_ERROR_INVALID_VALUE : Put(reference, r => r.Texture.Flags = flags);

    [UnmanagedCallersOnly(EntryPoint = "cuTexRefGetFlags")]
    public static CUresult GetFlags(uint* flags, ulong reference) => AskWord(reference, flags, r => r.Texture.Flags);

    private static CUresult Put(ulong reference, Action<ImageReference> change) => Set(reference, false, r =>
    {
        change(r);
        return CUresult.CUDA_SUCCESS;
    });
}
