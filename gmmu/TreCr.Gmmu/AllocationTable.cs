namespace TreCr.Gmmu;

/// <summary>Allocations by address; they never overlap.</summary>
internal sealed class AllocationTable
{
    private readonly List<Allocation> _sorted = [];

    public IReadOnlyList<Allocation> All => _sorted;

    public void Add(Allocation allocation) => _sorted.Insert(FirstAfter(allocation.Address), allocation);

    public void Remove(Allocation allocation)
    {
        int i = FirstAfter(allocation.Address) - 1;
        if (i >= 0 && _sorted[i].Address == allocation.Address) _sorted.RemoveAt(i);
    }

    /// <summary>The allocation that holds the address; an empty one only at its start.</summary>
    public Allocation? Find(ulong address)
    {
        int i = FirstAfter(address) - 1;
        return i >= 0 && (address < _sorted[i].End || address == _sorted[i].Address) ? _sorted[i] : null;
    }

    /// <summary>True when an allocation has bytes in the range.</summary>
    public bool Overlaps(ulong address, ulong bytes)
    {
        int i = FirstAfter(address);
        return (i > 0 && _sorted[i - 1].End > address) || (i < _sorted.Count && _sorted[i].Address < address + bytes);
    }

    private int FirstAfter(ulong address)
    {
        int low = 0, high = _sorted.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_sorted[middle].Address <= address) low = middle + 1; else high = middle;
        }
        return low;
    }
}
