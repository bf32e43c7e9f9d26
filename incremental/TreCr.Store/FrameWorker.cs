using System.Numerics;
using System.Runtime.InteropServices;
using TreCr.Zstd;

namespace TreCr.Store;

/// <summary>
/// One thread behind a writer: hashes frames, looks whether they are known, compresses new ones, or the pages that changed in them, and appends them in chunks of 1 MiB.
/// </summary>
internal sealed unsafe class FrameWorker
{
    private const int ChunkBytes = 1 << 20;

    /// <summary>After so many frames in a row of which too much had changed for a patch, only one of as many is compared with what it was.</summary>
    private const int WholeRun = 16;

    /// <summary>After so many frames in a row that do not compress, one that looks random is stored plain without trying; every such number is tried all the same.</summary>
    private const int PlainRun = 16;

    private readonly StoreSnapshotWriter _writer;
    private readonly StoreSeal _seal;
    private readonly int _recordLimitBytes;
    private readonly PageGatherer _pages = new();
    private readonly FrameReader _reader; // of what frames were
    private readonly byte[] _was = new byte[Format.FrameSizeBytes];

    private readonly FrameQueue _queue;
    private readonly StoreCatalog _catalog;
    private readonly PackWriter _pack;
    private readonly CompressionChoice _choice;
    private readonly Compressor?[] _compressors = new Compressor?[48]; // by level + 16
    private readonly (long Plain, long Stored, long Ns)[] _measured = new (long, long, long)[48]; // likewise, since it was told
    private long _tried;
    private readonly Thread _thread;
    private readonly List<IndexEntry> _entries = new(1024);
    private int _used, _plainInARow, _wholeInARow;
    private bool _busy;

