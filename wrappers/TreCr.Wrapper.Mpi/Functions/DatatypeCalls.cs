using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 4: datatypes, packing.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class DatatypeCalls
{
    private static void Give(HandlePointer result, Datatype type) => result.Value = Handles.Add(type);

    /// <param name="make">of this type, or of another in its place (<see cref="External32.InFile"/>)</param>
    private static void Give(HandlePointer result, Datatype type, Func<Datatype, Datatype> make) => Give(result, [type], types => make(types[0]));

    private static void Give(HandlePointer result, Datatype[] types, Func<Datatype[], Datatype> make)
    {
        Datatype made = make(types);
        made.Rebuild = make;
        Give(result, made);
    }

    private static void CheckCount(long count)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
    }

    public static void MPI_Type_contiguous(Count count, Datatype type, HandlePointer result)
    {
        CheckCount(count);
        Give(result, type, t => Datatype.Make(Combiner.Contiguous, [(0, count, t)], Contents.Of(count.IsLarge, [count]), [t]));
    }

    public static void MPI_Type_vector(Count count, Count block, Count stride, Datatype type, HandlePointer result)
        => Give(result, type, t => Strided(Combiner.Vector, count, block, stride * t.Extent, t, Contents.Of(count.IsLarge, [count, block, stride])));

    public static void MPI_Type_create_hvector(Count count, Count block, Distance stride, Datatype type, HandlePointer result)
        => Give(result, type, t => Strided(Combiner.Hvector, count, block, stride, t, Contents.Of(count.IsLarge, [count, block], [stride])));

    public static void MPI_Type_hvector(int count, int block, nint stride, Datatype type, HandlePointer result) => MPI_Type_create_hvector(Count.From(count), Count.From(block), Distance.From(stride), type, result);

    private static Datatype Strided(Combiner combiner, long count, long block, long stride, Datatype type, Contents contents)
    {
        CheckCount(count);
        CheckCount(block);
        List<(long, long, Datatype)> blocks = [];
        if (block > 0 && stride == block * type.Extent) blocks.Add((0, count * block, type));
        else
            for (long i = 0; i < count; i++) blocks.Add((i * stride, block, type));
        return Datatype.Make(combiner, blocks, contents, [type]);
    }

    public static void MPI_Type_indexed(Count count, Counts blocks, Counts places, Datatype type, HandlePointer result)
    {
        long[] lengths = blocks.Take(count), offsets = places.Take(count);
        Give(result, type, t => Indexed(Combiner.Indexed, lengths, [.. offsets.Select(o => o * t.Extent)], t, Contents.Of(count.IsLarge, [count, .. lengths, .. offsets])));
    }

    public static void MPI_Type_create_hindexed(Count count, Counts blocks, Distances places, Datatype type, HandlePointer result)
    {
        long[] lengths = blocks.Take(count), offsets = places.Take(count);
        Give(result, type, t => Indexed(Combiner.Hindexed, lengths, offsets, t, Contents.Of(count.IsLarge, [count, .. lengths], offsets)));
    }

    public static void MPI_Type_hindexed(int count, int* blocks, nint* places, Datatype type, HandlePointer result) => MPI_Type_create_hindexed(Count.From(count), Counts.From(blocks), Distances.From(places), type, result);

    public static void MPI_Type_create_indexed_block(Count count, Count block, Counts places, Datatype type, HandlePointer result)
    {
        long[] offsets = places.Take(count);
        Give(result, type, t => Indexed(Combiner.IndexedBlock, Same(block, count), [.. offsets.Select(o => o * t.Extent)], t, Contents.Of(count.IsLarge, [count, block, .. offsets])));
    }

    public static void MPI_Type_create_hindexed_block(Count count, Count block, Distances places, Datatype type, HandlePointer result)
    {
        long[] offsets = places.Take(count);
        Give(result, type, t => Indexed(Combiner.HindexedBlock, Same(block, count), offsets, t, Contents.Of(count.IsLarge, [count, block], offsets)));
    }

    private static long[] Same(long value, long count)
    {
        CheckCount(value);
        long[] all = new long[count];
        Array.Fill(all, value);
        return all;
    }

    private static Datatype Indexed(Combiner combiner, long[] lengths, long[] offsets, Datatype type, Contents contents)
    {
        List<(long, long, Datatype)> blocks = [];
        for (int i = 0; i < lengths.Length; i++)
        {
            CheckCount(lengths[i]);
            blocks.Add((offsets[i], lengths[i], type));
        }
        return Datatype.Make(combiner, blocks, contents, [type]);
    }

    public static void MPI_Type_create_struct(Count count, Counts blocks, Distances places, nint types, HandlePointer result)
    {
        long[] lengths = blocks.Take(count), offsets = places.Take(count);
        Datatype[] used = new Datatype[count];
        for (int i = 0; i < count; i++)
        {
            CheckCount(lengths[i]);
            used[i] = Datatype.From(MpiAbi.Read(types, i));
        }
        Give(result, used, types => Structure(lengths, offsets, types, Contents.Of(count.IsLarge, [count, .. lengths], offsets)));
    }

    private static Datatype Structure(long[] lengths, long[] offsets, Datatype[] types, Contents contents)
    {
        List<(long Offset, long Count, Datatype Type)> all = [];
        long? lower = null, upper = null;
        for (int i = 0; i < types.Length; i++)
        {
            if (types[i].Name == "MPI_LB") lower = offsets[i];
            else if (types[i].Name == "MPI_UB") upper = offsets[i];
            else all.Add((offsets[i], lengths[i], types[i]));
        }
        return Datatype.Make(Combiner.Struct, all, contents, types, lower, upper, pad: upper is null);
    }

    public static void MPI_Type_struct(int count, int* blocks, nint* places, nint types, HandlePointer result) => MPI_Type_create_struct(Count.From(count), Counts.From(blocks), Distances.From(places), types, result);

    public static void MPI_Type_create_resized(Datatype type, Distance lower, Distance extent, HandlePointer result)
        => Give(result, type, t => Datatype.Make(Combiner.Resized, [(0, 1, t)], Contents.Of(lower.IsLarge, [], [lower, extent]), [t], lower, lower + extent));

    public static void MPI_Type_create_subarray(int dims, Counts sizes, Counts subsizes, Counts starts, int order, Datatype type, HandlePointer result)
    {
        if (dims < 1) throw new MpiException(ErrorClass.Arg, $"{dims} dimensions");
        long[] all = sizes.Take(dims), parts = subsizes.Take(dims), first = starts.Take(dims);
        for (int i = 0; i < dims; i++)
            if (parts[i] < 1 || first[i] < 0 || first[i] + parts[i] > all[i]) throw new MpiException(ErrorClass.Arg, $"dimension {i}: {parts[i]} of {all[i]} from {first[i]}");
        Give(result, type, t => Arrays.Part(Combiner.Subarray, all, [.. first.Zip(parts, (f, n) => ((long, long)[])[(f, n)])], Arrays.IsRows(order), t, Contents.Of(sizes.IsLarge, [.. all, .. parts, .. first], before: [dims], after: [order])));
    }

    /// <summary>A rank's part of an array that is spread over a grid of ranks.</summary>
    public static void MPI_Type_create_darray(int size, int rank, int dims, Counts sizes, int* distributions, int* arguments, int* grid, int order, Datatype type, HandlePointer result)
    {
        if (dims < 1 || size < 1 || (uint)rank >= (uint)size) throw new MpiException(ErrorClass.Arg, $"rank {rank} of {size} in {dims} dimensions");
        long[] all = sizes.Take(dims);
        int[] how = new ReadOnlySpan<int>(distributions, dims).ToArray(), with = new ReadOnlySpan<int>(arguments, dims).ToArray(), ranks = new ReadOnlySpan<int>(grid, dims).ToArray();
        if (ranks.Any(n => n < 1) || ranks.Aggregate(1L, (a, n) => a * n) != size) throw new MpiException(ErrorClass.Arg, $"the grid is not one of {size} ranks");
        (long, long)[][] parts = new (long, long)[dims][];
        // The rank's place in the grid: rows first, whatever the order of the array.
        for (int d = dims - 1, rest = rank; d >= 0; rest /= ranks[d], d--) parts[d] = Arrays.Spread(all[d], how[d], with[d], ranks[d], rest % ranks[d]);
        Contents contents = sizes.IsLarge
            ? new([size, rank, dims, .. how, .. with, .. ranks, order], [], all, true) : new([size, rank, dims, .. all.Select(n => (int)n), .. how, .. with, .. ranks, order], [], [], false);
        Give(result, type, t => Arrays.Part(Combiner.Darray, all, parts, Arrays.IsRows(order), t, contents));
    }

    public static void MPI_Type_create_f90_real(int digits, int range, HandlePointer result) => result.Value = NamedTypes.Real(Combiner.F90Real, digits, range).Handle;
    public static void MPI_Type_create_f90_complex(int digits, int range, HandlePointer result) => result.Value = NamedTypes.Real(Combiner.F90Complex, digits, range).Handle;
    public static void MPI_Type_create_f90_integer(int range, HandlePointer result) => result.Value = NamedTypes.Integer(range).Handle;

    public static void MPI_Type_match_size(int kind, int bytes, HandlePointer result) => result.Value = Matching(kind, bytes);

    /// <returns>handle</returns>
    internal static nint Matching(int kind, int bytes)
    {
        // MPICH counts reals, integers, complex numbers.
        TypeClass wanted = (TypeClass)(MpiAbi.IsMpich && kind is (1 or 2) ? 3 - kind : kind);
        return (NamedTypes.Matching(wanted, bytes) ?? throw new MpiException(ErrorClass.Arg, $"no type of class {kind} with {bytes} bytes")).Handle;
    }

    public static void MPI_Type_dup(Datatype type, HandlePointer result)
    {
        Datatype copy = type.Duplicate();
        type.Attributes.CopyTo(type, copy.Attributes);
        Give(result, copy);
    }

    public static void MPI_Type_commit(HandlePointer type) => Datatype.From(type.Value).IsCommitted = true;

    public static void MPI_Type_free(HandlePointer type)
    {
        Datatype freed = Datatype.From(type.Value);
        if (freed.IsPredefined) throw new MpiException(ErrorClass.Type, $"{freed.Name} cannot be freed");
        freed.Attributes.DeleteAll(freed);
        Handles.Remove(freed);
        type.Value = Handles.Null<Datatype>();
    }

    public static void MPI_Type_size(Datatype type, CountPointer bytes) => bytes.Value = type.SizeBytes;
    public static void MPI_Type_size_x(Datatype type, long* bytes) => *bytes = type.SizeBytes;
    public static void MPI_Type_get_extent(Datatype type, DistancePointer lower, DistancePointer extent) => (lower.Value, extent.Value) = (type.LowerBound, type.Extent);
    public static void MPI_Type_get_extent_x(Datatype type, long* lower, long* extent) => (*lower, *extent) = (type.LowerBound, type.Extent);
    public static void MPI_Type_get_true_extent(Datatype type, DistancePointer lower, DistancePointer extent) => (lower.Value, extent.Value) = (type.TrueLowerBound, type.TrueUpperBound - type.TrueLowerBound);
    public static void MPI_Type_get_true_extent_x(Datatype type, long* lower, long* extent) => (*lower, *extent) = (type.TrueLowerBound, type.TrueUpperBound - type.TrueLowerBound);
    public static void MPI_Type_extent(Datatype type, nint* extent) => *extent = (nint)type.Extent;
    public static void MPI_Type_lb(Datatype type, nint* lower) => *lower = (nint)type.LowerBound;
    public static void MPI_Type_ub(Datatype type, nint* upper) => *upper = (nint)type.UpperBound;

    public static void MPI_Type_set_name(Datatype type, byte* name) => type.Name = Text.Read(name);
    public static void MPI_Type_get_name(Datatype type, byte* name, int* length) => *length = Text.Write(name, type.Name, MpiAbi.MaxObjectName);

    public static void MPI_Type_get_envelope(Datatype type, int* integers, int* addresses, int* types, int* combiner)
    {
        if (type.Contents.IsLarge) throw new MpiException(ErrorClass.Type, "the datatype was made with large counts");
        (*integers, *addresses, *types, *combiner) = (type.Contents.Integers.Length, type.Contents.Addresses.Length, type.Types.Length, NumberOf(type.Combiner));
    }

    public static void MPI_Type_get_envelope_c(Datatype type, long* integers, long* addresses, long* counts, long* types, int* combiner)
        => (*integers, *addresses, *counts, *types, *combiner) = (type.Contents.Integers.Length, type.Contents.Addresses.Length, type.Contents.Counts.Length, type.Types.Length, NumberOf(type.Combiner));

    /// <summary>MPICH's numbers begin with 1.</summary>
    private static int NumberOf(Combiner combiner) => (int)combiner + (MpiAbi.IsMpich ? 1 : 0);

    public static void MPI_Type_get_contents(Datatype type, int maxIntegers, int maxAddresses, int maxTypes, int* integers, nint* addresses, nint types)
    {
        if (type.Contents.IsLarge) throw new MpiException(ErrorClass.Type, "the datatype was made with large counts");
        MPI_Type_get_contents_c(type, maxIntegers, maxAddresses, 0, maxTypes, integers, addresses, null, types);
    }

    public static void MPI_Type_get_contents_c(Datatype type, long maxIntegers, long maxAddresses, long maxCounts, long maxTypes, int* integers, nint* addresses, long* counts, nint types)
    {
        Contents c = type.Contents;
        if (type.Combiner == Combiner.Named || maxIntegers < c.Integers.Length || maxAddresses < c.Addresses.Length || maxCounts < c.Counts.Length || maxTypes < type.Types.Length) throw new MpiException(ErrorClass.Arg, "a named type, or too little room");
        for (int i = 0; i < c.Integers.Length; i++) integers[i] = c.Integers[i];
        for (int i = 0; i < c.Addresses.Length; i++) addresses[i] = (nint)c.Addresses[i];
        for (int i = 0; i < c.Counts.Length; i++) counts[i] = c.Counts[i];
        for (int i = 0; i < type.Types.Length; i++)
        {
            // The standard gives new handles for types of the program, to be freed by it.
            Datatype inner = type.Types[i];
            MpiAbi.Write(types, i, inner.IsPredefined ? inner.Handle : Handles.Add(inner.Copy()));
        }
    }

    public static void MPI_Pack(nint source, Count count, Datatype type, nint target, Count targetBytes, CountPointer position, Comm comm)
    {
        CollectiveCalls.Check(count, type);
        long bytes = count * type.SizeBytes, at = position.Value;
        if (at < 0 || at + bytes > targetBytes) throw new MpiException(MpiAbi.IsMpich ? ErrorClass.Arg : ErrorClass.Truncate, $"{bytes} bytes do not fit behind {at} of {targetBytes.Value}");
        new PackCursor(type, source).Pack((byte*)target + at, bytes);
        position.Value = at + bytes;
    }

    public static void MPI_Unpack(nint source, Count sourceBytes, CountPointer position, nint target, Count count, Datatype type, Comm comm)
    {
        CollectiveCalls.Check(count, type);
        long bytes = count * type.SizeBytes, at = position.Value;
        if (at < 0 || at + bytes > sourceBytes) throw new MpiException(MpiAbi.IsMpich ? ErrorClass.Arg : ErrorClass.Truncate, $"{bytes} bytes are not behind {at} of {sourceBytes.Value}");
        new PackCursor(type, target).Unpack((byte*)source + at, bytes);
        position.Value = at + bytes;
    }

    public static void MPI_Pack_size(Count count, Datatype type, Comm comm, CountPointer bytes)
    {
        CheckCount(count);
        bytes.Value = count * type.SizeBytes;
    }

    public static void MPI_Pack_external(byte* representation, nint source, Count count, Datatype type, nint target, Distance targetBytes, DistancePointer position)
    {
        CollectiveCalls.Check(count, type);
        External32.Require(Text.Read(representation));
        long bytes = count * External32.SizeOf(type), at = position.Value;
        if (at < 0 || at + bytes > targetBytes) throw new MpiException(ErrorClass.Truncate, $"{bytes} bytes do not fit behind {at} of {targetBytes.Value}");
        using LaidOut packed = new(count * type.SizeBytes, PredefinedTypes.Byte);
        new PackCursor(type, source).Pack((byte*)packed.First, count * type.SizeBytes);
        new ExternalCursor((byte*)packed.First, (byte*)target + at, bytes, toExternal: true).Move(type, count);
        position.Value = at + bytes;
    }

    public static void MPI_Unpack_external(byte* representation, nint source, Distance sourceBytes, DistancePointer position, nint target, Count count, Datatype type)
    {
        CollectiveCalls.Check(count, type);
        External32.Require(Text.Read(representation));
        long bytes = count * External32.SizeOf(type), at = position.Value;
        if (at < 0 || at + bytes > sourceBytes) throw new MpiException(ErrorClass.Truncate, $"{bytes} bytes are not behind {at} of {sourceBytes.Value}");
        using LaidOut packed = new(count * type.SizeBytes, PredefinedTypes.Byte);
        new ExternalCursor((byte*)packed.First, (byte*)source + at, bytes, toExternal: false).Move(type, count);
        new PackCursor(type, target).Unpack((byte*)packed.First, count * type.SizeBytes);
        position.Value = at + bytes;
    }

    public static void MPI_Pack_external_size(byte* representation, Count count, Datatype type, DistancePointer bytes)
    {
        CheckCount(count);
        External32.Require(Text.Read(representation));
        bytes.Value = count * External32.SizeOf(type);
    }
}
