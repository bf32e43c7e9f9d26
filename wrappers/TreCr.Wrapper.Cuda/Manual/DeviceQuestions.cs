using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: answered from DeviceFacts without a record. CUDA Driver API, "Device Management", "Peer Context Memory Access".
internal static unsafe class DeviceQuestions
{
    private const int PciBus = 33, PciDevice = 34, PciDomain = 50, MajorAttribute = 75, MinorAttribute = 76;

    /// <summary>State, then NULL, then the ordinal: the driver's order.</summary>
    private static CUresult Check(void* output, CUdevice device)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (output == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return Devices.IsValid(device) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_DEVICE;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetCount")]
    public static CUresult GetCount(int* count)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (count == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *count = Devices.Count;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGet")]
    public static CUresult Get(CUdevice* device, int ordinal)
    {
        CUresult result = Check(device, new CUdevice(ordinal));
        if (result == CUresult.CUDA_SUCCESS) *device = new CUdevice(ordinal);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetName")]
    public static CUresult GetName(byte* name, int length, CUdevice device)
    {
        CUresult result = Check(name, device);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (length <= 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ReadOnlySpan<byte> text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(Devices.Facts(device.Value)->Name);
        text = text[..Math.Min(text.Length, length - 1)];
        text.CopyTo(new Span<byte>(name, length));
        name[text.Length] = 0;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceTotalMem_v2")]
    public static CUresult TotalMem(nuint* bytes, CUdevice device)
    {
        CUresult result = Check(bytes, device);
        if (result == CUresult.CUDA_SUCCESS) *bytes = (nuint)Devices.Facts(device.Value)->TotalMemoryBytes;
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetAttribute")]
    public static CUresult GetAttribute(int* value, int attribute, CUdevice device)
    {
        CUresult result = Check(value, device);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if ((uint)attribute >= DeviceFacts.AttributeCount) return CUresult.CUDA_ERROR_INVALID_VALUE;
        DeviceFacts* facts = Devices.Facts(device.Value);
        if ((facts->AttributeErrors[attribute >> 6] >> (attribute & 63) & 1) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *value = facts->Attributes[attribute];
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetUuid")]
    public static CUresult GetUuid(CUuuid* uuid, CUdevice device) => Uuid(uuid, device);

    /// <summary>Differs from the first form only on a GPU that is split into parts (MIG).</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetUuid_v2")]
    public static CUresult GetUuid_v2(CUuuid* uuid, CUdevice device) => Uuid(uuid, device);

    private static CUresult Uuid(CUuuid* uuid, CUdevice device)
    {
        CUresult result = Check(uuid, device);
        if (result == CUresult.CUDA_SUCCESS) *uuid = Devices.Facts(device.Value)->Uuid;
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceComputeCapability")]
    public static CUresult ComputeCapability(int* major, int* minor, CUdevice device)
    {
        CUresult result = Check(major == null ? null : minor, device);
        if (result != CUresult.CUDA_SUCCESS) return result;
        *major = Devices.Attribute(device.Value, MajorAttribute);
        *minor = Devices.Attribute(device.Value, MinorAttribute);
        return CUresult.CUDA_SUCCESS;
    }

    /// <param name="properties">CUdevprop: 14 ints, each the device attribute beside it in the manual</param>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetProperties")]
    public static CUresult GetProperties(int* properties, CUdevice device)
    {
        CUresult result = Check(properties, device);
        if (result != CUresult.CUDA_SUCCESS) return result;
        ReadOnlySpan<byte> attributes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        for (int i = 0; i < attributes.Length; i++) properties[i] = Devices.Attribute(device.Value, attributes[i]);
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetPCIBusId")]
    public static CUresult GetPCIBusId(byte* text, int length, CUdevice device)
    {
        CUresult result = Check(text, device);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            byte[] id = Encoding.ASCII.GetBytes(BusId(device.Value) + "\0");
            if (length < id.Length) return CUresult.CUDA_ERROR_INVALID_VALUE;
            id.CopyTo(new Span<byte>(text, length));
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuDeviceGetPCIBusId"u8, e); }
    }

    /// <param name="text">domain:bus:device.function, bus:device.function or domain:bus:device, hexadecimal</param>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetByPCIBusId")]
    public static CUresult GetByPCIBusId(CUdevice* device, byte* text)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (device == null || text == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            string wanted = Encoding.ASCII.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text));
            for (int i = 0; i < Devices.Count; i++)
            {
                string id = BusId(i);
                if (!wanted.Equals(id, StringComparison.OrdinalIgnoreCase) && !wanted.Equals(id[..^2], StringComparison.OrdinalIgnoreCase)
                    && !wanted.Equals(id[5..], StringComparison.OrdinalIgnoreCase)) continue;
                *device = new CUdevice(i);
                return CUresult.CUDA_SUCCESS;
            }
            return CUresult.CUDA_ERROR_INVALID_DEVICE;
        }
        catch (Exception e) { return Session.Failed("cuDeviceGetByPCIBusId"u8, e); }
    }

    private static string BusId(int device) => $"{Devices.Attribute(device, PciDomain):X4}:{Devices.Attribute(device, PciBus):X2}:{Devices.Attribute(device, PciDevice):X2}.0";

    /// <summary>1 between software devices, 0 between GPUs; copies between devices are offered always.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceCanAccessPeer")]
    public static CUresult CanAccessPeer(int* can, CUdevice device, CUdevice peer)
    {
        CUresult result = Check(can, device);
        if (result == CUresult.CUDA_SUCCESS && !Devices.IsValid(peer)) result = CUresult.CUDA_ERROR_INVALID_DEVICE;
        if (result == CUresult.CUDA_SUCCESS) *can = PeerAccess.IsOffered(device.Value, peer.Value) ? 1 : 0;
        return result;
    }

    /// <param name="attribute">1 performance rank, 2 access, 3 native atomics, 4 array access: 0 without peer access</param>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetP2PAttribute")]
    public static CUresult GetP2PAttribute(int* value, int attribute, CUdevice device, CUdevice peer)
    {
        CUresult result = Check(value, device);
        if (result == CUresult.CUDA_SUCCESS && (!Devices.IsValid(peer) || device == peer)) result = CUresult.CUDA_ERROR_INVALID_DEVICE;
        if (result == CUresult.CUDA_SUCCESS && attribute is < 1 or > 4) result = CUresult.CUDA_ERROR_INVALID_VALUE;
        if (result == CUresult.CUDA_SUCCESS) *value = attribute != 1 && PeerAccess.IsOffered(device.Value, peer.Value) ? 1 : 0;
        return result;
    }

    /// <summary>The device's own pool; its handle is given by rule, as the primary context's is.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetDefaultMemPool")]
    public static CUresult GetDefaultMemPool(CUmemoryPool* pool, CUdevice device) => DefaultPool(pool, device);

    /// <param name="type">0 CU_EXEC_AFFINITY_TYPE_SM_COUNT: not offered</param>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetExecAffinitySupport")]
    public static CUresult GetExecAffinitySupport(int* supported, int type, CUdevice device)
    {
        CUresult result = Check(supported, device);
        if (result == CUresult.CUDA_SUCCESS && type != 0) result = CUresult.CUDA_ERROR_INVALID_VALUE;
        if (result == CUresult.CUDA_SUCCESS) *supported = 0;
        return result;
    }

    private static CUresult DefaultPool(CUmemoryPool* pool, CUdevice device)
    {
        CUresult result = Check(pool, device);
        if (result == CUresult.CUDA_SUCCESS) *pool = new CUmemoryPool(VirtualHandle.Make(HandleKind.MemoryPool, (ulong)device.Value + 1));
        return result;
    }
}
