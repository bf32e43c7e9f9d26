using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Engine;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests;

/// <summary>Order of work: streams, the legacy stream, events, host functions, draining.</summary>
[CancelAfter(120_000)]
public sealed unsafe class StreamTests
{
    const string Source = """
        extern "C" {
        __global__ void add(int* p, int v) { p[0] = p[0] * 3 + v; }
        __global__ void copy(const int* from, int* to) { to[0] = from[0]; }
        __global__ void until(volatile int* flag) { while (*flag == 0) {} }
        }
        """;

    static readonly Lazy<string> Ptx = new(() => Clang.Ptx(Source));
    static readonly ManualResetEventSlim Open = new(false);
    static int hostCalls;

    [UnmanagedCallersOnly]
    static void Blocks(void* data)
    {
        Open.Wait(120_000);
        Interlocked.Increment(ref hostCalls);
        *(int*)data = 1;
    }

    Machine m = null!;
    CUfunction add, copy, until;

    [SetUp]
    public void Start()
    {
        Open.Reset();
        m = new(4 << 20);
        CUmodule module = m.Load(Ptx.Value);
        add = m.Function(module, "add");
        copy = m.Function(module, "copy");
        until = m.Function(module, "until");
    }

    [TearDown]
    public void Stop()
    {
        Open.Set();
        m.Device.Drain(TimeSpan.FromSeconds(60), out _);
        m.Dispose();
    }

    CUstream Stream(uint flags = 0)
    {
        CUstream s;
        Machine.Ok(m.Device.cuStreamCreateWithPriority(&s, flags, 0));
        return s;
    }

    void On(CUstream s, CUfunction f, params object[] a) => Machine.Ok(m.TryLaunch(f, (1, 1, 1), (1, 1, 1), 0, s, a));

    void Block(CUstream s, ulong mark) => Machine.Ok(m.Device.cuLaunchHostFunc(s, (ulong)(delegate* unmanaged<void*, void>)&Blocks, mark));

    [Test]
    public void OneStreamIsInOrder()
    {
        ulong p = m.Zeroed<int>(1);
        CUstream s = Stream();
        int expected = 0;
        for (int i = 0; i < 500; i++)
        {
            On(s, add, p, i);
            expected = expected * 3 + i;
        }
        Machine.Ok(m.Device.cuStreamSynchronize(s));
        Assert.That(Machine.Span<int>(p, 1)[0], Is.EqualTo(expected));
        Machine.Ok(m.Device.cuStreamQuery(s));
    }

    [Test]
    public void LegacyStreamWaitsForBlockingStreamsAndTheyForIt()
    {
        ulong a = m.Zeroed<int>(4), mark = m.Zeroed<int>(1);
        CUstream s = Stream(), free = Stream(1);
        Block(s, mark);
        On(s, add, a, 5);
        On(default, copy, a, a + 4);        // after s
        On(s, add, a, 7);                   // after the legacy stream
        On(free, add, a + 8, 9);            // not held up
        Machine.Ok(m.Device.cuStreamSynchronize(free));
        Assert.That(Machine.Span<int>(a, 4).ToArray(), Is.EqualTo(new[] { 0, 0, 9, 0 }));
        Assert.That(m.Device.cuStreamQuery(default), Is.EqualTo(CUDA_ERROR_NOT_READY));
        Open.Set();
        Machine.Ok(m.Device.cuCtxSynchronize());
        Assert.That(Machine.Span<int>(a, 4).ToArray(), Is.EqualTo(new[] { 22, 5, 9, 0 }));
    }

