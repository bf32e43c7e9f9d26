using System.Numerics;
using System.Runtime.InteropServices;
using TreCr.XxHash;

namespace TreCr.Store;

/// <summary>
/// A frame that is no object itself: pages of a base object, but for some that come from other objects, or are zero. Its name is the hash of what comes out, as of any other frame. All that it needs is
/// listed here: no patch depends on another one.
/// </summary>
/// <param name="baseHash">an object of one frame</param><param name="pages">ascending by page, one to sixteen</param>
internal sealed class FramePatch(UInt128 baseHash, FramePatch.Page[] pages)
{
    /// <summary>Changed pages from which on a frame is stored whole: a patch would save less than half of it.</summary>
    internal const int MostPages = Format.PagesOfFrame / 2;

    /// <summary>Objects besides the base that a frame may be read from; each costs a reader up to 64 KiB of reading.</summary>
    internal const int MostObjects = 4;

    internal UInt128 Base => baseHash;

    /// <summary>Objects of pages that a worker is still gathering get their names later.</summary>
    internal Page[] Pages => pages;

    /// <summary>Bit p: page p does not come from the base.</summary>
    internal int Mask => pages.Aggregate(0, (mask, page) => mask | 1 << page.Number);

    /// <summary>The same for patches that take the same pages from the same objects.</summary>
    internal UInt128 Fingerprint
    {
        get
        {
            UInt128[] listed = [baseHash, .. pages.SelectMany(p => new[] { p.Object, (UInt128)(p.Number << 8 | p.At) })];
            return XxHash128.HashToUInt128(MemoryMarshal.AsBytes<UInt128>(listed));
        }
    }

    /// <summary>Everything that has to be in the store for it; an object of several pages comes several times.</summary>
    internal IEnumerable<UInt128> Objects => pages.Where(p => !p.IsZero).Select(p => p.Object).Prepend(baseHash);

    /// <summary>What a frame becomes in which pages changed.</summary>
    /// <param name="hash">of the frame before</param><param name="before">how that is stored; null: whole</param>
    /// <param name="changed">bit p: page p; is raised by pages that have to be stored again so that the frame stays within <see cref="MostObjects"/></param>
    /// <param name="kept">pages that stay where they are</param>
    /// <returns>the base object; null: the frame is to be stored whole</returns>
    internal static UInt128? Continue(UInt128 hash, FramePatch? before, ref int changed, out Page[] kept)
    {
        int mask = changed;
        kept = before is null ? [] : [.. before.Pages.Where(p => (mask >> p.Number & 1) == 0)];
        if (kept.Where(p => !p.IsZero).Select(p => p.Object).Distinct().Count() >= MostObjects)
        {
            foreach (Page page in kept) changed |= 1 << page.Number;
            kept = [];
        }
        return BitOperations.PopCount((uint)changed) > MostPages ? null : before?.Base ?? hash;
    }

    /// <summary>One page that does not come from the base.</summary>
    /// <param name="Number">in the frame</param><param name="Object">zero: a page of zeroes</param><param name="At">page in the object</param>
    internal record struct Page(byte Number, UInt128 Object, byte At)
    {
        internal readonly bool IsZero => Object == UInt128.Zero;
    }
}
