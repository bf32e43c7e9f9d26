using TreCr.Images;

namespace TreCr.Store.Tests;

public sealed class SnapshotTests : StoreTestBase
{
    [Test]
    public void RoundTripOfPartsRecordsHolesAndShortFrames()
    {
        ContentHash hash;
        using (SnapshotStore store = Open())
        {
            using StoreSnapshotWriter writer = store.BeginSnapshot();
            IPartWriter memory = writer.OpenPart("memory", 1L << 47);
            memory.WriteFrame((1L << 47) - Frame, Random(1));
            memory.WriteFrame(0, Soft(2));
            memory.WriteFrame(5 * Frame, Random(3, 100));
            memory.WriteFrame(6 * Frame, new byte[Frame]);
            writer.OpenPart("empty", 0);
            writer.PutRecord("core", Random(4, 3 * Frame + 17));
            writer.PutRecord("zeroes", new byte[2 * Frame + 5]);
            writer.PutRecord("nothing", []);
            SnapshotResult result = writer.Finish();
            hash = result.ManifestHash;
            Assert.That(result.BytesTotal, Is.EqualTo(7 * Frame));
            Assert.That(result.BytesNew, Is.EqualTo(7 * Frame));
            Assert.That(result.BytesStored, Is.LessThan(7 * Frame));
        }
        using SnapshotStore again = Open();
        using StoreSnapshotReader reader = again.OpenSnapshot(hash);
        Assert.That(reader.Parts, Is.EqualTo(new[] { "empty", "memory" }));
        Assert.That(reader.Records, Is.EqualTo(new[] { "core", "nothing", "zeroes" }));
        IPartReader part = reader.OpenPart("memory");
        Assert.That(part.LengthBytes, Is.EqualTo(1L << 47));
        Assert.That(part.FrameOffsets, Is.EqualTo(new[] { 0L, 5 * Frame, (1L << 47) - Frame }));
        byte[] frame = Random(99);
        part.ReadFrame(0, frame);
        Assert.That(frame, Is.EqualTo(Soft(2)));
        part.ReadFrame((1L << 47) - Frame, frame);
        Assert.That(frame, Is.EqualTo(Random(1)));
        part.ReadFrame(5 * Frame, frame);
        Assert.That(frame.AsSpan(0, 100).SequenceEqual(Random(3, 100)) && !frame.AsSpan(100).ContainsAnyExcept((byte)0));
        part.ReadFrame(6 * Frame, frame);
        Assert.That(frame, Is.EqualTo(new byte[Frame]));
        part.ReadFrame(7 * Frame, frame);
        Assert.That(frame, Is.EqualTo(new byte[Frame]));
        Assert.That(reader.GetRecord("core"), Is.EqualTo(Random(4, 3 * Frame + 17)));
        Assert.That(reader.GetRecord("zeroes"), Is.EqualTo(new byte[2 * Frame + 5]));
        Assert.That(reader.GetRecord("nothing"), Is.Empty);
        Assert.Throws<StoreException>(() => reader.OpenPart("other"));
        Assert.Throws<StoreException>(() => reader.GetRecord("other"));
    }

    /// <summary>Many frames in a row that do not compress: what looks otherwise is tried at once, a repetition of random bytes after some frames.</summary>
    [Test]
    public void FramesCompressAfterManyThatDoNot()
    {
        using SnapshotStore store = Open();
        const int Plain = 100, Soft_ = 20, Repeated = 40;
        byte[] repeated = Random(1000, 1024);
        SnapshotResult result = Snapshot(store, [.. Enumerable.Range(0, Plain).Select(i => ((long)i, Random(i))), .. Enumerable.Range(0, Soft_).Select(i => ((long)Plain + i, Soft(i)))]);
        Assert.That(result.BytesStored, Is.InRange(Plain * (long)Frame, (Plain + Soft_ / 2) * (long)Frame));
        result = Snapshot(store, [.. Enumerable.Range(0, Plain).Select(i => ((long)i, Random(Plain + i))), .. Enumerable.Range(0, Repeated).Select(i => ((long)Plain + i, Again(i)))]);
        Assert.That(result.BytesStored, Is.InRange(Plain * (long)Frame, (Plain + Repeated - 5) * (long)Frame));

        byte[] Again(int i)
        {
            byte[] frame = new byte[Frame];
            for (int at = 0; at < frame.Length; at += repeated.Length) repeated.CopyTo(frame, at);
            frame[0] = (byte)i;
            return frame;
        }
    }

