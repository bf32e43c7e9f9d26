using System.Buffers.Binary;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Api.Tests;

/// <summary>Checkpoints of memory through the C# library: what lies in the directories, what comes back from where, and what damage does.</summary>
public sealed class MemoryCheckpointTests
{
    private const int Bytes = 5_000_000; // two pieces under a seal

    private Place _place = null!;
    private Memory _memory = null!;

    [SetUp]
    public void Enter() => (_place, _memory) = (new Place(), new Memory(Bytes));

    [TearDown]
    public void Leave()
    {
        _memory.Dispose();
        _place.Dispose();
    }

    private ProgramCheckpoints Open(CheckpointSettings? settings = null)
    {
        ProgramCheckpoints checkpoints = new(settings ?? _place.Settings, new SingleRank(3));
        checkpoints.Regions.Protect(7, _memory.Address, Bytes, 1, HostMemory.Instance);
        return checkpoints;
    }

    private void Take(int version, CheckpointSettings? settings = null)
    {
        using ProgramCheckpoints checkpoints = Open(settings);
        _memory.Fill(version);
        checkpoints.Take("c", version);
        checkpoints.Wait();
    }

    /// <returns>the version that is offered, when it comes back with its bytes</returns>
    private int ComesBack(CheckpointSettings? settings = null, int limit = 0)
    {
        using ProgramCheckpoints checkpoints = Open(settings);
        int version = checkpoints.FindVersion("c", limit);
        if (version < 0) return version;
        _memory.Span.Clear();
        checkpoints.Restore("c", version);
        Assert.That(_memory.Holds(version), $"version {version} has other bytes");
        return version;
    }

