using System.Collections.Concurrent;

namespace TreCr.Images;

/// <summary>A snapshot kept in memory: what tests of the process engine and the delegator write to and read from.</summary>
/// <param name="baseSnapshot">lends frames to <see cref="IPartWriter.KeepFrame"/>; null: a full snapshot</param>
public sealed class MemorySnapshot(MemorySnapshot? baseSnapshot = null) : ISnapshotWriter, ISnapshotReader
{
    private readonly ConcurrentDictionary<string, Part> _parts = new();
    private readonly ConcurrentDictionary<string, byte[]> _records = new();
    private int _taken;

    /// <summary>Buffers that may be taken at the same time; more are refused, as by a store that has no memory left.</summary>
    public int MostTaken { get; init; } = int.MaxValue;

    public IReadOnlyList<string> Parts => [.. _parts.Keys.Order(StringComparer.Ordinal)];

    public IReadOnlyList<string> Records => [.. _records.Keys.Order(StringComparer.Ordinal)];

    IPartWriter ISnapshotWriter.OpenPart(string name, long lengthBytes)
    {
        Part part = new(this, lengthBytes, baseSnapshot?._parts.GetValueOrDefault(name));
        return _parts.TryAdd(name, part) ? part : throw new InvalidOperationException($"part {name} is open already");
    }

    IPartReader ISnapshotReader.OpenPart(string name) => _parts.GetValueOrDefault(name) ?? throw new ImageException($"no part {name}");

    public void RequireRoom(long plainBytes, Func<double, nint, bool> sample)
    {
    }

    public int PrepareFrames(int count) => count;

    /// <inheritdoc/>
    public void AwaitWorkers() { }

    public nint TakeFrame(int timeoutMs = 0)
    {
        if (Interlocked.Increment(ref _taken) <= MostTaken) return System.Runtime.InteropServices.Marshal.AllocHGlobal(ISnapshotWriter.FrameSizeBytes);
        Interlocked.Decrement(ref _taken);
        return 0;
    }

    public void ReturnFrame(nint frame)
    {
        System.Runtime.InteropServices.Marshal.FreeHGlobal(frame);
        Interlocked.Decrement(ref _taken);
    }

    public void HoldFrames()
    {
    }

    public void PutRecord(string name, ReadOnlySpan<byte> bytes) => _records[name] = bytes.ToArray();

    public byte[] GetRecord(string name) => _records.GetValueOrDefault(name) ?? throw new ImageException($"no record {name}");

    private sealed class Part(MemorySnapshot owner, long lengthBytes, Part? basePart) : IPartWriter, IPartReader
    {
        private readonly ConcurrentDictionary<long, byte[]> _frames = new();
        private readonly ConcurrentDictionary<long, bool> _given = new(); // frames that were, also those of zeroes

        public long LengthBytes => lengthBytes;

        public IReadOnlyList<long> FrameOffsets => [.. _frames.Keys.Order()];

        public bool HasFrame(long offsetBytes) => _frames.ContainsKey(offsetBytes);

        public void WriteFrame(long offsetBytes, ReadOnlySpan<byte> bytes)
        {
            if (offsetBytes % ISnapshotWriter.FrameSizeBytes != 0) throw new ArgumentException("not a frame offset", nameof(offsetBytes));
            _given[offsetBytes] = true;
            if (!bytes.ContainsAnyExcept((byte)0)) { _frames.TryRemove(offsetBytes, out _); return; }
            byte[] frame = new byte[ISnapshotWriter.FrameSizeBytes];
            bytes.CopyTo(frame);
            _frames[offsetBytes] = frame;
        }

        public unsafe void WriteTaken(long offsetBytes, nint frame)
        {
            WriteFrame(offsetBytes, new ReadOnlySpan<byte>((void*)frame, ISnapshotWriter.FrameSizeBytes));
            owner.ReturnFrame(frame);
        }

        public unsafe void WritePages(CopiedPages pages)
        {
            foreach ((long offset, nint address) in pages.Sorted())
            {
                long at = offset & -ISnapshotWriter.FrameSizeBytes;
                byte[] frame = new byte[ISnapshotWriter.FrameSizeBytes];
                if (_given.ContainsKey(at)) ReadFrame(at, frame); else basePart?.ReadFrame(at, frame);
                new ReadOnlySpan<byte>((void*)address, CopiedPages.PageBytes).CopyTo(frame.AsSpan((int)(offset - at)));
                WriteFrame(at, frame);
            }
            pages.Return();
        }

        public bool CanKeep(long offsetBytes) => basePart is not null;

        public void KeepFrame(long offsetBytes)
        {
            if (basePart is null) throw new InvalidOperationException("no base snapshot");
            _given[offsetBytes] = true;
            if (basePart._frames.TryGetValue(offsetBytes, out byte[]? frame)) _frames[offsetBytes] = frame; else _frames.TryRemove(offsetBytes, out _);
        }

        public void ReadFrame(long offsetBytes, Span<byte> into)
        {
            if (_frames.TryGetValue(offsetBytes, out byte[]? frame)) frame.CopyTo(into); else into[..ISnapshotWriter.FrameSizeBytes].Clear();
        }
    }
}
