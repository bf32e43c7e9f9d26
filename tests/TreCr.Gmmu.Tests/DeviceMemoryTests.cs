using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.SoftDevice.Backend;

namespace TreCr.Gmmu.Tests;

/// <summary>Addresses, sizes and lifetimes, on the software device.</summary>
[NonParallelizable]
public unsafe class DeviceMemoryTests
{
    private const ulong Base = 0x7000_0000_0000, Slot = 1UL << 40, Pinned = 0x6f00_0000_0000, PinnedBytes = 1UL << 30, Capacity = 256UL << 20;

    private sealed class Late : IDeviceAllocator
    {
        public IDeviceAllocator? Target;
        public ulong Allocate(int deviceOrdinal, ulong bytes) => Target!.Allocate(deviceOrdinal, bytes);
        public ulong AllocateManaged(int deviceOrdinal, ulong bytes) => Target!.AllocateManaged(deviceOrdinal, bytes);
        public void Free(ulong address) => Target!.Free(address);
    }

    private SoftBackend _backend = null!;
    private DeviceMemory _memory = null!;
    private int _pinnedFd;

    [SetUp]
    public void Start() => (_backend, _memory, _pinnedFd) = Make();

    [TearDown]
    public void End() => Drop(_backend, _memory, _pinnedFd);

    /// <param name="meetings">where processes find each other; null: they do not</param>
    internal static (SoftBackend, DeviceMemory, int) Make(string? meetings = null)
    {
        Late late = new();
        SoftBackend backend = new(late, workers: 2, meetingDirectory: meetings, job: "job");
        backend.cuInit(0);
        CUcontext context;
        backend.cuDevicePrimaryCtxRetain(&context, new CUdevice(0));
        backend.cuCtxSetCurrent(context);
        int fd = Sys.MemfdCreate("test-pinned");
        Sys.Ftruncate(fd, (long)PinnedBytes);
        Sys.Check(Sys.Mmap(Pinned, PinnedBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE, fd), "mmap");
        DeviceMemory memory = new(backend);
        late.Target = memory;
        Assert.That(memory.Reserve(Base, Slot, [Capacity], Pinned, PinnedBytes, out string? error), Is.EqualTo(CUresult.CUDA_SUCCESS), error);
        return (backend, memory, fd);
    }

    internal static void Drop(SoftBackend backend, DeviceMemory memory, int fd)
    {
        memory.Dispose();
        backend.Dispose();
        Sys.Munmap(Pinned, PinnedBytes);
        Sys.Close(fd);
    }

    private ulong Take(ulong bytes)
    {
        Assert.That(_memory.Allocate(0, bytes, 1, out ulong address), Is.EqualTo(CUresult.CUDA_SUCCESS));
        return address;
    }

    [Test]
    public void SmallAllocationsLie512BytesApart()
    {
        ulong a = Take(16), b = Take(16), c = Take(513), d = Take(1);
        Assert.That((b - a, c - b, d - c), Is.EqualTo((512UL, 512UL, 1024UL)));
    }

