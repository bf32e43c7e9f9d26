using TreCr.Calls.Cuda;
using TreCr.Ptx;
using TreCr.SoftDevice.Engine;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

public sealed unsafe partial class SoftBackend
{
    public CUresult trecrLaunchKernel(CUfunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes,
        CUstream stream, uint flags, void* parameters, nuint parameterBytes)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        if (Find<SoftFunction>(function.Value) is not { } f) return CUDA_ERROR_INVALID_HANDLE;
        ulong threads = (ulong)blockX * blockY * blockZ;
        if (gridX == 0 || gridY == 0 || gridZ == 0 || gridX > int.MaxValue || gridY > 65535 || gridZ > 65535 || threads == 0 || blockX > 1024 || blockY > 1024 || blockZ > 64
            || threads > (ulong)Attribute(f, 0)) return CUDA_ERROR_INVALID_VALUE;
        if (parameterBytes > 0 && parameters == null) return CUDA_ERROR_INVALID_VALUE;
        if (f.Ptx.RequiredThreads && (blockX != f.Ptx.MaxThreadsX || blockY != f.Ptx.MaxThreadsY || blockZ != f.Ptx.MaxThreadsZ)) return CUDA_ERROR_INVALID_VALUE;
        if (sharedBytes > f.MaxDynamicSharedBytes || sharedBytes + (ulong)f.StaticShared > (ulong)SoftDeviceFacts.SharedOptIn) return CUDA_ERROR_INVALID_VALUE;
        CompiledKernel kernel;
        try
        {
            kernel = f.Compile(isChecked);
        }
        catch (PtxException e)
        {
            return Say(e, $"kernel {f.Ptx.Name} refused");
        }
        GridLaunch launch = scheduler.NewLaunch();
        launch.Kernel = kernel;
        (launch.GridX, launch.GridY, launch.GridZ) = (gridX, gridY, gridZ);
        (launch.BlockX, launch.BlockY, launch.BlockZ) = (blockX, blockY, blockZ);
        launch.BlockThreads = (int)threads;
        launch.DynamicSharedBytes = (int)sharedBytes;
        launch.SharedBytes = sharedBytes == 0 ? kernel.StaticSharedBytes + 15 & ~15 : kernel.DynamicSharedOffset + (int)sharedBytes + 15 & ~15;
        launch.Output = s.Context.Output;
        launch.Tids = ThreadTables.For(blockX, blockY, blockZ);
        launch.MakeCooperative((flags & 1) != 0);
        launch.SetParameters(parameters, parameterBytes);
        launch.Simd = kernel.SimdFor(launch, scheduler.Memory);
        if (launch.Simd is null) kernel.Specialise(launch, scheduler.Memory);
        StreamItem item = scheduler.NewItem(ItemKind.Kernel);
        item.Launch = launch;
        scheduler.Enqueue(s, item);
        return CUDA_SUCCESS;
    }

    public CUresult cuLaunchHostFunc(CUstream stream, ulong function, ulong userData)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        if (function == 0) return CUDA_ERROR_INVALID_VALUE;
        StreamItem item = scheduler.NewItem(ItemKind.HostFunction);
        item.Function = (delegate* unmanaged<void*, void>)function;
        item.UserData = userData;
        scheduler.Enqueue(s, item);
        return CUDA_SUCCESS;
    }

    public CUresult trecrTakeDeviceOutput(void* text, nuint capacity, nuint* bytes)
    {
        if (bytes == null || text == null && capacity > 0) return CUDA_ERROR_INVALID_VALUE;
        *bytes = 0;
        List<SoftContext> all;
        lock (gate) all = [.. objects.Values.OfType<SoftContext>()];
        foreach (SoftContext c in all)
            *bytes += (nuint)c.Output.Take(new((byte*)text + *bytes, (int)Math.Min(capacity - *bytes, int.MaxValue)));
        return CUDA_SUCCESS;
    }
}
