using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Gmmu;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Replay;
using TreCr.Ring;

namespace TreCr.Delegator;

/// <summary>
/// One program image and its device: segment, pinned arena, back end, GMMU, handles and log. Made by <see cref="Create"/> (new program) or
/// <see cref="Restore"/> (from a snapshot); serves from <see cref="Serve"/> to <see cref="Dispose"/>.
/// </summary>
internal sealed unsafe partial class Session : IDisposable
{
    private readonly ICudaBackend _backend;
    private readonly LateAllocator _allocator;
    private readonly DeviceMemory _memory;
    private readonly Staging _staging;
    private readonly HandleTable _handles = new();
    private readonly CallLog _log = new();
    private readonly MemoryCalls _memoryCalls;
    private readonly CheckedCopies _copies;
    private readonly OutputCalls _execution;
    private readonly SharingCalls _sharing;
    private readonly Dispatcher _dispatcher;
    private readonly Segment _segment;
    private readonly bool _pinnedMapped;
    private static readonly TimeSpan s_importDeadline = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("TRECR_IMPORT_SECONDS"), out int seconds) && seconds > 0 ? seconds : 240);
    private ulong[] _capacityBytes = [];
    private string[] _deviceNames = [];
    private ProgramMemory _program = new(0);
    private int _served, _disposed;

    private Session(Func<IDeviceAllocator, ICudaBackend> makeBackend, uint deviceCount, bool portable)
    {
        IsPortable = portable;
        _allocator = new LateAllocator();
        _backend = makeBackend(_allocator);
        _memory = new DeviceMemory(_backend);
        _allocator.Target = _memory;
        _staging = new Staging(_backend);
        (_segment, SegmentDescriptor) = Segment.Create(deviceCount);
        HostFunctions = new HostFunctions(_segment);
        Copier = new CopyEngine(_backend, _memory, _staging, () => _program);
        _memoryCalls = new MemoryCalls(_backend, _memory);
        _copies = new CheckedCopies(_backend, _memory);
        _execution = new OutputCalls(_backend, _segment);
        _sharing = new SharingCalls(_backend, _memory, () => _replaying is not null);
        _memory.Describe = () => _program.Name;
        _dispatcher = new Dispatcher(_segment, this) { OnFailure = e => OnFailure?.Invoke(e) };
        PinnedDescriptor = Sys.MemfdCreate(SegmentLayout.PinnedName);
        try
        {
            Sys.Ftruncate(PinnedDescriptor, (long)SegmentLayout.PinnedBytes);
            long got = Sys.Mmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, Sys.PROT_READ | Sys.PROT_WRITE,
                Sys.MAP_SHARED | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE, PinnedDescriptor);
            Sys.Check(got, "mmap", $"pinned arena at 0x{SegmentLayout.PinnedBase:x}");
            _pinnedMapped = true;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    internal HostFunctions HostFunctions { get; }

    internal CopyEngine Copier { get; }

    /// <summary>Called on the dispatcher thread when the program broke the ring.</summary>
    public Action<Exception>? OnFailure { get; set; }

    /// <summary>What the program broke; null: nothing.</summary>
    public Exception? Failure => _dispatcher.Failure;

    /// <summary>Descriptor of the segment; the session's.</summary>
    public int SegmentDescriptor { get; private set; }

    /// <summary>Descriptor of the pinned arena; the session's.</summary>
    public int PinnedDescriptor { get; }

    public uint DeviceCount => (uint)_capacityBytes.Length;

    /// <summary>"soft" or "cuda".</summary>
    public string DeviceKind => _backend.DeviceKind;

    public string DeviceName => _deviceNames.Length == 0 ? "" : _deviceNames[0];

    public ulong AllocatedBytes => _memory.AllocatedBytes;

    /// <summary>Functions that the program has called and that are not supported, each once.</summary>
    public List<string> NotSupported => NotSupportedNames.Read(_segment);

    /// <summary>A session for a new program.</summary>
    /// <param name="makeBackend">gets the allocator for the back end's own device memory</param>
    /// <param name="portable">the program is told of <see cref="PortableDevice"/></param>
    /// <param name="result">what cuInit shall answer; not success: the session is null</param>
    /// <param name="error">why, for stderr</param>
    /// <exception cref="LinuxException">no memory, or the address of the pinned arena is taken</exception>
    public static Session? Create(Func<IDeviceAllocator, ICudaBackend> makeBackend, bool portable, out CUresult result, out string? error)
    {
        Session session = new(makeBackend, 0, portable);
        result = session.StartDevices(null, out error);
        if (result == CUresult.CUDA_SUCCESS) return session;
        session.Dispose();
        return null;
    }

    /// <summary>cuInit, device facts, address slots.</summary>
    /// <param name="capacityBytes">memory that a restored program was told its devices have; null: what they have</param>
    private CUresult StartDevices(ulong[]? capacityBytes, out string? error)
    {
        error = null;
        CUresult result = _backend.cuInit(0);
        int count = 0;
        if (result == CUresult.CUDA_SUCCESS) result = _backend.cuDeviceGetCount(&count);
        if (result == CUresult.CUDA_SUCCESS && count == 0) result = CUresult.CUDA_ERROR_NO_DEVICE;
        if (result != CUresult.CUDA_SUCCESS) return result;
        count = Math.Min(count, SegmentLayout.MaxDevices);
        if (capacityBytes is not null)
        {
            if (capacityBytes.Length > count)
            {
                error = $"the program uses {capacityBytes.Length} devices, here are {count}";
                return CUresult.CUDA_ERROR_INVALID_DEVICE;
            }
            count = capacityBytes.Length;
        }
        _capacityBytes = new ulong[count];
        _deviceNames = new string[count];
        byte* name = stackalloc byte[256];
        for (int i = 0; i < count; i++)
        {
            nuint total;
            result = _backend.cuDeviceTotalMem_v2(&total, new CUdevice(i));
            if (result == CUresult.CUDA_SUCCESS) result = _backend.cuDeviceGetName(name, 256, new CUdevice(i));
            if (result != CUresult.CUDA_SUCCESS) return result;
            _capacityBytes[i] = capacityBytes?[i] ?? total;
            _deviceNames[i] = System.Runtime.InteropServices.Marshal.PtrToStringUTF8((nint)name) ?? "";
        }
        _segment.Header->DeviceCount = (uint)count;
        return _memory.Reserve(SegmentLayout.DeviceBase, SegmentLayout.DeviceSlotBytes, _capacityBytes, SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, out error);
    }

    /// <summary>After a restore, before <see cref="Serve"/>: maps the memory that other processes of the job share with this one. They are there, or are on their way too.</summary>
    /// <param name="hostPid">the program, as this process sees it</param>
    /// <exception cref="ImageException">somebody did not come; named</exception>
    public void Connect(int hostPid)
    {
        _program = new ProgramMemory(hostPid);
        if (!_memory.PublishExports(out string? error) || !_memory.ConnectImports(s_importDeadline, out error)) throw new ImageException(error!); // published once more: the program has a name now
    }

    /// <summary>Begins to serve the program's records. Once.</summary>
    /// <param name="hostPid">the program, as this process sees it</param>
    public void Serve(int hostPid)
    {
        if (Interlocked.Exchange(ref _served, 1) != 0) throw new InvalidOperationException("served already");
        _program = new ProgramMemory(hostPid);
        _dispatcher.Start();
    }

    /// <summary>Stops issuing, runs what was issued to its end, waits until the device is idle. On failure everything goes on.</summary>
    /// <param name="blocker">what did not end: call, host function, kernel</param>
    public bool Gate(TimeSpan deadline, out string? blocker)
    {
        Fault.At(FaultPoint.DelegatorGate);
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        if (!_dispatcher.Close(deadline, out blocker))
        {
            blocker = HostFunctions.Running ?? blocker;
            _backend.GateOpened();
            return false;
        }
        if (DrainContexts(start, deadline, out blocker)) return true;
        blocker = HostFunctions.Running ?? blocker ?? "the device";
        Open();
        return false;
    }

    /// <summary>Back ends drain the context that is current: each has its turn.</summary>
    private bool DrainContexts(long start, TimeSpan deadline, out string? blocker)
    {
        blocker = null;
        foreach (ulong context in _contexts.Keys)
        {
            if (!MakeCurrent(CallState.Current, context, true)) continue;
            TimeSpan left = deadline - System.Diagnostics.Stopwatch.GetElapsedTime(start);
            if (!_backend.Drain(left > TimeSpan.Zero ? left : TimeSpan.Zero, out blocker)) return false;
        }
        return true;
    }

    /// <summary>True between a successful <see cref="Gate"/> and <see cref="Open"/>.</summary>
    public bool IsGated => _dispatcher.IsGated;

    /// <summary>Goes on issuing.</summary>
    public void Open()
    {
        _backend.GateOpened();
        _dispatcher.Open();
    }

    /// <summary>Ends the session: threads, device memory, mappings, descriptors.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        HostFunctions.ProgramGone();
        _dispatcher.Dispose();
        // A kernel that never ends goes on until this process does: memory is not taken from under it.
        if (!_backend.Drain(TimeSpan.FromSeconds(2), out _)) return;
        _lazy?.Dispose();
        _deviceWrites?.Dispose();
        _pinnedWrites?.Dispose();
        _memory.Dispose();
        _staging.Dispose();
        (_backend as IDisposable)?.Dispose();
        if (_pinnedMapped) Sys.Munmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes);
        Sys.Close(PinnedDescriptor);
        _segment.Unmap();
        Sys.Close(SegmentDescriptor);
    }

    /// <summary>Stands in for the GMMU while the back end is constructed, which the GMMU needs itself.</summary>
    private sealed class LateAllocator : IDeviceAllocator
    {
        public IDeviceAllocator? Target { get; set; }

        public ulong Allocate(int deviceOrdinal, ulong bytes) => Target!.Allocate(deviceOrdinal, bytes);

        public ulong AllocateManaged(int deviceOrdinal, ulong bytes) => Target!.AllocateManaged(deviceOrdinal, bytes);

        public void Free(ulong address) => Target!.Free(address);
    }
}
