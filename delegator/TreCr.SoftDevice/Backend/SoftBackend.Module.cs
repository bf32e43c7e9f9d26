using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls.Cuda;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Emit;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

public sealed unsafe partial class SoftBackend
{
    public CUresult trecrModuleLoad(CUmodule* module, void* image, nuint imageBytes)
    {
        CUresult r = NeedContext(out SoftContext context);
        if (r != CUDA_SUCCESS) return r;
        if (module == null || image == null || imageBytes == 0 || imageBytes > int.MaxValue) return CUDA_ERROR_INVALID_VALUE;
        try
        {
            SoftModule m = SoftModule.Load(new(image, (int)imageBytes), context, SoftDeviceFacts.Sm, zstd, Limit, n => allocator.Allocate(context.Device, n), n => allocator.AllocateManaged(context.Device, n), kernels);
            *module = new(Add(m));
            return CUDA_SUCCESS;
        }
        catch (PtxException e)
        {
            return Say(e, "module refused");
        }
        catch (OutOfMemoryException)
        {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
    }

    public CUresult cuModuleUnload(CUmodule module)
    {
        if (Find<SoftModule>(module.Value) is not { } m) return CUDA_ERROR_INVALID_HANDLE;
        scheduler.WaitAll(m.Context);
        FreeMemory(m);
        lock (m.Functions)
            foreach (SoftFunction f in m.Functions.Values) Remove(f);
        Remove(m);
        return CUDA_SUCCESS;
    }

    void FreeMemory(SoftModule m)
    {
        foreach (ulong block in (ReadOnlySpan<ulong>)[m.Block, m.Heap, m.ManagedBlock])
            if (block != 0) allocator.Free(block);
    }

    public CUresult trecrModuleGetFunction(CUfunction* function, FunctionFacts* facts, CUmodule module, byte* name)
    {
        if (function == null || facts == null || name == null) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftModule>(module.Value) is not { } m) return CUDA_ERROR_INVALID_HANDLE;
        try
        {
            if (Marshal.PtrToStringUTF8((nint)name) is not { } text || m.Find(text) is not { } f) return CUDA_ERROR_NOT_FOUND;
            Facts(f, facts);
            *function = new(Add(f));
            return CUDA_SUCCESS;
        }
        catch (PtxException e)
        {
            return Say(e, "kernel refused");
        }
    }

    static void Facts(SoftFunction f, FunctionFacts* facts)
    {
        *facts = default;
        List<PtxVariable> parameters = f.Ptx.Signature.Parameters;
        facts->ParameterCount = (uint)parameters.Count;
        facts->ParameterBlockBytes = (uint)f.Ptx.ParameterBytes;
        for (int n = 0; n < Math.Min(parameters.Count, FunctionFacts.MaxParameters); n++)
            facts->Parameters[n] = (uint)parameters[n].Offset | (uint)parameters[n].SizeBytes << 16;
        facts->MaxThreadsPerBlock = Attribute(f, 0);
        facts->StaticSharedBytes = Attribute(f, 1);
        facts->ConstBytes = Attribute(f, 2);
        facts->LocalBytes = Attribute(f, 3);
        facts->RegisterCount = Attribute(f, 4);
        facts->PtxVersion = Attribute(f, 5);
        facts->BinaryVersion = Attribute(f, 6);
        facts->MaxDynamicSharedBytes = Attribute(f, 8);
    }

    /// <summary>Value of a CUfunction_attribute.</summary>
    internal static int Attribute(SoftFunction f, int attribute) => attribute switch
    {
        0 => f.Ptx.MaxThreadsX > 0 ? Math.Min(SoftDeviceFacts.MaxThreads, f.Ptx.MaxThreadsX * f.Ptx.MaxThreadsY * f.Ptx.MaxThreadsZ) : SoftDeviceFacts.MaxThreads,
        1 => f.StaticShared,
        2 => (int)f.Module.Ptx.Variables.Where(v => v.Space == PtxSpace.Const).Sum(v => v.SizeBytes),
        3 => f.DeclaredLocal,
        4 => 32, // registers of a thread mean nothing here; a middling number keeps occupancy formulas of programs sane
        5 => f.Module.Ptx.TargetSm, 6 => SoftDeviceFacts.Sm, 7 => 0, 8 => f.MaxDynamicSharedBytes, 9 => f.PreferredCarveout,
        _ => 0,
    };

