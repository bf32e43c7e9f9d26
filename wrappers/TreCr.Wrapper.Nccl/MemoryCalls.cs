using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Nccl;

/// <summary>
/// Memory, and what registers it. NCCL documentation, "User Buffer Registration". All device memory is reached by all members without being registered: what is kept is what the program may ask for, and its mistakes.
/// </summary>
[LocalExports(typeof(NcclRuntime), "p")]
internal static unsafe class MemoryCalls
{
    /// <summary>What handles and windows point at.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Registration
    {
        public ulong Address, Bytes;
        public nint Communicator;
    }

    private static readonly HashSet<nint> s_handles = [], s_windows = [];

    public static void ncclMemAlloc(void** memory, nuint bytes)
    {
        NcclRuntime.Require(memory != null, "the address's place is NULL");
        *memory = null;
        using Communicator.Scope scope = new(NcclRuntime.CurrentContext);
        CUdeviceptr address;
        NcclRuntime.Check(CudaMemoryCalls.Send_cuMemAlloc_v2(scope.Thread, &address, Math.Max(bytes, 1)), $"{bytes} bytes");
        *memory = (void*)address.Value;
    }

    public static void ncclMemFree(void* memory)
    {
        using Communicator.Scope scope = new(NcclRuntime.CurrentContext);
        NcclRuntime.Check(CudaMemoryCalls.Send_cuMemFree_v2(scope.Thread, CallClass.Blocking, new CUdeviceptr((ulong)memory)), "free");
    }

    public static void ncclCommRegister(Communicator communicator, void* memory, nuint bytes, nint* handle) => Register(s_handles, communicator, memory, bytes, handle);

    public static void ncclCommDeregister(Communicator communicator, nint handle) => Deregister(s_handles, communicator, handle);

    /// <param name="flags">1: symmetric, which all memory is here</param>
    public static void ncclCommWindowRegister(Communicator communicator, void* memory, nuint bytes, nint* window, int flags)
    {
        const uint pageBytes = 4096;
        NcclRuntime.Require(flags is 0 or 1, $"flags {flags}");
        NcclRuntime.Require((ulong)memory % pageBytes == 0, $"the memory is not aligned to {pageBytes} bytes");
        Register(s_windows, communicator, memory, bytes, window);
    }

    public static void ncclCommWindowDeregister(Communicator communicator, nint window) => Deregister(s_windows, communicator, window);

    private static void Register(HashSet<nint> known, Communicator communicator, void* memory, nuint bytes, nint* handle)
    {
        NcclRuntime.Require(handle != null, "the handle's place is NULL");
        *handle = 0;
        communicator.MustBeUsable();
        using Communicator.Scope scope = communicator.Enter();
        CUdeviceptr start;
        nuint length;
        NcclRuntime.Check(CudaMemoryCalls.Send_cuMemGetAddressRange_v2(scope.Thread, &start, &length, new CUdeviceptr((ulong)memory)), "the memory is none of the device's");
        NcclRuntime.Require(bytes > 0 && (ulong)memory + bytes <= start.Value + length, $"{bytes} bytes at 0x{(ulong)memory:x} are not all allocated");
        Registration* made = (Registration*)NativeMemory.AllocZeroed((nuint)sizeof(Registration));
        *made = new Registration { Address = (ulong)memory, Bytes = bytes, Communicator = communicator.Handle };
        lock (known) known.Add((nint)made);
        *handle = (nint)made;
    }

    private static void Deregister(HashSet<nint> known, Communicator communicator, nint handle)
    {
        lock (known)
        {
            NcclRuntime.Require(known.Contains(handle) && ((Registration*)handle)->Communicator == communicator.Handle, "nothing is registered under this handle");
            known.Remove(handle);
        }
        NativeMemory.Free((void*)handle);
    }
}
