using System.Numerics;

namespace TreCr.Gmmu;

/// <summary>One block cut into units of 512 bytes for small allocations; a bit per unit, first fit.</summary>
internal sealed class SmallChunk(ulong start)
{
    public const int UnitBytes = 512;
    private const int Units = (int)(Arena.BlockBytes / UnitBytes);

    private readonly ulong[] _used = new ulong[Units / 64];

    public ulong Start => start;

    public int UsedUnits { get; private set; }

    /// <summary>No run longer than this is free; an upper bound that failed searches tighten.</summary>
    public int LongestFree { get; private set; } = Units;

    public bool TryTake(int units, out ulong address)
    {
        address = 0;
        if (units > LongestFree) return false;
        int longest = 0, at = 0;
        while (at < Units)
        {
            int free = FreeRun(at);
            if (free >= units)
            {
                Mark(at, units, true);
                address = start + (ulong)at * UnitBytes;
                return true;
            }
            longest = Math.Max(longest, free);
            at += free + 1;
            while (at < Units && _used[at >> 6] == ulong.MaxValue && (at & 63) == 0) at += 64;
        }
        LongestFree = longest;
        return false;
    }

    public bool TryTakeAt(ulong address, int units)
    {
        int at = (int)((address - start) / UnitBytes);
        if (at + units > Units || FreeRun(at) < units) return false;
        Mark(at, units, true);
        return true;
    }

    public void Return(ulong address, int units)
    {
        Mark((int)((address - start) / UnitBytes), units, false);
        LongestFree = Units;
    }

    private int FreeRun(int from)
    {
        int at = from;
        while (at < Units)
        {
            ulong word = _used[at >> 6] >> (at & 63);
            int free = Math.Min(BitOperations.TrailingZeroCount(word), 64 - (at & 63));
            at += free;
            if ((at & 63) != 0 || free == 0) break;
        }
        return Math.Min(at, Units) - from;
    }

    private void Mark(int at, int units, bool used)
    {
        for (int i = at; i < at + units; i++)
            if (used) _used[i >> 6] |= 1UL << (i & 63); else _used[i >> 6] &= ~(1UL << (i & 63));
        UsedUnits += used ? units : -units;
    }
}
