using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>Frames of which only the changed pages are stored: read back whole, kept as long as they are needed, refused where anything of them is damaged.</summary>
[NonParallelizable]
public sealed class PatchTests : StoreTestBase
{
    private const int Page = 4096, Pages = Frame / Page;
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    [TearDown]
    public void Disarm() => Fault.Arm(null);

    [TestCase(false)]
    [TestCase(true)]
    public void OnlyTheChangedPagesAreStored(bool keyed)
    {
        StoreOptions options = Small with { Key = keyed ? StoreKey.FromBytes(Random(9, StoreKey.LengthBytes)) : null };
        using SnapshotStore store = Open(options);
        byte[][] frames = [.. Enumerable.Range(0, 64).Select(i => Random(i))];
        SnapshotResult first = Increment(store, null, frames);
        for (int i = 0; i < frames.Length; i++) Random(1000 + i, Page).CopyTo(frames[i], i % Pages * Page);
        SnapshotResult second = Increment(store, first.ManifestHash, frames);
        Assert.That((first.BytesNew, second.BytesNew, second.BytesTotal), Is.EqualTo((64L * Frame, 64L * Page, 64L * Frame)));
        AssertHolds(store, second.ManifestHash, frames);
        // A page that becomes zero takes no space; frames that do not change are kept as they are, patched or not.
        frames[5].AsSpan(3 * Page, Page).Clear();
        SnapshotResult third = Increment(store, second.ManifestHash, frames);
        Assert.That(third.BytesNew, Is.Zero);
        AssertHolds(store, third.ManifestHash, frames);
        using StoreSnapshotWriter writer = store.BeginSnapshot(third.ManifestHash);
        IPartWriter part = writer.OpenPart("memory", 64 * Frame);
        for (int i = 0; i < 64; i++) part.KeepFrame(i * Frame);
        SnapshotResult kept = writer.Finish();
        AssertHolds(store, kept.ManifestHash, frames);
        foreach ((ulong epoch, ContentHash hash) in new[] { (1UL, first.ManifestHash), (2UL, kept.ManifestHash) }) store.CommitCheckpoint(Job("job", epoch, hash));
        // A build without patches knows by the version that it cannot read them, and reads the others.
        Assert.That(new[] { "job.1", "job.2" }.Select(id => BitConverter.ToUInt32(File.ReadAllBytes(Path.Combine(Dir, "store", "checkpoints", id)), 8)),
            Is.EqualTo(keyed ? new[] { 2U, 4U } : [1U, 3U]));
        Assert.That(store.Inspect("job.2").FormatVersion, Is.EqualTo(keyed ? 4U : 3U));
        using (StoreSnapshotReader reader = store.OpenSnapshot(kept.ManifestHash)) Assert.That(reader.Manifest.FormatVersion, Is.EqualTo(keyed ? 4U : 3U));
    }

