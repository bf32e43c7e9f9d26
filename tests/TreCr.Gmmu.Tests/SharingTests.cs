using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Backend;

namespace TreCr.Gmmu.Tests;

/// <summary>What a restart does with memory that processes share. Several processes are in TreCr.Surface.Tests (ipc.c) and TreCr.Samples.Tests.</summary>
[NonParallelizable]
public class SharingTests
{
    private const ulong Import = 0x7000_0000_0000 + (1UL << 40) - (256UL << 30);

    private static readonly UInt128 s_token = new(0x1122334455667788, 0x99aabbccddeeff00);

    private string _directory = "";
    private SoftBackend _backend = null!;
    private DeviceMemory _memory = null!;
    private int _pinnedFd;

    [SetUp]
    public void Start()
    {
        _directory = Directory.CreateTempSubdirectory("trecr-sharing-").FullName;
        (_backend, _memory, _pinnedFd) = DeviceMemoryTests.Make(_directory);
    }

    [TearDown]
    public void End()
    {
        DeviceMemoryTests.Drop(_backend, _memory, _pinnedFd);
        Directory.Delete(_directory, true);
    }

    private static GmmuState Imported(ulong address) => new([new Allocation(address, 1000, AllocationKind.Imported, 0, 1, 1, 0)], 2, [256UL << 20])
    {
        Imports = [new ImportedMemory(address, Import + (4 << 20), 2 << 20, s_token, 1, "process 17 (exporter)")],
    };

    [Test]
    public void Who_has_not_exported_again_is_named_at_the_deadline()
    {
        Assert.That(_memory.Restore(Imported(Import + (4 << 20) + 512), out string? error), Is.EqualTo(CUresult.CUDA_SUCCESS), error);
        Assert.That(_memory.ConnectImports(TimeSpan.FromMilliseconds(50), out error), Is.False);
        Assert.That(error, Does.Contain("process 17 (exporter)").And.Contain("has not exported it again"));
    }

    [Test]
    public void An_import_that_lies_outside_of_its_blocks_is_refused()
    {
        Assert.That(_memory.Restore(Imported(Import), out string? error), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE));
        Assert.That(error, Does.Contain("Imported"));
    }

    [Test]
    public void What_is_imported_or_shown_from_elsewhere_is_not_saved()
    {
        const ulong Start = 0x7000_0000_0000, Mib = 1 << 20;
        GmmuState state = new([new Allocation(Start, 16 * Mib, AllocationKind.Device, 0, 1, 1, 0), new Allocation(Import, 1000, AllocationKind.Imported, 0, 2, 1, 0)], 3, [256 * Mib])
        {
            Aliases = [new MemoryAlias(Start, 2 * Mib, Import), new MemoryAlias(Start + 4 * Mib, 4 * Mib, Import), new MemoryAlias(Start + 14 * Mib, 2 * Mib, Import)],
        };
        Assert.That(state.Saved.Select(a => (a.Address - Start, a.Bytes)), Is.EqualTo(new[] { (2 * Mib, 2 * Mib), (8 * Mib, 6 * Mib) }));
    }

    /// <summary>An export makes a file by which others find it, and takes it away again.</summary>
    [Test]
    public void An_export_has_one_token_until_its_memory_is_freed()
    {
        _memory.Allocate(0, 5000, 1, out ulong address);
        Assert.That(_memory.Export(address + 100, false, out UInt128 token), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(_memory.Export(address, false, out UInt128 again), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(again, Is.EqualTo(token));
        Assert.That(_memory.Export(address, true, out _), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_VALUE), "it is not of cuMemAllocAsync");
        Assert.That(Directory.GetFiles(_directory), Has.Length.EqualTo(1));
        Assert.That(_memory.Import(0, token, 1, out _), Is.EqualTo(CUresult.CUDA_ERROR_INVALID_CONTEXT), "one's own");
        Assert.That(_memory.Free(address, pinned: false), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(Directory.GetFiles(_directory), Is.Empty);
        _memory.Allocate(0, 5000, 1, out ulong next);
        Assert.That(next, Is.EqualTo(address), "it is given again");
        _memory.Export(next, false, out again);
        Assert.That(again, Is.Not.EqualTo(token));
    }
}
