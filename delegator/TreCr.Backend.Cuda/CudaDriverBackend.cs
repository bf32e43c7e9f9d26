using System.Collections.Concurrent;
using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Backend.Cuda;

/// <summary>NVIDIA's driver behind the delegator. Plain calls are generated; here is what the driver API has no single function for.</summary>
/// <remarks>Any thread; the current context is the thread's, as in the driver.</remarks>
[BindingOf(typeof(ICudaDevice)), BindingOf(typeof(ICudaContext)), BindingOf(typeof(ICudaModule)), BindingOf(typeof(ICudaVirtualMemory)), BindingOf(typeof(ICudaCopy)),
    BindingOf(typeof(ICudaExecution)), BindingOf(typeof(ICudaStream)), BindingOf(typeof(ICudaEvent))]
public sealed unsafe partial class CudaDriverBackend : ICudaBackend
{
    private const uint RegisterPortable = 1, RegisterMapped = 2;

    private readonly ConcurrentDictionary<ulong, ulong> _eventTimes = [];
    private readonly ParameterLayouts _layouts = new();
    private readonly delegate* unmanaged<CUmodule*, void*, CUresult> _moduleLoadData = (delegate* unmanaged<CUmodule*, void*, CUresult>)Resolve("cuModuleLoadData");
    private readonly delegate* unmanaged<CUfunction*, CUmodule, byte*, CUresult> _moduleGetFunction
        = (delegate* unmanaged<CUfunction*, CUmodule, byte*, CUresult>)Resolve("cuModuleGetFunction");
    private readonly delegate* unmanaged<CUfunction, nuint, nuint*, nuint*, CUresult> _getParamInfo
        = (delegate* unmanaged<CUfunction, nuint, nuint*, nuint*, CUresult>)Resolve("cuFuncGetParamInfo");
    private readonly delegate* unmanaged<CUfunction, uint, uint, uint, uint, uint, uint, uint, CUstream, void**, void**, CUresult> _launch
        = (delegate* unmanaged<CUfunction, uint, uint, uint, uint, uint, uint, uint, CUstream, void**, void**, CUresult>)Resolve("cuLaunchKernel");
    private readonly delegate* unmanaged<CUfunction, uint, uint, uint, uint, uint, uint, uint, CUstream, void**, CUresult> _launchCooperative
        = (delegate* unmanaged<CUfunction, uint, uint, uint, uint, uint, uint, uint, CUstream, void**, CUresult>)Resolve("cuLaunchCooperativeKernel");
    private readonly delegate* unmanaged<ulong, nuint, uint, CUresult> _hostRegister = (delegate* unmanaged<ulong, nuint, uint, CUresult>)Resolve("cuMemHostRegister_v2");
    private readonly delegate* unmanaged<ulong, CUresult> _hostUnregister = (delegate* unmanaged<ulong, CUresult>)Resolve("cuMemHostUnregister");
    private readonly delegate* unmanaged<ulong*, ulong, uint, CUresult> _hostGetDevicePointer = (delegate* unmanaged<ulong*, ulong, uint, CUresult>)Resolve("cuMemHostGetDevicePointer_v2");
    private readonly delegate* unmanaged<int*, int*, CUresult> _priorityRange = (delegate* unmanaged<int*, int*, CUresult>)Resolve("cuCtxGetStreamPriorityRange");

    /// <summary>A driver library is installed; whether it finds a device, cuInit says.</summary>
    public static bool IsDriverPresent => DriverLibrary.IsPresent;

    public string DeviceKind => "cuda";

    public bool DeviceMemoryIsHostMemory => false;

    private static readonly ConcurrentDictionary<string, bool> Missing = [];

    /// <summary>Functions that the driver does not have, of those looked up so far: calls of them answer CUDA_ERROR_NOT_SUPPORTED.</summary>
    /// <remarks>cuFuncGetParamInfo is optional: drivers before CUDA 12.4 lack it.</remarks>
    public static IReadOnlyList<string> MissingFunctions() => [.. Missing.Keys.Where(n => n != "cuFuncGetParamInfo")];

    /// <summary>Address of a driver function that no interface of TreCr.Calls has; 0: the driver does not have it either. For programs that examine the driver.</summary>
    public static nint FunctionAddress(string name) => (nint)DriverLibrary.Resolve(name);

    private static void* Resolve(string name)
    {
        void* function = DriverLibrary.Resolve(name);
        if (function == null) Missing[name] = true;
        return function;
    }

