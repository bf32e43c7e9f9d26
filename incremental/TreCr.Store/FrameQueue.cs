using TreCr.Linux;

namespace TreCr.Store;

/// <summary>
/// Frames copied but not yet stored: a bounded pool of 64 KiB native buffers and the queue of the filled ones. A writer that finds no buffer
/// waits until a worker gives one back.
/// </summary>
internal sealed unsafe class FrameQueue : IDisposable
{
    private const int FramesPerSlab = 64;
    private const ulong SlabBytes = FramesPerSlab * (ulong)Format.FrameSizeBytes;

    private const int MostWaitMs = 10_000;

    /// <summary>Filled buffers from which on <see cref="AwaitShort"/> waits: 32 MiB.</summary>
    private const int ShortItems = 512;

    private readonly object _gate = new();
    private readonly List<nint> _slabs = [];
    private readonly nint[] _free;
    private readonly Item[] _items; // a ring; it cannot overflow, because each item holds a buffer
    private readonly int _maxSlabs;
    private int _freeCount, _head, _count, _taken, _waitingForFree, _waitingForItem, _waitingForShort, _busy;
    private bool _complete, _paused, _settling;

    internal FrameQueue(long limitBytes)
    {
        _maxSlabs = (int)Math.Clamp(limitBytes / (long)SlabBytes, 1, 1 << 16);
        _free = new nint[_maxSlabs * FramesPerSlab];
        _items = new Item[_maxSlabs * FramesPerSlab];
    }

    /// <summary>How long callers of <see cref="Rent"/> had to wait for a buffer since <see cref="Pause"/>, ns.</summary>
    internal long WaitedNs { get; private set; }

