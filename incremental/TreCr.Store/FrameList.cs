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
    /// <returns>Patches: see <see cref="Slot.Patch"/></returns>
    internal (long[] Indexes, UInt128[] Hashes, int[] Patches) Resolve()
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
        List<int> patches = new(_count);
        for (int i = 0; i < keys.Length; i++)
        {
            if (i + 1 < keys.Length && keys[i + 1].Index == keys[i].Index) continue; // written again later
            Slot* slot = At(keys[i].Order);
            if (slot->Hash == UInt128.Zero) continue;
            indexes.Add(keys[i].Index);
            hashes.Add(slot->Hash);
            patches.Add(slot->Patch);
        }
        return ([.. indexes], [.. hashes], [.. patches]);
    }

    /// <summary>For slots: what was given for the same index before.</summary>
    /// <param name="slots">addresses</param>
    /// <returns>slot to slot; a slot with nothing before it, or one of the slots themselves, is left out</returns>
    internal Dictionary<nint, nint> Earlier(HashSet<nint> slots)
    {
        Dictionary<long, nint> last = []; // by index
        foreach (nint slot in slots) last[((Slot*)slot)->Index] = 0;
        Dictionary<nint, nint> earlier = [];
        for (int i = 0; i < _count; i++)
        {
            nint slot = (nint)At(i);
            ref nint before = ref CollectionsMarshal.GetValueRefOrNullRef(last, At(i)->Index);
            if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref before)) continue;
            if (!slots.Contains(slot)) before = slot;
            else if (before != 0) earlier.Add(slot, before);
        }
        return earlier;
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

        /// <summary>0: the frame is an object. Above: number of its patch in the writer, from 1. Below: -1 - position of a frame of the base part whose patch it has.</summary>
        public int Patch;
    }
}
