using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: the forms without a stream. They return at once, except where the target is pinned or managed memory, which the program may read
// as soon as the call is back ("API synchronization behavior").
internal static unsafe class Fills
{
    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8_v2")]
    public static CUresult D8(CUdeviceptr to, byte value, nuint count) => Line(to, value, count, 1, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8_v2_ptds")]
    public static CUresult D8_ptds(CUdeviceptr to, byte value, nuint count) => Line(to, value, count, 1, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD16_v2")]
    public static CUresult D16(CUdeviceptr to, ushort value, nuint count) => Line(to, value, count, 2, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD16_v2_ptds")]
    public static CUresult D16_ptds(CUdeviceptr to, ushort value, nuint count) => Line(to, value, count, 2, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD32_v2")]
    public static CUresult D32(CUdeviceptr to, uint value, nuint count) => Line(to, value, count, 4, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD32_v2_ptds")]
    public static CUresult D32_ptds(CUdeviceptr to, uint value, nuint count) => Line(to, value, count, 4, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D8_v2")]
    public static CUresult D2D8(CUdeviceptr to, nuint pitch, byte value, nuint width, nuint height) => Rectangle(to, pitch, value, width, height, 1, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D8_v2_ptds")]
    public static CUresult D2D8_ptds(CUdeviceptr to, nuint pitch, byte value, nuint width, nuint height) => Rectangle(to, pitch, value, width, height, 1, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D16_v2")]
    public static CUresult D2D16(CUdeviceptr to, nuint pitch, ushort value, nuint width, nuint height) => Rectangle(to, pitch, value, width, height, 2, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D16_v2_ptds")]
    public static CUresult D2D16_ptds(CUdeviceptr to, nuint pitch, ushort value, nuint width, nuint height) => Rectangle(to, pitch, value, width, height, 2, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D32_v2")]
    public static CUresult D2D32(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height) => Rectangle(to, pitch, value, width, height, 4, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D32_v2_ptds")]
    public static CUresult D2D32_ptds(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height) => Rectangle(to, pitch, value, width, height, 4, CUstream.PerThread);

    /// <param name="elementBytes">1, 2 or 4</param>
    private static CUresult Line(CUdeviceptr to, uint value, nuint count, int elementBytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return Settle(thread, to, SendLine(thread, to, value, count, elementBytes, stream), stream);
    }

    internal static CUresult SendLine(ProgramThread* thread, CUdeviceptr to, uint value, nuint count, int elementBytes, CUstream stream) => elementBytes switch
    {
        1 => CudaCopyCalls.Send_cuMemsetD8Async(thread, to, (byte)value, count, stream),
        2 => CudaCopyCalls.Send_cuMemsetD16Async(thread, to, (ushort)value, count, stream),
        _ => CudaCopyCalls.Send_cuMemsetD32Async(thread, to, value, count, stream),
    };

    /// <param name="width">elements</param><param name="elementBytes">1, 2 or 4</param>
    private static CUresult Rectangle(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, int elementBytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return Settle(thread, to, SendRectangle(thread, to, pitch, value, width, height, elementBytes, stream), stream);
    }

    internal static CUresult SendRectangle(ProgramThread* thread, CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, int elementBytes, CUstream stream) => elementBytes switch
    {
        1 => CudaCopyCalls.Send_cuMemsetD2D8Async(thread, to, pitch, (byte)value, width, height, stream),
        2 => CudaCopyCalls.Send_cuMemsetD2D16Async(thread, to, pitch, (ushort)value, width, height, stream),
        _ => CudaCopyCalls.Send_cuMemsetD2D32Async(thread, to, pitch, value, width, height, stream),
    };

    private static CUresult Settle(ProgramThread* thread, CUdeviceptr to, CUresult result, CUstream stream)
        => result == CUresult.CUDA_SUCCESS && Addresses.IsPinned(to.Value) ? CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream) : result;
}