    [Test]
    public void EventsOrderStreamsAndHaveTimes()
    {
        ulong a = m.Zeroed<int>(4), mark = m.Zeroed<int>(1);
        CUstream s = Stream(1), t = Stream(1);
        CUevent e, f;
        Machine.Ok(m.Device.cuEventCreate(&e, 0));
        Machine.Ok(m.Device.cuEventCreate(&f, 0));
        Machine.Ok(m.Device.cuEventQuery(e));
        float ms;
        Assert.That(m.Device.cuEventElapsedTime(&ms, e, f), Is.EqualTo(CUDA_ERROR_INVALID_HANDLE));
        Machine.Ok(m.Device.cuEventRecord(e, s));
        Block(s, mark);
        On(s, add, a, 5);
        Machine.Ok(m.Device.cuEventRecord(f, s));
        Machine.Ok(m.Device.cuStreamWaitEvent(t, f, 0));
        On(t, copy, a, a + 4);
        Assert.That(m.Device.cuEventQuery(f), Is.EqualTo(CUDA_ERROR_NOT_READY));
        Assert.That(m.Device.cuEventElapsedTime(&ms, e, f), Is.EqualTo(CUDA_ERROR_NOT_READY));
        Assert.That(m.Device.cuStreamQuery(t), Is.EqualTo(CUDA_ERROR_NOT_READY));
        Open.Set();
        Machine.Ok(m.Device.cuEventSynchronize(f));
        Machine.Ok(m.Device.cuStreamSynchronize(t));
        Assert.That(Machine.Span<int>(a, 4)[1], Is.EqualTo(5));
        Machine.Ok(m.Device.cuEventElapsedTime(&ms, e, f));
        Assert.That(ms, Is.GreaterThan(0));
        ulong ns;
        Machine.Ok(m.Device.trecrEventGetTime(&ns, f));
        Machine.Ok(m.Device.trecrEventSetTime(e, ns - 2_000_000));
        Machine.Ok(m.Device.cuEventElapsedTime(&ms, e, f));
        Assert.That(ms, Is.EqualTo(2).Within(1e-3));
    }

    [Test]
    public void DrainNamesWhatItWaitsFor()
    {
        ulong mark = m.Zeroed<int>(1), flag = m.Zeroed<int>(1), a = m.Zeroed<int>(1);
        CUstream s = Stream(1);
        Block(s, mark);
        On(s, add, a, 1);
        Assert.That(m.Device.Drain(TimeSpan.FromMilliseconds(50), out string? blocker), Is.False);
        Assert.That(blocker, Does.Contain("host function"));
        Open.Set();
        Assert.That(m.Device.Drain(TimeSpan.FromSeconds(60), out blocker), Is.True);
        Assert.That(blocker, Is.Null);
        On(s, until, flag);
        Assert.That(m.Device.Drain(TimeSpan.FromMilliseconds(50), out blocker), Is.False);
        Assert.That(blocker, Does.Contain("until"));
        Machine.Span<int>(flag, 1)[0] = 1;
        Assert.That(m.Device.Drain(TimeSpan.FromSeconds(60), out _), Is.True);
        Assert.That(Machine.Span<int>(mark, 1)[0], Is.EqualTo(1));
    }

    [Test]
    public void WhoWaitsIsWokenByWhatItWaitsForOnly()
    {
        ulong mark = m.Zeroed<int>(1), a = m.Zeroed<int>(1);
        CUstream held = Stream(1), other = Stream(1);
        Block(held, mark);
        ThreadBell? bell = null;
        Thread waiter = new(() =>
        {
            m.Device.cuCtxSetCurrent(m.Context);
            Volatile.Write(ref bell, ThreadBell.OfThisThread);
            m.Device.cuStreamSynchronize(held);
        });
        waiter.Start();
        Assert.That(() => Volatile.Read(ref bell)?.Stream, Is.Not.Null.After(60_000, 1));
        for (int i = 0; i < 50; i++)
        {
            On(other, add, a, i);
            Machine.Ok(m.Device.cuStreamSynchronize(other));
        }
        Assert.That(bell!.Rings, Is.Zero);
        Open.Set();
        waiter.Join();
        Assert.That(bell.Rings, Is.EqualTo(1));
    }

