using System.Runtime.InteropServices;
using System.Text;
using TreCr.Backend.Cuda;
using TreCr.Calls.Cuda;

namespace TreCr.GpuCheck;

/// <summary>Device 0 through the delegator's own binding; every failure is a <see cref="ProbeException"/> that names the call.</summary>
internal sealed unsafe class Gpu
{
    private Gpu(CudaDriverBackend backend) => Backend = backend;

    public CudaDriverBackend Backend { get; }

    public ulong TotalBytes { get; private init; }

    /// <summary>Compute capability times ten, e.g. 90.</summary>
    public int Architecture { get; private init; }

    /// <summary>cuInit and the first device; no context yet.</summary>
    public static Gpu Open()
    {
        if (!CudaDriverBackend.IsDriverPresent) throw new ProbeException("no device: NVIDIA's driver library (libcuda.so.1) was not found");
        CudaDriverBackend backend = new();
        CUresult result = backend.cuInit(0);
        if (result != CUresult.CUDA_SUCCESS) throw new ProbeException($"no device: cuInit: {result}");
        int count = 0;
        Check(backend.cuDeviceGetCount(&count), "cuDeviceGetCount");
        if (count == 0) throw new ProbeException("no device: the driver counts none");
        nuint total = 0;
        Check(backend.cuDeviceTotalMem_v2(&total, new CUdevice(0)), "cuDeviceTotalMem");
        int major = 0, minor = 0;
        Check(backend.cuDeviceGetAttribute(&major, 75, new CUdevice(0)), "cuDeviceGetAttribute");
        Check(backend.cuDeviceGetAttribute(&minor, 76, new CUdevice(0)), "cuDeviceGetAttribute");
        return new Gpu(backend) { TotalBytes = total, Architecture = major * 10 + minor };
    }

    /// <summary>The primary context, current on this thread.</summary>
    public void UseContext()
    {
        CUcontext context;
        Check(Backend.cuDevicePrimaryCtxRetain(&context, new CUdevice(0)), "cuDevicePrimaryCtxRetain");
        Check(Backend.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    }

    /// <param name="text">PTX</param>
    public CUmodule Load(byte[] text, string name)
    {
        byte[] terminated = [.. text, 0];
        CUmodule module;
        fixed (byte* image = terminated) Check(Backend.trecrModuleLoad(&module, image, (nuint)terminated.Length), $"cuModuleLoadData of {name}");
        return module;
    }

    /// <summary>The module of this program (probe.ptx).</summary>
    public CUmodule LoadProbe()
    {
        using Stream stream = typeof(Gpu).Assembly.GetManifestResourceStream("probe.ptx") ?? throw new ProbeException("probe.ptx is not in the program");
        byte[] text = new byte[stream.Length];
        stream.ReadExactly(text);
        return Load(text, "probe.ptx");
    }

    public (ulong Address, ulong Bytes) Global(CUmodule module, string name)
    {
        CUdeviceptr address;
        nuint bytes;
        fixed (byte* n = Encoding.UTF8.GetBytes(name + "\0")) Check(Backend.cuModuleGetGlobal_v2(&address, &bytes, module, n), $"cuModuleGetGlobal of {name}");
        return (address.Value, bytes);
    }

    /// <summary>Launches one thread and waits for it.</summary>
    /// <param name="parameters">the parameter block, laid out as the kernel declares</param>
    public FunctionFacts Run(CUmodule module, string kernel, ReadOnlySpan<byte> parameters)
    {
        CUfunction function;
        FunctionFacts facts;
        fixed (byte* n = Encoding.UTF8.GetBytes(kernel + "\0")) Check(Backend.trecrModuleGetFunction(&function, &facts, module, n), $"cuModuleGetFunction of {kernel}");
        fixed (byte* p = parameters)
            Check(Backend.trecrLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, CUstream.Default, 0, p, (nuint)parameters.Length), $"cuLaunchKernel of {kernel}");
        Check(Backend.cuCtxSynchronize(), $"cuCtxSynchronize after {kernel}");
        return facts;
    }

    /// <summary>Parameter block of probe_add: address, amount.</summary>
    public static byte[] AddParameters(ulong address, uint amount)
    {
        byte[] block = new byte[12];
        MemoryMarshal.Write(block, address);
        MemoryMarshal.Write(block.AsSpan(8), amount);
        return block;
    }

    public void Fill(ulong address, byte value, ulong bytes) => Check(Backend.cuMemsetD8Async(new CUdeviceptr(address), value, (nuint)bytes, CUstream.Default), "cuMemsetD8Async");

    public byte[] Read(ulong address, int bytes)
    {
        byte[] into = new byte[bytes];
        fixed (byte* p = into) Check(Backend.cuMemcpyDtoHAsync_v2(p, new CUdeviceptr(address), (nuint)bytes, CUstream.Default), "cuMemcpyDtoHAsync");
        Check(Backend.cuCtxSynchronize(), "cuCtxSynchronize");
        return into;
    }

    public static void Check(CUresult result, string call)
    {
        if (result != CUresult.CUDA_SUCCESS) throw new ProbeException($"{call}: {result} ({(int)result})");
    }
}
