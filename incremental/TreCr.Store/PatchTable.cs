using System.Numerics;

namespace TreCr.Store;

/// <summary>The patched frames of a part, as its manifest lists them: arrays, of which a patch is made when its frame is read. A lazy restart waits until a manifest is read, and a program of 1 GiB may have 16,384 patches.</summary>
internal sealed class PatchTable
{
    private readonly UInt128[] _objects, _bases;
    private readonly int[] _positions, _first;
    private readonly uint[] _masks, _pages;

    private PatchTable(UInt128[] objects, UInt128[] bases, int[] positions, int[] first, uint[] masks, uint[] pages)
        => (_objects, _bases, _positions, _first, _masks, _pages) = (objects, bases, positions, first, masks, pages);

    /// <summary>Patched frames.</summary>
    internal int Count => _positions.Length;

    /// <summary>All patches, by ascending position.</summary>
    internal IEnumerable<FramePatch> Patches => Enumerable.Range(0, Count).Select(Make);

    /// <returns>null: the frame at this position of the part's list is an object itself</returns>
    internal FramePatch? At(int position) => Array.BinarySearch(_positions, position) is var i and >= 0 ? Make(i) : null;

    /// <summary>Whether the frame at this position has a patch.</summary>
    internal bool Has(int position) => Array.BinarySearch(_positions, position) >= 0;

    /// <summary>Checks the lists of a manifest.</summary>
    /// <param name="objects">all that hold pages, of the snapshot</param><param name="frames">of the part</param>
    /// <param name="deltas">positions, as differences to the one before (the first to -1)</param><param name="pages">0: a page of zeroes; else 1 + 16 · position in <paramref name="objects"/> + page there</param>
    /// <param name="problem">what the lists name that cannot be</param>
    /// <returns>null: <paramref name="problem"/></returns>
    internal static PatchTable? TryMake(UInt128[] objects, int frames, uint[] deltas, UInt128[] bases, uint[] masks, uint[] pages, out string? problem)
    {
        int[] positions = new int[deltas.Length], first = new int[deltas.Length];
        problem = masks.Length != deltas.Length || bases.Length != deltas.Length ? "lists of other lengths" : null;
        long position = -1, at = 0;
        for (int i = 0; i < deltas.Length && problem is null; i++)
        {
            if (deltas[i] == 0 || deltas[i] > frames - 1 - position) problem = "a frame that the part does not have";
            else if (masks[i] is 0 or >= 1U << Format.PagesOfFrame) problem = "other pages than their masks";
            else if (bases[i] == UInt128.Zero) problem = "a frame without a base";
            position += deltas[i];
            (positions[i], first[i]) = ((int)position, (int)at);
            at += BitOperations.PopCount(masks[i]);
        }
        if (problem is null && at != pages.Length) problem = "other pages than their masks";
        ulong places = (ulong)objects.Length * Format.PagesOfFrame;
        for (int i = 0; i < pages.Length && problem is null; i++)
            if (pages[i] > places) problem = "an object that is not listed";
        return problem is null ? new PatchTable(objects, bases, positions, first, masks, pages) : null;
    }

    private FramePatch Make(int i)
    {
        uint mask = _masks[i];
        FramePatch.Page[] pages = new FramePatch.Page[BitOperations.PopCount(mask)];
        for (int p = 0; p < pages.Length; p++, mask &= mask - 1)
        {
            uint page = _pages[_first[i] + p];
            byte number = (byte)BitOperations.TrailingZeroCount(mask);
            pages[p] = page == 0 ? new FramePatch.Page(number, UInt128.Zero, 0) : new FramePatch.Page(number, _objects[(page - 1) / Format.PagesOfFrame], (byte)((page - 1) % Format.PagesOfFrame));
        }
        return new FramePatch(_bases[i], pages);
    }
}
