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
        if (parameterBytes > 0 && parameters == null) return CUDA_ERROR_INVALID_VALUE;
        Dim3 grid = new() { X = gridX, Y = gridY, Z = gridZ }, block = new() { X = blockX, Y = blockY, Z = blockZ };
        if (!f.MayLaunch(grid, block, sharedBytes)) return CUDA_ERROR_INVALID_VALUE;
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
        launch.Shape(grid, block, sharedBytes);
        launch.Output = s.Context.Output;
        launch.MakeCooperative((flags & 1) != 0);
        launch.SetParameters(parameters, parameterBytes);
        launch.Prepare(scheduler.Memory);
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
