using NUnit.Framework;
using TreCr.Calls.Cuda;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests;

/// <summary>Bad accesses, traps and bad PTX become CUDA errors; the context stays failed; the process lives.</summary>
[CancelAfter(120_000)]
public sealed class FaultTests
{
    const string Source = """
        extern "C" __device__ void __assertfail(const char*, const char*, unsigned, const char*, unsigned long);
        extern "C" {
        __global__ void store(u64 address) { if (BX == 1 && TX == 37) *(volatile int*)address = 1; }
        __global__ void load(u64 address, int* out) { out[0] = *(volatile int*)address; }
        __global__ void load8(u64 address, double* out) { out[0] = *(volatile double*)address; }
        __global__ void shared(int i, int* out) { __shared__ int s[32]; s[TX] = 1; __syncthreads(); out[TX] = ((volatile int*)s)[i]; }
        __global__ void trap() { if (TX == 3) __builtin_trap(); }
        __global__ void fail(int x) { if (x != 7) __assertfail("x == 7", "file.cu", 12, "fail", 1); }
        __global__ void good(int* out) { out[TX] = TX; }
        __global__ void stuck() { if (TX < 16) __nvvm_barrier_sync_cnt(1, 32); }
        __attribute__((noinline)) __device__ int deep(int n) { volatile int a[64]; a[n & 63] = n; return n <= 0 ? 0 : deep(n - 1) + a[n & 63]; }
        __global__ void overflow(int* out) { out[0] = deep(1000000); }
        }
        """;

    static readonly Lazy<string> Ptx = new(() => Clang.Ptx(Source));

