using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Images;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: arrays are the wrapper's own over device memory (ICudaImage). CUDA Driver API, "Memory Management".
internal static unsafe class Arrays
{
    private static int s_toldKind, s_toldDevice, s_toldSparse;

    [UnmanagedCallersOnly(EntryPoint = "cuArrayCreate_v2")]
    public static CUresult Create(ulong* array, CUDA_ARRAY_DESCRIPTOR* shape)
        => shape == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Make(array, new CUDA_ARRAY3D_DESCRIPTOR { Width = shape->Width, Height = shape->Height, Format = shape->Format, NumChannels = shape->NumChannels }, 1);

    [UnmanagedCallersOnly(EntryPoint = "cuArray3DCreate_v2")]
    public static CUresult Create3D(ulong* array, CUDA_ARRAY3D_DESCRIPTOR* shape) => shape == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Make(array, in *shape, 1);

    /// <param name="levels">as many as the largest side allows, at most</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMipmappedArrayCreate")]
    public static CUresult CreateMipmapped(ulong* array, CUDA_ARRAY3D_DESCRIPTOR* shape, uint levels)
    {
        if (shape == null || levels == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong side = Math.Max(shape->Width, Math.Max(shape->Height, (shape->Flags & (CudaArray.Layered | CudaArray.CubeMap)) == 0 ? shape->Depth : 0));
        return Make(array, in *shape, Math.Min(levels, Math.Min(DeviceImage.MaxLevels, (uint)(64 - ulong.LeadingZeroCount(Math.Max(1, side))))));
    }

    /// <summary>What the driver asks of a shape.</summary>
    private static CUresult Check(in CUDA_ARRAY3D_DESCRIPTOR shape)
    {
        const ulong most = 1 << 17;
        bool layered = (shape.Flags & CudaArray.Layered) != 0, cube = (shape.Flags & CudaArray.CubeMap) != 0;
        if (shape.Width is 0 or > most || shape.Height > most || shape.Depth > most || shape.NumChannels is not (1 or 2 or 4)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if ((shape.Flags & (CudaArray.Sparse | CudaArray.Deferred)) != 0) return Unsupported.Use(ref s_toldSparse, "cuArray3DCreate"u8, "with sparse or deferred memory"u8);
        if (DeviceImage.ChannelBytes(shape.Format) == 0) return Unsupported.Use(ref s_toldKind, "cuArray3DCreate"u8, "with a format other than 8, 16 and 32-bit integers, half and float"u8);
        if (shape.Depth != 0 && shape.Height == 0 && !layered || layered && shape.Depth == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return cube && (shape.Width != shape.Height || shape.Depth == 0 || (layered ? shape.Depth % 6 != 0 : shape.Depth != 6)) ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }

    private static CUresult Make(ulong* array, in CUDA_ARRAY3D_DESCRIPTOR shape, uint levels)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (array == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        result = Check(in shape);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            CudaArray made = new(in shape, levels, thread->Context);
            result = ImageMemory.Make(thread, made.MemoryBytes, out CUdeviceptr memory, out CUarray handle);
            if (result != CUresult.CUDA_SUCCESS) return result == CUresult.CUDA_ERROR_NOT_SUPPORTED ? Unsupported.Use(ref s_toldDevice, "cuArrayCreate"u8, "on a real GPU"u8) : result;
            (made.Handle, made.Memory, made.Address) = (handle.Value, memory.Value, memory.Value);
            lock (Images.Images.Gate) Images.Images.Add(made);
            *array = made.Handle;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuArrayCreate"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuArrayDestroy")]
    public static CUresult Destroy(ulong array) => End(array, isMipmapped: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMipmappedArrayDestroy")]
    public static CUresult DestroyMipmapped(ulong array) => End(array, isMipmapped: true);

    private static CUresult End(ulong array, bool isMipmapped)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            CudaArray? found;
            lock (Images.Images.Gate)
            {
                found = Images.Images.Array(array);
                // A level belongs to its mipmapped array.
                if (found is null || found.Parent is not null || !isMipmapped && found.Levels > 1) return CUresult.CUDA_ERROR_INVALID_HANDLE;
                Images.Images.Remove(found);
            }
            foreach (CudaArray level in found.Given.Values) CudaImageCalls.Send_trecrImageDestroy(thread, new CUarray(level.Handle));
            return ImageMemory.End(thread, found.Memory, array);
        }
        catch (Exception e) { return Session.Failed("cuArrayDestroy"u8, e); }
    }

    /// <summary>The same handle each time.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMipmappedArrayGetLevel")]
    public static CUresult GetLevel(ulong* array, ulong mipmapped, uint level)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (array == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            lock (Images.Images.Gate)
            {
                CudaArray? whole = Images.Images.Array(mipmapped);
                if (whole is null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
                if (level >= whole.Levels) return CUresult.CUDA_ERROR_INVALID_VALUE;
                if (!whole.Given.TryGetValue(level, out CudaArray? made))
                {
                    CUDA_ARRAY3D_DESCRIPTOR shape = whole.LevelShape(level, out ulong offset);
                    CUarray handle = default;
                    result = CudaImageCalls.Send_trecrImageCreate(thread, &handle, new CUdeviceptr(whole.Address + offset));
                    if (result != CUresult.CUDA_SUCCESS) return result;
                    made = new CudaArray(in shape, 1, whole.Context) { Handle = handle.Value, Address = whole.Address + offset, Parent = whole };
                    whole.Given[level] = made;
                    Images.Images.Add(made);
                }
                *array = made.Handle;
                return CUresult.CUDA_SUCCESS;
            }
        }
        catch (Exception e) { return Session.Failed("cuMipmappedArrayGetLevel"u8, e); }
    }

    private static CUresult Find(ulong array, void* into, out CudaArray found)
    {
        CUresult result = Session.Enter(out _);
        found = result == CUresult.CUDA_SUCCESS ? Images.Images.Array(array)! : null!;
        return result != CUresult.CUDA_SUCCESS ? result : into == null ? CUresult.CUDA_ERROR_INVALID_VALUE : found is null ? CUresult.CUDA_ERROR_INVALID_HANDLE : CUresult.CUDA_SUCCESS;
    }

    /// <summary>The first two dimensions.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuArrayGetDescriptor_v2")]
    public static CUresult GetDescriptor(CUDA_ARRAY_DESCRIPTOR* into, ulong array)
    {
        CUresult result = Find(array, into, out CudaArray found);
        if (result == CUresult.CUDA_SUCCESS) *into = new CUDA_ARRAY_DESCRIPTOR { Width = found.Shape.Width, Height = found.Shape.Height, Format = found.Shape.Format, NumChannels = found.Shape.NumChannels };
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuArray3DGetDescriptor_v2")]
    public static CUresult GetDescriptor3D(CUDA_ARRAY3D_DESCRIPTOR* into, ulong array)
    {
        CUresult result = Find(array, into, out CudaArray found);
        if (result == CUresult.CUDA_SUCCESS) *into = found.Shape;
        return result;
    }

    /// <remarks>Meant for arrays with deferred mapping; others answer too.</remarks>
    [UnmanagedCallersOnly(EntryPoint = "cuArrayGetMemoryRequirements")]
    public static CUresult GetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* into, ulong array, CUdevice device) => Requirements(into, array, device);

    [UnmanagedCallersOnly(EntryPoint = "cuMipmappedArrayGetMemoryRequirements")]
    public static CUresult GetMipmappedMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* into, ulong array, CUdevice device) => Requirements(into, array, device);

