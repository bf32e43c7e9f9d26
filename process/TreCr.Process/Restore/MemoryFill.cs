using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Memory;

namespace TreCr.Process.Restore;

/// <summary>Writes saved pages into a process being made, on several threads.</summary>
/// <param name="runs">pages to write, ascending</param>
/// <param name="files">private mappings of files: a page of zeroes must be written there, since the file has something else</param>
/// <param name="copies">null: no page can be made that way</param>
internal sealed unsafe class MemoryFill(int pid, IPartReader part, List<PageRun> runs, List<PageRun> files, PageCopies? copies)
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;
    private const int MostThreads = 8, FramesForThread = 64;

    /// <summary>A thread takes so many frames at a time: neighbours, whose changed pages lie in the same objects.</summary>
    private const int FramesAtATime = 64;

    private readonly List<(ulong Frame, int First)> _frames = [];
    private Exception? _error;
    private int _next = -1;

    /// <exception cref="ImageException">a page cannot be read</exception><exception cref="ProcessException">or not be written</exception>
    public void Run()
    {
        for (int i = 0; i < runs.Count; i++)
            for (ulong at = runs[i].Start & ~(Frame - 1); at < runs[i].End; at += Frame)
                if ((_frames.Count == 0 || _frames[^1].Frame < at) && (part.HasFrame((long)at) || files.Exists(f => f.Start < at + Frame && at < f.End))) _frames.Add((at, i));
        Thread[] others = new Thread[Math.Min(_frames.Count / FramesForThread, Math.Min(Environment.ProcessorCount, MostThreads) - 1)];
        for (int i = 0; i < others.Length; i++) (others[i] = new Thread(Work) { IsBackground = true }).Start();
        Work();
        foreach (Thread other in others) other.Join();
        if (_error is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(_error).Throw();
    }

    private void Work()
    {
        byte[] buffer = new byte[Frame];
        try
        {
            for (int i; _error is null && (i = FramesAtATime * Interlocked.Increment(ref _next)) < _frames.Count;)
                for (int end = Math.Min(i + FramesAtATime, _frames.Count); i < end && _error is null; i++) Fill(_frames[i].Frame, _frames[i].First, buffer);
        }
        catch (Exception e) { Interlocked.CompareExchange(ref _error, e, null); }
    }

    private void Fill(ulong frame, int first, byte[] buffer)
    {
        part.ReadFrame((long)frame, buffer);
        fixed (byte* bytes = buffer)
            for (int run = first; run < runs.Count && runs[run].Start < frame + Frame; run++)
            {
                ulong from = Math.Max(frame, runs[run].Start), to = Math.Min(frame + Frame, runs[run].End);
                if (from < to) Write(from, bytes + (from - frame), to - from);
            }
    }

    private void Write(ulong to, byte* from, ulong lengthBytes)
    {
        while (lengthBytes > 0)
        {
            ulong others = lengthBytes, done = copies?.TryCopy(to, from, lengthBytes, out others) ?? 0;
            if (done == 0)
            {
                long n = Sys.ProcessVmWrite(pid, to, from, (long)others);
                if (n != (long)others) throw new ProcessException($"cannot fill memory at {to:x} ({n})");
                done = others;
            }
            to += done;
            from += done;
            lengthBytes -= done;
        }
    }
}
