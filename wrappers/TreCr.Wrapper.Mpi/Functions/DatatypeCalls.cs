using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 4: datatypes, packing.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class DatatypeCalls
{
    private static void Give(HandlePointer result, Datatype type) => result.Value = Handles.Add(type);

    private static void CheckCount(int count)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
    }

    private static int[] Words(int* words, int count)
    {
        CheckCount(count);
        return new ReadOnlySpan<int>(words, count).ToArray();
    }

    public static void MPI_Type_contiguous(int count, Datatype type, HandlePointer result)
    {
        CheckCount(count);
        Give(result, Datatype.Make(Combiner.Contiguous, [(0, count, type)], [count], [], [type]));
    }

    public static void MPI_Type_vector(int count, int block, int stride, Datatype type, HandlePointer result)
        => Give(result, Strided(Combiner.Vector, count, block, stride * type.Extent, type, [count, block, stride], []));

    public static void MPI_Type_create_hvector(int count, int block, nint stride, Datatype type, HandlePointer result)
        => Give(result, Strided(Combiner.Hvector, count, block, stride, type, [count, block], [stride]));

    public static void MPI_Type_hvector(int count, int block, nint stride, Datatype type, HandlePointer result) => MPI_Type_create_hvector(count, block, stride, type, result);

    private static Datatype Strided(Combiner combiner, int count, int block, long stride, Datatype type, int[] integers, long[] addresses)
    {
        CheckCount(count);
        CheckCount(block);
        List<(long, long, Datatype)> blocks = [];
        for (int i = 0; i < count; i++) blocks.Add((i * stride, block, type));
        return Datatype.Make(combiner, blocks, integers, addresses, [type]);
    }

    public static void MPI_Type_indexed(int count, int* blocks, int* places, Datatype type, HandlePointer result)
    {
        int[] lengths = Words(blocks, count), offsets = Words(places, count);
        Give(result, Indexed(Combiner.Indexed, lengths, [.. offsets.Select(o => o * type.Extent)], type, [count, .. lengths, .. offsets], []));
    }

    public static void MPI_Type_create_hindexed(int count, int* blocks, nint* places, Datatype type, HandlePointer result)
    {
        int[] lengths = Words(blocks, count);
        long[] offsets = Long(places, count);
        Give(result, Indexed(Combiner.Hindexed, lengths, offsets, type, [count, .. lengths], offsets));
    }

    public static void MPI_Type_hindexed(int count, int* blocks, nint* places, Datatype type, HandlePointer result) => MPI_Type_create_hindexed(count, blocks, places, type, result);

    public static void MPI_Type_create_indexed_block(int count, int block, int* places, Datatype type, HandlePointer result)
    {
        int[] offsets = Words(places, count);
        Give(result, Indexed(Combiner.IndexedBlock, Same(block, count), [.. offsets.Select(o => o * type.Extent)], type, [count, block, .. offsets], []));
    }

    public static void MPI_Type_create_hindexed_block(int count, int block, nint* places, Datatype type, HandlePointer result)
    {
        long[] offsets = Long(places, count);
        Give(result, Indexed(Combiner.HindexedBlock, Same(block, count), offsets, type, [count, block], offsets));
    }

    private static long[] Long(nint* words, int count)
    {
        CheckCount(count);
        long[] all = new long[count];
        for (int i = 0; i < count; i++) all[i] = words[i];
        return all;
    }

    private static int[] Same(int value, int count)
    {
        CheckCount(count);
        CheckCount(value);
        int[] all = new int[count];
        Array.Fill(all, value);
        return all;
    }

    private static Datatype Indexed(Combiner combiner, int[] lengths, long[] offsets, Datatype type, int[] integers, long[] addresses)
    {
        List<(long, long, Datatype)> blocks = [];
        for (int i = 0; i < lengths.Length; i++)
        {
            CheckCount(lengths[i]);
            blocks.Add((offsets[i], lengths[i], type));
        }
        return Datatype.Make(combiner, blocks, integers, addresses, [type]);
    }

    public static void MPI_Type_create_struct(int count, int* blocks, nint* places, nint types, HandlePointer result)
    {
        int[] lengths = Words(blocks, count);
        long[] offsets = Long(places, count);
        List<(long Offset, long Count, Datatype Type)> all = [];
        long? lower = null, upper = null;
        Datatype[] used = new Datatype[count];
        for (int i = 0; i < count; i++)
        {
            CheckCount(lengths[i]);
            used[i] = Datatype.From(MpiAbi.Read(types, i));
            if (used[i].Name == "MPI_LB") lower = offsets[i];
            else if (used[i].Name == "MPI_UB") upper = offsets[i];
            else all.Add((offsets[i], lengths[i], used[i]));
        }
        Give(result, Datatype.Make(Combiner.Struct, all, [count, .. lengths], offsets, used, lower, upper, pad: upper is null));
    }

    public static void MPI_Type_struct(int count, int* blocks, nint* places, nint types, HandlePointer result) => MPI_Type_create_struct(count, blocks, places, types, result);

    public static void MPI_Type_create_resized(Datatype type, nint lower, nint extent, HandlePointer result)
        => Give(result, Datatype.Make(Combiner.Resized, [(0, 1, type)], [], [lower, extent], [type], lower, lower + extent));

    public static void MPI_Type_create_subarray(int dims, int* sizes, int* subsizes, int* starts, int order, Datatype type, HandlePointer result)
    {
        int[] all = Words(sizes, dims), parts = Words(subsizes, dims), first = Words(starts, dims);
        if (dims < 1) throw new MpiException(ErrorClass.Arg, $"{dims} dimensions");
        for (int i = 0; i < dims; i++)
            if (parts[i] < 1 || first[i] < 0 || first[i] + parts[i] > all[i]) throw new MpiException(ErrorClass.Arg, $"dimension {i}: {parts[i]} of {all[i]} from {first[i]}");
        bool rows = order == (MpiAbi.IsMpich ? 56 : 0);
        int[] fastest = [.. Enumerable.Range(0, dims)];
        if (rows) Array.Reverse(fastest);
        // One line along the fastest dimension for each place in the others.
        long[] strides = new long[dims];
        long stride = type.Extent;
        foreach (int d in fastest) (strides[d], stride) = (stride, stride * all[d]);
        List<(long, long, Datatype)> blocks = [];
        int[] at = new int[dims];
        for (bool more = true; more;)
        {
            long offset = 0;
            for (int d = 0; d < dims; d++) offset += (first[d] + (d == fastest[0] ? 0 : at[d])) * strides[d];
            blocks.Add((offset, parts[fastest[0]], type));
            more = false;
            foreach (int d in fastest.Skip(1))
            {
                if (++at[d] < parts[d])
                {
                    more = true;
                    break;
                }
                at[d] = 0;
            }
        }
        Give(result, Datatype.Make(Combiner.Subarray, blocks, [dims, .. all, .. parts, .. first, order], [], [type], 0, stride));
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

    public static void MPI_Type_size(Datatype type, int* bytes) => *bytes = type.SizeBytes > int.MaxValue ? MpiAbi.Undefined : (int)type.SizeBytes;
    public static void MPI_Type_size_x(Datatype type, long* bytes) => *bytes = type.SizeBytes;
    public static void MPI_Type_get_extent(Datatype type, nint* lower, nint* extent) => (*lower, *extent) = ((nint)type.LowerBound, (nint)type.Extent);
    public static void MPI_Type_get_extent_x(Datatype type, long* lower, long* extent) => (*lower, *extent) = (type.LowerBound, type.Extent);
    public static void MPI_Type_get_true_extent(Datatype type, nint* lower, nint* extent) => (*lower, *extent) = ((nint)type.TrueLowerBound, (nint)(type.TrueUpperBound - type.TrueLowerBound));
    public static void MPI_Type_get_true_extent_x(Datatype type, long* lower, long* extent) => (*lower, *extent) = (type.TrueLowerBound, type.TrueUpperBound - type.TrueLowerBound);
    public static void MPI_Type_extent(Datatype type, nint* extent) => *extent = (nint)type.Extent;
    public static void MPI_Type_lb(Datatype type, nint* lower) => *lower = (nint)type.LowerBound;
    public static void MPI_Type_ub(Datatype type, nint* upper) => *upper = (nint)type.UpperBound;

    public static void MPI_Type_set_name(Datatype type, byte* name) => type.Name = Text.Read(name);
    public static void MPI_Type_get_name(Datatype type, byte* name, int* length) => *length = Text.Write(name, type.Name, MpiAbi.MaxObjectName);

    public static void MPI_Type_get_envelope(Datatype type, int* integers, int* addresses, int* types, int* combiner)
        => (*integers, *addresses, *types, *combiner) = (type.Integers.Length, type.Addresses.Length, type.Types.Length, MpiAbi.IsMpich ? s_mpichCombiners[(int)type.Combiner] : (int)type.Combiner);

    /// <summary>MPICH's numbers of the combiners, in the order of <see cref="Combiner"/>.</summary>
    private static readonly int[] s_mpichCombiners = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];

    public static void MPI_Type_get_contents(Datatype type, int maxIntegers, int maxAddresses, int maxTypes, int* integers, nint* addresses, HandlePointer types)
    {
        if (type.Combiner == Combiner.Named || maxIntegers < type.Integers.Length || maxAddresses < type.Addresses.Length || maxTypes < type.Types.Length) throw new MpiException(ErrorClass.Arg, "a named type, or too little room");
        for (int i = 0; i < type.Integers.Length; i++) integers[i] = type.Integers[i];
        for (int i = 0; i < type.Addresses.Length; i++) addresses[i] = (nint)type.Addresses[i];
        for (int i = 0; i < type.Types.Length; i++)
        {
            // The standard gives new handles for types of the program, to be freed by it.
            Datatype inner = type.Types[i];
            types[i] = inner.IsPredefined ? inner.Handle : Handles.Add(inner.Handle == 0 ? inner : inner.Duplicate());
        }
    }

    public static void MPI_Pack(nint source, int count, Datatype type, nint target, int targetBytes, int* position, Comm comm)
    {
        CheckCount(count);
        long bytes = count * type.SizeBytes;
        if (*position < 0 || *position + bytes > targetBytes) throw new MpiException(ErrorClass.Truncate, $"{bytes} bytes do not fit behind {*position} of {targetBytes}");
        new PackCursor(type, source).Pack((byte*)target + *position, bytes);
        *position += (int)bytes;
    }

    public static void MPI_Unpack(nint source, int sourceBytes, int* position, nint target, int count, Datatype type, Comm comm)
    {
        CheckCount(count);
        long bytes = count * type.SizeBytes;
        if (*position < 0 || *position + bytes > sourceBytes) throw new MpiException(ErrorClass.Truncate, $"{bytes} bytes are not behind {*position} of {sourceBytes}");
        new PackCursor(type, target).Unpack((byte*)source + *position, bytes);
        *position += (int)bytes;
    }

    public static void MPI_Pack_size(int count, Datatype type, Comm comm, int* bytes) => *bytes = checked((int)(count * type.SizeBytes));
}