    private static CUresult Requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* into, ulong array, CUdevice device)
    {
        CUresult result = Find(array, into, out CudaArray found);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (!Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        *into = new CUDA_ARRAY_MEMORY_REQUIREMENTS { Size = found.MemoryBytes, Alignment = 512 };
        return CUresult.CUDA_SUCCESS;
    }

    // ---- copies: an array becomes the memory that it is

    /// <summary>Puts an array's memory in place of the array, after a look at the bounds.</summary>
    internal static CUresult Resolve(ref CUDA_MEMCPY3D copy)
    {
        const uint device = 2, array = 3;
        if (copy.SrcMemoryType == array)
        {
            CUresult result = Place(copy.SrcArray, copy.SrcLod, copy.SrcXInBytes, copy.SrcY, copy.SrcZ, in copy, out DeviceImageLevel at);
            if (result != CUresult.CUDA_SUCCESS) return result;
            (copy.SrcMemoryType, copy.SrcDevice, copy.SrcPitch, copy.SrcHeight) = (device, at.Address, at.PitchBytes, at.Height);
        }
        if (copy.DstMemoryType == array)
        {
            CUresult result = Place(copy.DstArray, copy.DstLod, copy.DstXInBytes, copy.DstY, copy.DstZ, in copy, out DeviceImageLevel at);
            if (result != CUresult.CUDA_SUCCESS) return result;
            (copy.DstMemoryType, copy.DstDevice, copy.DstPitch, copy.DstHeight) = (device, at.Address, at.PitchBytes, at.Height);
        }
        return CUresult.CUDA_SUCCESS;
    }

    private static CUresult Place(ulong array, ulong lod, ulong x, ulong y, ulong z, in CUDA_MEMCPY3D copy, out DeviceImageLevel at)
    {
        at = default;
        if (Images.Images.Array(array) is not { } found) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        if (lod != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        at = found.Level(0);
        ulong row = (ulong)at.Width * found.TexelBytes;
        return x > row || copy.WidthInBytes > row - x || y > at.Height || copy.Height > at.Height - y || z > at.Depth || copy.Depth > at.Depth - z ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }
}
