using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls.Cuda;
using TreCr.Delegator;
using TreCr.Gmmu;
using TreCr.Ring;
using TreCr.SoftDevice.Backend;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.Surface.Tests.Differential;

/// <summary>Carries out a sequence on the software device itself: no wrapper, ring, dispatch or log. Memory is the GMMU's, with the delegator's checks in front of it.</summary>
/// <remarks>Device memory has one address: one at a time in a process.</remarks>
internal sealed unsafe class DirectRun : IDisposable
{
    private const ulong Garbage = 0x1234;

    private sealed class Late : IDeviceAllocator
    {
        public IDeviceAllocator? Target { get; set; }
        public ulong Allocate(int deviceOrdinal, ulong bytes) => Target!.Allocate(deviceOrdinal, bytes);
        public ulong AllocateManaged(int deviceOrdinal, ulong bytes) => Target!.AllocateManaged(deviceOrdinal, bytes);
        public void Free(ulong address) => Target!.Free(address);
    }

    private readonly SoftBackend _backend;
    private readonly DeviceMemory _gmmu;
    private readonly MemoryCalls _memoryCalls;
    private readonly CheckedCopies _copies;
    private readonly ulong[] _memory = new ulong[Sequence.Places], _host = new ulong[Sequence.Places], _stream = new ulong[Sequence.Places], _event = new ulong[Sequence.Places];
    private readonly byte[] _bytes = new byte[1 << 20];
    private readonly CUmodule _module;
    private readonly CUfunction _kernel;

    public DirectRun(string ptx)
    {
        Late allocator = new();
        _backend = new SoftBackend(allocator);
        _gmmu = new DeviceMemory(_backend);
        allocator.Target = _gmmu;
        _memoryCalls = new MemoryCalls(_backend, _gmmu);
        _copies = new CheckedCopies(_backend, _gmmu);
        Array.Fill(_stream, Garbage);
        Array.Fill(_event, Garbage);
        CUcontext context;
        nuint total;
        Need(_backend.cuInit(0));
        Need(_backend.cuDeviceTotalMem_v2(&total, new CUdevice(0)));
        Need(_gmmu.Reserve(SegmentLayout.DeviceBase, SegmentLayout.DeviceSlotBytes, [total], SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, out _));
        Need(_backend.cuDevicePrimaryCtxRetain(&context, new CUdevice(0)));
        Need(_backend.cuCtxSetCurrent(context));
        CallState.Current.Context = context.Value;
        CUmodule module;
        CUfunction kernel;
        Need(Load(ptx, &module));
        FunctionFacts facts;
        fixed (byte* name = "affine\0"u8) Need(_backend.trecrModuleGetFunction(&kernel, &facts, module, name));
        (_module, _kernel) = (module, kernel);
    }

    private static void Need(CUresult result)
    {
        if (result != CUDA_SUCCESS) throw new InvalidOperationException($"{result}");
    }

    private CUresult Load(string image, CUmodule* module)
    {
        byte[] bytes = [.. Encoding.Latin1.GetBytes(image), 0];
        fixed (byte* p = bytes) return _backend.trecrModuleLoad(module, p, (nuint)bytes.Length);
    }

    /// <summary>One call, as a line of sequence.c without its number.</summary>
    public string Run(SequenceCall call)
    {
        string given = "";
        CUresult result = Run(call.Name, call.Arguments, ref given);
        return $"{(int)result}{given}";
    }

    private CUstream StreamOf(long place) => new(place < 0 ? 0 : _stream[place]);

    private CUdeviceptr At(long place, long offset) => new(_memory[place] + (ulong)offset);

