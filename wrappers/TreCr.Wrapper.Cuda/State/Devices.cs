using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Facts of all devices, fetched once at cuInit. They lie in the program's memory and so come back with it: identity does not change at a restart.</summary>
internal static unsafe class Devices
{
    /// <summary>What cuDriverGetVersion answers: the lowest that serves CUDA 11.8's libraries fully, so that only five export tables must exist (cuda-trace.md, trap 13).</summary>
    public const int DriverVersion = 12000;

    private static DeviceFacts* s_facts;
    private static int s_count;

    /// <summary>Devices of this session; 0 before cuInit.</summary>
    public static int Count => Volatile.Read(ref s_count);

    /// <summary>Facts of a device of which <see cref="IsValid"/> holds.</summary>
    public static DeviceFacts* Facts(int ordinal) => s_facts + ordinal;

    /// <summary>The ordinal names a device of this session.</summary>
    public static bool IsValid(CUdevice device) => (uint)device.Value < (uint)Count;

    /// <summary>The software device, which runs PTX only and reaches the memory of the others of its kind.</summary>
    public static bool IsSoft(int ordinal) => new ReadOnlySpan<byte>(s_facts[ordinal].Uuid.Bytes, 16).StartsWith("TreCrSoftDevice"u8);

    /// <summary>Attribute as stored; 0 where the device does not know it.</summary>
    public static int Attribute(int ordinal, int attribute) => s_facts[ordinal].Attributes[attribute];

    /// <summary>Asks the delegator for the facts of all devices.</summary>
    public static CUresult Fetch()
    {
        if (Count != 0) return CUresult.CUDA_SUCCESS;
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        int count = (int)Math.Min(ProgramSession.Segment!.Header->DeviceCount, SegmentLayout.MaxDevices);
        if (count == 0) return CUresult.CUDA_ERROR_NO_DEVICE;
        DeviceFacts* facts = (DeviceFacts*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(DeviceFacts));
        for (int i = 0; i < count; i++)
        {
            CUresult result = CudaDeviceCalls.Send_trecrDeviceFacts(thread, facts + i, new CUdevice(i));
            if (result == CUresult.CUDA_SUCCESS) continue;
            NativeMemory.Free(facts);
            return result;
        }
        s_facts = facts;
        DeviceMemory.Current = new DeviceCopies();
        Volatile.Write(ref s_count, count);
        return CUresult.CUDA_SUCCESS;
    }
}
