using System.Runtime.InteropServices;

namespace TreCr.Store;

/// <summary>
/// Reads a part's frames on several threads: runs of up to 16 neighbouring frames are the unit. In order, finished runs wait in a ring of slots
/// until the caller's thread hands them over; out of order, each thread hands over what it has read.
/// </summary>
internal sealed unsafe class FrameReadAhead : IDisposable
{
    private const int MaxRunFrames = 16;

    private readonly StoreCatalog _catalog;
    private readonly SnapshotFrames.Part _part;
    private readonly string _description;
    private readonly FrameConsumer _consumer;
    private readonly bool _inOrder;
    private readonly int _threads;
    private readonly object _gate = new();
    private readonly List<(int First, int Count)> _runs = [];
    private readonly nint[] _buffers;
    private readonly bool[] _ready; // by slot
    private int _next, _delivered;
    private Exception? _failure;

    internal FrameReadAhead(StoreCatalog catalog, SnapshotFrames.Part part, string description, FrameConsumer consumer, bool inOrder, int threads)
    {
        _catalog = catalog;
        _part = part;
        _description = description;
        _consumer = consumer;
        _inOrder = inOrder;
        long[] indexes = part.Indexes;
        for (int i = 0; i < indexes.Length;)
        {
            int n = 1;
            while (n < MaxRunFrames && i + n < indexes.Length && indexes[i + n] == indexes[i] + n) n++;
            _runs.Add((i, n));
            i += n;
        }
        _threads = Math.Max(1, Math.Min(threads, _runs.Count));
        _buffers = new nint[inOrder ? _threads * 4 : _threads];
        _ready = new bool[_buffers.Length];
        for (int i = 0; i < _buffers.Length; i++) _buffers[i] = (nint)NativeMemory.AlignedAlloc(MaxRunFrames * Format.FrameSizeBytes, 4096);
    }

    internal void Run()
    {
        if (_runs.Count == 0) return;
        Thread[] threads = new Thread[_inOrder ? _threads : _threads - 1];
        for (int i = 0; i < threads.Length; i++)
        {
            int number = i;
            threads[i] = new Thread(() => Guard(() => Work(number))) { IsBackground = true, Name = $"trecr-read-{number}" };
            threads[i].Start();
        }
        Guard(_inOrder ? Deliver : () => Work(_threads - 1));
        foreach (Thread thread in threads) thread.Join();
        if (_failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    public void Dispose()
    {
        foreach (nint buffer in _buffers) NativeMemory.AlignedFree((void*)buffer);
    }

    private void Work(int thread)
    {
        FrameReader reader = new(_catalog);
        while (true)
        {
            int run, slot;
            lock (_gate)
            {
                while (_inOrder && _failure is null && _next < _runs.Count && _next - _delivered >= _buffers.Length) Monitor.Wait(_gate);
                if (_failure is not null || _next >= _runs.Count) return;
                run = _next++;
                slot = _inOrder ? run % _buffers.Length : thread;
            }
            (int first, int count) = _runs[run];
            byte* buffer = (byte*)_buffers[slot];
            for (int i = 0; i < count; i++)
            {
                StorePartReader.Read(reader, _part, first + i, new Span<byte>(buffer + i * Format.FrameSizeBytes, Format.FrameSizeBytes), _description);
            }
            if (!_inOrder) Consume(run, buffer);
            else
            {
                lock (_gate)
                {
                    _ready[slot] = true;
                    Monitor.PulseAll(_gate);
                }
            }
        }
    }

    private void Deliver()
    {
        for (int run = 0; run < _runs.Count; run++)
        {
            int slot = run % _buffers.Length;
            lock (_gate)
            {
                while (!_ready[slot] && _failure is null) Monitor.Wait(_gate);
                if (_failure is not null) return;
            }
            Consume(run, (byte*)_buffers[slot]);
            lock (_gate)
            {
                _ready[slot] = false;
                _delivered++;
                Monitor.PulseAll(_gate);
            }
        }
    }

    private void Consume(int run, byte* buffer)
    {
        (int first, int count) = _runs[run];
        _consumer(_part.Indexes[first] * Format.FrameSizeBytes, new ReadOnlySpan<byte>(buffer, count * Format.FrameSizeBytes));
    }

    private void Guard(Action action)
    {
        try { action(); }
        catch (Exception e)
        {
            lock (_gate)
            {
                _failure ??= e;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
