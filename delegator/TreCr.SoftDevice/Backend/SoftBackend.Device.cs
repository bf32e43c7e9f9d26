using System.Text;
using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

public sealed unsafe partial class SoftBackend
{
    public CUresult cuInit(uint flags)
    {
        if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
        initialised = true;
        return CUDA_SUCCESS;
    }

    public CUresult cuDriverGetVersion(int* driverVersion)
    {
        if (driverVersion == null) return CUDA_ERROR_INVALID_VALUE;
        *driverVersion = SoftDeviceFacts.DriverVersion;
        return CUDA_SUCCESS;
    }

    CUresult NeedDevice(CUdevice device, void* output)
        => !initialised ? CUDA_ERROR_NOT_INITIALIZED : output == null ? CUDA_ERROR_INVALID_VALUE : (uint)device.Value >= (uint)deviceCount ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;

    public CUresult cuDeviceGetCount(int* count)
    {
        CUresult r = NeedDevice(default, count);
        if (r == CUDA_SUCCESS) *count = deviceCount;
        return r;
    }

    public CUresult cuDeviceGet(CUdevice* device, int ordinal)
    {
        CUresult r = NeedDevice(new(ordinal), device);
        if (r == CUDA_SUCCESS) *device = new(ordinal);
        return r;
    }

    public CUresult cuDeviceGetName(byte* name, int length, CUdevice device)
    {
        CUresult r = NeedDevice(device, name);
        if (r != CUDA_SUCCESS || length <= 0) return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
        byte[] text = Encoding.ASCII.GetBytes(SoftDeviceFacts.Name);
        int n = Math.Min(text.Length, length - 1);
        text.AsSpan(0, n).CopyTo(new(name, n));
        name[n] = 0;
        return CUDA_SUCCESS;
    }

    public CUresult cuDeviceTotalMem_v2(nuint* bytes, CUdevice device)
    {
        CUresult r = NeedDevice(device, bytes);
        if (r == CUDA_SUCCESS) *bytes = (nuint)SoftDeviceFacts.MemoryBytes;
        return r;
    }

