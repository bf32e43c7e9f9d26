using NUnit.Framework;

namespace TreCr.Api.Tests;

/// <summary>Checkpoints whose file is written behind the program (VELOC-GPU's DEFAULT and READ_ONLY): what has returned when, and which bytes are saved.</summary>
public sealed class WrittenBehindTests
{
    private const int Bytes = 5_000_000;

    private Place _place = null!;
    private Memory _memory = null!;
    private GatedMemory _gate = null!;

    [SetUp]
    public void Enter() => (_place, _memory, _gate) = (new Place(), new Memory(Bytes), new GatedMemory());

    [TearDown]
    public void Leave()
    {
        _gate.Open();
        _memory.Dispose();
        _place.Dispose();
    }

    /// <summary>The memory cannot be read before the test says so: READ_ONLY has returned by then, and nothing is there yet.</summary>
    [Test]
    public void ReadOnly_ReturnsBeforeAnyByteIsRead()
    {
        using ProgramCheckpoints checkpoints = Open(RegionCopy.ReadOnly);
        _memory.Fill(1);
        checkpoints.Begin("c", 1);
        checkpoints.WriteRegions();
        checkpoints.End(success: true);
        Assert.That(checkpoints.IsFlushed, Is.False);
        Assert.That(File.Exists($"{_place.Scratch}/c-0-1.dat"), Is.False);
        _gate.Open();
        checkpoints.Wait();
        Assert.That(_gate.Reads, Is.GreaterThan(0));
        ComesBack(checkpoints, 1);
    }

    /// <summary>DEFAULT: the program changes its memory at once, and what it had is saved; the copy's room is used again.</summary>
    [Test]
    public void Default_SavesWhatWasThere()
    {
        _gate.Open();
        using ProgramCheckpoints checkpoints = Open(RegionCopy.Snapshot);
        for (int version = 1; version <= 3; version++)
        {
            _memory.Fill(version);
            checkpoints.Begin("c", version);
            checkpoints.WriteRegions();
            _memory.Fill(100);
            checkpoints.End(success: true);
        }
        checkpoints.Wait();
        for (int version = 1; version <= 3; version++) ComesBack(checkpoints, version);
    }

    [Test]
    public void ADroppedOne_IsNotThere()
    {
        _gate.Open();
        using ProgramCheckpoints checkpoints = Open(RegionCopy.ReadOnly);
        checkpoints.Begin("c", 1);
        checkpoints.WriteRegions();
        checkpoints.End(success: false);
        checkpoints.Wait();
        Assert.That(checkpoints.FindVersion("c"), Is.EqualTo(-1));
    }

    /// <summary>What goes wrong behind the program is said by the next wait, once, and takes nothing with it.</summary>
    [Test]
    public void AFailure_IsSaidByTheNextWait()
    {
        using ProgramCheckpoints checkpoints = Open(RegionCopy.ReadOnly);
        _gate.Open();
        _memory.Fill(1);
        checkpoints.Take("c", 1);
        checkpoints.Wait();
        _gate.Fail = true;
        checkpoints.Take("c", 2);
        Assert.That(checkpoints.Wait, Throws.TypeOf<CheckpointException>().With.Message.Contains("memory is gone"));
        checkpoints.Wait();
        _gate.Fail = false;
        Assert.That(checkpoints.FindVersion("c"), Is.EqualTo(1));
        ComesBack(checkpoints, 1);
    }

    private ProgramCheckpoints Open(RegionCopy copy)
    {
        ProgramCheckpoints checkpoints = new(_place.Settings with { Persistent = null, Async = true }, new SingleRank());
        checkpoints.Regions.Protect(1, _memory.Address, Bytes, 1, _gate, copy: copy);
        return checkpoints;
    }

    private void ComesBack(ProgramCheckpoints checkpoints, int version)
    {
        _memory.Span.Clear();
        checkpoints.Restore("c", version);
        Assert.That(_memory.Holds(version), $"version {version} has other bytes");
    }

    /// <summary>The program's memory, which is not read before the test says so.</summary>
    private sealed class GatedMemory : IRegionMemory
    {
        private readonly ManualResetEventSlim _open = new();

        public int Reads { get; private set; }

        public bool Fail { get; set; }

        public void Open() => _open.Set();

        public void Read(nint address, Span<byte> into)
        {
            _open.Wait();
            if (Fail) throw new CheckpointException("memory is gone");
            Reads++;
            HostMemory.Instance.Read(address, into);
        }

        public void Write(nint address, ReadOnlySpan<byte> bytes) => HostMemory.Instance.Write(address, bytes);
    }
}