    static (CUresult Result, string Message) Provoke(string kernel, uint grid, uint block, Func<Machine, object[]> arguments)
    {
        using Machine m = new(4 << 20);
        CUmodule module = m.Load(Ptx.Value);
        TextWriter old = Console.Error;
        StringWriter errors = new();
        Console.SetError(errors);
        try
        {
            m.Launch(m.Function(module, kernel), grid, block, arguments(m));
            CUresult r;
            r = m.Device.cuCtxSynchronize();
            // Sticky: what comes after fails with the same code, and nothing runs any more.
            ulong o = m.Zeroed<int>(32);
            if (r != CUDA_SUCCESS)
            {
                Assert.That(m.TryLaunch(m.Function(module, "good"), (1, 1, 1), (32, 1, 1), 0, default, o), Is.EqualTo(r));
                Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(r));
                Assert.That(Machine.Span<int>(o, 32)[5], Is.Zero);
            }
            return (r, errors.ToString() + m.Output());
        }
        finally
        {
            Console.SetError(old);
        }
    }

    [TestCase(0UL), TestCase(8UL), TestCase(0x7000_0040_0000UL), TestCase(0x7000_003F_FFFFUL + 0x100000UL), TestCase(0x6FFF_FFFF_FFFCUL), TestCase(ulong.MaxValue - 3), TestCase(0x7FFF_FFFF_F000UL)]
    public void IllegalStoreNamesKernelThreadAndAddress(ulong address)
    {
        address &= ~3UL;
        (CUresult r, string text) = Provoke("store", 3, 64, _ => [address]);
        Assert.That(r, Is.EqualTo(CUDA_ERROR_ILLEGAL_ADDRESS));
        Assert.That(text, Does.Contain("kernel store").And.Contain($"0x{address:x}").And.Contain("block (1,0,0)").And.Contain("thread (37,0,0)"));
    }

    [Test]
    public void LastBytesOfMappedMemoryAreLegalAndTheNextAreNot()
    {
        (CUresult r, _) = Provoke("load8", 1, 1, m => [Machine.Base + (4 << 20) - 8, m.Zeroed<double>(1)]);
        Assert.That(r, Is.EqualTo(CUDA_SUCCESS));
        (r, _) = Provoke("load8", 1, 1, m => [Machine.Base + (4 << 20) - 4, m.Zeroed<double>(1)]);
        Assert.That(r, Is.EqualTo(CUDA_ERROR_MISALIGNED_ADDRESS));
        (r, _) = Provoke("load8", 1, 1, m => [Machine.Base + (4 << 20), m.Zeroed<double>(1)]);
        Assert.That(r, Is.EqualTo(CUDA_ERROR_ILLEGAL_ADDRESS));
    }

    [Test]
    public void Misaligned() => Assert.That(Provoke("load", 1, 1, m => [Machine.Base + 2, m.Zeroed<int>(1)]).Result, Is.EqualTo(CUDA_ERROR_MISALIGNED_ADDRESS));

    [TestCase(31, CUDA_SUCCESS), TestCase(1000, CUDA_ERROR_ILLEGAL_ADDRESS), TestCase(-1, CUDA_ERROR_ILLEGAL_ADDRESS)]
    public void SharedMemoryHasBounds(int index, CUresult expected) => Assert.That(Provoke("shared", 1, 32, m => [index, m.Zeroed<int>(32)]).Result, Is.EqualTo(expected));

    [Test]
    public unsafe void FreedBlocksAreNotAccessible()
    {
        using Machine m = new(4 << 20);
        CUmodule module = m.Load(Ptx.Value);
        CUfunction load = m.Function(module, "load");
        m.Map(Machine.Base + (16 << 20), 8 << 20, out CUmemGenericAllocationHandle h);
        ulong o = m.Zeroed<int>(1);
        m.Run(load, 1, 1, Machine.Base + (20 << 20), o);
        Machine.Span<int>(Machine.Base, 1)[0] = 5;
        m.Run(load, 1, 1, Machine.Base, o); // outside of the larger range, which is the window
        Assert.That(Machine.Span<int>(o, 1)[0], Is.EqualTo(5));
        Machine.Ok(m.Device.cuMemUnmap(new(Machine.Base + (16 << 20)), 8 << 20));
        Machine.Ok(m.Device.cuMemRelease(h));
        m.Launch(load, 1, 1, Machine.Base + (20 << 20), o);
        Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(CUDA_ERROR_ILLEGAL_ADDRESS));
    }

    [Test]
    public unsafe void MemoryComesBackZeroed()
    {
        using Machine m = new(2 << 20);
        m.Map(Machine.Base + (8 << 20), 2 << 20, out CUmemGenericAllocationHandle h);
        Machine.Span<byte>(Machine.Base + (8 << 20), 2 << 20).Fill(7);
        Machine.Ok(m.Device.cuMemUnmap(new(Machine.Base + (8 << 20)), 2 << 20));
        Machine.Ok(m.Device.cuMemRelease(h));
        m.Map(Machine.Base + (8 << 20), 2 << 20, out _);
        Assert.That(Machine.Span<byte>(Machine.Base + (8 << 20), 2 << 20).IndexOfAnyExcept((byte)0), Is.EqualTo(-1));
    }

    [Test]
    public unsafe void PinnedMemoryIsAccessibleOnceMapped()
    {
        using Machine m = new(4 << 20);
        void* host = System.Runtime.InteropServices.NativeMemory.AlignedAlloc(4096, 4096);
        CUmodule module = m.Load(Ptx.Value);
        Machine.Ok(m.Device.trecrHostMap((ulong)host, 4096));
        ulong o = m.Zeroed<int>(1);
        ((int*)host)[9] = 77;
        m.Run(m.Function(module, "load"), 1, 1, (ulong)host + 36, o);
        Assert.That(Machine.Span<int>(o, 1)[0], Is.EqualTo(77));
        Machine.Ok(m.Device.trecrHostUnmap((ulong)host));
        m.Launch(m.Function(module, "load"), 1, 1, (ulong)host + 36, o);
        Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(CUDA_ERROR_ILLEGAL_ADDRESS));
        System.Runtime.InteropServices.NativeMemory.AlignedFree(host);
    }

    [Test]
    public void Trap() => Assert.That(Provoke("trap", 1, 32, _ => []).Result, Is.EqualTo(CUDA_ERROR_LAUNCH_FAILED));

    [Test]
    public void Assertion()
    {
        (CUresult r, string text) = Provoke("fail", 1, 1, _ => [8]);
        Assert.That(r, Is.EqualTo(CUDA_ERROR_ASSERT));
        Assert.That(text, Does.Contain("file.cu:12: fail: block: [0,0,0], thread: [0,0,0] Assertion `x == 7` failed."));
        Assert.That(Provoke("fail", 1, 1, _ => [7]).Result, Is.EqualTo(CUDA_SUCCESS));
    }

    [Test]
    public void BarrierThatNobodyReachesIsNamedAndNotAHang()
    {
        (CUresult r, string text) = Provoke("stuck", 1, 32, _ => []);
        Assert.That(r, Is.EqualTo(CUDA_ERROR_LAUNCH_FAILED));
        Assert.That(text, Does.Contain("for ever"));
    }

    [Test]
    public void StackOverflow() => Assert.That(Provoke("overflow", 1, 1, m => [m.Zeroed<int>(1)]).Result, Is.EqualTo(CUDA_ERROR_LAUNCH_FAILED));

    const string Head = ".version 6.4\n.target sm_70\n.address_size 64\n";

    [TestCase("", CUDA_ERROR_INVALID_IMAGE)]
    [TestCase("hello world", CUDA_ERROR_INVALID_PTX)]
    [TestCase(".version 99.0\n.target sm_70\n", CUDA_ERROR_UNSUPPORTED_PTX_VERSION)]
    [TestCase(".version 6.4\n.target sm_199\n.address_size 64\n", CUDA_ERROR_INVALID_PTX)]
    [TestCase(Head + ".visible .entry k() { .reg .b32 %r<2>; add.s32 %r1, %r0; ", CUDA_ERROR_INVALID_PTX)]
    [TestCase(Head + ".visible .entry k() { bra nowhere; }", CUDA_ERROR_INVALID_PTX)]
    [TestCase(Head + ".visible .entry k() { .reg .b32 %r<2>; mov.u32 %r5, 1; }", CUDA_ERROR_INVALID_PTX)]
    [TestCase(Head + ".visible .entry k() { .reg .b64 %r<2>; mov.u64 %r1, missing; }", CUDA_ERROR_INVALID_PTX)]
    [TestCase(Head + ".global .b32 x = {1,2,3};", CUDA_ERROR_INVALID_PTX)]
    [TestCase(Head + ".visible .entry k(.param .b8 p[99999999999999999999]) { ret; }", CUDA_ERROR_INVALID_PTX)]
    [TestCase(".version 6.4\n.target sm_70\n.address_size 32\n", CUDA_ERROR_INVALID_PTX)]
    public void BadPtxIsAnError(string ptx, CUresult expected)
    {
        using Machine m = new(2 << 20);
        Assert.That(m.TryLoad(ptx, out _), Is.EqualTo(expected));
        m.Load(Head + ".visible .entry k() { ret; }");
    }

    [TestCase("wgmma.fence.sync.aligned;", "wgmma.fence.sync.aligned")]
    [TestCase("frobnicate.b32 %r1, %r0;", "frobnicate.b32")]
    public void UnsupportedInstructionIsRefusedByNameAtLaunch(string instruction, string name)
    {
        using Machine m = new(2 << 20);
        CUmodule module = m.Load(Head + ".visible .entry odd() { .reg .b32 %r<2>; .reg .f32 %f<2>; .reg .b64 %rd<2>; " + instruction + " ret; }\n.visible .entry fine() { ret; }");
        TextWriter old = Console.Error;
        StringWriter errors = new();
        Console.SetError(errors);
        CUresult r = m.TryLaunch(m.Function(module, "odd"), (1, 1, 1), (1, 1, 1), 0, default);
        Console.SetError(old);
        Assert.That(r, Is.EqualTo(CUDA_ERROR_NO_BINARY_FOR_GPU));
        Assert.That(errors.ToString(), Does.Contain(name).And.Contain("odd"));
        m.Run(m.Function(module, "fine"), 1, 1);
    }

    [Test]
    public void LaunchLimits()
    {
        using Machine m = new(2 << 20);
        CUfunction f = m.Function(m.Load(Head + ".visible .entry k() { ret; }"), "k");
        foreach ((uint, uint, uint) grid in new[] { (0u, 1u, 1u), (1u, 0u, 1u), (1u, 65536u, 1u) })
            Assert.That(m.TryLaunch(f, grid, (1, 1, 1), 0, default), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        foreach ((uint, uint, uint) block in new[] { (0u, 1u, 1u), (2048u, 1u, 1u), (1024u, 2u, 1u), (1u, 1u, 65u) })
            Assert.That(m.TryLaunch(f, (1, 1, 1), block, 0, default), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        Assert.That(m.TryLaunch(f, (1, 1, 1), (1, 1, 1), 200 << 10, default), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        Assert.That(m.TryLaunch(new(12345), (1, 1, 1), (1, 1, 1), 0, default), Is.EqualTo(CUDA_ERROR_INVALID_HANDLE));
        m.Run(f, 1, 1);
    }
}
