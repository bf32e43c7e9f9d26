using NUnit.Framework;
using TreCr.Delegator.Snapshot;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Delegator.Tests;

/// <summary>What counts as written in memory that is mapped as the software device maps its own.</summary>
public unsafe class WrittenFramesTests
{
    private const int Frames = 8, FrameBytes = ISnapshotWriter.FrameSizeBytes;
    private const ulong Bytes = Frames * FrameBytes;

    private readonly long[] _offsets = [.. Enumerable.Range(0, Frames).Select(i => (long)i * FrameBytes)];
    private int _memfd;
    private ulong _start;
    private WrittenFrames _written = null!;

    [SetUp]
    public void Map()
    {
        _memfd = Sys.MemfdCreate("trecr-test");
        Sys.Ftruncate(_memfd, (long)Bytes);
        _start = (ulong)Sys.Check(Sys.Mmap(0, Bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, _memfd), "mmap");
        new Span<byte>((void*)_start, (int)Bytes).Fill(1);
        _written = new WrittenFrames();
        _written.Scan(_start, _offsets, new UInt128[Frames]);
        NoteAll();
    }

    [TearDown]
    public void Unmap()
    {
        _written.Dispose();
        Sys.Munmap(_start, Bytes);
        Sys.Close(_memfd);
    }

    private void NoteAll() => _written.Note(_start, _offsets, [.. _offsets.Select(o => (UInt128)(o + 1))], [.. _offsets.Select(_ => true)]);

    /// <summary>Indexes of the frames that count as written; those that do not must have the hash that was noted.</summary>
    private int[] Written()
    {
        UInt128[] hashes = new UInt128[Frames];
        bool[] unwritten = _written.Scan(_start, _offsets, hashes);
        for (int i = 0; i < Frames; i++)
            if (unwritten[i]) Assert.That(hashes[i], Is.EqualTo((UInt128)(_offsets[i] + 1)));
        return [.. Enumerable.Range(0, Frames).Where(i => !unwritten[i])];
    }

    [Test]
    public void NothingIsWritten() => Assert.That(Written(), Is.Empty);

    /// <summary>Other processes may have written it through mappings of theirs.</summary>
    [Test]
    public void SharedMemoryCountsAsWritten()
    {
        _written.Shared = [(_start + 6 * FrameBytes, _start + 7 * FrameBytes), (_start + FrameBytes, _start + 3 * FrameBytes)];
        Assert.That(Written(), Is.EqualTo(new[] { 1, 2, 6 }));
    }

    [Test]
    public void OneByteInTheLastPageOfAFrame()
    {
        ((byte*)_start)[4 * FrameBytes - 1] = 2;
        Assert.That(Written(), Is.EqualTo(new[] { 3 }));
    }

    [Test]
    public void WrittenBetweenScanAndNote()
    {
        Written();
        ((byte*)_start)[5 * FrameBytes] = 2;
        NoteAll();
        Assert.That(Written(), Is.EqualTo(new[] { 5 }));
        NoteAll();
        Assert.That(Written(), Is.Empty, "protected again");
    }

    [Test]
    public void WithoutANoteEverythingIsWritten()
    {
        Written();
        Assert.That(Written(), Has.Length.EqualTo(Frames));
    }

    [Test]
    public void WrittenByTheKernel()
    {
        byte[] source = [3];
        fixed (byte* p = source) Assert.That(Sys.ProcessVmRead(Environment.ProcessId, (ulong)p, (byte*)_start + 2 * FrameBytes + 100, 1), Is.EqualTo(1));
        Assert.That(Written(), Is.EqualTo(new[] { 2 }));
    }

    [Test]
    public void MappedAnew()
    {
        const ulong half = Bytes / 2;
        Assert.That(Sys.Mmap(_start + half, half, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_FIXED, _memfd, (long)half), Is.EqualTo((long)(_start + half)));
        // A run of frames that is not tracked as a whole says nothing of its other half either.
        Assert.That(Written(), Has.Length.EqualTo(Frames));
        NoteAll();
        Assert.That(Written(), Is.Empty);
        NoteAll();
        ((byte*)_start)[6 * FrameBytes] = 2;
        Assert.That(Written(), Is.EqualTo(new[] { 6 }));
    }

    [Test]
    public void TakenBackByTheKernel()
    {
        // As where memory is short: the pages go from this mapping, and are there again when they are touched.
        ((byte*)_start)[FrameBytes] = 2;
        Assert.That(Sys.Madvise(_start, Bytes, Sys.MADV_DONTNEED), Is.Zero);
        Assert.That(Written(), Has.Member(1));
    }

    [Test]
    public void OtherFrames()
    {
        UInt128[] hashes = new UInt128[2];
        Assert.That(_written.Scan(_start, [FrameBytes, 6 * FrameBytes], hashes), Is.EqualTo(new[] { true, true }));
        Assert.That(hashes, Is.EqualTo(new[] { (UInt128)(FrameBytes + 1), (UInt128)(6 * FrameBytes + 1) }));
    }

    /// <summary>As pinned memory: mapped by the program too.</summary>
    [Test]
    public void WrittenThroughASecondMapping()
    {
        ulong there = (ulong)Sys.Check(Sys.Mmap(0, Bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, _memfd), "mmap");
        try
        {
            int uffd = (int)Sys.Raw(SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK | AsyncWriteProtection.UserModeOnly);
            AsyncWriteProtection.Begin(uffd);
            Assert.That(_written.Watch(uffd, Environment.ProcessId, _start, Bytes, there), Is.True);
            Assert.That(Written(), Has.Length.EqualTo(Frames), "nothing is known of the other mapping");
            NoteAll();
            Assert.That(Written(), Is.Empty, "not touched there");
            NoteAll();
            ((byte*)there)[3 * FrameBytes] = 2;
            ((byte*)_start)[5 * FrameBytes] = 2;
            Assert.That(Written(), Is.EqualTo(new[] { 3, 5 }));
            NoteAll();
            byte sum = 0;
            for (int page = 0; page < Frames * FrameBytes / 4096; page++) sum += ((byte*)there)[page * 4096];
            Assert.That(Written(), Is.Empty, $"only read ({sum})");
            NoteAll();
            ((byte*)there)[Bytes - 1] = 2;
            Assert.That(Sys.Madvise(there, Bytes, Sys.MADV_DONTNEED), Is.Zero);
            Assert.That(Written(), Has.Member(Frames - 1), "taken back by the kernel");
        }
        finally { Sys.Munmap(there, Bytes); }
    }

    [Test]
    public void DiscardedMemory()
    {
        Assert.That(Sys.Madvise(_start + 2 * FrameBytes, FrameBytes, Sys.MADV_REMOVE), Is.Zero);
        _written.Discard(_start + 2 * FrameBytes, FrameBytes);
        Assert.That(((byte*)_start)[2 * FrameBytes], Is.Zero);
        Assert.That(Written(), Has.Member(2));
        NoteAll();
        Assert.That(Written(), Is.Empty);
    }
}
