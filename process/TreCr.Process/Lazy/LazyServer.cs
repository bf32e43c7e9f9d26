using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Lazy;

/// <summary>
/// Serves the memory of a tree that was restored lazily, until every page is there: a thread that copies pages and reads events, and readers that decode frames ahead of it. Pages that
/// somebody waits for come first.
/// </summary>
/// <remarks>A page that cannot be read (damaged store) must not become another: the threads that wait for it go on waiting, and <see cref="OnFailure"/> is called, which has to end the program.</remarks>
internal sealed unsafe class LazyServer : IDisposable
{
    private const int Buffers = 64, StuckMs = 60_000;

    private readonly object _gate = new();
    private readonly List<LazyMemory> _memories;
    private readonly ConcurrentQueue<(LazyMemory Memory, ulong Frame, nint Bytes)> _decoded = [];
    private readonly Stack<nint> _free = new();
    private readonly int _wake = Sys.EventFd();
    private nint _slab = (nint)NativeMemory.AlignedAlloc(Buffers * ISnapshotWriter.FrameSizeBytes, 4096);
    private readonly ManualResetEventSlim _done = new();
    private readonly Thread _server;
    private readonly Thread[] _readers;
    private readonly Action _onDone;
    private readonly DescriptorKeeper _keeper;
    private Exception? _error;
    private bool _stop, _disposed;
    private volatile bool _runs, _copies; // the program; the readers

    /// <param name="memories">owned</param><param name="keeper">owned</param>
    /// <param name="onFailure">called once, on a thread of this server</param><param name="onDone">likewise, instead</param>
    public LazyServer(List<LazyMemory> memories, DescriptorKeeper keeper, Action<Exception> onFailure, Action onDone)
    {
        (_memories, _keeper, OnFailure, _onDone) = (memories, keeper, onFailure, onDone);
        for (int i = Buffers - 1; i > 0; i--) _free.Push(_slab + i * ISnapshotWriter.FrameSizeBytes); // the first is the server's own
        _server = new Thread(Serve) { IsBackground = true, Name = "trecr-pages" };
        _readers = new Thread[Math.Clamp(Environment.ProcessorCount - 1, 1, 8)];
        for (int i = 0; i < _readers.Length; i++) _readers[i] = new Thread(Read) { IsBackground = true, Name = "trecr-pages" };
    }

    public Action<Exception> OnFailure { get; }

    public bool IsDone => _done.IsSet;

    /// <summary>Begins to serve faults; the readers begin with <see cref="CopyAll"/>.</summary>
    public void Start() => _server.Start();

    /// <summary>The program runs: copies everything. At once: the readers are started by the server.</summary>
    public void CopyAll()
    {
        _runs = true;
        Sys.SignalEventFd(_wake);
    }

    /// <summary>Waits until all pages are there.</summary>
    /// <exception cref="ProcessException">a page cannot be read, or they are not there in time</exception>
    public void Wait(int timeoutMs)
    {
        if (!_done.Wait(timeoutMs)) throw new ProcessException($"the memory of the restarted program has not arrived within {timeoutMs} ms");
        if (_error is not null) throw new ProcessException($"the memory of the restarted program cannot be read: {_error.Message}", _error);
    }

    private void Read()
    {
        Sys.SetThreadNice(5);
        try
        {
            while (true)
            {
                LazyMemory? memory = null;
                ulong frame = 0;
                nint buffer;
                lock (_gate)
                {
                    while (!_stop && _free.Count == 0) Monitor.Wait(_gate);
                    // Children first: until they are complete nobody could take this server's place.
                    for (int i = _memories.Count - 1; i >= 0 && memory is null; i--) if (_memories[i].NextFrame(out frame)) memory = _memories[i];
                    if (_stop) return;
                    if (memory is null)
                    {
                        Sys.SignalEventFd(_wake);
                        Monitor.Wait(_gate); // a child may come
                        continue;
                    }
                    buffer = _free.Pop();
                    memory.InFlight++;
                }
                memory.Part.ReadFrame((long)frame, new Span<byte>((void*)buffer, ISnapshotWriter.FrameSizeBytes));
                _decoded.Enqueue((memory, frame, buffer));
                Sys.SignalEventFd(_wake);
            }
        }
        catch (Exception e) { Fail(e); }
    }

