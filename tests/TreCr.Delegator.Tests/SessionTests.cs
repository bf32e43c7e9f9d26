using System.Runtime.InteropServices;
using System.Text;
using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.Delegator.Snapshot;
using TreCr.Gmmu;
using TreCr.Images;
using TreCr.Ring;

namespace TreCr.Delegator.Tests;

/// <summary>Records in, software device behind: serving, gate, capture, restart.</summary>
[NonParallelizable]
public unsafe class SessionTests
{
    private FakeProgram _program = null!;

    [SetUp]
    public void Start() => _program = new FakeProgram().Start();

    [TearDown]
    public void End() => _program.Dispose();

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    [TestCase(100), TestCase(2048), TestCase(2049), TestCase(40_000), TestCase(9_000_000)]
    public void BytesGoToTheDeviceAndBack(int count)
    {
        byte[] bytes = Bytes(count, count);
        ulong memory = _program.Allocate((ulong)count);
        Assert.That(memory, Is.GreaterThanOrEqualTo(SegmentLayout.DeviceBase).And.LessThan(SegmentLayout.DeviceBase + SegmentLayout.DeviceSlotBytes));
        _program.ToDevice(memory, bytes);
        Assert.That(_program.FromDevice(memory, count), Is.EqualTo(bytes));
    }