    [Test]
    public void EqualFramesAreStoredOnce()
    {
        using SnapshotStore store = Open();
        SnapshotResult first = Snapshot(store, (0, Random(1)), (1, Random(1)), (9, Random(2)));
        Assert.That((first.BytesTotal, first.BytesNew), Is.EqualTo((3L * Frame, 2L * Frame)));
        SnapshotResult second = Snapshot(store, (3, Random(2)), (4, Random(3)));
        Assert.That((second.BytesTotal, second.BytesNew), Is.EqualTo((2L * Frame, 1L * Frame)));
        using SnapshotStore other = Open();
        Assert.That(Snapshot(other, (0, Random(3))).BytesNew, Is.Zero);
    }

    [Test]
    public void AnIncrementStoresOnlyWhatChanged()
    {
        using SnapshotStore store = Open();
        const int count = 200;
        SnapshotResult full = Snapshot(store, [.. Enumerable.Range(0, count).Select(i => ((long)i, Soft(i)))]);
        using StoreSnapshotWriter writer = store.BeginSnapshot(full.ManifestHash);
        IPartWriter part = writer.OpenPart("memory", 1L << 47);
        for (int i = 0; i < count; i++)
        {
            Assert.That(part.CanKeep(i * (long)Frame));
            if (i % 10 == 0) part.WriteFrame(i * (long)Frame, Soft(1000 + i)); else part.KeepFrame(i * (long)Frame);
        }
        part.KeepFrame((count + 5L) * Frame); // zeroes in the base
        IPartWriter added = writer.OpenPart("added", Frame);
        Assert.That(added.CanKeep(0), Is.False);
        Assert.Throws<InvalidOperationException>(() => added.KeepFrame(0));
        SnapshotResult increment = writer.Finish();
        Assert.That((increment.BytesTotal, increment.BytesNew), Is.EqualTo((count * (long)Frame, count / 10 * (long)Frame)));
        using StoreSnapshotReader reader = store.OpenSnapshot(increment.ManifestHash);
        int seen = 0;
        byte[] frame = new byte[Frame];
        IPartReader read = reader.OpenPart("memory");
        foreach (long offset in read.FrameOffsets)
        {
            read.ReadFrame(offset, frame);
            int i = (int)(offset / Frame);
            Assert.That(frame.AsSpan().SequenceEqual(Soft(i % 10 == 0 ? 1000 + i : i)), $"frame {i}");
            seen++;
        }
        Assert.That(seen, Is.EqualTo(count));
    }

