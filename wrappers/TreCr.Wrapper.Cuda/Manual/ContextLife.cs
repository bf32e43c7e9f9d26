using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: primary contexts are counted here and only the first retain and the last release are sent; others push and pop themselves.
// CUDA Driver API, "Primary Context Management", "Context Management".
internal static unsafe class ContextLife
{
    private const uint KnownFlags = 0x3f;

    private static CUresult Check(CUdevice device, out ProgramThread* thread)
    {
        thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        return Devices.IsValid(device) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_DEVICE;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxRetain")]
    public static CUresult PrimaryRetain(CUcontext* context, CUdevice device) => context == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Retain(context, device);

    /// <summary>One reference more to a device's primary context, which exists from the first on.</summary>
    internal static CUresult Retain(CUcontext* context, CUdevice device)
    {
        CUresult result = Check(device, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            lock (Contexts.Gate)
            {
                ref int references = ref Contexts.References(device.Value);
                CUcontext answer = new(VirtualHandle.PrimaryContext(device.Value));
                if (references == 0)
                {
                    result = CudaContextCalls.Send_cuDevicePrimaryCtxRetain(thread, CallClass.Answer, &answer, device);
                    if (result != CUresult.CUDA_SUCCESS) return result;
                }
                references++;
                *context = answer;
                return CUresult.CUDA_SUCCESS;
            }
        }
        catch (Exception e) { return Session.Failed("cuDevicePrimaryCtxRetain"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    public static CUresult PrimaryRelease_v2(CUdevice device) => PrimaryEnds(device, isReset: false);

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxRelease")]
    public static CUresult PrimaryRelease_v1(CUdevice device) => PrimaryEnds(device, isReset: false);

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxReset_v2")]
    public static CUresult PrimaryReset_v2(CUdevice device) => PrimaryEnds(device, isReset: true);

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxReset")]
    public static CUresult PrimaryReset_v1(CUdevice device) => PrimaryEnds(device, isReset: true);

    /// <summary>One reference less, or none left. After the end the handle stays current where it was, is not active, and the next retain brings it back (cuda.md, section 7.2).</summary>
    private static CUresult PrimaryEnds(CUdevice device, bool isReset)
    {
        CUresult result = Check(device, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            lock (Contexts.Gate)
            {
                ref int references = ref Contexts.References(device.Value);
                if (references == 0) return isReset ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_CONTEXT;
                references = isReset ? 0 : references - 1;
                if (references != 0) return CUresult.CUDA_SUCCESS;
            }
            Contexts.End(VirtualHandle.PrimaryContext(device.Value));
            Proven.ForgetHandles();
            Proven.ForgetMemory();
            return isReset ? CudaContextCalls.Send_cuDevicePrimaryCtxReset_v2(thread, CallClass.Answer, device)
                : CudaContextCalls.Send_cuDevicePrimaryCtxRelease_v2(thread, CallClass.Answer, device);
        }
        catch (Exception e) { return Session.Failed(isReset ? "cuDevicePrimaryCtxReset"u8 : "cuDevicePrimaryCtxRelease"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxSetFlags_v2")]
    public static CUresult PrimarySetFlags_v2(CUdevice device, uint flags) => PrimarySetFlags(device, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxSetFlags")]
    public static CUresult PrimarySetFlags_v1(CUdevice device, uint flags) => PrimarySetFlags(device, flags);

    private static CUresult PrimarySetFlags(CUdevice device, uint flags)
    {
        CUresult result = Check(device, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if ((flags & ~KnownFlags) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        result = CudaContextCalls.Send_cuDevicePrimaryCtxSetFlags_v2(thread, CallClass.Answer, device, flags);
        if (result == CUresult.CUDA_SUCCESS) Contexts.Flags(device.Value) = flags;
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDevicePrimaryCtxGetState")]
    public static CUresult PrimaryGetState(CUdevice device, uint* flags, int* active)
    {
        CUresult result = Check(device, out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (flags == null || active == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *flags = Contexts.Flags(device.Value);
        *active = Contexts.References(device.Value) > 0 ? 1 : 0;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxCreate_v2")]
    public static CUresult Create_v2(CUcontext* context, uint flags, CUdevice device) => Create(context, flags, device);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxCreate")]
    public static CUresult Create_v1(CUcontext* context, uint flags, CUdevice device) => Create(context, flags, device);

    /// <param name="affinity">execution affinity; none is supported</param>
    [UnmanagedCallersOnly(EntryPoint = "cuCtxCreate_v3")]
    public static CUresult Create_v3(CUcontext* context, void* affinity, int count, uint flags, CUdevice device)
        => count != 0 ? CUresult.CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : Create(context, flags, device);

    private static CUresult Create(CUcontext* context, uint flags, CUdevice device)
    {
        if (context == null || (flags & ~KnownFlags) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = Check(device, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            if (thread->Depth == ProgramThread.MaxContexts) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
            CUcontext created = default;
            result = CudaContextCalls.Send_cuCtxCreate_v2(thread, CallClass.Answer, &created, flags, device);
            if (result != CUresult.CUDA_SUCCESS) return result;
            Contexts.Add(created.Value, device.Value, flags);
            thread->Push(created.Value);
            *context = created;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuCtxCreate"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDestroy_v2")]
    public static CUresult Destroy_v2(CUcontext context) => Destroy(context);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDestroy")]
    public static CUresult Destroy_v1(CUcontext context) => Destroy(context);

    /// <summary>Also for primary contexts CUDA_ERROR_INVALID_CONTEXT: those are released, not destroyed.</summary>
    private static CUresult Destroy(CUcontext context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        try
        {
            if (!Contexts.Remove(context.Value)) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
            Contexts.End(context.Value);
            CUresult result = CudaContextCalls.Send_cuCtxDestroy_v2(thread, CallClass.Answer, context);
            if (thread->Context == context.Value) thread->Pop();
            return result;
        }
        catch (Exception e) { return Session.Failed("cuCtxDestroy"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSynchronize")]
    public static CUresult Synchronize()
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = CudaContextCalls.Send_cuCtxSynchronize(thread, CallClass.Blocking);
        DeviceOutput.Print(thread);
        return result;
    }
}
