using System.Collections.Concurrent;
using TreCr.Calls;

namespace TreCr.Replay;

/// <summary>Virtual handles and what stands behind them. Any thread; look-ups take no lock and allocate nothing.</summary>
public sealed class HandleTable
{
    private readonly ConcurrentDictionary<ulong, ulong> _real = new();
    private readonly ConcurrentDictionary<(HandleKind, ulong), ulong> _virtual = new();
    private readonly ulong[] _next = new ulong[256];

    public HandleTable() => Array.Fill(_next, VirtualHandle.FirstSerial);

    /// <summary>The back end's handle; false: no such handle of that kind.</summary>
    public bool TryGet(HandleKind kind, ulong virtualHandle, out ulong real)
    {
        real = 0;
        return VirtualHandle.KindOf(virtualHandle) == kind && _real.TryGetValue(virtualHandle, out real);
    }

    /// <summary>The virtual handle of a back end's handle; 0: none.</summary>
    public ulong VirtualOf(HandleKind kind, ulong real) => _virtual.GetValueOrDefault((kind, real));

    /// <summary>True while the handle stands for something.</summary>
    public bool Contains(ulong virtualHandle) => _real.ContainsKey(virtualHandle);

    /// <summary>A new handle for an object, or the one it has.</summary>
    public ulong Add(HandleKind kind, ulong real)
    {
        if (_virtual.TryGetValue((kind, real), out ulong known)) return known;
        ulong handle = VirtualHandle.Make(kind, Interlocked.Increment(ref _next[(int)kind]) - 1);
        Set(handle, real);
        return handle;
    }

    /// <summary>Replay, and handles fixed by rule: an object under a given handle.</summary>
    public void Set(ulong virtualHandle, ulong real)
    {
        _real[virtualHandle] = real;
        _virtual[(VirtualHandle.KindOf(virtualHandle), real)] = virtualHandle;
    }

    public void Remove(ulong virtualHandle)
    {
        if (_real.TryRemove(virtualHandle, out ulong real)) _virtual.TryRemove((VirtualHandle.KindOf(virtualHandle), real), out _);
    }

    /// <summary>All handles of a kind, ascending.</summary>
    public ulong[] All(HandleKind kind) => [.. _real.Keys.Where(h => VirtualHandle.KindOf(h) == kind).Order()];

    /// <summary>First serial that was never given, by kind; only kinds that gave one.</summary>
    public IEnumerable<(HandleKind Kind, ulong Next)> Counters
    {
        get
        {
            for (int i = 0; i < _next.Length; i++)
                if (_next[i] != VirtualHandle.FirstSerial) yield return ((HandleKind)i, _next[i]);
        }
    }

    /// <summary>Restore: no serial below is given again.</summary>
    public void SetCounter(HandleKind kind, ulong next) => _next[(int)kind] = next;
}
