using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: the forms without a stream. They return at once, except where the target is pinned or managed memory, which the program may read
// as soon as the call is back ("API synchronization behavior").
internal static unsafe class Fills
{
    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8_v2")]
    public static CUresult D8(CUdeviceptr destination, byte value, nuint count)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD8Async(thread, destination, value, count, CUstream.Default), CUstream.Default);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D8_v2")]
    public static CUresult D2D8(CUdeviceptr destination, nuint pitch, byte value, nuint width, nuint height)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD2D8Async(thread, destination, pitch, value, width, height, CUstream.Default), CUstream.Default);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD8_v2_ptds")]
    public static CUresult D8_ptds(CUdeviceptr destination, byte value, nuint count)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD8Async(thread, destination, value, count, CUstream.PerThread), CUstream.PerThread);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D8_v2_ptds")]
    public static CUresult D2D8_ptds(CUdeviceptr destination, nuint pitch, byte value, nuint width, nuint height)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD2D8Async(thread, destination, pitch, value, width, height, CUstream.PerThread), CUstream.PerThread);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD16_v2")]
    public static CUresult D16(CUdeviceptr destination, ushort value, nuint count)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD16Async(thread, destination, value, count, CUstream.Default), CUstream.Default);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D16_v2")]
    public static CUresult D2D16(CUdeviceptr destination, nuint pitch, ushort value, nuint width, nuint height)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD2D16Async(thread, destination, pitch, value, width, height, CUstream.Default), CUstream.Default);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD16_v2_ptds")]
    public static CUresult D16_ptds(CUdeviceptr destination, ushort value, nuint count)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD16Async(thread, destination, value, count, CUstream.PerThread), CUstream.PerThread);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D16_v2_ptds")]
    public static CUresult D2D16_ptds(CUdeviceptr destination, nuint pitch, ushort value, nuint width, nuint height)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD2D16Async(thread, destination, pitch, value, width, height, CUstream.PerThread), CUstream.PerThread);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD32_v2")]
    public static CUresult D32(CUdeviceptr destination, uint value, nuint count)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD32Async(thread, destination, value, count, CUstream.Default), CUstream.Default);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D32_v2")]
    public static CUresult D2D32(CUdeviceptr destination, nuint pitch, uint value, nuint width, nuint height)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD2D32Async(thread, destination, pitch, value, width, height, CUstream.Default), CUstream.Default);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD32_v2_ptds")]
    public static CUresult D32_ptds(CUdeviceptr destination, uint value, nuint count)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD32Async(thread, destination, value, count, CUstream.PerThread), CUstream.PerThread);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemsetD2D32_v2_ptds")]
    public static CUresult D2D32_ptds(CUdeviceptr destination, nuint pitch, uint value, nuint width, nuint height)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : Settle(thread, destination, CudaCopyCalls.Send_cuMemsetD2D32Async(thread, destination, pitch, value, width, height, CUstream.PerThread), CUstream.PerThread);
    }

    private static CUresult Settle(ProgramThread* thread, CUdeviceptr destination, CUresult result, CUstream stream)
        => result == CUresult.CUDA_SUCCESS && Addresses.IsPinned(destination.Value) ? CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream) : result;
}
