using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: the forms in a stream may be nodes of a capture; those without one return at once, except where the target is pinned or managed memory, which the program may read
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

    // ---- in a stream: work, or nodes of a capture

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8Async")]
    public static CUresult D8Async(CUdeviceptr to, byte value, nuint count, CUstream stream) => LineAsync(to, value, count, 1, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8Async_ptsz")]
    public static CUresult D8Async_ptsz(CUdeviceptr to, byte value, nuint count, CUstream stream) => LineAsync(to, value, count, 1, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD16Async")]
    public static CUresult D16Async(CUdeviceptr to, ushort value, nuint count, CUstream stream) => LineAsync(to, value, count, 2, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD16Async_ptsz")]
    public static CUresult D16Async_ptsz(CUdeviceptr to, ushort value, nuint count, CUstream stream) => LineAsync(to, value, count, 2, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD32Async")]
    public static CUresult D32Async(CUdeviceptr to, uint value, nuint count, CUstream stream) => LineAsync(to, value, count, 4, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD32Async_ptsz")]
    public static CUresult D32Async_ptsz(CUdeviceptr to, uint value, nuint count, CUstream stream) => LineAsync(to, value, count, 4, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D8Async")]
    public static CUresult D2D8Async(CUdeviceptr to, nuint pitch, byte value, nuint width, nuint height, CUstream stream) => RectangleAsync(to, pitch, value, width, height, 1, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D8Async_ptsz")]
    public static CUresult D2D8Async_ptsz(CUdeviceptr to, nuint pitch, byte value, nuint width, nuint height, CUstream stream) => RectangleAsync(to, pitch, value, width, height, 1, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D16Async")]
    public static CUresult D2D16Async(CUdeviceptr to, nuint pitch, ushort value, nuint width, nuint height, CUstream stream) => RectangleAsync(to, pitch, value, width, height, 2, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D16Async_ptsz")]
    public static CUresult D2D16Async_ptsz(CUdeviceptr to, nuint pitch, ushort value, nuint width, nuint height, CUstream stream) => RectangleAsync(to, pitch, value, width, height, 2, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D32Async")]
    public static CUresult D2D32Async(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, CUstream stream) => RectangleAsync(to, pitch, value, width, height, 4, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D32Async_ptsz")]
    public static CUresult D2D32Async_ptsz(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, CUstream stream) => RectangleAsync(to, pitch, value, width, height, 4, PerThread.Of(stream));

    private static CUresult LineAsync(CUdeviceptr to, uint value, nuint count, int elementBytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return StreamCapture.IsActive && Node(to, 0, value, count, 1, elementBytes, stream, out result) ? result : SendLine(thread, to, value, count, elementBytes, stream);
    }

    private static CUresult RectangleAsync(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, int elementBytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return StreamCapture.IsActive && Node(to, pitch, value, width, height, elementBytes, stream, out result) ? result : SendRectangle(thread, to, pitch, value, width, height, elementBytes, stream);
    }

    private static bool Node(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, int elementBytes, CUstream stream, out CUresult result)
    {
        CUDA_MEMSET_NODE_PARAMS fill = new() { Destination = to.Value, Pitch = pitch, Value = value, ElementSize = (uint)elementBytes, Width = width, Height = height };
        CUDA_MEMSET_NODE_PARAMS* at = &fill;
        return StreamCapture.Takes(stream, () => GraphNodeParams.Memset(at), out result);
    }

    /// <param name="elementBytes">1, 2 or 4</param>
    private static CUresult Line(CUdeviceptr to, uint value, nuint count, int elementBytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return Settle(thread, to, SendLine(thread, to, value, count, elementBytes, stream), stream);
    }

    internal static CUresult SendLine(ProgramThread* thread, CUdeviceptr to, uint value, nuint count, int elementBytes, CUstream stream)
    {
        ulong bytes = count > (1UL << 47) ? 1UL << 48 : count * (ulong)elementBytes;
        CallClass how = thread->Proven.How(to.Value, bytes, out int epoch);
        if (to.Value % (ulong)elementBytes != 0) how = CallClass.Answer;
        CUresult result = elementBytes switch
        {
            1 => CudaCopyCalls.Send_cuMemsetD8Async(thread, how, to, (byte)value, count, stream),
            2 => CudaCopyCalls.Send_cuMemsetD16Async(thread, how, to, (ushort)value, count, stream),
            _ => CudaCopyCalls.Send_cuMemsetD32Async(thread, how, to, value, count, stream),
        };
        return thread->Proven.Learn(result, how, epoch, to.Value, bytes);
    }

    /// <param name="width">elements</param><param name="elementBytes">1, 2 or 4</param>
    private static CUresult Rectangle(CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, int elementBytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return Settle(thread, to, SendRectangle(thread, to, pitch, value, width, height, elementBytes, stream), stream);
    }

    /// <remarks>Pitch, width and height must fit together too: the delegator looks.</remarks>
    internal static CUresult SendRectangle(ProgramThread* thread, CUdeviceptr to, nuint pitch, uint value, nuint width, nuint height, int elementBytes, CUstream stream) => elementBytes switch
    {
        1 => CudaCopyCalls.Send_cuMemsetD2D8Async(thread, CallClass.Answer, to, pitch, (byte)value, width, height, stream),
        2 => CudaCopyCalls.Send_cuMemsetD2D16Async(thread, CallClass.Answer, to, pitch, (ushort)value, width, height, stream),
        _ => CudaCopyCalls.Send_cuMemsetD2D32Async(thread, CallClass.Answer, to, pitch, value, width, height, stream),
    };

    private static CUresult Settle(ProgramThread* thread, CUdeviceptr to, CUresult result, CUstream stream)
        => result == CUresult.CUDA_SUCCESS && Addresses.IsPinned(to.Value) ? CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream) : result;
}
