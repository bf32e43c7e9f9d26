using TreCr.Calls.Cuda;
using TreCr.Ptx;
using TreCr.Ptx.Container;
using TreCr.SoftDevice.Cache;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>The software CUDA device behind the back-end interfaces: one device or several on the same cores, memory at its fixed addresses in this process.</summary>
/// <remarks>Any thread; no call throws. Handles are numbers of a table, so a wrong one is CUDA_ERROR_INVALID_HANDLE, never a crash.</remarks>
public sealed unsafe partial class SoftBackend : ICudaBackend, IDeviceSharing, IDisposable
{
    const ulong FirstHandle = 0x50F7_0000_0001;
    readonly IDeviceAllocator allocator;
    readonly ZstdDecoder? zstd;
    bool isChecked;
    readonly SoftScheduler scheduler;
    readonly KernelCache? kernels;
    readonly Lock gate = new();
    readonly Dictionary<ulong, object> objects = [];
    readonly Dictionary<object, ulong> handles = new(ReferenceEqualityComparer.Instance);
    ulong nextHandle = FirstHandle;
    readonly SoftContext?[] primaries = new SoftContext?[SoftDeviceFacts.MaxDevices];
    int deviceCount = SoftDeviceFacts.DeviceCount;
    bool initialised;
    [ThreadStatic] static (SoftBackend Owner, SoftContext Context)? current;

    /// <param name="allocator">gives device memory for module variables</param>
    /// <param name="zstd">decoder for zstd-compressed fat binaries; null: they are refused by name</param>
    /// <param name="isChecked">false leaves out all address checks (benches only)</param>
    /// <param name="workers">OS threads that run kernels; 0: one per core</param>
    /// <param name="meetingDirectory">this user's alone: where communicators of several processes meet; null: there are none</param>
    /// <param name="job">whose processes may share memory</param>
    /// <param name="kernelCache">where compiled kernels are kept; null: nowhere</param>
    public SoftBackend(IDeviceAllocator allocator, ZstdDecoder? zstd = null, bool isChecked = true, int workers = 0, string? meetingDirectory = null, string job = "", KernelCacheSettings? kernelCache = null)
    {
        this.meetingDirectory = meetingDirectory;
        jobHash = BitConverter.ToUInt64(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(job)));
        this.allocator = allocator;
        this.zstd = zstd;
        this.isChecked = isChecked;
        kernels = Emit.ProgramBuilder.Mutation is null ? KernelCache.Open(kernelCache) : null;
        scheduler = new(workers > 0 ? workers : SoftDeviceFacts.Multiprocessors);
    }

    public string DeviceKind => "soft";
    public bool DeviceMemoryIsHostMemory => true;

    /// <summary>Whether kernels compiled from now on check addresses; for the bench.</summary>
    internal bool IsChecked { set => isChecked = value; }

    public bool Provide(int devices)
    {
        if (devices > SoftDeviceFacts.MaxDevices || memfd >= 0) return false;
        deviceCount = Math.Max(deviceCount, devices);
        return true;
    }

    public bool Drain(TimeSpan deadline, out string? blocker) => scheduler.DrainAll(deadline, out blocker);

    ulong Add(object o)
    {
        lock (gate)
        {
            if (handles.TryGetValue(o, out ulong known)) return known;
            ulong h = nextHandle++;
            objects[h] = o;
            handles[o] = h;
            return h;
        }
    }

    void Remove(object o)
    {
        lock (gate)
            if (handles.Remove(o, out ulong h)) objects.Remove(h);
    }

    T? Find<T>(ulong handle) where T : class
    {
        lock (gate) return objects.TryGetValue(handle, out object? o) ? o as T : null;
    }

    SoftContext? Current
    {
        get
        {
            if (current is not { } c || c.Owner != this) return null;
            lock (gate) return handles.ContainsKey(c.Context) ? c.Context : null;
        }
    }

    /// <summary>The current context, or why there is none that works.</summary>
    CUresult NeedContext(out SoftContext context)
    {
        context = Current!;
        return context is null ? CUDA_ERROR_INVALID_CONTEXT : (CUresult)context.StickyError;
    }

    CUresult NeedStream(CUstream handle, out SoftStream stream)
    {
        stream = null!;
        CUresult result = NeedContext(out SoftContext context);
        if (context is null) return result;
        if (handle.Value <= 2) stream = context.Legacy;
        else if (Find<SoftStream>(handle.Value) is { Destroyed: false } s) stream = s;
        else return CUDA_ERROR_INVALID_HANDLE;
        return (CUresult)stream.Context.StickyError;
    }

    static CUresult Say(PtxException e, string what)
    {
        Console.Error.WriteLine($"trecr: {what}: {e.Message}");
        return (CUresult)e.CudaError;
    }

    public void Dispose()
    {
        scheduler.Dispose();
        kernels?.Dispose();
        EndSharing();
        board?.Dispose();
        ReleaseMemory();
    }
}