    [Test]
    public void WhatWasWrittenAgainInTheStopIsStoredAsAPatchOfItsFirstState()
    {
        using SnapshotStore store = Open();
        byte[][] frames = [.. Enumerable.Range(0, 40).Select(i => Random(i))];
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 40 * Frame);
        for (int i = 0; i < 40; i++) part.WriteFrame(i * Frame, frames[i]);
        writer.HoldFrames();
        for (int i = 0; i < 40; i += 2)
        {
            Random(500 + i, Page).CopyTo(frames[i], 7 * Page);
            part.WriteFrame(i * Frame, frames[i]);
        }
        SnapshotResult result = writer.Finish();
        Assert.That(result.BytesNew, Is.EqualTo(40L * Frame + 20 * Page));
        AssertHolds(store, result.ManifestHash, frames);
    }

    [Test]
    public void WhatIsCopiedAheadTwiceIsStoredAsAPatchOfItsFirstState()
    {
        using SnapshotStore store = Open(OneWorker);
        byte[][] frames = [.. Enumerable.Range(0, 200).Select(i => Random(i))];
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 200 * Frame);
        for (int i = 0; i < 200; i++) part.WriteFrame(i * Frame, frames[i]);
        for (int i = 0; i < 100; i++)
        {
            Random(500 + i, Page).CopyTo(frames[i], 7 * Page);
            part.WriteFrame(i * Frame, frames[i]);
        }
        SnapshotResult result = writer.Finish();
        Assert.That(result.BytesNew, Is.InRange(200L * Frame + 100 * Page, 220L * Frame), "what a worker has not written yet cannot be read back: a few frames");
        AssertHolds(store, result.ManifestHash, frames);
    }

    [TestCase(false)]
    [TestCase(true)]
    public void PagesCopiedAloneChangeWhatTheSnapshotOrTheBaseHas(bool inStop)
    {
        using SnapshotStore store = Open();
        byte[][] frames = [.. Enumerable.Range(0, 64).Select(i => Random(i))];
        SnapshotResult first = Increment(store, null, frames);
        using StoreSnapshotWriter writer = store.BeginSnapshot(first.ManifestHash);
        IPartWriter part = writer.OpenPart("memory", 70 * Frame);
        for (int i = 0; i < 64; i++)
            if (i % 4 == 0) part.WriteFrame(i * Frame, frames[i] = Random(200 + i)); // copied ahead
            else if (i % 4 == 1) part.KeepFrame(i * Frame);
        if (inStop) writer.HoldFrames();
        frames = [.. frames, new byte[Frame], new byte[Frame]];
        long pages = 0;
        for (int round = 0; round < 3; round++)
        {
            CopiedPages copies = new(writer);
            for (int i = round; i < 66; i += round + 1, pages++) Overwrite(copies, frames, i, (i + round) % Pages, Random(1000 * round + i, Page));
            part.WritePages(copies);
        }
        CopiedPages same = new(writer);
        for (int i = 0; i < 64; i++) Overwrite(same, frames, i, 15, frames[i].AsSpan(15 * Page, Page)); // written, but with what was there
        Overwrite(same, frames, 3, 2, new byte[Page]);
        part.WritePages(same);
        part.WritePages(new CopiedPages(writer));
        SnapshotResult result = writer.Finish();
        // What was copied ahead, what was zero (whole), and of the others just the pages; of a frame changed three times what there was in between has been stored too.
        Assert.That(result.BytesNew, Is.InRange(16L * Frame + 2 * Frame, 16L * Frame + 6 * Frame + pages * Page));
        AssertHolds(store, result.ManifestHash, frames);
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    private static unsafe void Overwrite(CopiedPages copies, byte[][] frames, int frame, int page, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(frames[frame].AsSpan(page * Page));
        nint place = copies.Place(frame * (long)Frame + page * Page, timeoutMs: 1000);
        Assert.That(place, Is.Not.Zero);
        bytes.CopyTo(new Span<byte>((void*)place, Page));
    }

    [Test]
    public void PagesWhoseFrameCannotBeReadFailTheSnapshot()
    {
        using SnapshotStore store = Open(OneWorker);
        byte[][] frames = Chain(store, 1);
        Fault.Arm("StorePatch:3:errno");
        using (StoreSnapshotWriter writer = store.BeginSnapshot(LastOf(store)))
        {
            IPartWriter part = writer.OpenPart("memory", 20 * Frame);
            CopiedPages copies = new(writer);
            for (int i = 0; i < 20; i++) Overwrite(copies, frames, i, 4, Random(300 + i, Page));
            part.WritePages(copies);
            Assert.That(KindOf(() => writer.Finish()), Is.EqualTo(StoreErrorKind.Damaged));
        }
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void PagesThatFindNoMemoryAreGivenBackByTheWorkers()
    {
        using SnapshotStore store = Open(OneWorker);
        byte[][] frames = Chain(store, 1);
        using StoreSnapshotWriter writer = store.BeginSnapshot(LastOf(store));
        IPartWriter part = writer.OpenPart("memory", 20 * Frame);
        for (int round = 0; round < 200; round++) // 4,000 pages; a buffer is a 64th of the memory
        {
            CopiedPages copies = new(writer);
            for (int i = 0; i < 20; i++) Overwrite(copies, frames, i, (round + i) % Pages, Random(20 * round + i, Page));
            part.WritePages(copies);
        }
        SnapshotResult result = writer.Finish();
        AssertHolds(store, result.ManifestHash, frames);
        AssertBounded(store, result.ManifestHash);
    }

    /// <summary>Against bytes in memory: random pages of random frames, checkpoint after checkpoint, gc in between.</summary>
    [Test]
    public void AnyHistoryOfWritesReadsBackAsItWas() => Properties.Hold<(int Seed, int[] Steps)>(20, input =>
    {
        Random random = new(input.Seed);
        using SnapshotStore store = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        byte[][] frames = [.. Enumerable.Range(0, 6).Select(i => Random(i))];
        Dictionary<string, byte[][]> kept = [];
        ContentHash? before = null;
        for (int epoch = 1; epoch <= 14 + input.Steps.Length; epoch++)
        {
            for (int writes = random.Next(8); writes > 0; writes--)
            {
                int count = random.Next(12) == 0 ? Pages : 1, page = random.Next(Pages - count + 1);
                Span<byte> written = frames[random.Next(frames.Length)].AsSpan(page * Page, count * Page);
                if (random.Next(6) == 0) written.Clear(); else random.NextBytes(written);
            }
            before = random.Next(2) == 0 && before is { } known ? ByPages(store, known, frames, random) : Increment(store, before, frames).ManifestHash;
            AssertBounded(store, before.Value);
            kept[store.CommitCheckpoint(Job("job", (ulong)epoch, before.Value))] = [.. frames.Select(f => (byte[])f.Clone())];
            if (random.Next(3) == 0) foreach (string id in store.Gc(new GcOptions { Retention = new() { Last = 1 + random.Next(4) }, RewriteBelow = 1 }).RemovedCheckpoints) kept.Remove(id);
            Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty);
        }
        foreach ((string id, byte[][] was) in kept) AssertHolds(store, ContentHash.FromBytes(store.Inspect(id).Ranks[0].Snapshots[0].ManifestHash.Span), was);
        // Nothing is left but what is needed.
        store.Gc(new GcOptions { Retention = new() { Last = 1 }, RewriteBelow = 1 });
        HashSet<UInt128> needed = [before!.Value.Value, .. store.LoadSnapshot(before.Value).Objects];
        Assert.That(store.Catalog.Packs.SelectMany(p => p.Entries).Select(e => e.Hash), Is.EquivalentTo(needed));
    });

    [Test]
    public void ABaseThatAPatchNeedsOutlivesItsCheckpointOnEveryTier()
    {
        using SnapshotStore store = Open(), tier = SnapshotStore.Open(new RecordingFiles(), OneWorker), far = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        byte[][] frames = Chain(store, 3);
        Assert.That(store.Gc(new GcOptions { Retention = new() { Last = 1 }, RewriteBelow = 1 }).RemovedCheckpoints, Has.Count.EqualTo(2));
        ContentHash last = LastOf(store);
        AssertHolds(store, last, frames);
        tier.Fill(store.Inspect("job.3"), [store]);
        Assert.That(tier.HasAllOf(store.Inspect("job.3")));
        AssertHolds(tier, last, frames);
        MemoryStream stream = new();
        tier.Export("job", stream);
        stream.Position = 0;
        Assert.That(far.Import(stream), Is.EqualTo("job.3"));
        AssertHolds(far, last, frames);
        Assert.That(far.Inspect("job.3").FormatVersion, Is.EqualTo(3U));
        StoreUsage usage = store.Du();
        Assert.That((usage.Checkpoints[0].PlainBytes, usage.GarbageBytes), Is.EqualTo((20L * Frame, 0L)));
        Assert.That(store.SizesOf(store.Inspect("job.3")).PlainBytes, Is.EqualTo(20L * Frame));
    }

    [Test]
    public void DifferencesAreThoseOfTheBytes()
    {
        using SnapshotStore store = Open();
        Chain(store, 3);
        PartDifference difference = store.Diff("job.1", "job.3").Single();
        Assert.That(difference.FramesDiffer, Is.EqualTo(20));
        Assert.That(difference.BytesDiffer, Is.InRange(2 * 20 * Page * 0.99, 2 * 20 * Page), "two random pages of each frame");
        Assert.That(store.Diff("job.3", "job.3"), Is.Empty);
    }

    [Test]
    public void DamageOfAnyObjectIsNamedAndComesFromAnotherTier()
    {
        RecordingFiles files = new();
        using SnapshotStore whole = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        byte[][] frames;
        using (SnapshotStore store = SnapshotStore.Open(files, OneWorker))
        {
            frames = Chain(store, 3);
            whole.Fill(store.Inspect("job.3"), [store]);
        }
        int packs = 0;
        foreach ((StoreDirectory directory, string name) in files.Names.Where(n => n.Name.EndsWith(".pack", StringComparison.Ordinal)).ToArray())
        {
            RecordingFiles damagedFiles = files.Clone();
            byte[] pack = damagedFiles.Get(directory, name);
            pack[5000] ^= 4;
            damagedFiles.Set(directory, name, pack);
            using SnapshotStore damaged = SnapshotStore.Open(damagedFiles, OneWorker);
            Assert.That(damaged.Verify("job.3").Problems, Has.Count.EqualTo(1), name);
            using (StoreSnapshotReader reader = damaged.OpenSnapshot(LastOf(damaged)))
            {
                StoreException refusal = Assert.Throws<StoreException>(() => reader.ReadFrames("memory", (_, _) => { }))!;
                Assert.That((refusal.Kind, refusal.Message.Contains("part memory")), Is.EqualTo((StoreErrorKind.Damaged, true)));
            }
            // The next checkpoint of a frame whose past cannot be read has all of it.
            Random(77, Page).CopyTo(frames[0], 9 * Page);
            Assert.That(Increment(damaged, LastOf(damaged), frames).BytesNew, Is.EqualTo((long)Frame), name);
            RepairReport repaired = damaged.Repair();
            Assert.That(repaired.DroppedObjects, Is.EqualTo(1));
            FillReport filled = damaged.Fill(whole.Inspect("job.3"), [whole]);
            Assert.That(filled.Objects, Is.EqualTo(1), name);
            Assert.That(damaged.Verify("job.3").Problems, Is.Empty);
            packs++;
        }
        Assert.That(packs, Is.EqualTo(3));
    }

    [Test]
    public void APatchThatPutsTogetherSomethingElseIsRefused()
    {
        using SnapshotStore store = Open();
        Chain(store, 2);
        SnapshotManifest good = store.LoadSnapshot(LastOf(store)).Manifest;
        Assert.That(SnapshotFrames.Parse(good.ToByteArray(), "good").IsPatched);
        (string Problem, Action<PartManifest, SnapshotManifest> Change)[] bad =
        [
            ("lists of other lengths", (p, _) => p.PatchMasks = Changed(p.PatchMasks, n => n.Add(1))),
            ("lists of other lengths", (p, _) => p.PatchBases = ByteString.CopyFrom(p.PatchBases.Span[1..])),
            ("other pages", (p, _) => p.PatchMasks = Changed(p.PatchMasks, n => n[0] = 0)),
            ("other pages", (p, _) => p.PatchMasks = Changed(p.PatchMasks, n => n[0] = 1 << 16)),
            ("other pages", (p, _) => p.PatchPages = Changed(p.PatchPages, n => n.Add(1))),
            ("does not have", (p, _) => p.PatchedDeltas = Changed(p.PatchedDeltas, n => n[0] = 21)),
            ("does not have", (p, _) => p.PatchedDeltas = Changed(p.PatchedDeltas, n => n[3] = 0)),
            ("without a base", (p, _) => p.PatchBases = ByteString.CopyFrom(new byte[p.PatchBases.Length])),
            ("not listed", (p, m) => p.PatchPages = Changed(p.PatchPages, n => n[0] = 1 + 16 * (ulong)(m.PatchObjects.Length / 16))),
            ("not listed", (p, _) => p.PatchPages = Changed(p.PatchPages, n => n[0] = uint.MaxValue)),
            ("not one", (p, _) => p.PatchPages = Changed(p.PatchPages, n => n[0] = 1UL << 32)),
            ("not one", (p, _) => p.PatchPages = ByteString.CopyFrom([.. p.PatchPages.Span, 0x80])),
            ("not one", (p, _) => p.PatchMasks = ByteString.CopyFrom([.. p.PatchMasks.Span, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])),
            ("not one", (p, _) => p.FrameIndexDeltas = ByteString.CopyFrom([.. p.FrameIndexDeltas.Span, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1])),
            ("bytes of hashes", (_, m) => m.PatchObjects = ByteString.CopyFrom(new byte[7])),
        ];
        foreach ((string problem, Action<PartManifest, SnapshotManifest> change) in bad)
        {
            SnapshotManifest changed = good.Clone();
            change(changed.Parts[0], changed);
            StoreException refusal = Assert.Throws<StoreException>(() => SnapshotFrames.Parse(changed.ToByteArray(), "bad"), problem)!;
            Assert.That((refusal.Kind, refusal.Message), Is.EqualTo((StoreErrorKind.Damaged, refusal.Message)));
            Assert.That(refusal.Message, Does.Contain(problem));
        }
        // Possible, but not what was saved: the frame's own hash tells.
        foreach (Action<SnapshotManifest> change in new Action<SnapshotManifest>[] { m => m.Parts[0].PatchPages = Changed(m.Parts[0].PatchPages, n => n[0] = 0), m => m.Parts[0].PatchPages = Changed(m.Parts[0].PatchPages, n => n[0] = 16), m => m.Parts[0].PatchMasks = Changed(m.Parts[0].PatchMasks, n => n[0] <<= 1) })
        {
            SnapshotManifest changed = good.Clone();
            change(changed);
            SnapshotFrames.Part part = SnapshotFrames.Parse(changed.ToByteArray(), "other").Parts["memory"];
            Assert.That(Assert.Throws<StoreException>(() => new FrameReader(store.Catalog).Read(part.Hashes[0], part.PatchAt(0), new byte[Frame]))!.Kind, Is.EqualTo(StoreErrorKind.Damaged));
        }
    }

    [Test]
    public void WhereTheBaseCannotBeReadTheFrameIsStoredWhole()
    {
        using SnapshotStore store = Open(OneWorker);
        byte[][] frames = Chain(store, 1);
        foreach (byte[] frame in frames) frame[0] ^= 1;
        Fault.Arm("StorePatch:3:errno");
        SnapshotResult result = Increment(store, LastOf(store), frames);
        Assert.That(result.BytesNew, Is.EqualTo(19L * Page + Frame));
        AssertHolds(store, result.ManifestHash, frames);
        Fault.Arm("StorePatch:2:exception");
        foreach (byte[] frame in frames) frame[0] ^= 2;
        Assert.That(KindOf(() => Increment(store, result.ManifestHash, frames)), Is.EqualTo(StoreErrorKind.IO));
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void AfterACrashAtAnyMomentTheOldOrTheNewCheckpointIsWhole()
    {
        RecordingFiles files = new();
        byte[][] first, second;
        using (SnapshotStore store = SnapshotStore.Open(files, OneWorker)) first = Chain(store, 2, 4);
        second = [.. first.Select(f => (byte[])f.Clone())];
        foreach (byte[] frame in second) Random(99, Page).CopyTo(frame, 5 * Page);
        RecordingFiles start = files.Clone(), recorded = files.Clone();
        using (SnapshotStore store = SnapshotStore.Open(recorded, OneWorker))
        {
            store.CommitCheckpoint(Job("job", 3, Increment(store, LastOf(store), second).ManifestHash));
            store.Gc(new GcOptions { Retention = new() { Last = 1 }, RewriteBelow = 1 });
        }
        int states = 0;
        for (int prefix = 0; prefix <= recorded.LogLength; prefix++)
        {
            for (int seed = 0; seed < 8; seed++, states++)
            {
                Random random = new(seed);
                RecordingFiles disk = recorded.AfterCrash(start, prefix, _ => (RecordingFiles.Fate)random.Next(3));
                using SnapshotStore store = SnapshotStore.Open(disk, OneWorker);
                string newest = store.FindCheckpoint("job").CheckpointId;
                Assert.That(newest, Is.EqualTo("job.2").Or.EqualTo("job.3"), $"prefix {prefix}, seed {seed}");
                AssertHolds(store, LastOf(store), newest == "job.2" ? first : second);
                Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty, $"prefix {prefix}, seed {seed}");
                store.Gc();
                AssertHolds(store, Increment(store, LastOf(store), second).ManifestHash, second);
            }
        }
        Assert.That(states, Is.GreaterThan(100));
    }

    /// <summary>Commits checkpoints job.1 and so on, one random page of each frame other than in the one before.</summary>
    /// <returns>the frames of the last</returns>
    private static byte[][] Chain(SnapshotStore store, int checkpoints, int count = 20)
    {
        byte[][] frames = [.. Enumerable.Range(0, count).Select(i => Random(i))];
        ContentHash? before = null;
        for (int epoch = 1; epoch <= checkpoints; epoch++)
        {
            if (epoch > 1) for (int i = 0; i < count; i++) Random(100 * epoch + i, Page).CopyTo(frames[i], (i + epoch) % Pages * Page);
            before = Increment(store, before, frames).ManifestHash;
            store.CommitCheckpoint(Job("job", (ulong)epoch, before.Value));
        }
        return frames;
    }

    private static SnapshotResult Increment(SnapshotStore store, ContentHash? before, byte[][] frames)
    {
        using StoreSnapshotWriter writer = store.BeginSnapshot(before);
        IPartWriter part = writer.OpenPart("memory", frames.Length * (long)Frame);
        for (int i = 0; i < frames.Length; i++) part.WriteFrame(i * Frame, frames[i]);
        return writer.Finish();
    }

    /// <summary>Like <see cref="Increment"/>, but only of the pages that changed, in the stop or before, and of some others.</summary>
    private static ContentHash ByPages(SnapshotStore store, ContentHash before, byte[][] frames, Random random)
    {
        byte[] was = new byte[Frame];
        using StoreSnapshotReader reader = store.OpenSnapshot(before);
        IPartReader then = reader.OpenPart("memory");
        using StoreSnapshotWriter writer = store.BeginSnapshot(before);
        IPartWriter part = writer.OpenPart("memory", frames.Length * (long)Frame);
        if (random.Next(2) == 0) writer.HoldFrames();
        CopiedPages copies = new(writer);
        for (int i = 0; i < frames.Length; i++)
        {
            part.KeepFrame(i * (long)Frame);
            then.ReadFrame(i * (long)Frame, was);
            for (int page = 0; page < Pages; page++)
                if (random.Next(10) == 0 || !was.AsSpan(page * Page, Page).SequenceEqual(frames[i].AsSpan(page * Page, Page))) Overwrite(copies, frames, i, page, frames[i].AsSpan(page * Page, Page).ToArray());
        }
        part.WritePages(copies);
        return writer.Finish().ManifestHash;
    }

    private static void AssertHolds(SnapshotStore store, ContentHash snapshot, byte[][] frames)
    {
        using StoreSnapshotReader reader = store.OpenSnapshot(snapshot);
        byte[] all = new byte[frames.Length * Frame], one = new byte[Frame];
        reader.ReadFrames("memory", (offset, bytes) => bytes.CopyTo(all.AsSpan((int)offset)), inOrder: false);
        IPartReader part = reader.OpenPart("memory");
        for (int i = 0; i < frames.Length; i++)
        {
            Assert.That(all.AsSpan(i * Frame, Frame).SequenceEqual(frames[i]), $"frame {i}, read with all");
            part.ReadFrame(i * (long)Frame, one);
            Assert.That(one.AsSpan().SequenceEqual(frames[i]), $"frame {i}");
        }
    }

    private static ByteString Changed(ByteString packed, Action<List<ulong>> change)
    {
        List<ulong> numbers = [.. PackedNumbers.Unpack(packed, "good")];
        change(numbers);
        return PackedNumbers.Pack([.. numbers]);
    }

    private static void AssertBounded(SnapshotStore store, ContentHash snapshot)
    {
        foreach (FramePatch patch in store.LoadSnapshot(snapshot).Parts["memory"].Patches?.Patches ?? [])
            Assert.That(patch.Objects.Distinct().Count(), Is.LessThanOrEqualTo(1 + FramePatch.MostObjects));
    }
}