    [Test]
    public void ACopyAcrossTheEndOfAnAllocationIsRefused()
    {
        ulong memory = _program.Allocate(1000);
        Assert.That(_program.Try(0x0502, [1, memory + 500, 501, 0]).Result, Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_program.Try(0x0502, [1, memory + 500, 500, 0]).Result, Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_program.Try(0x0502, [1, 0x1234, 8, 0]).Result, Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
    }

    [Test]
    public void AKernelRunsAndItsModuleGlobalCounts()
    {
        uint[] values = [.. Enumerable.Range(0, 1000).Select(i => (uint)i)];
        ulong memory = _program.Allocate(4000), module = _program.LoadModule(Kernels.Mix), function = _program.Function(module, "mix");
        _program.ToDevice(memory, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        for (uint k = 0; k < 3; k++)
        {
            _program.Launch(function, 8, 128, 0, memory, 1000, k);
            Kernels.MixOnHost(values, k);
        }
        Assert.That(_program.FromDevice(memory, 4000), Is.EqualTo(MemoryMarshal.AsBytes(values.AsSpan()).ToArray()));
        ulong[] global = _program.Ask(0x0204, [1, 1, module, 0], 3, [.. "total"u8, 0]);
        Assert.That(global[1], Is.EqualTo(4));
        Assert.That(BitConverter.ToUInt32(_program.FromDevice(global[0], 4)), Is.EqualTo(3));
    }

    [Test]
    public void PinnedMemoryIsOneAddressForAll()
    {
        ulong host = _program.Ask(0x0306, [1, 5000, 0])[0], memory = _program.Allocate(5000);
        byte[] bytes = Bytes(5000, 1);
        bytes.CopyTo(new Span<byte>((void*)host, 5000));
        _program.Enqueue(0x0501, [memory, host, 5000, 0], remote: 2);
        _program.Synchronize();
        Assert.That(_program.FromDevice(memory, 5000), Is.EqualTo(bytes));
        new Span<byte>((void*)host, 5000).Clear();
        _program.Enqueue(0x0502, [host, memory, 5000, 0], remote: 1);
        _program.Synchronize();
        Assert.That(new Span<byte>((void*)host, 5000).ToArray(), Is.EqualTo(bytes));
        Assert.That(_program.Ask(0x030b, [1, host, 0])[0], Is.EqualTo(host));
    }

    [Test]
    public void RectanglesGoThroughPageableMemory()
    {
        ulong[] pitched = _program.Ask(0x0302, [1, 1, 100, 20, 4]);
        Assert.That(pitched[1], Is.EqualTo(512));
        byte[] source = Bytes(100 * 20, 7), back = new byte[100 * 20];
        fixed (byte* s = source, b = back)
        {
            CUDA_MEMCPY2D copy = new() { SrcMemoryType = 1, SrcHost = (ulong)s, SrcPitch = 100, DstMemoryType = 2, DstDevice = pitched[0], DstPitch = 512, WidthInBytes = 100, Height = 20 };
            _program.Ask(0x0504, [0, 0], 0, MemoryMarshal.AsBytes(new ReadOnlySpan<CUDA_MEMCPY2D>(in copy)));
            copy = new() { SrcMemoryType = 2, SrcDevice = pitched[0], SrcPitch = 512, SrcXInBytes = 10, SrcY = 2, DstMemoryType = 1, DstHost = (ulong)b, DstPitch = 100, WidthInBytes = 50, Height = 10 };
            _program.Ask(0x0504, [0, 0], 0, MemoryMarshal.AsBytes(new ReadOnlySpan<CUDA_MEMCPY2D>(in copy)));
        }
        for (int row = 0; row < 10; row++)
            Assert.That(back.AsSpan(row * 100, 50).ToArray(), Is.EqualTo(source.AsSpan((row + 2) * 100 + 10, 50).ToArray()));
    }

    [Test]
    public void HostFunctionsRunInTheProgramInStreamOrder()
    {
        ulong memory = _program.Allocate(4);
        List<ulong> ran = [];
        _program.OnHostFunction = data => ran.Add(data);
        for (ulong i = 1; i <= 5; i++) _program.Enqueue(0x0602, [0, 0x1234, i]);
        _program.Synchronize();
        Assert.That(ran, Is.EqualTo(new ulong[] { 1, 2, 3, 4, 5 }));
    }

    [Test]
    public void AHostFunctionThatDoesNotReturnIsNamedByTheGateWhichOpensAgain()
    {
        using ManualResetEventSlim release = new(false), entered = new(false);
        _program.OnHostFunction = _ =>
        {
            entered.Set();
            release.Wait(60_000);
        };
        _program.Enqueue(0x0602, [0, 0xabc, 1]);
        Assert.That(entered.Wait(60_000));
        Assert.That(_program.Session.Gate(TimeSpan.FromMilliseconds(100), out string? blocker), Is.False);
        Assert.That(blocker, Does.Contain("host function 0xabc"));
        Assert.That(_program.Session.IsGated, Is.False);
        release.Set();
        _program.Synchronize();
        Assert.That(_program.Session.Gate(TimeSpan.FromSeconds(60), out _));
        _program.Session.Open();
    }

    [Test]
    public void NonsenseIsRefusedAndTheSessionGoesOn()
    {
        Assert.That(_program.Try(0x0703, [0x14_0000_0000_9999]).Result, Is.Not.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_program.Try(0x0fff, []).Result, Is.EqualTo(CUresult.CUDA_ERROR_NOT_SUPPORTED));
        Assert.That(_program.Try(0x0401, [1, 1, 1, 1, 1]).Result, Is.EqualTo(CUresult.CUDA_ERROR_NOT_SUPPORTED));
        Assert.That(_program.Try(0x0301, [1]).Result, Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_program.Try(0x0303, [SegmentLayout.DeviceBase + 64]).Result, Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_program.Try(0x0301, [1, 1UL << 46]).Result, Is.EqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY));
        Assert.That(_program.Try(0x0201, [1, 0x10, 1UL << 40], remote: 2).Result, Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_program.Allocate(16), Is.Not.Zero);
    }

    [Test]
    public void MemoryInfoAddsUp()
    {
        ulong[] before = _program.Ask(0x0304, [1, 1]);
        ulong memory = _program.Allocate(10 << 20);
        ulong[] during = _program.Ask(0x0304, [1, 1]);
        Assert.That(before[0] - during[0], Is.EqualTo(10 << 20));
        Assert.That(during[1], Is.EqualTo(before[1]));
        _program.Ask(0x0303, [memory]);
        Assert.That(_program.Ask(0x0304, [1, 1]), Is.EqualTo(before));
    }

    [Test]
    public void ARestartedSessionGoesOnWithTheSameHandlesAddressesAndBytes()
    {
        uint[] values = [.. Enumerable.Range(0, 50_000).Select(i => (uint)i * 7)];
        ulong module = _program.LoadModule(Kernels.Mix), function = _program.Function(module, "mix");
        ulong memory = _program.Allocate(200_000), gone = _program.Allocate(3 << 20), large = _program.Allocate(5 << 20);
        ulong host = _program.Ask(0x0306, [1, 3000, 0])[0];
        ulong stream = _program.Ask(0x0701, [1, 1, 0])[0], dead = _program.Ask(0x0701, [1, 1, 0])[0];
        ulong start = _program.Ask(0x0801, [1, 0])[0], end = _program.Ask(0x0801, [1, 0])[0];
        ulong[] global = _program.Ask(0x0204, [1, 1, module, 0], 3, [.. "total"u8, 0]);
        byte[] pinned = Bytes(3000, 3);
        pinned.CopyTo(new Span<byte>((void*)host, 3000));
        _program.ToDevice(memory, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        _program.Ask(0x0303, [gone]);
        _program.Ask(0x0702, [dead]);
        _program.Enqueue(0x0803, [start, stream]);
        _program.Launch(function, 400, 128, stream, memory, 50_000, 9);
        _program.Enqueue(0x0803, [end, stream]);
        Kernels.MixOnHost(values, 9);
        _program.Ask(0x0703, [stream]);
        ulong elapsed = _program.Ask(0x0806, [1, start, end])[0];

        MemorySnapshot snapshot = _program.Capture();
        // Published behind the closed gate: NEW records, which the next delegator must issue.
        _program.Launch(function, 400, 128, stream, memory, 50_000, 11);
        Kernels.MixOnHost(values, 11);
        snapshot = WithSegmentOf(snapshot);
        new Span<byte>((void*)host, 3000).Clear();
        _program.Restart(snapshot);

        Assert.That(_program.Try(0x0703, [dead]).Result, Is.Not.EqualTo(CUresult.CUDA_SUCCESS));
        _program.Launch(function, 400, 128, stream, memory, 50_000, 12);
        Kernels.MixOnHost(values, 12);
        _program.Ask(0x0703, [stream]);
        Assert.That(_program.FromDevice(memory, 200_000), Is.EqualTo(MemoryMarshal.AsBytes(values.AsSpan()).ToArray()));
        Assert.That(BitConverter.ToUInt32(_program.FromDevice(global[0], 4)), Is.EqualTo(3));
        Assert.That(new Span<byte>((void*)host, 3000).ToArray(), Is.EqualTo(pinned));
        Assert.That(_program.Ask(0x0806, [1, start, end])[0], Is.EqualTo(elapsed));
        Assert.That(_program.Function(module, "mix"), Is.EqualTo(function));
        Assert.That(_program.Ask(0x0701, [1, 1, 0])[0], Is.GreaterThan(dead), "a handle was given twice");
        Assert.That(_program.Allocate(3 << 20), Is.EqualTo(gone), "the freed range is free again");
        _program.Ask(0x0303, [large]);
    }

    /// <summary>Records published after the capture are part of what a frozen program's segment holds: capture once more.</summary>
    private MemorySnapshot WithSegmentOf(MemorySnapshot _)
    {
        MemorySnapshot again = new();
        _program.Session.Capture(again, null, new FrameHashes());
        return again;
    }

    [Test]
    public void ASecondCaptureWritesOnlyWhatChanged()
    {
        ulong a = _program.Allocate(4 << 20), b = _program.Allocate(4 << 20);
        _program.ToDevice(a, Bytes(4 << 20, 1));
        _program.ToDevice(b, Bytes(4 << 20, 2));
        FrameHashes first = new(), second = new();
        MemorySnapshot one = _program.Capture(null, null, first);
        Assert.That(_program.LastWritten, Is.GreaterThan(8 << 20));
        _program.Session.Open();
        byte[] changed = Bytes(1000, 3);
        _program.ToDevice(b + 100_000, changed);
        _program.Synchronize();
        MemorySnapshot two = _program.Capture(one, first, second);
        Assert.That(_program.LastWritten, Is.LessThan(6 * 65536));
        byte[] wanted = Bytes(4 << 20, 2);
        changed.CopyTo(wanted, 100_000);
        _program.Restart(two);
        Assert.That(_program.FromDevice(a, 4 << 20), Is.EqualTo(Bytes(4 << 20, 1)));
        Assert.That(_program.FromDevice(b, 4 << 20), Is.EqualTo(wanted));
    }

    [Test]
    public void ADamagedSnapshotIsRefusedByName()
    {
        _program.LoadModule(Kernels.Mix);
        MemorySnapshot snapshot = _program.Capture();
        _program.Session.Open();
        MemorySnapshot damaged = _program.Capture();
        byte[] log = damaged.GetRecord("log");
        log[log.Length / 2] ^= 0xff;
        damaged.PutRecord("log", log);
        damaged.PutRecord("session", [0xff, 0xff, 0xff]);
        _program.Session.Dispose();
        Assert.That(() => Session.Restore(FakeProgram.Backend, damaged, new FrameHashes()), Throws.InstanceOf<ImageException>());
        // A refused restore has given everything back: the good one works.
        _program.Restart(snapshot);
        Assert.That(_program.Allocate(64), Is.Not.Zero);
    }
}
