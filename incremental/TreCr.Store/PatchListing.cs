using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using Google.Protobuf;
using TreCr.Images;

namespace TreCr.Store;

/// <summary>Patched frames as a snapshot manifest lists them (docs/format.md, "Snapshot manifest").</summary>
internal sealed class PatchListing
{
    private readonly List<UInt128> _objects = [];
    private readonly Dictionary<UInt128, uint> _places = [];
    private readonly List<(int Position, FramePatch Patch)> _ofPart = [];

    /// <summary>Whether frames were listed.</summary>
    internal bool Any { get; private set; }

    /// <summary>The objects of pages, as the manifest has them.</summary>
    internal ByteString Objects() => Pack(CollectionsMarshal.AsSpan(_objects));

    /// <summary>Takes a frame of the part that is being listed.</summary>
    /// <param name="position">ascending</param>
    internal void Add(int position, FramePatch patch) => _ofPart.Add((position, patch));

    /// <summary>All frames of the part were given: they go into its list.</summary>
    internal void EndPart(PartManifest part)
    {
        if (_ofPart.Count == 0) return;
        Any = true;
        UInt128[] bases = new UInt128[_ofPart.Count];
        int before = -1;
        for (int i = 0; i < bases.Length; i++)
        {
            (int position, FramePatch patch) = _ofPart[i];
            bases[i] = patch.Base;
            part.PatchedDeltas.Add((ulong)(position - before));
            before = position;
            part.PatchMasks.Add((uint)patch.Mask);
            foreach (FramePatch.Page page in patch.Pages) part.PatchPages.Add(page.IsZero ? 0 : 1 + PlaceOf(page.Object) * Format.PagesOfFrame + page.At);
        }
        part.PatchBases = Pack(bases);
        _ofPart.Clear();
    }

    /// <exception cref="StoreException">Damaged</exception>
    internal static UInt128[] ReadObjects(ByteString packed, string what)
        => packed.Length % Format.HashBytes == 0 ? Unpack(packed) : throw new StoreException(StoreErrorKind.Damaged, $"{what}: {packed.Length} bytes of hashes of patches");

    /// <summary>Reads the patched frames of a part.</summary>
    /// <returns>by position in the part's list; null: none</returns>
    /// <exception cref="StoreException">Damaged</exception>
    internal static Dictionary<int, FramePatch>? Read(PartManifest part, UInt128[] objects, string what)
    {
        int count = part.PatchedDeltas.Count;
        if (part.PatchMasks.Count != count || part.PatchBases.Length != (long)count * Format.HashBytes) throw Impossible("lists of other lengths");
        if (part.PatchMasks.Any(m => m is 0 or >= 1U << Format.PagesOfFrame) || part.PatchMasks.Sum(m => (long)BitOperations.PopCount(m)) != part.PatchPages.Count) throw Impossible("other pages than their masks");
        if (count == 0) return null;
        UInt128[] bases = Unpack(part.PatchBases);
        Dictionary<int, FramePatch> patches = new(count);
        long position = -1;
        for (int i = 0, at = 0; i < count; i++)
        {
            ulong delta = part.PatchedDeltas[i];
            if (delta == 0 || delta > (ulong)(part.FrameIndexDeltas.Count - 1 - position)) throw Impossible("a frame that the part does not have");
            position += (long)delta;
            if (bases[i] == UInt128.Zero) throw Impossible("a frame without a base");
            FramePatch.Page[] pages = new FramePatch.Page[BitOperations.PopCount(part.PatchMasks[i])];
            uint mask = part.PatchMasks[i];
            for (int p = 0; p < pages.Length; p++, mask &= mask - 1)
            {
                uint page = part.PatchPages[at++];
                byte number = (byte)BitOperations.TrailingZeroCount(mask);
                uint place = (page - 1) / Format.PagesOfFrame;
                if (page != 0 && place >= objects.Length) throw Impossible("an object that is not listed");
                pages[p] = page == 0 ? new FramePatch.Page(number, UInt128.Zero, 0) : new FramePatch.Page(number, objects[place], (byte)((page - 1) % Format.PagesOfFrame));
            }
            patches.Add((int)position, new FramePatch(bases[i], pages));
        }
        return patches;

        StoreException Impossible(string problem) => new(StoreErrorKind.Damaged, $"{what}: its patched frames name {problem}");
    }

    private uint PlaceOf(UInt128 hash)
    {
        if (_places.TryGetValue(hash, out uint place)) return place;
        _objects.Add(hash);
        return _places[hash] = (uint)_objects.Count - 1;
    }

    private static ByteString Pack(ReadOnlySpan<UInt128> hashes)
    {
        byte[] packed = new byte[hashes.Length * Format.HashBytes];
        for (int i = 0; i < hashes.Length; i++) BinaryPrimitives.WriteUInt128BigEndian(packed.AsSpan(i * Format.HashBytes), hashes[i]);
        return UnsafeByteOperations.UnsafeWrap(packed);
    }

    private static UInt128[] Unpack(ByteString packed)
    {
        UInt128[] hashes = new UInt128[packed.Length / Format.HashBytes];
        for (int i = 0; i < hashes.Length; i++) hashes[i] = BinaryPrimitives.ReadUInt128BigEndian(packed.Span[(i * Format.HashBytes)..]);
        return hashes;
    }
}
