namespace TreCr.Calls.Cuda;

// Handle types of the driver API. In the program and in records the value is virtual (VirtualHandle), behind the dispatch it is the back end's own.

/// <summary>Device ordinal, 0-based.</summary>
public readonly record struct CUdevice(int Value);

/// <summary>Device address: never mapped, the real address on every run.</summary>
public readonly record struct CUdeviceptr(ulong Value);

[Handle(HandleKind.Context)]
public readonly record struct CUcontext(ulong Value);

[Handle(HandleKind.Module)]
public readonly record struct CUmodule(ulong Value);

[Handle(HandleKind.Function)]
public readonly record struct CUfunction(ulong Value);

/// <summary>0 the default stream, 1 CU_STREAM_LEGACY, 2 CU_STREAM_PER_THREAD, else a handle.</summary>
[Handle(HandleKind.Stream)]
public readonly record struct CUstream(ulong Value)
{
    public static CUstream Default => default;
    public static CUstream Legacy => new(1);
    public static CUstream PerThread => new(2);
}

[Handle(HandleKind.Event)]
public readonly record struct CUevent(ulong Value);

/// <summary>An array, a mipmapped array, or what stands for a texture or surface object in the log (ICudaImage).</summary>
[Handle(HandleKind.Array)]
public readonly record struct CUarray(ulong Value);

[Handle(HandleKind.MemoryPool)]
public readonly record struct CUmemoryPool(ulong Value);

/// <summary>Physical memory of the virtual memory management calls.</summary>
[Handle(HandleKind.MemoryAllocation)]
public readonly record struct CUmemGenericAllocationHandle(ulong Value);

/// <summary>Membership in a communicator (ICudaCollective).</summary>
[Handle(HandleKind.Communicator)]
public readonly record struct CUcommunicator(ulong Value);
