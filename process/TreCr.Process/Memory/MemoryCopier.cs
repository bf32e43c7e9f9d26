using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>Copies private pages of a process into frames of a part. Pages that are not in the list are zero.</summary>
internal sealed unsafe class MemoryCopier(int pid, IPartWriter part) : IDisposable
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;

    /// <summary>Addresses copied with one reading: 16 frames.</summary>
    private const ulong WindowBytes = 16 * Frame;

    private readonly int _memory = Sys.Open($"/proc/{pid}/mem", Sys.O_RDONLY | Sys.O_CLOEXEC);
    private long _bytes;

    /// <summary>Plain bytes of the pages copied.</summary>
    public long BytesCopied => _bytes;

    /// <summary>Copies all runs on two threads; frames for which <paramref name="keep"/> is true are taken from the base.</summary>
    /// <param name="runs">ascending</param>
    /// <param name="keep">frame offset in; null: copy everything</param>
    /// <param name="strict">false while the program runs: a page that has gone meanwhile is left out</param>
    public void Copy(List<PageRun> runs, Func<ulong, bool>? keep, bool strict = true)
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
            byte* buffer = (byte*)NativeMemory.AlignedAlloc((nuint)WindowBytes, 4096);
            try
            {
                for (int w; error is null && (w = Interlocked.Increment(ref next)) < windows.Count;)
                {
                    if (w == windows.Count / 2) Fault.At(FaultPoint.DumpMemory);
                    CopyWindow(buffer, windows[w].Window, runs, windows[w].First, keep, strict);
                }
            }
            catch (Exception e) { Interlocked.CompareExchange(ref error, e, null); }
            finally { NativeMemory.AlignedFree(buffer); }
        }
        if (windows.Count < 8 || Environment.ProcessorCount < 2) Work();
        else
        {
            Thread second = new(Work) { IsBackground = true };
            second.Start();
            Work();
            second.Join();
        }
        if (error is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(error).Throw();
    }

    private void CopyWindow(byte* buffer, ulong window, List<PageRun> runs, int first, Func<ulong, bool>? keep, bool strict)
    {
        ulong at = window, end = window + WindowBytes;
        int index = first;
        while (at < end)
        {
            while (index < runs.Count && runs[index].End <= at) index++;
            if (index == runs.Count || runs[index].Start >= end) return;
            at = Math.Max(at, runs[index].Start & ~(Frame - 1));
            ulong frameEnd = at + Frame;
            if (keep is not null && keep(at)) part.KeepFrame((long)at);
            else
            {
                NativeMemory.Clear(buffer, (nuint)Frame);
                for (int i = index; i < runs.Count && runs[i].Start < frameEnd; i++)
                {
                    ulong from = Math.Max(runs[i].Start, at), to = Math.Min(runs[i].End, frameEnd);
                    if (to > from) Read(from, buffer + (from - at), (long)(to - from), strict);
                }
                part.WriteFrame((long)at, new ReadOnlySpan<byte>(buffer, (int)Frame));
            }
            at = frameEnd;
        }
    }

    private void Read(ulong address, byte* into, long lengthBytes, bool strict)
    {
        Interlocked.Add(ref _bytes, lengthBytes);
        long done = 0;
        while (done < lengthBytes)
        {
            long n = Sys.ProcessVmRead(pid, address + (ulong)done, into + done, lengthBytes - done);
            // PROT_NONE pages: /proc/PID/mem reads them by force.
            if (n <= 0) n = Sys.Raw(SyscallNumber.Pread64, _memory, (long)(into + done), Math.Min(lengthBytes - done, 4096), (long)address + done);
            if (n <= 0)
            {
                if (strict) throw new Engine.ProcessException($"cannot read memory at {address + (ulong)done:x} ({n})");
                n = Math.Min(lengthBytes - done, 4096);
            }
            done += n;
        }
    }

    public void Dispose() => Sys.Close(_memory);
}
