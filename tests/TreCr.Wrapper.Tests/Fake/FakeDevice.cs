using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Tests.Fake;

/// <summary>A device whose memory is this process's at the device's addresses, with one kernel, <c>add(int* a, int* b, int* c, int n)</c>. Everything is done at once.</summary>
internal sealed unsafe class FakeDevice : ICudaDevice, ICudaContext, ICudaModule, ICudaMemory, ICudaCopy, ICudaExecution, ICudaStream, ICudaEvent
{
    public const ulong MemoryBytes = 256UL << 20;
    private readonly Dictionary<ulong, nuint> _blocks = [];
    private ulong _next = SegmentLayout.DeviceBase, _nextPinned = SegmentLayout.PinnedBase, _handle = 100;

    public List<string> Images { get; } = [];

    public int Launches { get; private set; }

    /// <summary>Text that trecrTakeDeviceOutput gives once.</summary>
    public string Output { get; set; } = "";

    /// <summary>Called for host functions.</summary>
    public Action<ulong, ulong>? HostFunction { get; set; }

    public FakeDevice() => Sys.Check(Sys.Mmap(SegmentLayout.DeviceBase, MemoryBytes, Sys.PROT_READ | Sys.PROT_WRITE,
        Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE), "mmap", "fake device");

    public void Dispose() => Sys.Munmap(SegmentLayout.DeviceBase, MemoryBytes);

    private bool Inside(ulong address, ulong bytes)
    {
        foreach ((ulong start, nuint length) in _blocks) if (address >= start && address + bytes <= start + length) return true;
        return false;
    }

