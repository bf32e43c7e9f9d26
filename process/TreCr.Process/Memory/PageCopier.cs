using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>
/// Copies single written pages of a process, of frames whose other pages the snapshot has. The copies stay in memory until they are handed over, so that a page written once more is copied to the same place and only its last state is hashed and stored.
/// </summary>
internal sealed unsafe class PageCopier(PageReader reader)
{
    /// <summary>Pages from which on a second thread pays: 4 MiB.</summary>
    private const int TwoThreads = 1024;

    private readonly List<IoVector> _here = [], _there = [];
    private ISnapshotWriter? _writer;
    private CopiedPages? _pages;
    private long _bytes;

    /// <summary>Pages that wait to be handed over.</summary>
    public int Count => _pages!.Count;

    /// <summary>Buffers that they take.</summary>
    public int Buffers => _pages!.Buffers;

    /// <summary>Forgets everything: a new epoch, whose writer gives the buffers.</summary>
    public void Begin(ISnapshotWriter? writer)
    {
        _writer = writer;
        _pages = writer is null ? null : new CopiedPages(writer);
        Forget();
    }

    /// <summary>Notes a page to be copied.</summary>
    /// <param name="timeoutMs">wait for a buffer</param>
    /// <returns>false: no memory for it</returns>
    public bool Note(ulong page, int timeoutMs)
    {
        nint place = _pages!.Place((long)page, timeoutMs);
        if (place == 0) return false;
        _bytes += (long)PageRun.PageBytes;
        if (_there.Count > 0)
        {
            // A run of pages that were noted one after the other lies in one piece here too, within a buffer.
            ref IoVector here = ref CollectionsMarshal.AsSpan(_here)[^1], there = ref CollectionsMarshal.AsSpan(_there)[^1];
            if (there.Base + there.LengthBytes == page && here.Base + here.LengthBytes == (ulong)place)
            {
                here.LengthBytes += PageRun.PageBytes;
                there.LengthBytes += PageRun.PageBytes;
                return true;
            }
        }
        _here.Add(new IoVector { Base = (ulong)place, LengthBytes = PageRun.PageBytes });
        _there.Add(new IoVector { Base = page, LengthBytes = PageRun.PageBytes });
        return true;
    }

    /// <summary>The frame is copied whole after all.</summary>
    public void Drop(ulong frame) => _pages!.Drop((long)frame);

    /// <summary>Copies what was noted.</summary>
    /// <param name="strict">false while the program runs</param>
    /// <returns>bytes</returns>
    public long Copy(bool strict)
    {
        long bytes = _bytes;
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
        _bytes = 0;
    }

    /// <summary>Hands all pages over; what is noted next goes into buffers of its own.</summary>
    public void HandOver(IPartWriter part)
    {
        if (_pages!.Buffers > 0) part.WritePages(_pages);
        _pages = new CopiedPages(_writer!);
    }
}
