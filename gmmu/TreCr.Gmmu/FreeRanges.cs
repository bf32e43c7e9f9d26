namespace TreCr.Gmmu;

/// <summary>Free parts of an address range, ascending and merged; first fit, so that equal histories give equal addresses.</summary>
/// <param name="start">first address</param><param name="bytes">length; a multiple of the granule that callers use</param>
internal sealed class FreeRanges(ulong start, ulong bytes)
{
    private readonly List<(ulong Start, ulong Bytes)> _free = [(start, bytes)];

    /// <summary>Takes the lowest range of this length.</summary>
    public bool TryTake(ulong lengthBytes, out ulong address)
    {
        for (int i = 0; i < _free.Count; i++)
        {
            (ulong at, ulong length) = _free[i];
            if (length < lengthBytes) continue;
            address = at;
            if (length == lengthBytes) _free.RemoveAt(i); else _free[i] = (at + lengthBytes, length - lengthBytes);
            return true;
        }
        address = 0;
        return false;
    }

    /// <summary>Takes exactly this range; false when a part of it is taken.</summary>
    public bool TryTakeAt(ulong address, ulong lengthBytes)
    {
        int i = IndexAt(address);
        if (i < 0) return false;
        (ulong at, ulong length) = _free[i];
        ulong end = at + length;
        if (address + lengthBytes > end || address + lengthBytes < address) return false;
        _free.RemoveAt(i);
        if (address + lengthBytes < end) _free.Insert(i, (address + lengthBytes, end - address - lengthBytes));
        if (at < address) _free.Insert(i, (at, address - at));
        return true;
    }

    /// <summary>Gives a range back; merged with its neighbours.</summary>
    public void Return(ulong address, ulong lengthBytes)
    {
        int i = FirstAfter(address);
        if (i < _free.Count && _free[i].Start == address + lengthBytes)
        {
            lengthBytes += _free[i].Bytes;
            _free.RemoveAt(i);
        }
        if (i > 0 && _free[i - 1].Start + _free[i - 1].Bytes == address) _free[i - 1] = (_free[i - 1].Start, _free[i - 1].Bytes + lengthBytes);
        else _free.Insert(i, (address, lengthBytes));
    }

    /// <summary>True when nothing in the range is taken.</summary>
    public bool IsFree(ulong address, ulong lengthBytes)
    {
        int i = IndexAt(address);
        return i >= 0 && address + lengthBytes <= _free[i].Start + _free[i].Bytes;
    }

    /// <summary>Index of the free range that holds the address; -1: none.</summary>
    private int IndexAt(ulong address)
    {
        int i = FirstAfter(address) - 1;
        return i >= 0 && address < _free[i].Start + _free[i].Bytes ? i : -1;
    }

    private int FirstAfter(ulong address)
    {
        int low = 0, high = _free.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_free[middle].Start <= address) low = middle + 1; else high = middle;
        }
        return low;
    }
}
