using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: the stack of current contexts is the thread's and lives here. CUDA Driver API, "Context Management".
internal static unsafe class ContextStack
{
    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetCurrent")]
    public static CUresult GetCurrent(CUcontext* context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (context == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *context = new CUcontext(thread->Context);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Replaces the top of the stack; 0 pops it. cudart sets the primary context before it retains it (cuda-trace.md, section 1.4).</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetCurrent")]
    public static CUresult SetCurrent(CUcontext context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (context.Value == thread->Context) return CUresult.CUDA_SUCCESS;
        if (context.Value != 0 && !Contexts.TryFind(context.Value, out _, out _)) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        thread->SetCurrent(context.Value);
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxPushCurrent_v2")]
    public static CUresult PushCurrent_v2(CUcontext context) => Push(context);

    // The unsuffixed names are separate symbols with the same 64-bit ABI; cuBLASLt takes them by dlsym.
    [UnmanagedCallersOnly(EntryPoint = "cuCtxPushCurrent")]
    public static CUresult PushCurrent(CUcontext context) => Push(context);

    private static CUresult Push(CUcontext context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (!Contexts.TryFind(context.Value, out _, out _)) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        return thread->Push(context.Value) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_OUT_OF_MEMORY;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxPopCurrent_v2")]
    public static CUresult PopCurrent_v2(CUcontext* context) => Pop(context);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxPopCurrent")]
    public static CUresult PopCurrent(CUcontext* context) => Pop(context);

    private static CUresult Pop(CUcontext* context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        ulong top = thread->Pop();
        if (top == 0) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        if (context != null) *context = new CUcontext(top);
        return CUresult.CUDA_SUCCESS;
    }

    /// <returns>CUDA_ERROR_INVALID_CONTEXT where none is current: libgomp takes any other code as fatal</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetDevice")]
    public static CUresult GetDevice(CUdevice* device)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (device == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Contexts.TryFind(thread->Context, out int ordinal, out _)) return CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED;
        *device = new CUdevice(ordinal);
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetFlags")]
    public static CUresult GetFlags(uint* flags)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (flags == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Contexts.TryFind(thread->Context, out _, out uint found)) return CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED;
        *flags = found;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetApiVersion")]
    public static CUresult GetApiVersion(CUcontext context, uint* version)
    {
        CUresult result = Known(ref context);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (version == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *version = 3020;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetId")]
    public static CUresult GetId(CUcontext context, ulong* id) => Id(context, id);

    /// <summary>Also slot 4 of the ToolsContext table.</summary>
    internal static CUresult Id(CUcontext context, ulong* id)
    {
        CUresult result = Known(ref context);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (id == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *id = VirtualHandle.SerialOf(context.Value);
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetStreamPriorityRange")]
    public static CUresult GetStreamPriorityRange(int* least, int* greatest)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (!Contexts.TryFind(thread->Context, out int ordinal, out _)) return CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED;
        if (least != null) *least = Devices.Facts(ordinal)->LeastStreamPriority;
        if (greatest != null) *greatest = Devices.Facts(ordinal)->GreatestStreamPriority;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Puts the current context in place of 0.</summary>
    private static CUresult Known(ref CUcontext context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (context.Value == 0) context = new CUcontext(thread->Context);
        return Contexts.TryFind(context.Value, out _, out _) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_CONTEXT;
    }
}
