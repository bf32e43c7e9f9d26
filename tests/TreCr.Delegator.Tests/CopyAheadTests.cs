using NUnit.Framework;
using TreCr.Delegator.Snapshot;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Delegator.Tests;

/// <summary>Memory that is copied ahead into a store with few buffers: the stop finds everything copied, whether there was a buffer to hold it in or not.</summary>
public unsafe class CopyAheadTests
{
    private const int Frames = 128, FrameBytes = ISnapshotWriter.FrameSizeBytes, Page = 4096;
    private const ulong Bytes = Frames * (ulong)FrameBytes;

    [Test]
    public void WhatFindsNoBufferIsStoredWhileTheProgramRuns()
    {
        string directory = Directory.CreateTempSubdirectory("trecr-ahead-").FullName;
        int memfd = Sys.MemfdCreate("trecr-test");
        Sys.Ftruncate(memfd, (long)Bytes);
        ulong start = (ulong)Sys.Check(Sys.Mmap(0, Bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, memfd), "mmap");
        long[] offsets = [.. Enumerable.Range(0, Frames).Select(i => (long)i * FrameBytes)];
        Span<byte> memory = new((void*)start, (int)Bytes);
        new Random(1).NextBytes(memory);
        using WrittenFrames tracker = new();
        if (!tracker.Works) Assert.Ignore("no write tracking here");
        try
        {
            // 64 buffers, of which 48 may be held.
            using SnapshotStore store = SnapshotStore.Open(directory, new StoreOptions { MemoryLimitBytes = 4 << 20, Workers = 1 });
            using StoreSnapshotWriter writer = store.BeginSnapshot();
            Precopy precopy = new([]);
            FramePart.Copy(writer, "device-0", (long)Bytes, offsets, start, null, precopy, tracker);
            for (int i = 0; i < Frames; i++) memory[i * FrameBytes + i % 16 * Page] ^= 1;
            Assert.That(FramePart.CopyAgain(writer, "device-0", offsets, start, precopy, tracker), Is.EqualTo((long)Bytes));
            memory[5 * FrameBytes] ^= 1;
            memory[120 * FrameBytes] ^= 1;
            Assert.That(FramePart.CopyAgain(writer, "device-0", offsets, start, precopy, tracker), Is.EqualTo(2L * FrameBytes));
            Assert.That(precopy.Held("device-0"), Has.Count.InRange(1, 48));
            memory[77 * FrameBytes] ^= 1;
            byte[] captured = memory.ToArray();
            writer.HoldFrames();
            FrameHashes hashes = new();
            Assert.That(FramePart.Write(writer, "device-0", (long)Bytes, offsets, (offset, _) => (byte*)start + offset, null, precopy, hashes, (tracker, start)), Is.EqualTo((long)FrameBytes), "the one that was written since");
            memory.Clear(); // the program runs on
            precopy.EndCapture();
            SnapshotResult result = writer.Finish();
            Assert.That(result.BytesNew, Is.LessThan((long)Bytes * 3 / 2), "a second state takes its changed pages");
            using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
            byte[] saved = new byte[Bytes];
            reader.ReadFrames("device-0", (offset, frames) => frames.CopyTo(saved.AsSpan((int)offset)));
            Assert.That(saved.AsSpan().SequenceEqual(captured));
        }
        finally
        {
            Sys.Munmap(start, Bytes);
            Sys.Close(memfd);
            Directory.Delete(directory, recursive: true);
        }
    }
}
