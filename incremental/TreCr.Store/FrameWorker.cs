using System.Runtime.InteropServices;
using TreCr.Zstd;

namespace TreCr.Store;

/// <summary>One thread behind a writer: hashes frames, looks whether they are known, compresses new ones and appends them in chunks of 1 MiB.</summary>
internal sealed unsafe class FrameWorker
{
    private const int ChunkBytes = 1 << 20;

    /// <summary>A frame has to become smaller by a 32nd, or it is stored plain.</summary>
    private const int CompressedLimitBytes = Format.FrameSizeBytes - Format.FrameSizeBytes / 32;

    /// <summary>After so many frames in a row that do not compress, one that looks random is stored plain without trying; every such number is tried all the same.</summary>
    private const int PlainRun = 16;

    private readonly StoreSeal _seal;
    private readonly int _recordLimitBytes;

    private readonly FrameQueue _queue;
    private readonly StoreCatalog _catalog;
    private readonly PackWriter _pack;
    private readonly int _level;
    private readonly Thread _thread;
    private readonly List<IndexEntry> _entries = new(1024);
    private int _used, _plainInARow;

    internal FrameWorker(FrameQueue queue, StoreCatalog catalog, PackWriter pack, StoreSeal seal, int level, int number)
    {
        _seal = seal;
        _recordLimitBytes = PackWriter.RecordBytes(Format.FrameSizeBytes + seal.OverheadBytes);
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
        UInt128 hash = _seal.Name(frame);
        item.Slot->Hash = hash;
        if (_catalog.Contains(hash) || !_pack.Claim(hash)) return;
        if (chunk.Length - _used < _recordLimitBytes) Flush(chunk);
        Span<byte> record = chunk[_used..], payload = record[(Format.RecordHeaderBytes + _seal.HeadBytes)..];
        int stored = 0;
        bool skip = compressor is null || _plainInARow >= PlainRun && _plainInARow % PlainRun != 0 && LooksRandom(frame);
        if (!skip && compressor!.TryWrap(frame, payload[..CompressedLimitBytes], out stored)) _plainInARow = 0;
        else
        {
            _plainInARow++;
            frame.CopyTo(payload);
            stored = frame.Length;
        }
        stored = _pack.Seal.Close(hash, frame.Length, record[Format.RecordHeaderBytes..], stored);
        PackWriter.WriteRecordHeader(record, hash, stored, frame.Length);
        int length = PackWriter.RecordBytes(stored);
        record[(Format.RecordHeaderBytes + stored)..length].Clear();
        _entries.Add(new IndexEntry(hash, _used + Format.RecordHeaderBytes, stored, frame.Length));
        _used += length;
        NewFrames++;
        StoredBytes += stored;
    }

    /// <summary>Whether bytes of a sample, taken all over the frame, come about equally often. Repetitions of random bytes are not seen.</summary>
    private static bool LooksRandom(ReadOnlySpan<byte> frame)
    {
        const int Pieces = 16, PieceBytes = 256, Sample = Pieces * PieceBytes;
        Span<ushort> counts = stackalloc ushort[256];
        counts.Clear();
        for (int piece = 0; piece < Pieces; piece++)
            foreach (byte b in frame.Slice(piece * (Format.FrameSizeBytes / Pieces), PieceBytes)) counts[b]++;
        int squares = 0;
        foreach (ushort count in counts) squares += count * count;
        // Expected of random bytes: Sample * Sample / 256 + Sample, with a standard deviation of 361.
        return squares < Sample * (Sample / 256 + 1) + Sample / 2;
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
