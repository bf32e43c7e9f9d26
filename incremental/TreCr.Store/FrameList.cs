using System.Runtime.InteropServices;

namespace TreCr.Store;

/// <summary>
/// Frames of one part in the order in which they were given; a worker fills in each hash later. Native memory, so that a writer makes no
/// garbage while a program is stopped.
/// </summary>
internal sealed unsafe class FrameList : IDisposable
{
    private const int SlotsPerChunk = 512;

    private readonly List<nint> _chunks = [];
    private int _count;

    ~FrameList() => Free();

    /// <summary>Takes the next slot. One thread at a time; the slot stays where it is.</summary>
    internal Slot* Add(long index)
    {
        if (_count == _chunks.Count * SlotsPerChunk) _chunks.Add((nint)NativeMemory.Alloc(SlotsPerChunk, (nuint)sizeof(Slot)));
        Slot* slot = (Slot*)_chunks[_count / SlotsPerChunk] + _count % SlotsPerChunk;
        _count++;
        *slot = new Slot { Index = index };
        return slot;
    }

    /// <summary>The last frame given for each index, ascending, without zeroes.</summary>
    internal (long[] Indexes, UInt128[] Hashes) Resolve()
    {
        (long Index, int Order)[] keys = new (long, int)[_count];
        bool ascending = true;
        for (int i = 0; i < _count; i++)
        {
            keys[i] = (At(i)->Index, i);
            ascending &= i == 0 || keys[i].Index > keys[i - 1].Index;
        }
        if (!ascending) Array.Sort(keys);
        List<long> indexes = new(_count);
        List<UInt128> hashes = new(_count);
        for (int i = 0; i < keys.Length; i++)
        {
            if (i + 1 < keys.Length && keys[i + 1].Index == keys[i].Index) continue; // written again later
            UInt128 hash = At(keys[i].Order)->Hash;
            if (hash == UInt128.Zero) continue;
            indexes.Add(keys[i].Index);
            hashes.Add(hash);
        }
        return ([.. indexes], [.. hashes]);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private Slot* At(int i) => (Slot*)_chunks[i / SlotsPerChunk] + i % SlotsPerChunk;

    private void Free()
    {
        foreach (nint chunk in _chunks) NativeMemory.Free((void*)chunk);
        _chunks.Clear();
        _count = 0;
    }

    /// <summary>One frame: hash zero means zeroes (no data has this hash by chance: 2^-128).</summary>
    internal struct Slot
    {
        public UInt128 Hash;
        public long Index;
    }
}