    /// <summary>Polls every stream of the current contexts by an event; the driver has no wait with an end.</summary>
    /// <remarks>The delegator makes each context current in turn; streams are all covered, as the legacy stream's event waits for all blocking ones and cuCtxSynchronize for the rest.</remarks>
    public bool Drain(TimeSpan deadline, out string? blocker)
    {
        blocker = null;
        CUresult result = CUresult.CUDA_SUCCESS;
        CUcontext current = CurrentContext();
        using ManualResetEventSlim done = new();
        Thread waiter = new(() =>
        {
            cuCtxSetCurrent(current);
            result = cuCtxSynchronize();
            done.Set();
        }) { IsBackground = true, Name = "drain" };
        waiter.Start();
        if (done.Wait(deadline)) return true;
        blocker = "work on the GPU";
        return false;
    }

    private static CUcontext CurrentContext()
    {
        CUcontext context = default;
        var get = (delegate* unmanaged<CUcontext*, CUresult>)Resolve("cuCtxGetCurrent");
        if (get != null) get(&context);
        return context;
    }

    public CUresult trecrDeviceFacts(DeviceFacts* facts, CUdevice device)
    {
        *facts = default;
        CUresult result = cuDeviceGetName(facts->Name, 256, device);
        nuint total = 0;
        if (result == CUresult.CUDA_SUCCESS) result = cuDeviceTotalMem_v2(&total, device);
        if (result == CUresult.CUDA_SUCCESS) result = cuDeviceGetUuid(&facts->Uuid, device);
        if (result == CUresult.CUDA_SUCCESS) result = cuDriverGetVersion(&facts->DriverVersion);
        if (result == CUresult.CUDA_SUCCESS) result = cuDeviceGetCount(&facts->DeviceCount);
        if (result != CUresult.CUDA_SUCCESS) return result;
        facts->TotalMemoryBytes = total;
        for (int i = 0; i < DeviceFacts.AttributeCount; i++)
        {
            int value;
            if (cuDeviceGetAttribute(&value, i, device) == CUresult.CUDA_SUCCESS) facts->Attributes[i] = value;
            else facts->AttributeErrors[i >> 6] |= 1UL << (i & 63);
        }
        int least = 0, greatest = 0;
        // Needs a context; without one the range stays empty, which is a legal answer.
        if (_priorityRange != null && _priorityRange(&least, &greatest) == CUresult.CUDA_SUCCESS) (facts->LeastStreamPriority, facts->GreatestStreamPriority) = (least, greatest);
        return CUresult.CUDA_SUCCESS;
    }

    public CUresult trecrModuleLoad(CUmodule* module, void* image, nuint imageBytes)
    {
        // Linked by the driver's own linker: written when a GPU can show that it works.
        if (image != null && imageBytes >= LinkedImage.HeaderBytes && *(ulong*)image == LinkedImage.Magic)
        {
            Console.Error.WriteLine("trecr: linking of several images is not supported on a real GPU");
            return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        }
        if (_moduleLoadData == null) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        CUresult result = _moduleLoadData(module, image);
        if (result == CUresult.CUDA_SUCCESS && _getParamInfo == null) _layouts.Loaded(*module, image, imageBytes);
        return result;
    }

