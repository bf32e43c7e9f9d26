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
    private readonly CompressionChoice _choice;
    private readonly Compressor?[] _compressors = new Compressor?[48]; // by level + 16
    private readonly (long Plain, long Stored, long Ns)[] _measured = new (long, long, long)[48]; // likewise, since it was told
    private long _tried;
    private readonly Thread _thread;
    private readonly List<IndexEntry> _entries = new(1024);
    private int _used, _plainInARow;

    internal FrameWorker(FrameQueue queue, StoreCatalog catalog, PackWriter pack, StoreSeal seal, CompressionChoice choice, int number)
    {
        _seal = seal;
        _recordLimitBytes = PackWriter.RecordBytes(Format.FrameSizeBytes + seal.OverheadBytes);
        _queue = queue;
        _catalog = catalog;
        _pack = pack;
        _choice = choice;
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

    /// <summary>Time that was not spent waiting for frames, and what of it was compressing and writing; read after <see cref="Join"/>.</summary>
    internal long WorkNs { get; private set; }

    internal long CompressNs { get; private set; }

    internal long AppendNs { get; private set; }

    private bool _failed;

    /// <summary>Waits until the thread has ended; the queue is complete by then.</summary>
    internal void Join() => _thread.Join();

    private void Run()
    {
        Linux.Sys.SetThreadNice(5); // the thread that copies, and then the program, come first
        byte* chunk = (byte*)NativeMemory.Alloc(ChunkBytes);
        try
        {
            while (_queue.TryTake(out FrameQueue.Item item))
            {
                long start = Linux.Sys.ClockNs(1);
                try
                {
                    if (!HasFailed) Store(item, new Span<byte>(chunk, ChunkBytes));
                }
                catch (Exception e) { Fail(e); }
                finally { _queue.Return(item.Buffer); }
                WorkNs += Linux.Sys.ClockNs(1) - start;
            }
            try
            {
                if (!HasFailed) Flush(new Span<byte>(chunk, ChunkBytes));
            }
            catch (Exception e) { Fail(e); }
        }
        finally
        {
            NativeMemory.Free(chunk);
            foreach (Compressor? compressor in _compressors) compressor?.Dispose();
        }
    }

    private void Store(FrameQueue.Item item, Span<byte> chunk)
    {
        ReadOnlySpan<byte> frame = new(item.Buffer, Format.FrameSizeBytes);
        if (!frame.ContainsAnyExcept((byte)0)) return; // the slot's hash stays zero
        UInt128 hash = _seal.Name(frame);
        item.Slot->Hash = hash;
        if (_catalog.Contains(hash) || !_pack.Claim(hash)) return;
        if (chunk.Length - _used < _recordLimitBytes) Flush(chunk);
        Span<byte> record = chunk[_used..], payload = record[(Format.RecordHeaderBytes + _seal.HeadBytes)..];
        int stored = Compress(frame, payload);
        stored = _pack.Seal.Close(hash, frame.Length, record[Format.RecordHeaderBytes..], stored);
        PackWriter.WriteRecordHeader(record, hash, stored, frame.Length);
        int length = PackWriter.RecordBytes(stored);
        record[(Format.RecordHeaderBytes + stored)..length].Clear();
        _entries.Add(new IndexEntry(hash, _used + Format.RecordHeaderBytes, stored, frame.Length));
        _used += length;
        NewFrames++;
        StoredBytes += stored;
    }

    /// <returns>bytes of the payload; the frame's length: it is stored plain</returns>
    private int Compress(ReadOnlySpan<byte> frame, Span<byte> payload)
    {
        int stored = 0, level = _choice.LevelOf(_tried);
        bool tried = level != 0 && (_plainInARow < PlainRun || _plainInARow % PlainRun == 0 || !LooksRandom(frame)), shrunk = false;
        if (tried)
        {
            _tried++;
            long start = Linux.Sys.ClockNs(1);
            shrunk = (_compressors[level + 16] ??= new Compressor(level)).TryWrap(frame, payload[..CompressedLimitBytes], out stored);
            long took = Linux.Sys.ClockNs(1) - start;
            ref var measured = ref _measured[level + 16];
            measured = (measured.Plain + frame.Length, measured.Stored + (shrunk ? stored : frame.Length), measured.Ns + took);
            CompressNs += took;
        }
        if (shrunk)
        {
            _plainInARow = 0;
            return stored;
        }
        _plainInARow++;
        frame.CopyTo(payload);
        return frame.Length;
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
        long start = Linux.Sys.ClockNs(1);
        _pack.Append(chunk[.._used], CollectionsMarshal.AsSpan(_entries));
        AppendNs += Linux.Sys.ClockNs(1) - start;
        for (int i = 0; i < _measured.Length; i++)
        {
            if (_measured[i].Plain == 0) continue;
            _choice.Compressed(i - 16, _measured[i].Plain, _measured[i].Stored, _measured[i].Ns);
            _measured[i] = default;
        }
        _entries.Clear();
        _used = 0;
    }

    private void Fail(Exception e)
    {
        Failure ??= e;
        Volatile.Write(ref _failed, true);
    }
}
