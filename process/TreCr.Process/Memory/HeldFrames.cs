using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>
/// Copies of frames that were written again after they had been copied ahead. They stay in memory, so that a page written once more costs the copy of
/// that page, in the stop too, and only their last state is hashed and stored.
/// </summary>
internal sealed unsafe class HeldFrames(PageReader reader, PageScanner scanner)
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;

    /// <summary>Pieces from which on a second thread pays: 4 MiB.</summary>
    private const int TwoThreads = 1024;

    private readonly Dictionary<ulong, nint> _buffers = [];
    private readonly List<IoVector> _here = [], _there = [];
    private readonly List<PageRun> _present = [], _written = [];
    private ISnapshotWriter? _writer;

    public int Count => _buffers.Count;

    /// <summary>Forgets everything: a new epoch, whose writer gives the buffers.</summary>
    public void Begin(ISnapshotWriter? writer)
    {
        _writer = writer;
        _buffers.Clear();
        Forget();
    }

    /// <summary>Notes pages to be copied, all of one frame; a frame that is not held yet becomes so, with all its pages.</summary>
    /// <param name="timeoutMs">wait for a buffer</param>
    /// <returns>false: no memory for it</returns>
    public bool Note(ulong frame, PageRun pages, int timeoutMs)
    {
        if (_buffers.TryGetValue(frame, out nint buffer))
        {
            Piece(buffer, frame, pages);
            return true;
        }
        buffer = _writer!.TakeFrame(timeoutMs);
        if (buffer == 0) return false;
        _buffers[frame] = buffer;
        _present.Clear();
        _written.Clear();
        // After the frame was protected: a page that comes later is reported as written by the next scan.
        scanner.ScanArea(frame, frame + Frame, files: true, _present, _written, guards: null, flags: 0);
        if (_present.Count != 1 || _present[0].End - _present[0].Start < Frame) NativeMemory.Clear((void*)buffer, (nuint)Frame);
        foreach (PageRun run in _present) Piece(buffer, frame, run);
        return true;
    }

    private void Piece(nint buffer, ulong frame, PageRun pages)
    {
        _here.Add(new IoVector { Base = (ulong)buffer + (pages.Start - frame), LengthBytes = pages.End - pages.Start });
        _there.Add(new IoVector { Base = pages.Start, LengthBytes = pages.End - pages.Start });
    }

    /// <summary>Copies what was noted.</summary>
    /// <param name="strict">false while the program runs</param>
    /// <returns>bytes</returns>
    public long Copy(bool strict)
    {
        long bytes = 0;
        foreach (IoVector piece in CollectionsMarshal.AsSpan(_there)) bytes += (long)piece.LengthBytes;
        int half = _there.Count >= TwoThreads && Environment.ProcessorCount > 1 ? _there.Count / 2 : _there.Count;
        Exception? error = null;
        Thread? second = null;
        if (half < _there.Count)
        {
            second = new Thread(() =>
            {
                try { Copy(half, _there.Count, strict); }
                catch (Exception e) { error = e; }
            }) { IsBackground = true };
            second.Start();
        }
        try { Copy(0, half, strict); }
        finally { second?.Join(); }
        Forget();
        if (error is not null) ExceptionDispatchInfo.Capture(error).Throw();
        return bytes;
    }

    private void Copy(int from, int to, bool strict)
    {
        fixed (IoVector* here = CollectionsMarshal.AsSpan(_here), there = CollectionsMarshal.AsSpan(_there))
            reader.Read(here + from, there + from, to - from, strict);
    }

    private void Forget()
    {
        _here.Clear();
        _there.Clear();
    }

    /// <summary>Hands all frames to the writer.</summary>
    public void HandOver(IPartWriter part)
    {
        foreach ((ulong frame, nint buffer) in _buffers) part.WriteTaken((long)frame, buffer);
        _buffers.Clear();
    }
}