    private void Serve()
    {
        Sys.SetThreadNice(-5); // where it may: a thread of the program waits
        try
        {
            long progress = Environment.TickCount64;
            while (!_stop && Step(ref progress))
            {
                if (_runs && !_copies) StartReaders();
                if (Environment.TickCount64 - progress > StuckMs) throw new ProcessException("pages cannot be copied into the restarted program: " + string.Join(", ", _memories.Select(m => $"{Errno.Describe(m.WaitsFor)} at {m.WaitsAt:x}")));
            }
            if (_stop) return;
            EndReaders();
            _keeper.End();
            _done.Set();
            _onDone();
        }
        catch (Exception e) { Fail(e); }
    }

    private void StartReaders()
    {
        lock (_gate)
        {
            if (_stop) return; // who disposes of this does not wait for a thread that has not begun
            foreach (Thread reader in _readers) reader.Start();
            _copies = true;
        }
    }

    /// <returns>false: everything is done</returns>
    private bool Step(ref long progress)
    {
        bool again = false, copied = false;
        for (int i = 0; i < _memories.Count; i++)
        {
            while (_memories[i].ReadMessages() is { } child)
            {
                lock (_gate)
                {
                    _memories.Add(child);
                    Monitor.PulseAll(_gate);
                }
            }
            again |= !_memories[i].ServeFaults((byte*)_slab);
        }
        if (!again && _decoded.TryPeek(out var next))
        {
            if (!next.Memory.CopyFrame(next.Frame, (byte*)next.Bytes)) again = true;
            else
            {
                copied = true;
                Fault.At(FaultPoint.LazyCopied);
                _decoded.TryDequeue(out _);
                lock (_gate)
                {
                    next.Memory.InFlight--;
                    _free.Push(next.Bytes);
                    Monitor.PulseAll(_gate);
                }
            }
        }
        if (copied || !again) progress = Environment.TickCount64;
        if (copied) return true;
        return !again && Finish() ? _memories.Count > 0 : WaitForSomething(again);
    }

    /// <summary>Ends memories that are complete.</summary>
    /// <returns>true: one was</returns>
    private bool Finish()
    {
        if (!_copies) return false; // the program does not run yet
        for (int i = _memories.Count - 1; i >= 0; i--)
        {
            LazyMemory memory = _memories[i];
            lock (_gate)
                if (!memory.IsDone && (memory.InFlight > 0 || memory.HasMore)) continue;
            if (!memory.TryFinish()) continue;
            lock (_gate) _memories.RemoveAt(i);
            return true;
        }
        return false;
    }

    private bool WaitForSomething(bool again)
    {
        PollEntry[] entries = new PollEntry[_memories.Count + 1];
        entries[0] = new PollEntry { Fd = _wake, Events = Sys.POLLIN };
        for (int i = 0; i < _memories.Count; i++) entries[i + 1] = new PollEntry { Fd = _memories[i].Descriptor, Events = Sys.POLLIN };
        if (again) Sys.SleepNs(20_000); // an event is on its way
        else if (_decoded.IsEmpty && Sys.Poll(entries, 1000) > 0 && entries[0].Returned != 0)
        {
            ulong count;
            Sys.Raw(SyscallNumber.Read, _wake, (long)&count, 8);
        }
        return true;
    }

    private void Fail(Exception e)
    {
        lock (_gate)
        {
            if (_error is not null || _stop) return;
            _error = e;
            _stop = true;
            Monitor.PulseAll(_gate);
        }
        OnFailure(e);
        _done.Set();
    }

    /// <summary>Stops. Pages that are missing stay so: the descriptors are not closed, because that would make them zero.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        EndReaders();
        Sys.SignalEventFd(_wake);
        if (!End(_server)) return;
        if (!_done.IsSet || _error is not null) _keeper.End();
        Sys.Close(_wake);
    }

    /// <summary>Readers end, and with them the buffers, unless one of them hangs in the store.</summary>
    private void EndReaders()
    {
        lock (_gate)
        {
            _stop = true;
            Monitor.PulseAll(_gate);
        }
        if (!Array.TrueForAll(_readers, End) || Thread.CurrentThread != _server && !End(_server)) return;
        nint slab = Interlocked.Exchange(ref _slab, 0);
        if (slab != 0) NativeMemory.AlignedFree((void*)slab);
    }

    private static bool End(Thread thread) => thread.ThreadState.HasFlag(ThreadState.Unstarted) || (Thread.CurrentThread != thread && thread.Join(5_000));
}
