using System.Buffers.Binary;
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
        ulong[] deltas = new ulong[bases.Length], masks = new ulong[bases.Length];
        List<ulong> pages = [];
        int before = -1;
        for (int i = 0; i < bases.Length; i++)
        {
            (int position, FramePatch patch) = _ofPart[i];
            bases[i] = patch.Base;
            deltas[i] = (ulong)(position - before);
            before = position;
            masks[i] = (ulong)patch.Mask;
            foreach (FramePatch.Page page in patch.Pages) pages.Add(page.IsZero ? 0 : 1 + PlaceOf(page.Object) * Format.PagesOfFrame + page.At);
        }
        part.PatchedDeltas = PackedNumbers.Pack(deltas);
        part.PatchBases = Pack(bases);
        part.PatchMasks = PackedNumbers.Pack(masks);
        part.PatchPages = PackedNumbers.Pack(CollectionsMarshal.AsSpan(pages));
        _ofPart.Clear();
    }

    /// <exception cref="StoreException">Damaged</exception>
    internal static UInt128[] ReadObjects(ByteString packed, string what)
        => packed.Length % Format.HashBytes == 0 ? Unpack(packed) : throw new StoreException(StoreErrorKind.Damaged, $"{what}: {packed.Length} bytes of hashes of patches");

    /// <summary>Reads the patched frames of a part.</summary>
    /// <param name="frames">of the part</param>
    /// <returns>null: none</returns>
    /// <exception cref="StoreException">Damaged</exception>
    internal static PatchTable? Read(PartManifest part, int frames, UInt128[] objects, string what)
    {
        if (part.PatchedDeltas.Length + part.PatchBases.Length + part.PatchMasks.Length + part.PatchPages.Length == 0) return null;
        if (part.PatchBases.Length % Format.HashBytes != 0) throw Impossible("lists of other lengths");
        uint[] deltas = PackedNumbers.Unpack32(part.PatchedDeltas, what), masks = PackedNumbers.Unpack32(part.PatchMasks, what), pages = PackedNumbers.Unpack32(part.PatchPages, what);
        return PatchTable.TryMake(objects, frames, deltas, Unpack(part.PatchBases), masks, pages, out string? problem) ?? throw Impossible(problem!);

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
        ReadOnlySpan<byte> bytes = packed.Span;
        UInt128[] hashes = new UInt128[bytes.Length / Format.HashBytes];
        for (int i = 0; i < hashes.Length; i++) hashes[i] = BinaryPrimitives.ReadUInt128BigEndian(bytes[(i * Format.HashBytes)..]);
        return hashes;
    }
}
