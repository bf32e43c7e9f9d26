namespace TreCr.Delegator.Snapshot;

/// <summary>Frames of a part with their hashes. Two sorted arrays: a capture looks at each frame of the device inside its stop.</summary>
/// <param name="offsets">in the part, ascending</param>
/// <param name="hashes">one for each</param>
internal sealed class FrameTable(long[] offsets, UInt128[] hashes)
{
    public static FrameTable Empty { get; } = new([], []);

    public long[] Offsets => offsets;
    public UInt128[] Hashes => hashes;

    /// <summary>Those of the frames that are <paramref name="taken"/>.</summary>
    public static FrameTable Of(long[] offsets, UInt128[] hashes, bool[] taken)
        => new([.. offsets.Where((_, i) => taken[i])], [.. hashes.Where((_, i) => taken[i])]);

    /// <summary>This table and another one, whose frames count where both have them.</summary>
    public FrameTable With(FrameTable other)
    {
        List<long> allOffsets = new(offsets.Length + other.Offsets.Length);
        List<UInt128> allHashes = new(allOffsets.Capacity);
        for (int i = 0, k = 0; i < offsets.Length || k < other.Offsets.Length;)
        {
            bool fromOther = k < other.Offsets.Length && (i == offsets.Length || other.Offsets[k] <= offsets[i]);
            if (fromOther && i < offsets.Length && other.Offsets[k] == offsets[i]) i++;
            allOffsets.Add(fromOther ? other.Offsets[k] : offsets[i]);
            allHashes.Add(fromOther ? other.Hashes[k++] : hashes[i++]);
        }
        return new([.. allOffsets], [.. allHashes]);
    }

    /// <summary>Where frames stand in this table.</summary>
    /// <param name="wanted">offsets, ascending</param>
    /// <returns>an index for each; -1: not here</returns>
    public int[] Locate(long[] wanted)
    {
        int[] places = new int[wanted.Length];
        for (int i = 0, at = 0; i < wanted.Length; i++)
        {
            while (at < offsets.Length && offsets[at] < wanted[i]) at++;
            places[i] = at < offsets.Length && offsets[at] == wanted[i] ? at : -1;
        }
        return places;
    }
}