    [Test]
    public void AFreedRangeIsGivenAgainAndTheOrderOfEventsDecidesAddresses()
    {
        ulong a = Take(3 << 20), b = Take(3 << 20);
        Assert.That(b - a, Is.EqualTo(4 << 20));
        Assert.That(_memory.Free(a, false), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_memory.Free(a, false), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_memory.Free(b + 512, false), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(Take(4 << 20), Is.EqualTo(a));
    }

    [Test]
    public void MoreThanTheDeviceHasIsOutOfMemoryAndLosesNothing()
    {
        ulong all = Take(Capacity);
        Assert.That(_memory.Allocate(0, 1, 1, out _), Is.EqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY));
        _memory.Info(0, out ulong free, out ulong total);
        Assert.That((free, total), Is.EqualTo((0UL, Capacity)));
        Assert.That(_memory.Free(all, false), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_memory.Allocate(0, Capacity + 1, 1, out _), Is.EqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY));
        Assert.That(Take(Capacity), Is.EqualTo(all));
    }

    [Test]
    public void EmptyBlocksAreUnmappedBeyondWhatIsKept()
    {
        ulong a = Take(100 << 20);
        Assert.That(_backend.UsedBytes, Is.EqualTo(100 << 20));
        _memory.Free(a, false);
        Assert.That(_backend.UsedBytes, Is.LessThanOrEqualTo(64 << 20));
    }

    [Test]
    public void BoundsFollowTheRequestNotTheBlock()
    {
        ulong a = Take(1000);
        Assert.That(_memory.IsInside(a, 1000) && _memory.IsInside(a + 999, 1));
        Assert.That(_memory.IsInside(a, 1001) || _memory.IsInside(a - 1, 2) || _memory.IsInside(a + 1000, 1) || _memory.IsInside(a + 10, ulong.MaxValue), Is.False);
    }

    [Test]
    public void MemoryFreedInABusyStreamIsReusedThereAtOnceAndElsewhereOnlyWhenReached()
    {
        CUstream one, two;
        _backend.cuStreamCreateWithPriority(&one, 1, 0);
        _backend.cuStreamCreateWithPriority(&two, 1, 0);
        _memory.AllocateAsync(0, 8 << 20, one, 1, out ulong a);
        using ManualResetEventSlim release = new(false);
        s_release = release;
        _backend.cuLaunchHostFunc(one, (ulong)(delegate* unmanaged<void*, void>)&Block, 0);
        Assert.That(_memory.FreeAsync(a, one), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_memory.Find(a), Is.Null);
        _memory.AllocateAsync(0, 8 << 20, two, 1, out ulong other);
        Assert.That(other, Is.Not.EqualTo(a), "still in use by the first stream");
        _memory.AllocateAsync(0, 8 << 20, one, 1, out ulong same);
        Assert.That(same, Is.EqualTo(a));
        _memory.FreeAsync(same, one);
        release.Set();
        _backend.cuStreamSynchronize(one);
        _memory.AllocateAsync(0, 8 << 20, two, 1, out ulong later);
        Assert.That(later, Is.EqualTo(a));
    }

    private static ManualResetEventSlim? s_release;

    [System.Runtime.InteropServices.UnmanagedCallersOnly]
    private static void Block(void* data) => s_release!.Wait(10_000);

    [Test]
    public void RegistrationsFollowTheDriversRules()
    {
        Assert.That(_memory.Register(0x10000, 100, 0, 0, 1), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_memory.Register(0x10000 + 100, 50, 0, 0, 1), Is.EqualTo(CUresult.CUDA_SUCCESS), "disjoint bytes of one page");
        Assert.That(_memory.Register(0x10000 + 99, 2, 0, 0, 1), Is.EqualTo(CUresult.CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED));
        Assert.That(_memory.Unregister(0x10000 + 1), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_memory.Unregister(0x20000), Is.EqualTo(CUresult.CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED));
        Assert.That(_memory.Unregister(0), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(_memory.Unregister(0x10000), Is.EqualTo(CUresult.CUDA_SUCCESS));
    }

    [TestCase(1), TestCase(2), TestCase(3)]
    public void RandomHistoriesNeverOverlapAndComeBackFromTheirState(int seed)
    {
        Random random = new(seed);
        Dictionary<ulong, ulong> live = [];
        for (int i = 0; i < 3000; i++)
        {
            if (live.Count > 0 && random.Next(5) < 2)
            {
                ulong victim = live.Keys.ElementAt(random.Next(live.Count));
                Assert.That(_memory.Free(victim, false), Is.EqualTo(CUresult.CUDA_SUCCESS));
                live.Remove(victim);
                continue;
            }
            ulong bytes = random.Next(10) == 0 ? (ulong)random.Next(1 << 20, 6 << 20) : (ulong)random.Next(1, random.Next(2) == 0 ? 2000 : 300_000);
            if (_memory.Allocate(0, bytes, 1, out ulong address) == CUresult.CUDA_SUCCESS) live.Add(address, bytes);
        }
        GmmuState state = _memory.Save();
        Assert.That(state.Allocations.Select(a => (a.Address, a.Bytes)), Is.EqualTo(live.OrderBy(p => p.Key).Select(p => (p.Key, p.Value))));
        for (int i = 1; i < state.Allocations.Count; i++) Assert.That(state.Allocations[i].Address, Is.GreaterThanOrEqualTo(state.Allocations[i - 1].End));
        List<ulong> next = [.. Enumerable.Range(0, 20).Select(i => Take((ulong)i * 777 + 1))];
        _memory.Info(0, out ulong free, out _);
        Drop(_backend, _memory, _pinnedFd);

        (_backend, _memory, _pinnedFd) = Make();
        Assert.That(_memory.Restore(state, out string? error), Is.EqualTo(CUresult.CUDA_SUCCESS), error);
        Assert.That(_memory.Save().Allocations, Is.EqualTo(state.Allocations));
        Assert.That(Enumerable.Range(0, 20).Select(i => Take((ulong)i * 777 + 1)), Is.EqualTo(next), "after a restart the same requests get the same addresses");
        _memory.Info(0, out ulong freeAgain, out _);
        Assert.That(freeAgain, Is.EqualTo(free));
    }

    [Test]
    public void AStateThatOverlapsIsRefused()
    {
        Allocation a = new(Base, 3 << 20, AllocationKind.Device, 0, 1, 1, 0);
        GmmuState state = new([a, a with { Address = Base + (2 << 20) }], 5, [Capacity]);
        Assert.That(_memory.Restore(state, out string? error), Is.Not.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(error, Does.Contain("cannot be placed"));
    }

    [Test]
    public void TheBackEndsOwnMemoryIsPlacedAgainInReplay()
    {
        IDeviceAllocator own = _memory;
        _memory.BeginInternal();
        ulong a = own.Allocate(0, 100), b = own.Allocate(0, 5000), managed = own.AllocateManaged(0, 64);
        ulong[] addresses = _memory.EndInternal();
        Assert.That(addresses, Is.EqualTo(new[] { a, b, managed }));
        Assert.That(managed, Is.InRange(Pinned, Pinned + PinnedBytes), "both sides reach it");
        Assert.That(_memory.Free(managed, false), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE), "not the program's");
        Assert.That(_memory.Free(a, false), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE), "not the program's");
        GmmuState state = _memory.Save();
        Drop(_backend, _memory, _pinnedFd);
        (_backend, _memory, _pinnedFd) = Make();
        _memory.Restore(state, out _);
        _memory.ExpectInternal(addresses);
        Assert.That(((IDeviceAllocator)_memory).Allocate(0, 100), Is.EqualTo(a));
        Assert.That(((IDeviceAllocator)_memory).Allocate(0, 4999), Is.Zero, "another size is another module");
        Assert.That(((IDeviceAllocator)_memory).Allocate(0, 64), Is.Zero, "it was managed");
        Assert.That(_memory.EndExpected(), Is.Zero);
    }
}