    public CUresult cuInit(uint flags) => 0;
    public CUresult cuDriverGetVersion(int* driverVersion) => CUresult.CUDA_ERROR_UNKNOWN;
    public CUresult cuDeviceGetCount(int* count) => CUresult.CUDA_ERROR_UNKNOWN;
    public CUresult cuDeviceGet(CUdevice* device, int ordinal) => CUresult.CUDA_ERROR_UNKNOWN;
    public CUresult cuDeviceGetName(byte* name, int length, CUdevice device) => CUresult.CUDA_ERROR_UNKNOWN;
    public CUresult cuDeviceTotalMem_v2(nuint* bytes, CUdevice device) => CUresult.CUDA_ERROR_UNKNOWN;
    public CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device) => CUresult.CUDA_ERROR_UNKNOWN;
    public CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) => CUresult.CUDA_ERROR_UNKNOWN;

    public CUresult trecrDeviceFacts(DeviceFacts* facts, CUdevice device)
    {
        *facts = default;
        "Fake device\0"u8.CopyTo(new Span<byte>(facts->Name, 256));
        facts->TotalMemoryBytes = MemoryBytes;
        for (int i = 0; i < 16; i++) facts->Uuid.Bytes[i] = (byte)(i + 1);
        foreach ((int attribute, int value) in new[] { (1, 1024), (2, 1024), (3, 1024), (4, 64), (5, int.MaxValue), (6, 65535), (7, 65535), (8, 49152), (10, 32), (16, 4), (33, 2),
            (39, 2048), (75, 10), (76, 0) }) facts->Attributes[attribute] = value;
        // 159 stands for an attribute that the device does not know.
        facts->AttributeErrors[159 >> 6] |= 1UL << (159 & 63);
        facts->DeviceCount = 1;
        facts->GreatestStreamPriority = -5;
        return 0;
    }

    public CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) { *context = new(1); return 0; }
    public CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) => 0;
    public CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) => 0;
    public CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, uint flags) => 0;
    public CUresult cuCtxCreate_v2(CUcontext* context, uint flags, CUdevice device) { *context = new(_handle++); return 0; }
    public CUresult cuCtxDestroy_v2(CUcontext context) => 0;
    public CUresult cuCtxSetCurrent(CUcontext context) => 0;
    public CUresult cuCtxSynchronize() => 0;
    public CUresult cuCtxGetLimit(nuint* value, int limit) { *value = 1024; return 0; }
    public CUresult cuCtxSetLimit(int limit, nuint value) => 0;
    public CUresult cuCtxGetCacheConfig(int* config) { *config = 0; return 0; }
    public CUresult cuCtxSetCacheConfig(int config) => 0;
    public CUresult cuCtxGetSharedMemConfig(int* config) { *config = 0; return 0; }
    public CUresult cuCtxSetSharedMemConfig(int config) => 0;
    public CUresult cuCtxResetPersistingL2Cache() => 0;

    public CUresult trecrModuleLoad(CUmodule* module, void* image, nuint imageBytes)
    {
        Images.Add($"{*(uint*)image:x8} {imageBytes}");
        *module = new(_handle++);
        return 0;
    }

    public CUresult cuModuleUnload(CUmodule module) => 0;

    public CUresult trecrModuleGetReference(CUdeviceptr* address, CUmodule module, byte* name, uint isSurface) => CUresult.CUDA_ERROR_NOT_FOUND;

    public CUresult trecrModuleGetFunction(CUfunction* function, FunctionFacts* facts, CUmodule module, byte* name)
    {
        if (Marshal.PtrToStringUTF8((nint)name) != "add") return CUresult.CUDA_ERROR_NOT_FOUND;
        *function = new(_handle++);
        *facts = new FunctionFacts { ParameterCount = 4, ParameterBlockBytes = 28, MaxThreadsPerBlock = 512, MaxDynamicSharedBytes = 49152 };
        facts->Parameters[0] = 8 << 16;
        facts->Parameters[1] = 8 | 8 << 16;
        facts->Parameters[2] = 16 | 8 << 16;
        facts->Parameters[3] = 24 | 4 << 16;
        return 0;
    }

    public CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, nuint* bytes, CUmodule module, byte* name) => CUresult.CUDA_ERROR_NOT_FOUND;
    public CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) { *value = 7; return 0; }
    public CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) => 0;
    public CUresult cuFuncSetCacheConfig(CUfunction function, int config) => 0;
    public CUresult cuFuncSetSharedMemConfig(CUfunction function, int config) => 0;
    public CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int blockSize, nuint shared, uint flags) { *blocks = 1024 / blockSize; return 0; }
    public CUresult cuOccupancyAvailableDynamicSMemPerBlock(nuint* bytes, CUfunction function, int blocks, int blockSize) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    public CUresult cuMemAlloc_v2(CUdeviceptr* address, nuint bytes)
    {
        if (bytes == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (_next + bytes > SegmentLayout.DeviceBase + MemoryBytes) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        *address = new(_next);
        _blocks[_next] = bytes;
        _next += (bytes + 511) & ~(nuint)511;
        return 0;
    }

    public CUresult cuMemAllocPitch_v2(CUdeviceptr* address, nuint* pitch, nuint widthBytes, nuint height, uint elementSizeBytes)
    {
        *pitch = (widthBytes + 511) & ~(nuint)511;
        return cuMemAlloc_v2(address, *pitch * height);
    }

    public CUresult cuMemFree_v2(CUdeviceptr address) => address.Value == 0 || _blocks.Remove(address.Value) ? 0 : CUresult.CUDA_ERROR_INVALID_VALUE;
    public CUresult cuMemGetInfo_v2(nuint* free, nuint* total) { *free = 1; *total = 2; return 0; }
    public CUresult cuMemGetAddressRange_v2(CUdeviceptr* start, nuint* bytes, CUdeviceptr address) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    public CUresult cuMemHostAlloc(ulong* host, nuint bytes, uint flags)
    {
        *host = _nextPinned;
        _nextPinned += (bytes + 4095) & ~(nuint)4095;
        return 0;
    }

    public CUresult cuMemFreeHost(ulong host) => 0;
    public CUresult cuMemHostGetFlags(uint* flags, ulong host) { *flags = 2; return 0; }
    public CUresult cuMemHostRegister_v2(ulong host, nuint bytes, uint flags) => 0;
    public CUresult cuMemHostUnregister(ulong host) => CUresult.CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    public CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, ulong host, uint flags) { *address = new(host); return 0; }
    public CUresult cuMemAllocManaged(CUdeviceptr* address, nuint bytes, uint flags) { ulong host; cuMemHostAlloc(&host, bytes, 0); *address = new(host); return 0; }
    public CUresult cuMemAllocAsync(CUdeviceptr* address, nuint bytes, CUstream stream) => cuMemAlloc_v2(address, bytes);
    public CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) => cuMemFree_v2(address);

    public CUresult trecrPointerFacts(PointerFacts* facts, CUdeviceptr address)
    {
        *facts = default;
        foreach ((ulong start, nuint length) in _blocks)
            if (address.Value >= start && address.Value < start + length) *facts = new PointerFacts { MemoryType = 2, RangeStart = start, RangeBytes = length, BufferId = start >> 9 };
        return 0;
    }

    public CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr destination, void* source, nuint bytes, CUstream stream)
    {
        if (!Inside(destination.Value, bytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        Buffer.MemoryCopy(source, (void*)destination.Value, bytes, bytes);
        return 0;
    }

    public CUresult cuMemcpyDtoHAsync_v2(void* destination, CUdeviceptr source, nuint bytes, CUstream stream)
    {
        if (!Inside(source.Value, bytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        Buffer.MemoryCopy((void*)source.Value, destination, bytes, bytes);
        return 0;
    }

    public CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream)
        => cuMemcpyHtoDAsync_v2(destination, (void*)source.Value, bytes, stream);

    public CUresult cuMemcpy2DAsync_v2(CUDA_MEMCPY2D* copy, CUstream stream) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    public CUresult cuMemsetD8Async(CUdeviceptr destination, byte value, nuint count, CUstream stream)
    {
        if (!Inside(destination.Value, count)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        new Span<byte>((void*)destination.Value, (int)count).Fill(value);
        return 0;
    }

    public CUresult cuMemsetD16Async(CUdeviceptr destination, ushort value, nuint count, CUstream stream) { new Span<ushort>((void*)destination.Value, (int)count).Fill(value); return 0; }
    public CUresult cuMemsetD32Async(CUdeviceptr destination, uint value, nuint count, CUstream stream) { new Span<uint>((void*)destination.Value, (int)count).Fill(value); return 0; }
    public CUresult cuMemsetD2D8Async(CUdeviceptr destination, nuint pitch, byte value, nuint width, nuint height, CUstream stream) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
    public CUresult cuMemsetD2D16Async(CUdeviceptr destination, nuint pitch, ushort value, nuint width, nuint height, CUstream stream) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
    public CUresult cuMemsetD2D32Async(CUdeviceptr destination, nuint pitch, uint value, nuint width, nuint height, CUstream stream) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    public CUresult trecrLaunchKernel(CUfunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, CUstream stream, uint flags,
        void* parameters, nuint parameterBytes)
    {
        Launches++;
        int* a = *(int**)parameters, b = *(int**)((byte*)parameters + 8), c = *(int**)((byte*)parameters + 16);
        int n = *(int*)((byte*)parameters + 24);
        for (int i = 0; i < n; i++) c[i] = a[i] + b[i];
        return 0;
    }

    public CUresult cuLaunchHostFunc(CUstream stream, ulong function, ulong userData)
    {
        HostFunction?.Invoke(function, userData);
        return 0;
    }

    public CUresult trecrTakeDeviceOutput(void* text, nuint capacity, nuint* bytes)
    {
        *bytes = (nuint)Encoding.UTF8.GetBytes(Output, new Span<byte>(text, (int)capacity));
        Output = "";
        return 0;
    }

    public CUresult cuStreamCreateWithPriority(CUstream* stream, uint flags, int priority) { *stream = new(_handle++); return 0; }
    public CUresult cuStreamDestroy_v2(CUstream stream) => 0;
    public CUresult cuStreamSynchronize(CUstream stream) => 0;
    public CUresult cuStreamQuery(CUstream stream) => CUresult.CUDA_ERROR_NOT_READY;
    public CUresult cuStreamWaitEvent(CUstream stream, CUevent @event, uint flags) => 0;
    public CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags) => 0;
    public CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags) => 0;
    public CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags) => 0;
    public CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags) => 0;
    public CUresult cuStreamGetFlags(CUstream stream, uint* flags) { *flags = 1; return 0; }
    public CUresult cuStreamGetPriority(CUstream stream, int* priority) { *priority = -5; return 0; }
    public CUresult cuStreamIsCapturing(CUstream stream, int* status) { *status = 0; return 0; }
    public CUresult cuEventCreate(CUevent* @event, uint flags) { *@event = new(_handle++); return 0; }
    public CUresult cuEventDestroy_v2(CUevent @event) => 0;
    public CUresult cuEventRecord(CUevent @event, CUstream stream) => 0;
    public CUresult cuEventQuery(CUevent @event) => 0;
    public CUresult cuEventSynchronize(CUevent @event) => 0;
    public CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) { *milliseconds = 1.5f; return 0; }
    public CUresult trecrEventGetTime(ulong* nanoseconds, CUevent @event) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
    public CUresult trecrEventSetTime(CUevent @event, ulong nanoseconds) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
}