    [Test]
    public void TheLastWriteOfAFrameCounts()
    {
        using SnapshotStore store = Open();
        SnapshotResult result = Snapshot(store, (3, Random(1)), (1, Random(2)), (3, Random(3)), (1, new byte[Frame]));
        using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
        IPartReader part = reader.OpenPart("memory");
        Assert.That(part.FrameOffsets, Is.EqualTo(new[] { 3L * Frame }));
        byte[] frame = new byte[Frame];
        part.ReadFrame(3 * Frame, frame);
        Assert.That(frame, Is.EqualTo(Random(3)));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void BulkReadBringsEveryFrame(bool inOrder)
    {
        using SnapshotStore store = Open();
        long[] indexes = [.. Enumerable.Range(0, 150).Select(i => (long)i), .. Enumerable.Range(0, 70).Select(i => 1000L + 3 * i)];
        SnapshotResult result = Snapshot(store, [.. indexes.Select(i => (i, Soft((int)i)))]);
        using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
        List<long> seen = [];
        reader.ReadFrames("memory", (offset, bytes) =>
        {
            for (int at = 0; at < bytes.Length; at += Frame)
            {
                if (!bytes.Slice(at, Frame).SequenceEqual(Soft((int)((offset + at) / Frame)))) throw new InvalidOperationException($"wrong bytes at {offset + at}");
                lock (seen) seen.Add((offset + at) / Frame);
            }
        }, inOrder, threads: 3);
        if (!inOrder) seen.Sort();
        Assert.That(seen, Is.EqualTo(indexes));
        Assert.Throws<InvalidOperationException>(() => reader.ReadFrames("memory", (_, _) => throw new InvalidOperationException("enough"), inOrder, threads: 3));
    }

    [Test]
    public void AWriterWithLittleMemoryWaitsInsteadOfGrowing()
    {
        using SnapshotStore store = Open(Small with { MemoryLimitBytes = 1 });
        SnapshotResult result = Snapshot(store, [.. Enumerable.Range(0, 500).Select(i => ((long)i, Random(i)))]);
        Assert.That(result.BytesNew, Is.EqualTo(500L * Frame));
        using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
        Assert.That(reader.OpenPart("memory").FrameOffsets, Has.Count.EqualTo(500));
    }

    [Test]
    public void HeldFramesAreStoredAtTheEndAndTheLastWriteCounts()
    {
        using SnapshotStore store = Open();
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 1L << 40);
        Assert.That(writer.PrepareFrames(32), Is.GreaterThanOrEqualTo(32));
        for (int i = 0; i < 8; i++) part.WriteFrame(i * (long)Frame, Random(i));
        nint taken = writer.TakeFrame(), unused = writer.TakeFrame();
        System.Runtime.InteropServices.Marshal.Copy(Random(100), 0, taken, Frame);
        writer.HoldFrames();
        part.WriteTaken(3 * (long)Frame, taken);
        part.WriteFrame(4 * (long)Frame, Random(101));
        part.WriteFrame(5 * (long)Frame, new byte[Frame]);
        writer.ReturnFrame(unused);
        SnapshotResult result = writer.Finish();
        using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
        byte[] frame = new byte[Frame];
        for (int i = 0; i < 8; i++)
        {
            reader.OpenPart("memory").ReadFrame(i * (long)Frame, frame);
            Assert.That(frame, Is.EqualTo(i switch { 3 => Random(100), 4 => Random(101), 5 => new byte[Frame], _ => Random(i) }), $"frame {i}");
        }
    }