    [Test]
    public void AFile_HasTheLayoutThatVelocReads()
    {
        using Memory small = new(5);
        small.Fill(1);
        using (ProgramCheckpoints checkpoints = Open())
        {
            checkpoints.Regions.Protect(2, small.Address, 5, 1, HostMemory.Instance);
            checkpoints.Take("c.0_x", 12);
        }
        foreach (string directory in (string[])[_place.Scratch, _place.Persistent])
        {
            byte[] file = File.ReadAllBytes($"{directory}/c.0_x-3-12.dat");
            byte[] header = new byte[32];
            BinaryPrimitives.WriteInt64LittleEndian(header, 2);
            BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), 2);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(12), 5);
            BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(20), 7);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(24), Bytes);
            byte[] expected = [.. header, .. small.Span, .. _memory.Span];
            Assert.That(file.AsSpan().SequenceEqual(expected));
        }
    }

    [Test]
    public void AFileOfVelocItself_IsTakenAsItIs()
    {
        Take(4);
        foreach (string directory in (string[])[_place.Scratch, _place.Persistent]) Directory.Delete($"{directory}/.trecr", recursive: true);
        Assert.That(ComesBack(), Is.EqualTo(4));
        File.WriteAllText($"{_place.Scratch}/.trecr/c-3-4.seal", "");
        Assert.That(ComesBack(_place.Settings with { Persistent = null }), Is.EqualTo(-1), "it was sealed, and the seal is lost");
        File.Delete($"{_place.Scratch}/.trecr/c-3-4.seal");
        File.AppendAllText($"{_place.Scratch}/c-3-4.dat", "x");
        File.AppendAllText($"{_place.Persistent}/c-3-4.dat", "x");
        Assert.That(ComesBack(), Is.EqualTo(-1));
    }

    /// <summary>One byte that is another one, a file that is too short: the same version from the next place, else an older one.</summary>
    [Test]
    public void ADamagedFile_IsNeverOffered([Values] bool cut)
    {
        Take(1);
        Take(2);
        Damage(_place.Scratch);
        Assert.That(ComesBack(), Is.EqualTo(2), "from the persistent directory");
        Assert.That(ComesBack(_place.Settings with { Persistent = null }), Is.EqualTo(2), "it is whole in the scratch directory again");
        Damage(_place.Scratch);
        Damage(_place.Persistent);
        Assert.That(ComesBack(), Is.EqualTo(1));

        void Damage(string directory)
        {
            using FileStream file = File.Open($"{directory}/c-3-2.dat", FileMode.Open);
            if (cut) file.SetLength(file.Length - 1);
            else
            {
                file.Position = 4_999_000;
                file.WriteByte((byte)(file.ReadByte() + 1));
                file.Position = 4_999_000;
                file.WriteByte(77);
            }
        }
    }

    /// <summary>Killed between the seal of a version's new bytes and their name: the old bytes are still the version's, here and for the helper.</summary>
    [Test]
    public void AVersionTakenAnewHalfway_IsTheOldOne()
    {
        Take(2);
        _memory.Fill(99);
        FileSeal other = new(5);
        other.Add(_memory.Span);
        File.AppendAllText($"{_place.Scratch}/.trecr/c-3-2.seal", other.ToText());
        File.Delete($"{_place.Persistent}/c-3-2.dat");
        Flusher.Flush(new CheckpointDirectory(_place.Scratch), new FlushRequest(new("c", 3, 2), null, 1, _place.Persistent, null, null, null, 0));
        _place.LoseScratch();
        Assert.That(ComesBack(), Is.EqualTo(2));
    }

    [Test]
    public void ALostNode_IsMadeUpForByThePersistentDirectory()
    {
        Take(1);
        _place.LoseScratch();
        Assert.That(ComesBack(), Is.EqualTo(1));
    }

    /// <summary>In the store only what changed takes room, and versions taken twice have what was taken last.</summary>
    [Test]
    public void AStore_KeepsVersionsByWhatChanged()
    {
        CheckpointSettings settings = _place.Settings with { Persistent = null, Store = _place.Store };
        Take(1, settings);
        long first = Used(_place.Store);
        using (ProgramCheckpoints checkpoints = Open(settings))
        {
            _memory.Span[1_000_000] ^= 1;
            checkpoints.Take("c", 2);
        }
        Assert.That(Used(_place.Store) - first, Is.LessThan(first / 10));
        Take(3, settings);
        Take(1, settings);
        _place.LoseScratch();
        using (ProgramCheckpoints checkpoints = Open(settings)) Assert.That(checkpoints.FindVersion("c", 2), Is.EqualTo(2));
        Assert.That(ComesBack(settings), Is.EqualTo(3));
        Assert.That(ComesBack(settings, limit: 1), Is.EqualTo(1));
        (int code, string errors) = Trecr("restart", "c-3");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain("a program has taken it itself, of what it named (c version 3, rank 3)").And.Contain("TRECR-0311"));
    }

    private (int Code, string Errors) Trecr(params string[] words)
    {
        using RunningProgram run = new(Path.Combine(Repository.Root, "out/trecr"), [.. words, "--store", _place.Store], new Dictionary<string, string>());
        return (run.WaitForExit(TimeSpan.FromSeconds(60)), run.Errors);
    }

    /// <summary>What a tier keeps comes back when node and store are lost.</summary>
    [Test]
    public void ATierOfTheStore_MakesUpForTheStore()
    {
        File.WriteAllText($"{_place.Root}/policy.toml", $"[[tier]]\nname = \"far\"\nkind = \"disk\"\npath = \"{_place.Root}/far\"\n");
        CheckpointSettings settings = _place.Settings with { Persistent = null, Store = _place.Store, StorePolicy = $"{_place.Root}/policy.toml" };
        Take(5, settings);
        _place.LoseScratch();
        Directory.Delete(_place.Store, recursive: true);
        Assert.That(ComesBack(settings), Is.EqualTo(5));
    }

    [Test]
    public void OldVersions_GoAsTheConfigurationSays()
    {
        CheckpointSettings settings = _place.Settings with { ScratchVersions = 1, MaxVersions = 2 };
        foreach (int version in (int[])[1, 2, 3, 4]) Take(version, settings);
        Assert.That(Files(_place.Scratch), Is.EqualTo(new[] { "c-3-4.dat" }));
        Assert.That(Files(_place.Persistent), Is.EqualTo(new[] { "c-3-3.dat", "c-3-4.dat" }));
        Assert.That(Files($"{_place.Persistent}/.trecr"), Is.EqualTo(new[] { "c-3-3.seal", "c-3-4.seal" }));
    }

    /// <summary>Without any room in the scratch directory a checkpoint fails, and the one before is offered.</summary>
    [Test]
    public void AFullScratch_CostsNothingThatWasThere()
    {
        Take(1, _place.Settings with { Persistent = null });
        using ProgramCheckpoints checkpoints = Open(_place.Settings with { Persistent = null });
        // A memory that ends in the middle stands for the file system that is full there: both come as an exception out of the write.
        checkpoints.Regions.Protect(8, 1, 1 << 20, 1, new EndingMemory());
        checkpoints.Begin("c", 2);
        Assert.Throws<IOException>(() => checkpoints.WriteRegions());
        Assert.Throws<CheckpointException>(() => checkpoints.End(success: true));
        Assert.That(Files($"{_place.Scratch}/.trecr"), Is.EqualTo(new[] { "c-3-1.seal" }));
        Assert.That(checkpoints.FindVersion("c"), Is.EqualTo(1));
    }

    private static string[] Files(string directory) => [.. Directory.GetFiles(directory).Select(Path.GetFileName).Order()!];

    private static long Used(string directory) => Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Sum(f => new FileInfo(f).Length);

    private sealed class EndingMemory : IRegionMemory
    {
        public void Read(nint address, Span<byte> into) => throw new IOException("no room");

        public void Write(nint address, ReadOnlySpan<byte> bytes) => throw new IOException("no room");
    }
}
