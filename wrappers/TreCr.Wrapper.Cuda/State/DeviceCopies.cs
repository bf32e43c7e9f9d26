using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Copies for other interfaces, in the legacy default stream: behind everything that the program holds for done, a cuMemcpyHtoD that has returned and whose bytes are still on their way among it.</summary>
/// <remarks>Source: CUDA Driver API, "API synchronization behavior", and CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, which libraries that hand device memory on set for the same reason.</remarks>
internal sealed unsafe class DeviceCopies : DeviceMemory
{
    private const uint Host = 1, Device = 2;

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
            CUresult result;
            if (rows == 1) result = toHost ? Copies.ToHost(host, new CUdeviceptr(device), (nuint)rowBytes, CUstream.Default, mayReturn: false) : Copies.ToDevice(new CUdeviceptr(device), host, (nuint)rowBytes, CUstream.Default, mayReturn: false);
            else
            {
                CUDA_MEMCPY2D copy = new() { WidthInBytes = (ulong)rowBytes, Height = (ulong)rows };
                if (toHost) (copy.SrcMemoryType, copy.SrcDevice, copy.SrcPitch, copy.DstMemoryType, copy.DstHost, copy.DstPitch) = (Device, device, (ulong)pitchBytes, Host, (ulong)host, (ulong)rowBytes);
                else (copy.SrcMemoryType, copy.SrcHost, copy.SrcPitch, copy.DstMemoryType, copy.DstDevice, copy.DstPitch) = (Host, (ulong)host, (ulong)rowBytes, Device, device, (ulong)pitchBytes);
                result = Copies2D.Copy(&copy, CUstream.Default, mayReturn: false);
            }
            // Pageable bytes have been fetched then, and may still be on their way.
            return result != CUresult.CUDA_SUCCESS || toHost ? result : CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, CUstream.Default);
        }
        finally { thread->Pop(); }
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