    /// <summary>Maps and touches memory for this many bytes of frames, up to the limit, so that no page fault falls into a stop.</summary>
    internal void Prepare(long bytes)
    {
        while (true)
        {
            lock (_gate)
            {
                if (_slabs.Count >= _maxSlabs || _slabs.Count * (long)SlabBytes >= bytes || !AddSlab(populate: true)) return;
                if (_waitingForFree > 0) Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>The same for buffers that are not in use. Where the limit is reached it waits for the workers: what they have to do, a stop that finds no buffer would have to wait for.</summary>
    /// <returns>free buffers</returns>
    internal int PrepareFree(int count)
    {
        long end = Environment.TickCount64 + MostWaitMs;
        lock (_gate)
        {
            while (_freeCount < count)
            {
                if (_slabs.Count < _maxSlabs && AddSlab(populate: true))
                {
                    if (_waitingForFree > 0) Monitor.PulseAll(_gate);
                    continue;
                }
                int left = (int)(end - Environment.TickCount64);
                if (left <= 0 || _count == 0 || _paused) break; // what is not in the queue is with its owner
                _waitingForFree++;
                Monitor.Wait(_gate, left);
                _waitingForFree--;
            }
            return _freeCount;
        }
    }

    /// <summary>Waits until few filled buffers are left for the workers, unless they pause.</summary>
    internal void AwaitShort()
    {
        lock (_gate)
        {
            while (_count >= ShortItems && !_paused)
            {
                _waitingForShort++;
                Monitor.Wait(_gate);
                _waitingForShort--;
            }
        }
    }

    /// <summary>Takes a buffer; blocks while all are in use.</summary>
    internal byte* Rent()
    {
        lock (_gate)
        {
            if (_freeCount == 0 && (_slabs.Count >= _maxSlabs || !AddSlab(populate: false)))
            {
                if (_slabs.Count == 0) throw new StoreException(StoreErrorKind.IO, "no memory for a single buffer");
                Unpause(); // who waits for workers must let them work
                long start = Sys.ClockNs(1);
                do
                {
                    _waitingForFree++;
                    Monitor.Wait(_gate);
                    _waitingForFree--;
                }
                while (_freeCount == 0);
                WaitedNs += Sys.ClockNs(1) - start;
            }
            return (byte*)_free[--_freeCount];
        }
    }

    /// <summary>Takes a buffer that its owner may keep until the end: at most three quarters of all, so that <see cref="Rent"/> never waits for ever.</summary>
    /// <returns>null: none within the time</returns>
    internal byte* TakeFree(int timeoutMs)
    {
        long end = Environment.TickCount64 + timeoutMs;
        lock (_gate)
        {
            while (_taken >= _free.Length - _free.Length / 4 || (_freeCount == 0 && (_slabs.Count >= _maxSlabs || !AddSlab(populate: false))))
            {
                int left = (int)(end - Environment.TickCount64);
                if (left <= 0 || _paused || _taken >= _free.Length - _free.Length / 4) return null;
                _waitingForFree++;
                Monitor.Wait(_gate, left);
                _waitingForFree--;
            }
            _taken++;
            return (byte*)_free[--_freeCount];
        }
    }

    /// <summary>Gives a taken buffer back, unused.</summary>
    internal void ReturnTaken(byte* buffer)
    {
        lock (_gate) _taken--;
        Return(buffer);
    }

    /// <summary>Hands a taken and filled buffer to the workers.</summary>
    internal void EnqueueTaken(byte* buffer, FrameList.Slot* slot, StorePartWriter? part, FrameList.Slot* before = null)
    {
        lock (_gate) _taken--;
        Enqueue(buffer, slot, part, before);
    }

    /// <summary>Gives a buffer back.</summary>
    internal void Return(byte* buffer)
    {
        lock (_gate)
        {
            _free[_freeCount++] = (nint)buffer;
            if (_waitingForFree > 0) Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Hands a filled buffer to the workers.</summary>
    /// <param name="part">null: of a record</param><param name="before">what was stored for the same frame earlier in this snapshot; null: nothing</param>
    internal void Enqueue(byte* buffer, FrameList.Slot* slot, StorePartWriter? part, FrameList.Slot* before = null) => Enqueue(new Item { Buffer = buffer, Slot = slot, Part = part, Before = before });

    /// <summary>Hands frames of which pages were copied to the workers. The ring has room: batches are fewer than the taken buffers that their pages lie in, since a full one has two or more.</summary>
    internal void Enqueue(PageBatch pages) => Enqueue(new Item { Pages = pages });

    private void Enqueue(in Item item)
    {
        lock (_gate)
        {
            _items[(_head + _count) % _items.Length] = item;
            _count++;
            if (_waitingForItem > 0 && !_paused) Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Workers begin no further frame, so that the processors are free for a stop; until <see cref="Complete"/>, or until somebody waits for a buffer.</summary>
    internal void Pause()
    {
        lock (_gate)
        {
            _paused = true;
            if (_waitingForShort > 0) Monitor.PulseAll(_gate);
            WaitedNs = 0;
        }
    }

    private void Unpause()
    {
        if (!_paused) return;
        _paused = false;
        Monitor.PulseAll(_gate);
    }

    /// <summary>Waits until all frames given so far have been written to the pack by the workers.</summary>
    internal void Settle()
    {
        lock (_gate)
        {
            _settling = true;
            _paused = false;
            Monitor.PulseAll(_gate);
            while (_count > 0 || _busy > 0) Monitor.Wait(_gate);
            _settling = false;
        }
    }

    /// <summary>Takes the next filled buffer; blocks while there is none.</summary>
    /// <param name="busy">of the worker, false at first: whether it has something that is not in the pack yet</param>
    /// <param name="item">empty: the worker is to write what it has</param>
    /// <returns>false: none will come</returns>
    internal bool TryTake(ref bool busy, out Item item)
    {
        lock (_gate)
        {
            while (_count == 0 || _paused)
            {
                item = default;
                if (_complete) return false;
                if (_settling && busy && !_paused) return true;
                _waitingForItem++;
                Monitor.Wait(_gate);
                _waitingForItem--;
            }
            item = _items[_head];
            _items[_head] = default;
            _head = (_head + 1) % _items.Length;
            _count--;
            if (_waitingForShort > 0 && _count == ShortItems - 1) Monitor.PulseAll(_gate);
            if (!busy) _busy++;
            busy = true;
            return true;
        }
    }

    /// <summary>The worker has written everything that it took.</summary>
    internal void Written(ref bool busy)
    {
        lock (_gate)
        {
            if (busy) _busy--;
            busy = false;
            if (_settling) Monitor.PulseAll(_gate);
        }
    }

    /// <summary>No more frames: workers end when the queue is empty.</summary>
    internal void Complete()
    {
        lock (_gate)
        {
            _complete = true;
            _paused = false;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Frees all buffers. No worker runs any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (nint slab in _slabs) Sys.Munmap((ulong)slab, SlabBytes);
            _slabs.Clear();
            _freeCount = 0;
        }
    }

    /// <returns>false: the system gives no memory</returns>
    private bool AddSlab(bool populate)
    {
        long slab = Sys.Mmap(0, SlabBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE);
        if (slab < 0) return false;
        Sys.Madvise((ulong)slab, SlabBytes, Sys.MADV_HUGEPAGE); // a hint: fewer page faults
        Sys.Madvise((ulong)slab, SlabBytes, Sys.MADV_DONTDUMP);
        if (populate) Sys.Madvise((ulong)slab, SlabBytes, Sys.MADV_POPULATE_WRITE);
        _slabs.Add((nint)slab);
        for (int i = FramesPerSlab - 1; i >= 0; i--) _free[_freeCount++] = (nint)slab + i * Format.FrameSizeBytes;
        return true;
    }

    internal struct Item
    {
        public byte* Buffer;
        public FrameList.Slot* Slot;
        public StorePartWriter? Part;
        public FrameList.Slot* Before;

        /// <summary>Instead of a buffer.</summary>
        public PageBatch? Pages;

        /// <summary>The worker is to write what it has.</summary>
        public readonly bool IsEmpty => Buffer is null && Pages is null;
    }
}
