using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: libraries are the wrapper's own over modules (State/Libraries.cs). CUDA Driver API, "Library Management"; the runtime of CUDA 12 loads everything so.
internal static unsafe class LibraryCalls
{
    private static CUresult Do(Func<CUresult> body)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        try
        {
            lock (Libraries.Gate) return body();
        }
        catch (Exception e) { return Session.Failed("a library call"u8, e); }
    }

    private static CUresult OfLibrary(ulong library, Func<Libraries.CudaLibrary, CUresult> body)
        => Do(() => Libraries.Library(library) is { } found ? body(found) : CUresult.CUDA_ERROR_INVALID_HANDLE);

    private static CUresult OfKernel(ulong kernel, Func<CUfunction, CUresult> body) => Do(() =>
    {
        if (Libraries.Kernel(kernel) is not { } found) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        CUresult result = Libraries.Function(found, out CUfunction function);
        return result != CUresult.CUDA_SUCCESS ? result : body(function);
    });

    /// <summary>Options of the compiler and of the library are hints here: the image is always copied, and loaded where it is used.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuLibraryLoadData")]
    public static CUresult LoadData(ulong* library, byte* image, int* jitOptions, void** jitValues, uint jitCount, int* options, void** values, uint count) => Load(library, image);

    [UnmanagedCallersOnly(EntryPoint = "cuLibraryLoadFromFile")]
    public static CUresult LoadFromFile(ulong* library, byte* path, int* jitOptions, void** jitValues, uint jitCount, int* options, void** values, uint count)
    {
        if (library == null || path == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        byte[] bytes;
        try { bytes = File.ReadAllBytes(Marshal.PtrToStringUTF8((nint)path)!); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return CUresult.CUDA_ERROR_FILE_NOT_FOUND; }
        // Text in a file has no NUL.
        fixed (byte* image = (byte[])[.. bytes, 0, 0, 0, 0, 0, 0, 0, 0]) return bytes.Length == 0 ? CUresult.CUDA_ERROR_INVALID_IMAGE : Load(library, image);
    }

    private static CUresult Load(ulong* library, byte* image) => library == null || image == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Do(() =>
    {
        byte* start = image;
        CUresult result = ImageLength.Find(ref start, out nuint bytes);
        if (result == CUresult.CUDA_SUCCESS) *library = Libraries.Add(start, bytes).Handle;
        return result;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuLibraryUnload")]
    public static CUresult Unload(ulong library) => OfLibrary(library, found =>
    {
        foreach (ulong module in found.Modules.Values) Modules.Unload(new CUmodule(module));
        Libraries.Remove(found);
        return CUresult.CUDA_SUCCESS;
    });

    /// <returns>CUDA_ERROR_NOT_FOUND where the library has no such kernel; without a current context the first use tells</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuLibraryGetKernel")]
    public static CUresult GetKernel(ulong* kernel, ulong library, byte* name) => kernel == null || name == null ? CUresult.CUDA_ERROR_INVALID_VALUE : OfLibrary(library, found =>
    {
        Libraries.CudaKernel made = Libraries.KernelOf(found, Marshal.PtrToStringUTF8((nint)name)!);
        CUresult result = WrapperRuntime.Enter()->Context == 0 ? CUresult.CUDA_SUCCESS : Libraries.Function(made, out _);
        if (result == CUresult.CUDA_SUCCESS) *kernel = made.Handle;
        return result;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuLibraryGetModule")]
    public static CUresult GetModule(CUmodule* module, ulong library) => module == null ? CUresult.CUDA_ERROR_INVALID_VALUE : OfLibrary(library, found =>
    {
        CUresult result = Libraries.Module(found, out CUmodule loaded);
        if (result == CUresult.CUDA_SUCCESS) *module = loaded;
        return result;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuLibraryGetGlobal")]
    public static CUresult GetGlobal(CUdeviceptr* address, nuint* bytes, ulong library, byte* name) => OfLibrary(library, found =>
    {
        CUresult result = Libraries.Module(found, out CUmodule loaded);
        return result != CUresult.CUDA_SUCCESS ? result : Modules.Global(address, bytes, loaded, name);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuKernelGetFunction")]
    public static CUresult GetFunction(CUfunction* function, ulong kernel) => function == null ? CUresult.CUDA_ERROR_INVALID_VALUE : OfKernel(kernel, found =>
    {
        *function = found;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuKernelGetAttribute")]
    public static CUresult GetAttribute(int* value, int attribute, ulong kernel, CUdevice device)
        => OfKernel(kernel, found => CudaModuleCalls.Send_cuFuncGetAttribute(WrapperRuntime.Enter(), value, attribute, found));

    [UnmanagedCallersOnly(EntryPoint = "cuKernelSetAttribute")]
    public static CUresult SetAttribute(int attribute, int value, ulong kernel, CUdevice device) => OfKernel(kernel, found => Modules.SetAttribute(found, attribute, value));

    [UnmanagedCallersOnly(EntryPoint = "cuKernelSetCacheConfig")]
    public static CUresult SetCacheConfig(ulong kernel, int config, CUdevice device)
        => OfKernel(kernel, found => CudaModuleCalls.Send_cuFuncSetCacheConfig(WrapperRuntime.Enter(), found, config));
}
