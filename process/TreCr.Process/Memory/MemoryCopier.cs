using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>Copies private pages of a process into frames of a part. Pages that are not in the list are zero.</summary>
/// <param name="writer">gives the buffers, so that each byte is copied once</param><param name="part">of the writer</param>
internal sealed unsafe class MemoryCopier(PageReader reader, ISnapshotWriter writer, IPartWriter part)
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;

    /// <summary>Addresses copied with one reading: 16 frames.</summary>
    private const ulong WindowBytes = WindowFrames * Frame;
    private const int WindowFrames = 16, PiecesOfWindow = (int)(WindowBytes / PageRun.PageBytes);

    private long _bytes;

    /// <summary>Plain bytes of the pages copied.</summary>
    public long BytesCopied => _bytes;

    /// <summary>Copies all frames that the runs touch, on two threads.</summary>
    /// <param name="runs">ascending</param>
    /// <param name="strict">false while the program runs: a page that has gone meanwhile is left out</param>
    /// <param name="reach">the fault point lies in here, not with the caller</param>
    public void Copy(List<PageRun> runs, bool strict = true, bool reach = true)
    {
        List<(ulong Window, int First)> windows = [];
        for (int i = 0; i < runs.Count; i++)
            for (ulong at = runs[i].Start & ~(WindowBytes - 1); at < runs[i].End; at += WindowBytes)
                if (windows.Count == 0 || windows[^1].Window < at) windows.Add((at, i));
        if (windows.Count == 0) return;
        int next = -1;
        Exception? error = null;
        void Work()
        {
            IoVector* pieces = (IoVector*)NativeMemory.Alloc(2 * PiecesOfWindow, (nuint)sizeof(IoVector));
            byte* scratch = (byte*)NativeMemory.AlignedAlloc((nuint)WindowBytes, 4096);
            try
            {
                for (int w; error is null && (w = Interlocked.Increment(ref next)) < windows.Count;)
                {
                    if (!strict) writer.AwaitWorkers();
                    if (reach && w == windows.Count / 2) Fault.At(FaultPoint.DumpMemory);
                    CopyWindow(pieces, scratch, windows[w].Window, runs, windows[w].First, strict);
                }
            }
            catch (Exception e) { Interlocked.CompareExchange(ref error, e, null); }
            finally
            {
                NativeMemory.Free(pieces);
                NativeMemory.AlignedFree(scratch);
            }
        }
        if (windows.Count < 8 || Environment.ProcessorCount < 2) Work();
        else
        {
            Thread second = new(Work) { IsBackground = true };
            second.Start();
            Work();
            second.Join();
        }
        if (error is not null) ExceptionDispatchInfo.Capture(error).Throw();
    }

    private void CopyWindow(IoVector* here, byte* scratch, ulong window, List<PageRun> runs, int index, bool strict)
    {
        IoVector* there = here + PiecesOfWindow;
        nint* frames = stackalloc nint[WindowFrames]; // address of the frame's buffer; in scratch: not taken
        new Span<nint>(frames, WindowFrames).Clear();
        int pieces = 0;
        for (; index < runs.Count && runs[index].Start < window + WindowBytes; index++)
        {
            ulong end = Math.Min(runs[index].End, window + WindowBytes);
            for (ulong at = Math.Max(runs[index].Start, window); at < end;)
            {
                int f = (int)((at - window) / Frame);
                ulong to = Math.Min(end, window + (ulong)(f + 1) * Frame);
                if (frames[f] == 0)
                {
                    frames[f] = writer.TakeFrame();
                    if (frames[f] == 0) frames[f] = (nint)scratch + f * (int)Frame;
                    if (to - at < Frame) NativeMemory.Clear((void*)frames[f], (nuint)Frame);
                }
                here[pieces] = new IoVector { Base = (ulong)frames[f] + (at & (Frame - 1)), LengthBytes = to - at };
                there[pieces++] = new IoVector { Base = at, LengthBytes = to - at };
                Interlocked.Add(ref _bytes, (long)(to - at));
                at = to;
            }
        }
        try { reader.Read(here, there, pieces, strict); }
        catch
        {
            for (int f = 0; f < WindowFrames; f++)
                if (frames[f] != 0 && !IsScratch(frames[f])) writer.ReturnFrame(frames[f]);
            throw;
        }
        for (int f = 0; f < WindowFrames; f++)
        {
            if (frames[f] == 0) continue;
            long offset = (long)window + f * (long)Frame;
            if (IsScratch(frames[f])) part.WriteFrame(offset, new ReadOnlySpan<byte>((void*)frames[f], (int)Frame));
            else part.WriteTaken(offset, frames[f]);
        }
        bool IsScratch(nint frame) => (ulong)(frame - (nint)scratch) < WindowBytes;
    }
}
