using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: start of the session and answers that exist before it. CUDA Driver API, "Initialization", "Version Management", "Error Handling", "Profiler Control".
internal static unsafe class Initialization
{
    [UnmanagedCallersOnly(EntryPoint = "cuInit")]
    public static CUresult Init(uint flags)
    {
        if (flags != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            CUresult result = ProgramSession.Start();
            return result == CUresult.CUDA_SUCCESS ? Devices.Fetch() : result;
        }
        catch (Exception e) { return Session.Failed("cuInit"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDriverGetVersion")]
    public static CUresult DriverGetVersion(int* version)
    {
        if (version == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *version = Devices.DriverVersion;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorName")]
    public static CUresult GetErrorName(CUresult error, byte** text) => Text(error, text, wantsName: true);

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorString")]
    public static CUresult GetErrorString(CUresult error, byte** text) => Text(error, text, wantsName: false);

    private static CUresult Text(CUresult error, byte** text, bool wantsName)
    {
        if (text == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ReadOnlySpan<byte> found = wantsName ? ErrorTexts.NameOf(error) : ErrorTexts.DescriptionOf(error);
        // Literals lie in the library's read-only data, which is never unmapped, and end with a NUL.
        *text = found.Length == 0 ? null : (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(found));
        return found.Length == 0 ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }

    /// <summary>2: CU_MODULE_LAZY_LOADING; with anything else cudart loads every module of every library at once (cuda-trace.md, result 3).</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetLoadingMode")]
    public static CUresult ModuleGetLoadingMode(int* mode)
    {
        if (mode == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult ready = Session.Ready;
        if (ready == CUresult.CUDA_SUCCESS) *mode = 2;
        return ready;
    }

    // No profiler is attached: starting and stopping one has no effect, as with the driver.
    [UnmanagedCallersOnly(EntryPoint = "cuProfilerStart")]
    public static CUresult ProfilerStart() => Session.Ready;

    [UnmanagedCallersOnly(EntryPoint = "cuProfilerStop")]
    public static CUresult ProfilerStop() => Session.Ready;

    [UnmanagedCallersOnly(EntryPoint = "cuGetProcAddress")]
    public static CUresult GetProcAddress(byte* symbol, void** function, int version, ulong flags) => Resolver.Resolve(symbol, function, version, flags, null, isFirstForm: true);

    [UnmanagedCallersOnly(EntryPoint = "cuGetProcAddress_v2")]
    public static CUresult GetProcAddress_v2(byte* symbol, void** function, int version, ulong flags, int* status) => Resolver.Resolve(symbol, function, version, flags, status, isFirstForm: false);

    [UnmanagedCallersOnly(EntryPoint = "cuGetExportTable")]
    public static CUresult GetExportTable(void** table, CUuuid* id)
    {
        try { return ExportTables.Find(table, id); }
        catch (Exception e) { return Session.Failed("cuGetExportTable"u8, e); }
    }
}