    private CUresult Run(string name, long[] a, ref string given)
    {
        CUresult r;
        CUdeviceptr at = default;
        nuint n = 0;
        int value = 0;
        switch (name)
        {
            case "alloc":
                r = _memoryCalls.cuMemAlloc_v2(&at, (nuint)a[1]);
                if (r == CUDA_SUCCESS) _memory[a[0]] = at.Value;
                return r;
            case "pitch":
                r = _memoryCalls.cuMemAllocPitch_v2(&at, &n, (nuint)a[1], (nuint)a[2], (uint)a[3]);
                if (r == CUDA_SUCCESS) (_memory[a[0]], given) = (at.Value, $" {n}");
                return r;
            case "free": return _memoryCalls.cuMemFree_v2(a[0] < 0 ? default : At(a[0], a[1]));
            case "set8": return _copies.cuMemsetD8Async(At(a[0], a[1]), (byte)a[3], (nuint)a[2], StreamOf(a[4]));
            case "set16": return _copies.cuMemsetD16Async(At(a[0], a[1]), (ushort)a[3], (nuint)a[2], StreamOf(a[4]));
            case "set32": return _copies.cuMemsetD32Async(At(a[0], a[1]), (uint)a[3], (nuint)a[2], StreamOf(a[4]));
            case "rows32": return _copies.cuMemsetD2D32Async(At(a[0], 0), (nuint)a[1], (uint)a[4], (nuint)a[2], (nuint)a[3], CUstream.Legacy);
            case "htod":
                for (long i = 0; i < a[2] && i < _bytes.Length; i++) _bytes[i] = (byte)(i * 31 + a[3] ^ i >> 8);
                fixed (byte* p = _bytes) return Waited(_copies.cuMemcpyHtoDAsync_v2(At(a[0], a[1]), p, (nuint)a[2], CUstream.Legacy));
            case "dtoh":
                Array.Clear(_bytes);
                fixed (byte* p = _bytes) r = Waited(_copies.cuMemcpyDtoHAsync_v2(p, At(a[0], a[1]), (nuint)a[2], CUstream.Legacy));
                given = $" {Hash(_bytes.AsSpan(0, (int)a[2])):x16}";
                return r;
            case "dtod": return _copies.cuMemcpyDtoDAsync_v2(At(a[0], a[1]), At(a[2], a[3]), (nuint)a[4], StreamOf(a[5]));
            case "range":
                r = _memoryCalls.cuMemGetAddressRange_v2(&at, &n, At(a[0], a[1]));
                if (r == CUDA_SUCCESS) given = $" {(long)(at.Value - _memory[a[0]])} {n}";
                return r;
            case "pointer":
                PointerFacts facts;
                _memoryCalls.trecrPointerFacts(&facts, At(a[0], a[1]));
                if (facts.MemoryType == 0) return CUDA_ERROR_INVALID_VALUE;
                given = $" {facts.MemoryType}";
                return CUDA_SUCCESS;
            case "launch":
                ulong* block = stackalloc ulong[3];
                (block[0], block[1], block[2]) = (_memory[a[0]], _memory[a[1]], (ulong)a[2]);
                return _backend.trecrLaunchKernel(a[7] != 0 ? _kernel : new CUfunction(Garbage), (uint)a[3], 1, 1, (uint)a[4], 1, 1, (uint)a[5], StreamOf(a[6]), 0, block, 20);
            case "newstream":
                CUstream stream;
                r = _backend.cuStreamCreateWithPriority(&stream, (uint)a[1], 0);
                if (r == CUDA_SUCCESS) _stream[a[0]] = stream.Value;
                return r;
            case "endstream": return _backend.cuStreamDestroy_v2(new CUstream(_stream[a[0]]));
            case "wait": return _backend.cuStreamSynchronize(StreamOf(a[0]));
            case "query": return _backend.cuStreamQuery(StreamOf(a[0]));
            case "flags":
                uint flags;
                r = _backend.cuStreamGetFlags(new CUstream(_stream[a[0]]), &flags);
                if (r == CUDA_SUCCESS) given = $" {flags}";
                return r;
            case "waitevent": return _backend.cuStreamWaitEvent(StreamOf(a[0]), new CUevent(_event[a[1]]), 0);
            case "newevent":
                CUevent e;
                r = _backend.cuEventCreate(&e, (uint)a[1]);
                if (r == CUDA_SUCCESS) _event[a[0]] = e.Value;
                return r;
            case "endevent": return _backend.cuEventDestroy_v2(new CUevent(_event[a[0]]));
            case "record": return _backend.cuEventRecord(new CUevent(_event[a[0]]), StreamOf(a[1]));
            case "eventwait": return _backend.cuEventSynchronize(new CUevent(_event[a[0]]));
            case "elapsed":
                float ms;
                return _backend.cuEventElapsedTime(&ms, new CUevent(_event[a[0]]), new CUevent(_event[a[1]]));
            case "hostalloc":
                ulong host;
                r = _memoryCalls.cuMemHostAlloc(&host, (nuint)a[1], (uint)a[2]);
                if (r == CUDA_SUCCESS) (_host[a[0]], given) = (host, host != 0 ? " 1" : " 0");
                return r;
            case "hostfree": return _memoryCalls.cuMemFreeHost(a[0] < 0 ? 0 : _host[a[0]] + (ulong)a[1]);
            case "hostflags":
                uint hostFlags;
                r = _memoryCalls.cuMemHostGetFlags(&hostFlags, _host[a[0]]);
                if (r == CUDA_SUCCESS) given = $" {hostFlags}";
                return r;
            case "function":
                CUfunction function;
                FunctionFacts unused;
                fixed (byte* text = a[0] != 0 ? "affine\0"u8 : "nowhere\0"u8) return _backend.trecrModuleGetFunction(&function, &unused, _module, text);
            case "global":
                fixed (byte* text = a[0] != 0 ? "table\0"u8 : "nowhere\0"u8) r = _backend.cuModuleGetGlobal_v2(&at, &n, _module, text);
                if (r == CUDA_SUCCESS) given = $" {n}";
                return r;
            case "attribute":
                r = _backend.cuFuncGetAttribute(&value, (int)a[0], _kernel);
                if (r == CUDA_SUCCESS) given = $" {value}";
                return r;
            case "setattribute": return _backend.cuFuncSetAttribute(_kernel, (int)a[0], (int)a[1]);
            case "load":
                CUmodule module;
                r = Load(a[0] switch { 0 => ".version 6.4\n.target sm_50\n.address_size 64\n", 1 => "\u0001\u0002\u0003\u0004", _ => ".version 6.4\n.target sm_50\n.visible .entry k() {\n nonsense.u32 %r1;\n ret;\n}\n" }, &module);
                return r != CUDA_SUCCESS ? r : _backend.cuModuleUnload(module);
            case "limit":
                r = _backend.cuCtxGetLimit(&n, (int)a[0]);
                if (r == CUDA_SUCCESS) given = $" {n}";
                return r;
            case "occupancy":
                r = _backend.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&value, _kernel, (int)a[0], (nuint)a[1], 0);
                if (r == CUDA_SUCCESS) given = $" {value}";
                return r;
            case "synchronize": return _backend.cuCtxSynchronize();
            case "hold": return CUDA_SUCCESS;
            default: throw new ArgumentException(name);
        }
    }

    private CUresult Waited(CUresult issued) => issued != CUDA_SUCCESS ? issued : _backend.cuStreamSynchronize(CUstream.Legacy);

    private static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        ulong hash = 14695981039346656037;
        foreach (byte b in bytes) hash = (hash ^ b) * 1099511628211;
        return hash;
    }

    public void Dispose()
    {
        _backend.Drain(TimeSpan.FromSeconds(10), out _);
        _gmmu.Dispose();
        _backend.Dispose();
        TreCr.Linux.Sys.Munmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes);
    }
}
