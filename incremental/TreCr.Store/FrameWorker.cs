using System.Runtime.InteropServices;
using TreCr.XxHash;
using TreCr.Zstd;

namespace TreCr.Store;

/// <summary>One thread behind a writer: hashes frames, looks whether they are known, compresses new ones and appends them in chunks of 1 MiB.</summary>
internal sealed unsafe class FrameWorker
{
    private const int ChunkBytes = 1 << 20;

    /// <summary>A frame has to become smaller by a 32nd, or it is stored plain.</summary>
    private const int CompressedLimitBytes = Format.FrameSizeBytes - Format.FrameSizeBytes / 32;

    private static readonly int RecordLimitBytes = PackWriter.RecordBytes(Format.FrameSizeBytes);

    private readonly FrameQueue _queue;
    private readonly StoreCatalog _catalog;
    private readonly PackWriter _pack;
    private readonly int _level;
    private readonly Thread _thread;
    private readonly List<IndexEntry> _entries = new(1024);
    private int _used;

    internal FrameWorker(FrameQueue queue, StoreCatalog catalog, PackWriter pack, int level, int number)
    {
        _queue = queue;
        _catalog = catalog;
        _pack = pack;
        _level = level;
        _thread = new Thread(Run) { IsBackground = true, Name = $"trecr-store-{number}" };
        _thread.Start();
    }

    /// <summary>The first thing that went wrong; read after <see cref="Join"/>.</summary>
    internal Exception? Failure { get; private set; }

    /// <summary>True once a failure makes further work pointless. Any thread.</summary>
    internal bool HasFailed => Volatile.Read(ref _failed);

    /// <summary>Frames stored for the first time; read after <see cref="Join"/>.</summary>
    internal long NewFrames { get; private set; }

    /// <summary>Their bytes as stored; read after <see cref="Join"/>.</summary>
    internal long StoredBytes { get; private set; }

    private bool _failed;

    /// <summary>Waits until the thread has ended; the queue is complete by then.</summary>
    internal void Join() => _thread.Join();

    private void Run()
    {
        Linux.Sys.SetThreadNice(5); // the thread that copies, and then the program, come first
        byte* chunk = (byte*)NativeMemory.Alloc(ChunkBytes);
        using Compressor? compressor = _level > 0 ? new Compressor(_level) : null;
        try
        {
            while (_queue.TryTake(out FrameQueue.Item item))
            {
                try
                {
                    if (!HasFailed) Store(item, new Span<byte>(chunk, ChunkBytes), compressor);
                }
                catch (Exception e) { Fail(e); }
                finally { _queue.Return(item.Buffer); }
            }
            try
            {
                if (!HasFailed) Flush(new Span<byte>(chunk, ChunkBytes));
            }
            catch (Exception e) { Fail(e); }
        }
        finally { NativeMemory.Free(chunk); }
    }

    private void Store(FrameQueue.Item item, Span<byte> chunk, Compressor? compressor)
    {
        ReadOnlySpan<byte> frame = new(item.Buffer, Format.FrameSizeBytes);
        if (!frame.ContainsAnyExcept((byte)0)) return; // the slot's hash stays zero
        UInt128 hash = XxHash128.HashToUInt128(frame);
        item.Slot->Hash = hash;
        if (_catalog.Contains(hash) || !_pack.Claim(hash)) return;
        if (chunk.Length - _used < RecordLimitBytes) Flush(chunk);
        Span<byte> record = chunk[_used..], payload = record[Format.RecordHeaderBytes..];
        if (compressor is null || !compressor.TryWrap(frame, payload[..CompressedLimitBytes], out int stored))
        {
            frame.CopyTo(payload);
            stored = frame.Length;
        }
        PackWriter.WriteRecordHeader(record, hash, stored, frame.Length);
        int length = PackWriter.RecordBytes(stored);
        record[(Format.RecordHeaderBytes + stored)..length].Clear();
        _entries.Add(new IndexEntry(hash, _used + Format.RecordHeaderBytes, stored, frame.Length));
        _used += length;
        NewFrames++;
        StoredBytes += stored;
    }

    private void Flush(Span<byte> chunk)
    {
        if (_used == 0) return;
        _pack.Append(chunk[.._used], CollectionsMarshal.AsSpan(_entries));
        _entries.Clear();
        _used = 0;
    }

    private void Fail(Exception e)
    {
        Failure ??= e;
        Volatile.Write(ref _failed, true);
    }
}
