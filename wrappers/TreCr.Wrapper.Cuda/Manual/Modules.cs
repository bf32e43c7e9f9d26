using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: images carry no length, and launches need facts of functions beforehand. CUDA Driver API, "Module Management".
internal static unsafe class Modules
{
    private const int JitInfoLogSize = 4, JitErrorLogSize = 6;

    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoadData")]
    public static CUresult LoadData(CUmodule* module, byte* image) => Load(module, image);

    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoadFatBinary")]
    public static CUresult LoadFatBinary(CUmodule* module, byte* image) => Load(module, image);

    /// <summary>Options steer NVIDIA's compiler and are ignored; the sizes of its log buffers are set to 0.</summary>
    /// <param name="options">[count] CUjit_option</param>
    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoadDataEx")]
    public static CUresult LoadDataEx(CUmodule* module, byte* image, uint count, int* options, void** values)
    {
        if (count != 0 && (options == null || values == null)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (uint i = 0; i < count; i++)
            if (options[i] is JitInfoLogSize or JitErrorLogSize) values[i] = null;
        return Load(module, image);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoad")]
    public static CUresult LoadFile(CUmodule* module, byte* path)
    {
        if (module == null || path == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        byte* image = null;
        try
        {
            CUresult result = Session.Enter(out _);
            if (result != CUresult.CUDA_SUCCESS) return result;
            byte[] bytes;
            try { bytes = File.ReadAllBytes(Marshal.PtrToStringUTF8((nint)path)!); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return CUresult.CUDA_ERROR_FILE_NOT_FOUND; }
            if (bytes.Length == 0) return CUresult.CUDA_ERROR_INVALID_IMAGE;
            image = (byte*)NativeMemory.Alloc((nuint)bytes.Length + 8);
            bytes.CopyTo(new Span<byte>(image, bytes.Length));
            new Span<byte>(image + bytes.Length, 8).Clear();
            return Load(module, image);
        }
        catch (Exception e) { return Session.Failed("cuModuleLoad"u8, e); }
        finally { NativeMemory.Free(image); }
    }

    /// <summary>All forms of loading; also CUDART_INTERFACE slots 1, 6 and 8.</summary>
    internal static CUresult Load(CUmodule* module, byte* image)
    {
        try
        {
            CUresult result = Session.Enter(out ProgramThread* thread);
            if (result != CUresult.CUDA_SUCCESS) return result;
            if (module == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
            result = ImageLength.Find(ref image, out nuint bytes);
            if (result != CUresult.CUDA_SUCCESS) return result;
            CUmodule loaded = default;
            result = CudaModuleCalls.Send_trecrModuleLoad(thread, &loaded, image, bytes);
            if (result != CUresult.CUDA_SUCCESS) return result;
            Functions.AddModule(loaded.Value, thread->Context);
            *module = loaded;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuModuleLoadData"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuModuleUnload")]
    public static CUresult UnloadModule(CUmodule module) => Unload(module);

    internal static CUresult Unload(CUmodule module)
    {
        try
        {
            CUresult result = Session.Enter(out ProgramThread* thread);
            if (result != CUresult.CUDA_SUCCESS) return result;
            result = CudaModuleCalls.Send_cuModuleUnload(thread, CallClass.Answer, module);
            if (result != CUresult.CUDA_SUCCESS) return result;
            Functions.ForgetModule(module.Value);
            Images.ImageReferences.Forget(thread, r => r.Module == module.Value);
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuModuleUnload"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetFunction")]
    public static CUresult GetFunction(CUfunction* function, CUmodule module, byte* name) => Function(function, module, name);

    internal static CUresult Function(CUfunction* function, CUmodule module, byte* name)
    {
        try
        {
            CUresult result = Session.Enter(out ProgramThread* thread);
            if (result != CUresult.CUDA_SUCCESS) return result;
            if (function == null || name == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
            string text = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
            if (Functions.TryFind(module.Value, text, out ulong known))
            {
                *function = new CUfunction(known);
                return CUresult.CUDA_SUCCESS;
            }
            CUfunction found = default;
            FunctionFacts facts = default;
            result = CudaModuleCalls.Send_trecrModuleGetFunction(thread, &found, &facts, module, name);
            if (result != CUresult.CUDA_SUCCESS) return result;
            Functions.Add(module.Value, text, found.Value, in facts);
            *function = found;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuModuleGetFunction"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuFuncGetModule")]
    public static CUresult GetModule(CUmodule* module, CUfunction function)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (module == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong found = Functions.ModuleOf(function.Value);
        if (found == 0) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        *module = new CUmodule(found);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Either output may be NULL, as cudart and cuFFT do.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetGlobal_v2")]
    public static CUresult GetGlobal(CUdeviceptr* address, nuint* bytes, CUmodule module, byte* name) => Global(address, bytes, module, name);

    internal static CUresult Global(CUdeviceptr* address, nuint* bytes, CUmodule module, byte* name)
    {
        try
        {
            CUresult result = Session.Enter(out ProgramThread* thread);
            if (result != CUresult.CUDA_SUCCESS) return result;
            CUdeviceptr start = default;
            nuint length = 0;
            result = CudaModuleCalls.Send_cuModuleGetGlobal_v2(thread, CallClass.Answer, &start, &length, module, name);
            if (result != CUresult.CUDA_SUCCESS) return result;
            Addresses.AddGlobal(start.Value, length);
            if (address != null) *address = start;
            if (bytes != null) *bytes = length;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuModuleGetGlobal"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuFuncSetAttribute")]
    public static CUresult SetFunctionAttribute(CUfunction function, int attribute, int value) => SetAttribute(function, attribute, value);

    /// <summary>Attribute 8 is the limit that launches are checked against here.</summary>
    internal static CUresult SetAttribute(CUfunction function, int attribute, int value)
    {
        const int maxDynamicShared = 8;
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        FunctionFacts* facts = Functions.Find(function);
        if (facts == null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        result = CudaModuleCalls.Send_cuFuncSetAttribute(thread, CallClass.Answer, function, attribute, value);
        if (result == CUresult.CUDA_SUCCESS && attribute == maxDynamicShared) facts->MaxDynamicSharedBytes = value;
        return result;
    }
}
