using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// A datatype: what of memory one item covers, as runs of bytes in the order of the type map, and how it was made. Nothing of it is known to the MPI library.
/// </summary>
/// <remarks>Immutable but for name and the fact that it was committed. Source: MPI-3.1 §4.1.</remarks>
internal sealed class Datatype : MpiObject
{
    /// <summary>Bytes of data.</summary>
    public required long SizeBytes { get; init; }

    public required long LowerBound { get; init; }
    public required long UpperBound { get; init; }
    public required long TrueLowerBound { get; init; }
    public required long TrueUpperBound { get; init; }

    /// <summary>Of one item, relative to its address; adjacent ones are one.</summary>
    public required (long Offset, long Length)[] Runs { get; init; }

    /// <summary>All its elements are of this kind, or <see cref="Element.None"/>.</summary>
    public required Element Element { get; init; }

    /// <summary>Bytes of the largest basic type in it: structures are padded to it.</summary>
    public required int Alignment { get; init; }

    /// <summary>Sizes of its basic elements in order, where they are not all of one size; else one number.</summary>
    public required int[] BasicSizes { get; init; }

    public bool IsCommitted { get; set; }
    public bool IsPredefined { get; init; }
    public string Name { get; set; } = "";
    public Combiner Combiner { get; init; }

    /// <summary>Arguments of the constructor, for MPI_Type_get_contents.</summary>
    public Contents Contents { get; init; } = Contents.None;

    public Datatype[] Types { get; init; } = [];

    /// <summary>Types of its items in the order of the type map, and how many of each; of a named type none.</summary>
    public (Datatype Type, long Count)[] Parts { get; private init; } = [];

    /// <summary>Of a named type: how its values stand in the representation external32, in order; of others none.</summary>
    public ExternalForm[] Forms { get; init; } = [];

    /// <summary>Makes one in the same way of other types; null: MPI_Type_dup, or a named type.</summary>
    public Func<Datatype[], Datatype>? Rebuild { get; set; }

    public AttributeTable Attributes { get; } = new();

    public long Extent => UpperBound - LowerBound;

    /// <summary>Items lie one after the other without gaps.</summary>
    public bool IsContiguous => Runs.Length == 0 || (Runs.Length == 1 && Runs[0].Offset == 0 && Runs[0].Length == Extent);

    /// <summary>Bytes from the lowest to the highest that so many items cover.</summary>
    public long SpanBytes(long count) => TrueUpperBound - TrueLowerBound + Math.Max(0, count - 1) * Math.Abs(Extent);

    /// <summary>Where the lowest is, relative to the first item's address.</summary>
    public long LowestByte(long count) => TrueLowerBound + Math.Min(0, Math.Max(0, count - 1) * Extent);

    public static Datatype From(nint raw) => Handles.Get<Datatype>(raw, ErrorClass.Type);

