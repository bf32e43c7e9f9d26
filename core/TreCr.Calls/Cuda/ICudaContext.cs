namespace TreCr.Calls.Cuda;

/// <summary>Contexts. CUDA Driver API, "Primary Context Management", "Context Management".</summary>
/// <remarks>The stack of current contexts is the program thread's and lives in the wrapper; each record names the caller's current context.</remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaContext
{
    /// <summary>In the program reference-counted by the wrapper, which sends only the first retain. The handle is VirtualHandle.PrimaryContext(device).</summary>
    [Call(0x0101, CallClass.Answer, NoContext = true), Creates(nameof(context)), Manual("counts references; the virtual handle is fixed by rule", Dispatch = true)]
    CUresult cuDevicePrimaryCtxRetain([Out] CUcontext* context, CUdevice device);

    /// <summary>The wrapper sends only the last release.</summary>
    [Call(0x0102, CallClass.Answer, NoContext = true), Manual("counts references; the last one ends all objects of the context", Dispatch = true)]
    CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);

    /// <summary>Destroys everything in the primary context; afterwards its log records are gone.</summary>
    [Call(0x0103, CallClass.Answer, NoContext = true), Manual("ends all objects of the context", Dispatch = true)]
    CUresult cuDevicePrimaryCtxReset_v2(CUdevice device);

    [Call(0x0104, CallClass.Answer, Logged = true, NoContext = true), Manual("kept in the wrapper too, for GetState")]
    CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, uint flags);

    [Call(0x0105, CallClass.Answer, NoContext = true), Creates(nameof(context)), Manual("pushes the new context on the thread's stack")]
    CUresult cuCtxCreate_v2([Out] CUcontext* context, uint flags, CUdevice device);

    [Call(0x0106, CallClass.Answer, NoContext = true), Destroys(nameof(context)), Manual("pops it where it is current; runs context-local-storage destructors", Dispatch = true)]
    CUresult cuCtxDestroy_v2(CUcontext context);

    /// <summary>Back ends: makes a context current on the calling thread of the delegator.</summary>
    [Call(0x0107, CallClass.Local), Manual("the stack is the wrapper's")]
    CUresult cuCtxSetCurrent(CUcontext context);

    /// <summary>Waits for all work of the current context; returns its sticky error.</summary>
    [Call(0x0108, CallClass.Blocking), Manual("prints device output that has come")]
    CUresult cuCtxSynchronize();

    /// <param name="limit">CUlimit</param>
    [Call(0x0109, CallClass.Answer)]
    CUresult cuCtxGetLimit([Out] nuint* value, int limit);

    [Call(0x010a, CallClass.Answer, Logged = true)]
    CUresult cuCtxSetLimit(int limit, nuint value);

    [Call(0x010b, CallClass.Answer)]
    CUresult cuCtxGetCacheConfig([Out] int* config);

    [Call(0x010c, CallClass.Answer, Logged = true)]
    CUresult cuCtxSetCacheConfig(int config);

    [Call(0x010d, CallClass.Answer)]
    CUresult cuCtxGetSharedMemConfig([Out] int* config);

    [Call(0x010e, CallClass.Answer, Logged = true)]
    CUresult cuCtxSetSharedMemConfig(int config);

    [Call(0x010f, CallClass.Answer)]
    CUresult cuCtxResetPersistingL2Cache();
}