    public CUresult trecrModuleGetReference(CUdeviceptr* address, CUmodule module, byte* name, uint isSurface) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    public CUresult trecrModuleGetFunction(CUfunction* function, FunctionFacts* facts, CUmodule module, byte* name)
    {
        if (_moduleGetFunction == null) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        *facts = default;
        CUresult result = _moduleGetFunction(function, module, name);
        if (result != CUresult.CUDA_SUCCESS) return result;
        // Attributes 0 to 8 of CUfunction_attribute, in this order.
        int* into = stackalloc int[9];
        for (int i = 0; i < 9; i++)
            if (cuFuncGetAttribute(into + i, i, *function) is not CUresult.CUDA_SUCCESS and var failed) return failed;
        facts->MaxThreadsPerBlock = into[0];
        facts->StaticSharedBytes = into[1];
        facts->ConstBytes = into[2];
        facts->LocalBytes = into[3];
        facts->RegisterCount = into[4];
        facts->PtxVersion = into[5];
        facts->BinaryVersion = into[6];
        facts->MaxDynamicSharedBytes = into[8];
        if (_getParamInfo == null) return ParametersFromImage(facts, module, name, *function);
        nuint offset = 0, size = 0;
        uint count = 0;
        while (_getParamInfo(*function, count, &offset, &size) == CUresult.CUDA_SUCCESS)
        {
            if (count == FunctionFacts.MaxParameters) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            facts->Parameters[count++] = (uint)offset | (uint)size << 16;
            facts->ParameterBlockBytes = (uint)(offset + size);
        }
        facts->ParameterCount = count;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Before CUDA 12.4 the driver does not tell where parameters lie: the image's PTX does.</summary>
    /// <returns>CUDA_ERROR_NOT_SUPPORTED: the image has no PTX, or the kernel more parameters than fit</returns>
    private CUresult ParametersFromImage(FunctionFacts* facts, CUmodule module, byte* name, CUfunction function)
    {
        if (_layouts.Found(module, name, function) is not { Length: <= FunctionFacts.MaxParameters } parameters) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        foreach ((int offset, int size) in parameters)
        {
            if (offset > ushort.MaxValue || size > ushort.MaxValue) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            facts->Parameters[facts->ParameterCount++] = (uint)offset | (uint)size << 16;
            facts->ParameterBlockBytes = (uint)(offset + size);
        }
        return CUresult.CUDA_SUCCESS;
    }

    public CUresult trecrLaunchKernel(CUfunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, CUstream stream, uint flags,
        void* parameters, nuint parameterBytes)
    {
        if ((flags & 1) != 0) return LaunchCooperative(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, parameters);
        if (_launch == null) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        // { CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END }
        void** extra = stackalloc void*[5];
        extra[0] = (void*)1;
        extra[1] = parameters;
        extra[2] = (void*)2;
        extra[3] = &parameterBytes;
        extra[4] = null;
        return _launch(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, null, parameterBytes == 0 ? null : extra);
    }

    /// <summary>A cooperative launch takes one pointer per parameter: they are found again in the block.</summary>
    private CUresult LaunchCooperative(CUfunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, CUstream stream, void* parameters)
    {
        if (_launchCooperative == null) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        void** values = stackalloc void*[FunctionFacts.MaxParameters];
        nuint offset, size;
        if (_getParamInfo == null)
        {
            if (_layouts.Of(function) is not { Length: <= FunctionFacts.MaxParameters } layout) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            for (int i = 0; i < layout.Length; i++) values[i] = (byte*)parameters + layout[i].Offset;
        }
        else for (nuint i = 0; i < FunctionFacts.MaxParameters && _getParamInfo(function, i, &offset, &size) == CUresult.CUDA_SUCCESS; i++) values[i] = (byte*)parameters + offset;
        return _launchCooperative(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, values);
    }

    /// <summary>The driver prints into this process's standard output, which the delegator's supervisor forwards: nothing waits here.</summary>
    public CUresult trecrTakeDeviceOutput(void* text, nuint capacity, nuint* bytes)
    {
        *bytes = 0;
        return CUresult.CUDA_SUCCESS;
    }

    /// <returns>CUDA_ERROR_MAP_FAILED where the device would use another address than the host: the design rests on their being equal</returns>
    public CUresult trecrHostMap(ulong address, nuint bytes)
    {
        if (_hostRegister == null || _hostGetDevicePointer == null) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        CUresult result = _hostRegister(address, bytes, RegisterPortable | RegisterMapped);
        if (result != CUresult.CUDA_SUCCESS) return result;
        ulong alias = 0;
        result = _hostGetDevicePointer(&alias, address, 0);
        if (result == CUresult.CUDA_SUCCESS && alias == address) return result;
        trecrHostUnmap(address);
        return result == CUresult.CUDA_SUCCESS ? CUresult.CUDA_ERROR_MAP_FAILED : result;
    }

    public CUresult trecrHostUnmap(ulong address) => _hostUnregister == null ? CUresult.CUDA_ERROR_NOT_SUPPORTED : _hostUnregister(address);

    /// <summary>The driver tells differences of events only: a saved time is what was set here, 0 for others.</summary>
    public CUresult trecrEventGetTime(ulong* nanoseconds, CUevent @event)
    {
        *nanoseconds = _eventTimes.GetValueOrDefault(@event.Value);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Records the event on the default stream of the current context, so that it is reached, and remembers its saved time.</summary>
    public CUresult trecrEventSetTime(CUevent @event, ulong nanoseconds)
    {
        if (nanoseconds == 0) return CUresult.CUDA_SUCCESS;
        CUresult result = cuEventRecord(@event, CUstream.Legacy);
        if (result == CUresult.CUDA_SUCCESS) _eventTimes[@event.Value] = nanoseconds;
        return result;
    }

    /// <summary>Arrays of the driver have a layout of their own, and its texture objects values that it chooses: neither can be saved yet.</summary>
    public CUresult trecrImageCreate(CUarray* image, CUdeviceptr address) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    public CUresult trecrImageDestroy(CUarray image) => CUresult.CUDA_ERROR_INVALID_HANDLE;
}