    /// <summary>A type out of blocks of others.</summary>
    /// <param name="blocks">offset in bytes, items, type; in the order of the type map</param>
    /// <param name="lower">set by hand</param><param name="upper">set by hand</param>
    /// <param name="pad">the extent is made a multiple of the alignment, as C does with structures</param>
    public static Datatype Make(Combiner combiner, List<(long Offset, long Count, Datatype Type)> blocks, Contents contents, Datatype[] types, long? lower = null, long? upper = null, bool pad = false)
    {
        List<(long Offset, long Length)> runs = [];
        long size = 0, low = long.MaxValue, high = long.MinValue, trueLow = long.MaxValue, trueHigh = long.MinValue;
        int alignment = 1;
        Element? element = null;
        List<int> basic = [];
        List<(Datatype Type, long Count)> parts = [];
        foreach (var (offset, count, type) in blocks)
        {
            if (count == 0) continue;
            long last = offset + (count - 1) * type.Extent;
            low = Math.Min(low, Math.Min(offset, last) + type.LowerBound);
            high = Math.Max(high, Math.Max(offset, last) + type.UpperBound);
            if (type.SizeBytes == 0) continue;
            trueLow = Math.Min(trueLow, Math.Min(offset, last) + type.TrueLowerBound);
            trueHigh = Math.Max(trueHigh, Math.Max(offset, last) + type.TrueUpperBound);
            size += count * type.SizeBytes;
            alignment = Math.Max(alignment, type.Alignment);
            element = element is null || element == type.Element ? type.Element : Element.None;
            Append(basic, type.BasicSizes, count);
            if (parts.Count > 0 && parts[^1].Type == type) parts[^1] = (type, parts[^1].Count + count);
            else parts.Add((type, count));
            if (type.IsContiguous) Add(offset, count * type.SizeBytes);
            else
                for (long i = 0; i < count; i++)
                    foreach (var run in type.Runs) Add(offset + i * type.Extent + run.Offset, run.Length);
        }
        if (low == long.MaxValue) (low, high) = (0, 0);
        if (trueLow == long.MaxValue) (trueLow, trueHigh) = (0, 0);
        if (pad && high - low is var extent && extent % alignment != 0) high += alignment - extent % alignment;
        return new Datatype
        {
            SizeBytes = size, LowerBound = lower ?? low, UpperBound = upper ?? high, TrueLowerBound = trueLow, TrueUpperBound = trueHigh, Runs = [.. runs], Element = element ?? Element.None, Alignment = alignment,
            BasicSizes = basic.Count == 0 ? [1] : [.. basic], Combiner = combiner, Contents = contents, Types = types, Parts = [.. parts],
        };

        void Add(long offset, long length)
        {
            if (runs.Count > 0 && CollectionsMarshal.AsSpan(runs)[^1] is var before && before.Offset + before.Length == offset) runs[^1] = (before.Offset, before.Length + length);
            else runs.Add((offset, length));
        }
    }

    /// <summary>Sizes stay one number while they are equal.</summary>
    private static void Append(List<int> sizes, int[] more, long count)
    {
        if (more.Length == 1 && (sizes.Count == 0 || (sizes.Count == 1 && sizes[0] == more[0])))
        {
            if (sizes.Count == 0) sizes.Add(more[0]);
            return;
        }
        const int Longest = 1 << 16; // MPI_Get_elements of longer mixed types counts bytes of the first size
        for (long i = 0; i < count && sizes.Count < Longest; i++) sizes.AddRange(more);
    }

    /// <summary>MPI_Type_dup.</summary>
    public Datatype Duplicate() => Like(Combiner.Dup, Contents.None, [this], isPredefined: false);

    /// <summary>The same type, made in the same way, under a handle of its own.</summary>
    public Datatype Copy()
    {
        Datatype copy = Like(Combiner, Contents, Types, isPredefined: false);
        copy.Rebuild = Rebuild;
        return copy;
    }

    /// <summary>The same layout, made otherwise.</summary>
    public Datatype Like(Combiner combiner, Contents contents, Datatype[] types, bool isPredefined) => new()
    {
        SizeBytes = SizeBytes, LowerBound = LowerBound, UpperBound = UpperBound, TrueLowerBound = TrueLowerBound, TrueUpperBound = TrueUpperBound, Runs = Runs, Element = Element, Alignment = Alignment,
        BasicSizes = BasicSizes, Combiner = combiner, Contents = contents, Types = types, Parts = Parts, Forms = Forms, IsCommitted = IsCommitted, IsPredefined = isPredefined,
    };
}

/// <summary>How a datatype was made, in Open MPI's numbers.</summary>
internal enum Combiner
{
    Named, Dup, Contiguous, Vector, HvectorInteger, Hvector, Indexed, HindexedInteger, Hindexed, IndexedBlock, StructInteger, Struct, Subarray, Darray, F90Real, F90Complex, F90Integer, Resized, HindexedBlock,
}

/// <summary>Numbers that a datatype was made of. Those of a constructor with large counts are counts, all but what cannot be large.</summary>
/// <remarks>Source: MPI-4.0 §5.1.13.</remarks>
internal sealed record Contents(int[] Integers, long[] Addresses, long[] Counts, bool IsLarge)
{
    public static Contents None { get; } = new([], [], [], false);

    /// <param name="before">integers in any case, before the counts</param><param name="after">and behind them</param>
    public static Contents Of(bool isLarge, long[] counts, long[]? addresses = null, int[]? before = null, int[]? after = null)
        => isLarge ? new([.. before ?? [], .. after ?? []], [], [.. counts, .. addresses ?? []], true) : new([.. before ?? [], .. counts.Select(c => (int)c), .. after ?? []], addresses ?? [], [], false);
}
