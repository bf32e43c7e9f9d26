using System.Runtime.InteropServices;
using System.Text;
using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Backend;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests;

/// <summary>A software device with mapped memory and a bump allocator, driven through the back-end interface.</summary>
sealed unsafe class Machine : IDeviceAllocator, IDisposable
{
    public const ulong Base = 0x7000_0000_0000;
    readonly ulong mappedBytes;
    ulong next = Base;
    CUmemGenericAllocationHandle physical;

    public SoftBackend Device { get; }
    public CUcontext Context { get; }
    public List<ulong> Allocated { get; } = [];
    /// <summary>Addresses to give out instead of new ones, as at a restart.</summary>
    public Queue<ulong> Replay { get; } = new();

    public Machine(ulong mappedBytes = 64 << 20, bool isChecked = true, int workers = 2, SoftDevice.Cache.KernelCacheSettings? cache = null)
    {
        this.mappedBytes = mappedBytes;
        Device = new(this, null, isChecked, workers, kernelCache: cache);
        Ok(Device.cuInit(0));
        CUdeviceptr at;
        Ok(Device.cuMemAddressReserve(&at, 1 << 30, 2 << 20, new(Base), 0));
        Assert.That(at.Value, Is.EqualTo(Base), "the device slot is taken");
        Map(Base, mappedBytes, out physical);
        CUcontext c;
        Ok(Device.cuDevicePrimaryCtxRetain(&c, default));
        Context = c;
        Ok(Device.cuCtxSetCurrent(c));
    }

    public void Map(ulong address, ulong bytes, out CUmemGenericAllocationHandle handle)
    {
        CUmemAllocationProp prop = new() { Type = 1, LocationType = 1 };
        CUmemGenericAllocationHandle h;
        Ok(Device.cuMemCreate(&h, (nuint)bytes, &prop, 0));
        Ok(Device.cuMemMap(new(address), (nuint)bytes, 0, h, 0));
        CUmemAccessDesc access = new() { LocationType = 1, Flags = 3 };
        Ok(Device.cuMemSetAccess(new(address), (nuint)bytes, &access, 1));
        handle = h;
    }

    public static void Ok(CUresult r) => Assert.That(r, Is.EqualTo(CUDA_SUCCESS));

    public ulong AllocateManaged(int deviceOrdinal, ulong bytes) => Allocate(deviceOrdinal, bytes);

    public ulong Allocate(int deviceOrdinal, ulong bytes)
    {
        ulong at = Replay.Count > 0 ? Replay.Dequeue() : next;
        if (at == next) next += bytes + 511 & ~511UL;
        Assert.That(next, Is.LessThanOrEqualTo(Base + mappedBytes));
        Allocated.Add(at);
        return at;
    }

    public void Free(ulong address) => Allocated.Remove(address);

    public ulong Array<T>(ReadOnlySpan<T> data) where T : unmanaged
    {
        ulong at = Allocate(0, (ulong)(data.Length * sizeof(T)));
        data.CopyTo(Span<T>(at, data.Length));
        return at;
    }

    public ulong Zeroed<T>(int count) where T : unmanaged
    {
        ulong at = Allocate(0, (ulong)(count * sizeof(T)));
        Span<T>(at, count).Clear();
        return at;
    }

    public static Span<T> Span<T>(ulong at, int count) where T : unmanaged => new((void*)at, count);

    public CUmodule Load(string ptx)
    {
        byte[] image = Encoding.ASCII.GetBytes(ptx + "\0");
        CUmodule m;
        fixed (byte* p = image) Ok(Device.trecrModuleLoad(&m, p, (nuint)image.Length));
        return m;
    }

    public CUresult TryLoad(string ptx, out CUmodule module)
    {
        byte[] image = Encoding.ASCII.GetBytes(ptx + "\0");
        CUmodule m = default;
        CUresult r;
        fixed (byte* p = image) r = Device.trecrModuleLoad(&m, p, (nuint)image.Length);
        module = m;
        return r;
    }

    public CUfunction Function(CUmodule module, string name)
    {
        CUfunction f;
        FunctionFacts facts;
        byte[] text = Encoding.ASCII.GetBytes(name + "\0");
        fixed (byte* p = text) Ok(Device.trecrModuleGetFunction(&f, &facts, module, p));
        return f;
    }

    public (ulong Address, ulong Bytes) Global(CUmodule module, string name)
    {
        CUdeviceptr at;
        nuint bytes;
        byte[] text = Encoding.ASCII.GetBytes(name + "\0");
        fixed (byte* p = text) Ok(Device.cuModuleGetGlobal_v2(&at, &bytes, module, p));
        return (at.Value, bytes);
    }

    /// <summary>Launches with arguments laid out by natural alignment.</summary>
    public CUresult TryLaunch(CUfunction f, (uint X, uint Y, uint Z) grid, (uint X, uint Y, uint Z) block, uint shared, CUstream stream, params object[] arguments)
    {
        byte[] bytes = new byte[4096];
        int at = 0;
        foreach (object a in arguments)
        {
            int size = Marshal.SizeOf(a);
            at = at + size - 1 & -size;
            fixed (byte* p = &bytes[at])
                switch (a)
                {
                    case int v: *(int*)p = v; break;
                    case uint v: *(uint*)p = v; break;
                    case long v: *(long*)p = v; break;
                    case ulong v: *(ulong*)p = v; break;
                    case float v: *(float*)p = v; break;
                    case double v: *(double*)p = v; break;
                    case short v: *(short*)p = v; break;
                    case byte v: *p = v; break;
                    default: throw new ArgumentException(a.GetType().Name);
                }
            at += size;
        }
        fixed (byte* p = bytes)
            return Device.trecrLaunchKernel(f, grid.X, grid.Y, grid.Z, block.X, block.Y, block.Z, shared, stream, 0, p, (nuint)at);
    }

    public void Launch(CUfunction f, uint grid, uint block, params object[] arguments) => Ok(TryLaunch(f, (grid, 1, 1), (block, 1, 1), 0, default, arguments));

    /// <summary>Launches and waits.</summary>
    public void Run(CUfunction f, uint grid, uint block, params object[] arguments)
    {
        Launch(f, grid, block, arguments);
        Ok(Device.cuCtxSynchronize());
    }

    public string Output()
    {
        byte[] text = new byte[1 << 20];
        nuint n;
        fixed (byte* p = text) Ok(Device.trecrTakeDeviceOutput(p, (nuint)text.Length, &n));
        return Encoding.Latin1.GetString(text, 0, (int)n);
    }

    public void Dispose() => Device.Dispose();
}
