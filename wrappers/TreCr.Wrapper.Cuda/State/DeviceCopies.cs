using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Copies for other interfaces, in a stream of each context that waits for no other one: a message must arrive also while kernels of the program wait for it.</summary>
/// <remarks>Streams are ordinary objects of the program and come back with it.</remarks>
internal sealed unsafe class DeviceCopies : DeviceMemory
{
    private const uint NonBlocking = 1, Host = 1, Device = 2;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<ulong, CUstream> Streams = [];

    public static void ForgetContext(ulong context)
    {
        lock (Gate) Streams.Remove(context);
    }

    protected override bool Has(ulong address) => Addresses.IsDevice(address);

    public override CUresult Copy(ulong device, long pitchBytes, byte* host, long rowBytes, long rows, bool toHost)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        ulong context = ContextOf(device, thread->Context);
        if (context == 0) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        if (!thread->Push(context)) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        try
        {
            CUresult result = StreamOf(context, out CUstream stream);
            if (result != CUresult.CUDA_SUCCESS) return result;
            if (rows == 1) result = toHost ? Copies.ToHost(host, new CUdeviceptr(device), (nuint)rowBytes, stream, mayReturn: false) : Copies.ToDevice(new CUdeviceptr(device), host, (nuint)rowBytes, stream, mayReturn: false);
            else
            {
                CUDA_MEMCPY2D copy = new() { WidthInBytes = (ulong)rowBytes, Height = (ulong)rows };
                if (toHost) (copy.SrcMemoryType, copy.SrcDevice, copy.SrcPitch, copy.DstMemoryType, copy.DstHost, copy.DstPitch) = (Device, device, (ulong)pitchBytes, Host, (ulong)host, (ulong)rowBytes);
                else (copy.SrcMemoryType, copy.SrcHost, copy.SrcPitch, copy.DstMemoryType, copy.DstDevice, copy.DstPitch) = (Host, (ulong)host, (ulong)rowBytes, Device, device, (ulong)pitchBytes);
                result = Copies2D.Copy(&copy, stream, mayReturn: false);
            }
            // Pageable bytes have been fetched then, and may still be on their way.
            return result != CUresult.CUDA_SUCCESS || toHost ? result : CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream);
        }
        finally { thread->Pop(); }
    }

    private static CUresult StreamOf(ulong context, out CUstream stream)
    {
        lock (Gate)
        {
            if (Streams.TryGetValue(context, out stream)) return CUresult.CUDA_SUCCESS;
            CUstream made;
            CUresult result = StreamQuestions.Create(&made, NonBlocking, 0);
            if (result == CUresult.CUDA_SUCCESS) Streams[context] = made;
            stream = made;
            return result;
        }
    }

    /// <summary>The current context where it is one of the memory's device, else any that is.</summary>
    /// <returns>0: none</returns>
    private static ulong ContextOf(ulong address, ulong current)
    {
        ulong slot = (address - SegmentLayout.DeviceBase) / SegmentLayout.DeviceSlotBytes;
        if (slot >= SegmentLayout.MaxDevices) return current; // a module's variable on a real device
        return Contexts.TryFind(current, out int device, out _) && device == (int)slot ? current : Contexts.OnDevice((int)slot);
    }
}