    internal FrameWorker(StoreSnapshotWriter writer, FrameQueue queue, StoreCatalog catalog, PackWriter pack, CompressionChoice choice, int number)
    {
        StoreSeal seal = catalog.Seal;
        _writer = writer;
        _reader = new FrameReader(catalog, pack);
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

    /// <summary>Plain bytes of frames and pages stored for the first time; read after <see cref="Join"/>.</summary>
    internal long NewBytes { get; private set; }

    /// <summary>What they took; read after <see cref="Join"/>.</summary>
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
        byte* chunk = (byte*)NativeMemory.Alloc(ChunkBytes);
        try
        {
            while (_queue.TryTake(ref _busy, out FrameQueue.Item item))
            {
                long start = Linux.Sys.ClockNs(1);
                if (item.IsEmpty) WriteAll(new Span<byte>(chunk, ChunkBytes));
                else
                {
                    try
                    {
                        if (HasFailed) { }
                        else if (item.Pages is { } pages) Store(pages, new Span<byte>(chunk, ChunkBytes));
                        else Store(item, new Span<byte>(chunk, ChunkBytes));
                    }
                    catch (Exception e) { Fail(e); }
                    finally
                    {
                        if (item.Pages is { } pages) pages.Done(); else _queue.Return(item.Buffer);
                    }
                }
                WorkNs += Linux.Sys.ClockNs(1) - start;
            }
            WriteAll(new Span<byte>(chunk, ChunkBytes));
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
        UInt128 hash = _seal.Name(frame), before = UInt128.Zero;
        item.Slot->Hash = hash;
        int patchBefore = 0;
        if (item.Part is not null) before = item.Part.Before(item.Slot, item.Before, out patchBefore);
        if (before == hash && item.Part!.PatchOf(patchBefore) is { } same && same.Objects.All(IsStored)) item.Slot->Patch = patchBefore;
        else if (IsStored(hash) || before != UInt128.Zero && before != hash && TryPatch(item, frame, before, patchBefore, chunk)) return;
        else StoreObject(hash, frame, chunk);
    }

    /// <summary>Puts frames together from what they were and the pages that were copied.</summary>
    /// <exception cref="StoreException">what a frame was cannot be read: there is no other copy of it here</exception>
    private void Store(PageBatch batch, Span<byte> chunk)
    {
        foreach (ref readonly PageBatch.Frame known in batch.Frames)
        {
            FrameList.Slot* slot = (FrameList.Slot*)known.Slot;
            UInt128 before = batch.Part.Before(slot, (FrameList.Slot*)known.Before, out int patchBefore);
            FramePatch? patch = batch.Part.PatchOf(patchBefore);
            Span<byte> frame = _was;
            if (before == UInt128.Zero) frame.Clear();
            else
            {
                try
                {
                    Linux.Fault.At(Linux.FaultPoint.StorePatch);
                    _reader.Read(before, patch, frame);
                }
                catch (Linux.LinuxException e) { throw new StoreException(StoreErrorKind.Damaged, $"what a frame was cannot be read: {e.Message}", e); }
            }
            int changed = 0;
            foreach ((long offset, nint address) in batch.PagesOf(known))
            {
                int number = (int)(offset / Format.PageBytes % Format.PagesOfFrame);
                ReadOnlySpan<byte> copy = new((void*)address, Format.PageBytes);
                Span<byte> page = frame.Slice(number * Format.PageBytes, Format.PageBytes);
                if (copy.SequenceEqual(page)) continue;
                copy.CopyTo(page);
                changed |= 1 << number;
            }
            if (changed == 0) (slot->Hash, slot->Patch) = (before, patchBefore);
            else if (!frame.ContainsAnyExcept((byte)0)) continue; // the slot's hash stays zero
            else
            {
                slot->Hash = _seal.Name(frame);
                if (!IsStored(slot->Hash) && (before == UInt128.Zero || !TryPatch(slot, frame, before, patch, changed, chunk))) StoreObject(slot->Hash, frame, chunk);
            }
        }
    }

    private bool IsStored(UInt128 hash) => _catalog.Contains(hash) || _pack.Contains(hash);

    /// <summary>Stores only the pages that are not as they were.</summary>
    /// <returns>false: too many of them, or what was cannot be read</returns>
    private bool TryPatch(FrameQueue.Item item, ReadOnlySpan<byte> frame, UInt128 before, int patchBefore, Span<byte> chunk)
    {
        if (_wholeInARow >= WholeRun && _wholeInARow++ % WholeRun != 0) return false;
        FramePatch? patch = item.Part!.PatchOf(patchBefore);
        try
        {
            Linux.Fault.At(Linux.FaultPoint.StorePatch);
            _reader.Read(before, patch, _was);
        }
        catch (Exception e) when (e is StoreException or Linux.LinuxException) { return false; } // its checkpoint is damaged: the new one shall not need it
        int changed = 0;
        for (int page = 0; page < Format.PagesOfFrame; page++)
            if (!frame.Slice(page * Format.PageBytes, Format.PageBytes).SequenceEqual(_was.AsSpan(page * Format.PageBytes, Format.PageBytes))) changed |= 1 << page;
        if (!TryPatch(item.Slot, frame, before, patch, changed, chunk))
        {
            _wholeInARow++;
            return false;
        }
        _wholeInARow = 0;
        return true;
    }

    /// <param name="changed">bit p: page p is not as it was</param>
    /// <returns>false: too many of them</returns>
    private bool TryPatch(FrameList.Slot* slot, ReadOnlySpan<byte> frame, UInt128 before, FramePatch? patch, int changed, Span<byte> chunk)
    {
        if (FramePatch.Continue(before, patch, ref changed, out FramePatch.Page[] kept) is not { } baseHash) return false;
        if (!_pages.HasRoomFor(BitOperations.PopCount((uint)changed))) StorePages(chunk);
        slot->Patch = _writer.Add(_pages.Patch(baseHash, frame, changed, kept));
        return true;
    }

    private void StorePages(Span<byte> chunk)
    {
        if (_pages.Bytes.IsEmpty) return;
        UInt128 hash = _seal.Name(_pages.Bytes);
        if (!_catalog.Contains(hash)) StoreObject(hash, _pages.Bytes, chunk);
        _pages.Name(hash);
    }

    private void StoreObject(UInt128 hash, ReadOnlySpan<byte> plain, Span<byte> chunk)
    {
        if (!_pack.Claim(hash)) return;
        if (chunk.Length - _used < _recordLimitBytes) Flush(chunk);
        Span<byte> record = chunk[_used..], payload = record[(Format.RecordHeaderBytes + _seal.HeadBytes)..];
        int stored = Compress(plain, payload);
        stored = _pack.Seal.Close(hash, plain.Length, record[Format.RecordHeaderBytes..], stored);
        PackWriter.WriteRecordHeader(record, hash, stored, plain.Length);
        int length = PackWriter.RecordBytes(stored);
        record[(Format.RecordHeaderBytes + stored)..length].Clear();
        _entries.Add(new IndexEntry(hash, _used + Format.RecordHeaderBytes, stored, plain.Length));
        _used += length;
        NewBytes += plain.Length;
        StoredBytes += stored;
    }

    /// <summary>An object has to become smaller by a 32nd, or it is stored plain.</summary>
    /// <returns>bytes of the payload; the object's length: it is stored plain</returns>
    private int Compress(ReadOnlySpan<byte> frame, Span<byte> payload)
    {
        int stored = 0, level = _choice.LevelOf(_tried);
        bool tried = level != 0 && (_plainInARow < PlainRun || _plainInARow % PlainRun == 0 || frame.Length < Format.FrameSizeBytes || !LooksRandom(frame)), shrunk = false;
        if (tried)
        {
            _tried++;
            long start = Linux.Sys.ClockNs(1);
            shrunk = (_compressors[level + 16] ??= new Compressor(level)).TryWrap(frame, payload[..(frame.Length - frame.Length / 32)], out stored);
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

    private void WriteAll(Span<byte> chunk)
    {
        try
        {
            if (!HasFailed)
            {
                StorePages(chunk);
                Flush(chunk);
            }
        }
        catch (Exception e) { Fail(e); }
        _queue.Written(ref _busy);
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