    public CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device)
    {
        CUresult r = NeedDevice(device, value);
        if (r != CUDA_SUCCESS) return r;
        if (SoftDeviceFacts.Attribute(attribute, device.Value) is not { } v) return CUDA_ERROR_INVALID_VALUE;
        *value = v;
        return CUDA_SUCCESS;
    }

    public CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device)
    {
        CUresult r = NeedDevice(device, uuid);
        if (r != CUDA_SUCCESS) return r;
        SoftDeviceFacts.Uuid.CopyTo(new(uuid->Bytes, 16));
        uuid->Bytes[15] += (byte)device.Value;
        return r;
    }

    public CUresult trecrDeviceFacts(DeviceFacts* facts, CUdevice device)
    {
        CUresult r = NeedDevice(device, facts);
        if (r != CUDA_SUCCESS) return r;
        *facts = default;
        cuDeviceGetName(facts->Name, 256, device);
        facts->TotalMemoryBytes = SoftDeviceFacts.MemoryBytes;
        cuDeviceGetUuid(&facts->Uuid, device);
        for (int n = 0; n < DeviceFacts.AttributeCount; n++)
        {
            if (SoftDeviceFacts.Attribute(n, device.Value) is { } v) facts->Attributes[n] = v;
            else facts->AttributeErrors[n >> 6] |= 1UL << (n & 63);
        }
        facts->DriverVersion = SoftDeviceFacts.DriverVersion;
        facts->DeviceCount = deviceCount;
        facts->LeastStreamPriority = 0;
        facts->GreatestStreamPriority = -5;
        return CUDA_SUCCESS;
    }

    public CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device)
    {
        CUresult r = NeedDevice(device, context);
        if (r != CUDA_SUCCESS) return r;
        SoftContext primary;
        lock (gate) primary = primaries[device.Value] ??= scheduler.NewContext(device.Value);
        *context = new(Add(primary));
        return CUDA_SUCCESS;
    }

    public CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
    {
        if ((uint)device.Value >= (uint)deviceCount) return CUDA_ERROR_INVALID_DEVICE;
        if (primaries[device.Value] is not { } primary) return CUDA_ERROR_INVALID_CONTEXT;
        Destroy(primary);
        primaries[device.Value] = null;
        return CUDA_SUCCESS;
    }

    public CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
    {
        if ((uint)device.Value >= (uint)deviceCount) return CUDA_ERROR_INVALID_DEVICE;
        if (primaries[device.Value] is not { } primary) return CUDA_SUCCESS;
        Destroy(primary);
        primaries[device.Value] = null;
        return CUDA_SUCCESS;
    }

    public CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, uint flags) => (uint)device.Value >= (uint)deviceCount ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;

    public CUresult cuCtxCreate_v2(CUcontext* context, uint flags, CUdevice device)
    {
        CUresult r = NeedDevice(device, context);
        if (r != CUDA_SUCCESS) return r;
        SoftContext c = scheduler.NewContext(device.Value);
        *context = new(Add(c));
        current = (this, c);
        return CUDA_SUCCESS;
    }

    public CUresult cuCtxDestroy_v2(CUcontext context)
    {
        if (Find<SoftContext>(context.Value) is not { } c) return CUDA_ERROR_INVALID_CONTEXT;
        Destroy(c);
        if (primaries[c.Device] == c) primaries[c.Device] = null;
        return CUDA_SUCCESS;
    }

    /// <summary>Ends a context and all that it owns, after its work.</summary>
    void Destroy(SoftContext c)
    {
        scheduler.WaitAll(c);
        List<object> dying;
        lock (gate)
            dying = [.. handles.Keys.Where(o => o switch { SoftModule m => m.Context == c, SoftFunction f => f.Module.Context == c, SoftStream s => s.Context == c, SoftEventOwner e => e.Context == c, SoftImage i => i.Context == c, _ => false })];
        foreach (object o in dying)
        {
            if (o is SoftModule m) FreeMemory(m);
            Remove(o);
        }
        Remove(c);
        scheduler.Remove(c);
    }

    public CUresult cuCtxSetCurrent(CUcontext context)
    {
        if (context.Value == 0) { current = null; return CUDA_SUCCESS; }
        if (Find<SoftContext>(context.Value) is not { } c) return CUDA_ERROR_INVALID_CONTEXT;
        current = (this, c);
        return CUDA_SUCCESS;
    }

    public CUresult cuCtxSynchronize()
    {
        if (Current is not { } c) return CUDA_ERROR_INVALID_CONTEXT;
        scheduler.WaitAll(c);
        return (CUresult)c.StickyError;
    }

    // CUlimit: 0 stack, 1 printf FIFO, 2 malloc heap, 3 and 4 device runtime, 5 L2 granularity, 6 persisting L2.
    readonly nuint[] limits = [1024, 1 << 20, 8 << 20, 2, 2048, 128, 0];

    public CUresult cuCtxGetLimit(nuint* value, int limit)
    {
        if (value == null) return CUDA_ERROR_INVALID_VALUE;
        if (Limit(limit) is not { } known) return CUDA_ERROR_UNSUPPORTED_LIMIT;
        *value = (nuint)known;
        return CUDA_SUCCESS;
    }

    ulong? Limit(int limit) => (uint)limit < limits.Length ? limits[limit] : null;

    public CUresult cuCtxSetLimit(int limit, nuint value)
    {
        if ((uint)limit >= limits.Length) return CUDA_ERROR_UNSUPPORTED_LIMIT;
        limits[limit] = value;
        return CUDA_SUCCESS;
    }

    int cacheConfig, sharedConfig;

    public CUresult cuCtxGetCacheConfig(int* config)
    {
        if (config == null) return CUDA_ERROR_INVALID_VALUE;
        *config = cacheConfig;
        return CUDA_SUCCESS;
    }

    public CUresult cuCtxSetCacheConfig(int config)
    {
        cacheConfig = config;
        return CUDA_SUCCESS;
    }

    public CUresult cuCtxGetSharedMemConfig(int* config)
    {
        if (config == null) return CUDA_ERROR_INVALID_VALUE;
        *config = sharedConfig;
        return CUDA_SUCCESS;
    }

    public CUresult cuCtxSetSharedMemConfig(int config)
    {
        sharedConfig = config;
        return CUDA_SUCCESS;
    }

    public CUresult cuCtxResetPersistingL2Cache() => CUDA_SUCCESS;
}
