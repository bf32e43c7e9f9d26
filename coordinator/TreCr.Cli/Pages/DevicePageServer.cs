using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Cli;

/// <summary>
/// Copies the frames of a snapshot's device parts to where they belong in a delegator: those that somebody waits for first, then the frames behind them (the rest of an allocation that a kernel has named), then all others.
/// </summary>
/// <remarks>
/// One thread serves faults, the others copy ahead. The delegator may unmap or map anew meanwhile: there is nothing registered then, and nothing is copied. A frame that cannot be read ends this process with an error; the
/// pages stay missing, so that nobody sees others.
/// </remarks>
internal sealed unsafe class DevicePageServer : IDisposable
{
    private const int FrameBytes = ISnapshotWriter.FrameSizeBytes, PageBytes = 4096, LookMs = 1000;
    private const byte Missing = 0, Taken = 1, There = 2;

    private readonly int _uffd;
    private readonly IPartReader[] _parts;
    private readonly ulong[] _addresses; // of the frames, ascending
    private readonly (int Part, long Offset)[] _frames;
    private readonly byte[] _states;
    private readonly Lock _lock = new();
    private readonly int _wake = Sys.EventFd();
    private int _next, _left;
    private volatile bool _gone;
    private volatile Exception? _error;

    /// <param name="uffd">of the delegator, whose blocks are registered; the caller's</param>
    public DevicePageServer(ISnapshotReader reader, int uffd)
    {
        _uffd = uffd;
        string[] names = [.. Enumerable.Range(0, SegmentLayout.MaxDevices).Select(i => $"device-{i}")];
        _parts = [.. names.Where(reader.Parts.Contains).Select(reader.OpenPart)];
        ulong[] slots = [.. names.Select((name, i) => (name, i)).Where(d => reader.Parts.Contains(d.name)).Select(d => SegmentLayout.DeviceBase + (ulong)d.i * SegmentLayout.DeviceSlotBytes)];
        _frames = [.. _parts.SelectMany((part, p) => part.FrameOffsets.Select(offset => (p, offset)))];
        _addresses = [.. _frames.Select(f => slots[f.Part] + (ulong)f.Offset)];
        _states = new byte[_frames.Length];
        _left = _frames.Length;
    }

    /// <param name="supervisor">a socket whose other end it holds</param>
    /// <returns>true: all memory is there; false: the delegator or the supervisor is gone</returns>
    /// <exception cref="ImageException">a frame cannot be read</exception>
    public bool Run(int supervisor)
    {
        // Faults that a server before this one has read and not served: they are asked once more.
        UserFault.Wake(_uffd, SegmentLayout.DeviceBase, SegmentLayout.MaxDevices * SegmentLayout.DeviceSlotBytes);
        Thread[] copiers = new Thread[Math.Clamp(Environment.ProcessorCount - 1, 1, 8)];
        for (int i = 0; i < copiers.Length; i++) (copiers[i] = new Thread(CopyAhead, 512 * 1024) { IsBackground = true, Name = "pages" }).Start();
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(FrameBytes, PageBytes);
        try
        {
            Span<PollEntry> ready = [new PollEntry { Fd = _uffd, Events = Sys.POLLIN }, new PollEntry { Fd = supervisor, Events = Sys.POLLIN }, new PollEntry { Fd = _wake, Events = Sys.POLLIN }];
            while (Volatile.Read(ref _left) > 0 && !_gone && _error is null)
            {
                Sys.Poll(ready, LookMs);
                if (ready[1].Returned != 0) return false;
                ServeFaults(buffer);
            }
        }
        finally { NativeMemory.AlignedFree(buffer); }
        if (_error is { } e) throw e as ImageException ?? new ImageException(e.Message, e);
        if (_gone) return false;
        // Pages that nothing was saved of are the kernel's to make from here on. A range at a time: what is not registered is passed over.
        for (int i = 0; i < SegmentLayout.MaxDevices; i++) UserFault.Unregister(_uffd, SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes, SegmentLayout.DeviceSlotBytes);
        return true;
    }

    private void ServeFaults(byte* buffer)
    {
        byte* message = stackalloc byte[32];
        while (Sys.Raw(SyscallNumber.Read, _uffd, (long)message, 32) == 32)
        {
            if (message[0] != UserFault.PageFault) continue;
            ulong page = *(ulong*)(message + 16) & ~(ulong)(PageBytes - 1);
            int i = Array.BinarySearch(_addresses, page & ~(ulong)(FrameBytes - 1));
            if (i < 0)
            {
                if (UserFault.Zero(_uffd, page) != 0) UserFault.Wake(_uffd, page, PageBytes); // there, or gone: it tries again
                continue;
            }
            byte state;
            lock (_lock)
            {
                state = _states[i];
                if (state == Missing) _states[i] = Taken;
                _next = i + 1; // what lies behind it comes next
            }
            if (state == Missing) Bring(i, buffer);
            else if (state == There) // dropped since, or it was there already: nothing has woken the thread
            {
                if (UserFault.Zero(_uffd, page) != 0) UserFault.Wake(_uffd, page, PageBytes);
            }
        }
    }

    private void CopyAhead()
    {
        Sys.SetThreadNice(5);
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(FrameBytes, PageBytes);
        try
        {
            while (!_gone && _error is null && TakeNext() is >= 0 and int i) Bring(i, buffer);
        }
        catch (Exception e) { _error ??= e; }
        finally
        {
            NativeMemory.AlignedFree(buffer);
            Sys.SignalEventFd(_wake);
        }
    }

    private int TakeNext()
    {
        lock (_lock)
        {
            for (int looked = 0; looked < _states.Length; looked++, _next++)
            {
                if (_next >= _states.Length) _next = 0;
                if (_states[_next] != Missing) continue;
                _states[_next] = Taken;
                return _next++;
            }
            return -1;
        }
    }

    private void Bring(int i, byte* buffer)
    {
        _parts[_frames[i].Part].ReadFrame(_frames[i].Offset, new Span<byte>(buffer, FrameBytes));
        for (int at = 0; at < FrameBytes && !_gone;)
        {
            long result = UserFault.Copy(_uffd, _addresses[i] + (ulong)at, buffer + at, (ulong)(at == 0 ? FrameBytes : PageBytes), out ulong copied);
            if (result == 0) copied = at == 0 ? (ulong)FrameBytes : PageBytes;
            at += (int)copied;
            if (result == 0 || copied > 0) continue;
            switch (-result)
            {
                case Errno.ESRCH: _gone = true; break;
                case Errno.EAGAIN: break; // the address space is being changed
                case Errno.EEXIST or Errno.ENOENT: at += PageBytes; break; // there already, or unmapped since
                default: throw new ImageException($"device memory cannot be copied to 0x{_addresses[i] + (ulong)at:x}: {Errno.Describe((int)-result)}");
            }
        }
        Fault.At(FaultPoint.LazyCopied);
        UserFault.Wake(_uffd, _addresses[i], FrameBytes); // of pages that were there already
        lock (_lock) _states[i] = There;
        Interlocked.Decrement(ref _left);
    }

    public void Dispose() => Sys.Close(_wake);
}