    [Test]
    public void WithLittleMemoryHeldFramesWaitAndTellIt()
    {
        using SnapshotStore store = Open(Small with { MemoryLimitBytes = 1 }); // one slab of 64 frames
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 1L << 40);
        List<nint> taken = [];
        for (nint frame; (frame = writer.TakeFrame()) != 0;) taken.Add(frame);
        Assert.That(taken, Has.Count.EqualTo(48), "a quarter is left for frames that cannot wait");
        writer.HoldFrames();
        for (int i = 0; i < 200; i++) part.WriteFrame(i * (long)Frame, Random(i));
        Assert.That(writer.WaitedMicroseconds, Is.GreaterThan(0));
        for (int i = 0; i < taken.Count; i++)
        {
            System.Runtime.InteropServices.Marshal.Copy(Random(1000 + i), 0, taken[i], Frame);
            part.WriteTaken((200 + i) * (long)Frame, taken[i]);
        }
        SnapshotResult result = writer.Finish();
        using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
        byte[] last = new byte[Frame];
        reader.OpenPart("memory").ReadFrame(247 * (long)Frame, last);
        Assert.That(last, Is.EqualTo(Random(1047)));
        Assert.That(reader.OpenPart("memory").FrameOffsets, Has.Count.EqualTo(248));
    }

    [Test]
    public void WhatCannotFitIsRefusedBeforeItIsWritten()
    {
        using SnapshotStore store = Open();
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        long free = store.EstimateFits(0).FreeBytes;
        static bool Hard(double at, nint frame)
        {
            System.Runtime.InteropServices.Marshal.Copy(Random((int)(at * 1000)), 0, frame, Frame);
            return true;
        }
        static bool Zero(double at, nint frame)
        {
            System.Runtime.InteropServices.Marshal.Copy(new byte[Frame], 0, frame, Frame);
            return true;
        }
        writer.RequireRoom(free / 2, Hard);
        writer.RequireRoom(free * 4, Zero);
        StoreException? e = Assert.Throws<StoreException>(() => writer.RequireRoom(free * 4, Hard));
        Assert.That(e!.Kind, Is.EqualTo(StoreErrorKind.NoSpace));
    }

    [Test]
    public void SeveralThreadsWriteOnePart()
    {
        using SnapshotStore store = Open();
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        writer.Prepare(8 << 20);
        IPartWriter part = writer.OpenPart("memory", 1L << 40);
        Parallel.For(0, 400, i => part.WriteFrame(i * (long)Frame, Soft(i)));
        SnapshotResult result = writer.Finish();
        using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
        int right = 0;
        reader.ReadFrames("memory", (offset, bytes) =>
        {
            for (int at = 0; at < bytes.Length; at += Frame) if (bytes.Slice(at, Frame).SequenceEqual(Soft((int)((offset + at) / Frame)))) right++;
        });
        Assert.That(right, Is.EqualTo(400));
    }

    [Test]
    public void WritersInOneStoreDoNotDisturbEachOther()
    {
        ContentHash[] hashes = new ContentHash[4];
        Parallel.For(0, 4, i =>
        {
            using SnapshotStore store = Open();
            hashes[i] = Snapshot(store, [.. Enumerable.Range(0, 100).Select(k => ((long)k, Soft(k % 2 == 0 ? k : k + 1000 * i)))]).ManifestHash;
        });
        using SnapshotStore again = Open();
        foreach (ContentHash hash in hashes)
        {
            using StoreSnapshotReader reader = again.OpenSnapshot(hash);
            Assert.That(reader.OpenPart("memory").FrameOffsets, Has.Count.EqualTo(100));
            reader.ReadFrames("memory", (_, _) => { });
        }
        Assert.That(hashes.Distinct().Count(), Is.EqualTo(4));
    }

    [Test]
    public void ManyOpenersMakeOneStore()
    {
        for (int round = 0; round < 20; round++)
        {
            string path = Path.Combine(Dir, $"round{round}");
            Thread[] threads = new Thread[4];
            Exception? failure = null;
            for (int i = 0; i < threads.Length; i++)
            {
                ulong epoch = (ulong)i + 1;
                threads[i] = new Thread(() =>
                {
                    try
                    {
                        using SnapshotStore store = SnapshotStore.Open(path, Small);
                        Checkpoint(store, "job", epoch, (0, Soft((int)epoch)));
                    }
                    catch (Exception e) { failure = e; }
                });
            }
            foreach (Thread thread in threads) thread.Start();
            foreach (Thread thread in threads) Assert.That(thread.Join(30_000));
            Assert.That(failure, Is.Null);
            using SnapshotStore again = SnapshotStore.Open(path, Small);
            Assert.That(again.ListCheckpoints(), Has.Count.EqualTo(4));
        }
    }

    [Test]
    public void AnAbortedSnapshotLeavesNoFile()
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "job", 1, (0, Random(1)));
        string[] before = FilesIn("packs");
        using (StoreSnapshotWriter writer = store.BeginSnapshot()) writer.OpenPart("memory", 1L << 40).WriteFrame(0, Random(7));
        Assert.That(FilesIn("packs"), Is.EquivalentTo(before));
        Assert.That(FilesIn("sessions"), Is.Empty);
    }

    [Test]
    public void WrongArgumentsAreRefused()
    {
        using SnapshotStore store = Open();
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 2 * Frame);
        Assert.Throws<ArgumentOutOfRangeException>(() => part.WriteFrame(1, Random(1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => part.WriteFrame(-Frame, Random(1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => part.WriteFrame(2 * Frame, Random(1)));
        Assert.Throws<ArgumentException>(() => part.WriteFrame(0, []));
        Assert.Throws<ArgumentException>(() => part.WriteFrame(0, new byte[Frame + 1]));
        Assert.Throws<ArgumentException>(() => writer.OpenPart("Upper", 1));
        Assert.Throws<InvalidOperationException>(() => writer.OpenPart("memory", 1));
        writer.Finish();
        Assert.Throws<ObjectDisposedException>(() => part.WriteFrame(0, Random(1)));
        Assert.Throws<ObjectDisposedException>(() => writer.Finish());
    }
}