    public CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, nuint* bytes, CUmodule module, byte* name)
    {
        if (name == null) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftModule>(module.Value) is not { } m) return CUDA_ERROR_INVALID_HANDLE;
        if (!m.TryGetGlobal(Marshal.PtrToStringUTF8((nint)name)!, out ulong at, out ulong size)) return CUDA_ERROR_NOT_FOUND;
        if (address != null) *address = new(at);
        if (bytes != null) *bytes = (nuint)size;
        return CUDA_SUCCESS;
    }

    public CUresult trecrModuleGetReference(CUdeviceptr* address, CUmodule module, byte* name, uint isSurface)
    {
        if (address == null || name == null) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftModule>(module.Value) is not { } m) return CUDA_ERROR_INVALID_HANDLE;
        if (!m.TryGetReference(Marshal.PtrToStringUTF8((nint)name)!, isSurface != 0 ? PtxReference.Surface : PtxReference.Texture, out ulong at)) return CUDA_ERROR_NOT_FOUND;
        *address = new(at);
        return CUDA_SUCCESS;
    }

    public CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function)
    {
        if (value == null || attribute is < 0 or > 15) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftFunction>(function.Value) is not { } f) return CUDA_ERROR_INVALID_HANDLE;
        *value = Attribute(f, attribute);
        return CUDA_SUCCESS;
    }

    public CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value)
    {
        if (Find<SoftFunction>(function.Value) is not { } f) return CUDA_ERROR_INVALID_HANDLE;
        switch (attribute)
        {
            case 8:
                if (value < 0 || value + f.StaticShared > SoftDeviceFacts.SharedOptIn) return CUDA_ERROR_INVALID_VALUE;
                f.MaxDynamicSharedBytes = value;
                return CUDA_SUCCESS;
            case 9:
                if (value is < -1 or > 100) return CUDA_ERROR_INVALID_VALUE;
                f.PreferredCarveout = value;
                return CUDA_SUCCESS;
            default: return attribute is 14 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        }
    }

    public CUresult cuFuncSetCacheConfig(CUfunction function, int config) => Find<SoftFunction>(function.Value) is null ? CUDA_ERROR_INVALID_HANDLE : config is < 0 or > 3 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;

    public CUresult cuFuncSetSharedMemConfig(CUfunction function, int config) => Find<SoftFunction>(function.Value) is null ? CUDA_ERROR_INVALID_HANDLE : config is < 0 or > 2 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;

    public CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int blockSize, nuint dynamicSharedBytes, uint flags)
    {
        if (blocks == null || blockSize <= 0) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftFunction>(function.Value) is not { } f) return CUDA_ERROR_INVALID_HANDLE;
        ulong shared = (ulong)f.StaticShared + dynamicSharedBytes;
        int byThreads = blockSize > Attribute(f, 0) ? 0 : Math.Min(32, 2048 / blockSize);
        *blocks = shared == 0 ? byThreads : (int)Math.Min((ulong)byThreads, SoftDeviceFacts.SharedPerMultiprocessor / shared);
        return CUDA_SUCCESS;
    }

    public CUresult cuOccupancyAvailableDynamicSMemPerBlock(nuint* bytes, CUfunction function, int blocks, int blockSize)
    {
        if (bytes == null || blocks <= 0 || blockSize <= 0) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftFunction>(function.Value) is not { } f) return CUDA_ERROR_INVALID_HANDLE;
        *bytes = (nuint)Math.Max(0, Math.Min(SoftDeviceFacts.SharedPerBlock, SoftDeviceFacts.SharedPerMultiprocessor / blocks) - f.StaticShared);
        return CUDA_SUCCESS;
    }
}