    [Test]
    public void NoWakeUpIsLost()
    {
        // More threads than workers, each of which waits for every launch: one that nobody wakes hangs until CancelAfter.
        const int Threads = 5, Rounds = 400;
        ulong sums = m.Zeroed<int>(Threads * 128), words = m.Zeroed<int>(Threads * 128);
        Exception? failure = null;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            try
            {
                Machine.Ok(m.Device.cuCtxSetCurrent(m.Context));
                CUstream s = Stream(1), next = Stream(1);
                CUevent e;
                Machine.Ok(m.Device.cuEventCreate(&e, 0));
                ulong sum = sums + (ulong)t * 512, word = words + (ulong)t * 512;
                uint expected = 0;
                for (int i = 0; i < Rounds; i++)
                {
                    On(s, add, sum, i);
                    expected = expected * 3 + (uint)i;
                    switch (i % 4)
                    {
                        case 0:
                            Machine.Ok(m.Device.cuStreamSynchronize(s));
                            break;
                        case 1:
                            Machine.Ok(m.Device.cuEventRecord(e, s));
                            Machine.Ok(m.Device.cuEventSynchronize(e));
                            break;
                        case 2: // one stream waits for the other
                            Machine.Ok(m.Device.cuEventRecord(e, s));
                            Machine.Ok(m.Device.cuStreamWaitEvent(next, e, 0));
                            On(next, copy, sum, sum + 4);
                            Machine.Ok(m.Device.cuStreamSynchronize(next));
                            break;
                        default: // and for a value that the other writes
                            Machine.Ok(m.Device.cuStreamWaitValue32_v2(next, new(word), (uint)i, 1));
                            Machine.Ok(m.Device.cuStreamWriteValue32_v2(s, new(word), (uint)i, 0));
                            Machine.Ok(m.Device.cuStreamSynchronize(next));
                            break;
                    }
                    if (Machine.Span<uint>(sum, 1)[0] != expected) throw new InvalidOperationException($"round {i}: {Machine.Span<uint>(sum, 1)[0]}, not {expected}");
                }
            }
            catch (Exception x) { failure = x; }
        }))];
        foreach (Thread t in threads) t.Start();
        foreach (Thread t in threads) t.Join();
        Assert.That(failure, Is.Null);
    }

    [Test]
    public void BatchesCoverTheGridAndShrinkTowardsItsEnd([Values(1u, 7u, 300u, 5000u)] uint blocks, [Values(1, 2, 16)] int workers)
    {
        GridLaunch launch = new() { GridX = blocks, GridY = 1, GridZ = 1 };
        launch.Start(workers);
        List<ulong> sizes = [];
        ulong next = 0;
        while (launch.Take(out ulong first, out ulong end))
        {
            Assert.That(first, Is.EqualTo(next));
            sizes.Add(end - first);
            next = end;
        }
        Assert.That(next, Is.EqualTo((ulong)blocks));
        Assert.That(sizes, Is.Ordered.Descending);
        Assert.That(sizes, Is.All.LessThanOrEqualTo(64UL));
        Assert.That(sizes[^1], Is.EqualTo(1UL));
    }

    [Test]
    public void CopiesAndFillsAreStreamItems()
    {
        ulong a = m.Zeroed<byte>(4096), b = m.Zeroed<byte>(4096);
        byte[] host = new byte[4096], back = new byte[4096];
        new Random(5).NextBytes(host);
        fixed (byte* h = host, r = back)
        {
            Machine.Ok(m.Device.cuMemcpyHtoDAsync_v2(new(a), h, 4096, default));
            Machine.Ok(m.Device.cuMemcpyDtoDAsync_v2(new(b), new(a), 4096, default));
            Machine.Ok(m.Device.cuMemsetD8Async(new(b), 0xAB, 16, default));
            Machine.Ok(m.Device.cuMemsetD16Async(new(b + 16), 0x1234, 8, default));
            Machine.Ok(m.Device.cuMemsetD32Async(new(b + 32), 0x89ABCDEF, 4, default));
            Machine.Ok(m.Device.cuMemsetD2D8Async(new(b + 1024), 64, 0x11, 3, 4, default));
            Machine.Ok(m.Device.cuMemcpyDtoHAsync_v2(r, new(b), 4096, default));
            Machine.Ok(m.Device.cuStreamSynchronize(default));
        }
        byte[] expected = (byte[])host.Clone();
        expected.AsSpan(0, 16).Fill(0xAB);
        for (int i = 16; i < 32; i += 2) (expected[i], expected[i + 1]) = (0x34, 0x12);
        for (int i = 32; i < 48; i += 4) (expected[i], expected[i + 1], expected[i + 2], expected[i + 3]) = (0xEF, 0xCD, 0xAB, 0x89);
        for (int row = 0; row < 4; row++) expected.AsSpan(1024 + row * 64, 3).Fill(0x11);
        Assert.That(back, Is.EqualTo(expected));
        Assert.That(m.Device.cuMemsetD8Async(new(Machine.Base + (4 << 20) - 8), 0, 16, default), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        Assert.That(m.Device.cuMemcpyDtoDAsync_v2(new(b), new(0x1000), 4, default), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
    }

    [Test]
    public void CopyIn2D()
    {
        ulong a = m.Zeroed<int>(64 * 16);
        int[] host = [.. Enumerable.Range(0, 10 * 6)];
        fixed (int* h = host)
        {
            CUDA_MEMCPY2D c = new() { SrcMemoryType = 1, SrcHost = (ulong)h, SrcPitch = 40, SrcXInBytes = 8, SrcY = 1, DstMemoryType = 2, DstDevice = a, DstPitch = 256, DstXInBytes = 4, DstY = 2, WidthInBytes = 24, Height = 3 };
            Machine.Ok(m.Device.cuMemcpy2DAsync_v2(&c, default));
            Machine.Ok(m.Device.cuStreamSynchronize(default));
        }
        Span<int> got = Machine.Span<int>(a, 64 * 16);
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 64; x++)
                Assert.That(got[y * 64 + x], Is.EqualTo(y is >= 2 and < 5 && x is >= 1 and < 7 ? (y - 1) * 10 + x + 1 : 0));
    }

    [Test]
    public void DestroyedStreamStillRuns()
    {
        ulong a = m.Zeroed<int>(1), mark = m.Zeroed<int>(1);
        CUstream s = Stream(1);
        Block(s, mark);
        On(s, add, a, 5);
        Machine.Ok(m.Device.cuStreamDestroy_v2(s));
        Assert.That(m.Device.cuStreamQuery(s), Is.EqualTo(CUDA_ERROR_INVALID_HANDLE));
        Open.Set();
        Assert.That(m.Device.Drain(TimeSpan.FromSeconds(60), out _), Is.True);
        Assert.That(Machine.Span<int>(a, 1)[0], Is.EqualTo(5));
    }

    [Test]
    public void ModuleLoadedAtTheSameAddressFindsItsVariablesPlace()
    {
        string ptx = Clang.Ptx("extern \"C\" { __device__ int x[100]; __device__ int* p = &x[3]; __global__ void k(int* o) { *p += 1; o[0] = x[3]; } }");
        CUmodule first = m.Load(ptx);
        ulong block = m.Allocated[^1];
        (ulong x, _) = m.Global(first, "x");
        Machine.Ok(m.Device.cuModuleUnload(first));
        Assert.That(m.Allocated, Does.Not.Contain(block));
        m.Replay.Enqueue(block);
        CUmodule again = m.Load(ptx);
        Assert.That(m.Global(again, "x").Address, Is.EqualTo(x));
        Machine.Span<int>(x, 100)[3] = 41;
        ulong o = m.Zeroed<int>(1);
        m.Run(m.Function(again, "k"), 1, 1, o);
        Assert.That(Machine.Span<int>(o, 1)[0], Is.EqualTo(42));
    }

    [Test]
    public void DeviceAnswersEveryAttributeThatCudartAsks()
    {
        int[] asked = [75, 76, 15, 40, 16, 17, 18, 19, 21, 77, 69, 22, 23, 73, 74, 70, 71, 72, 45, 46, 24, 25, 26, 47, 48, 49, 52, 42, 43, 27, 28, 29, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68,
            31, 32, 33, 34, 50, 35, 41, 36, 37, 38, 108, 39, 30, 51, 8, 97, 81, 12, 82, 10, 11, 1, 2, 3, 4, 5, 6, 7, 9, 13, 14, 78, 79, 80, 83, 84, 85, 86, 87, 88, 89, 90, 91, 95, 96, 100, 101, 106, 109, 111];
        foreach (int a in asked)
        {
            int v;
            Assert.That(m.Device.cuDeviceGetAttribute(&v, a, default), Is.EqualTo(CUDA_SUCCESS), $"attribute {a}");
        }
        DeviceFacts facts;
        Machine.Ok(m.Device.trecrDeviceFacts(&facts, default));
        Assert.That(Marshal.PtrToStringUTF8((nint)facts.Name), Is.EqualTo("TreCr Software Device"));
        Assert.That(facts.Attributes[75], Is.GreaterThanOrEqualTo(1));
        Assert.That(facts.TotalMemoryBytes, Is.GreaterThan(1u << 20));
    }
}
