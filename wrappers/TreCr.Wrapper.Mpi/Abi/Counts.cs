namespace TreCr.Wrapper.Mpi;

/// <summary>A number of items: int, or MPI_Count in the functions with large counts (MPI_Send_c), which the generator makes of <c>FromLarge</c>.</summary>
/// <remarks>Source: MPI-4.0 §19.2.</remarks>
internal readonly record struct Count(long Value, bool IsLarge)
{
    public static Count From(int raw) => new(raw, false);

    public static Count FromLarge(long raw) => new(raw, true);

    public static implicit operator long(Count count) => count.Value;
}

/// <summary>Bytes between places: MPI_Aint, or MPI_Count; both have 64 bits.</summary>
internal readonly record struct Distance(long Value, bool IsLarge)
{
    public static Distance From(nint raw) => new(raw, false);

    public static Distance FromLarge(long raw) => new(raw, true);

    public static implicit operator long(Distance distance) => distance.Value;
}

/// <summary>An array of numbers of items, or of distances in items: int, or MPI_Count and MPI_Aint.</summary>
internal readonly unsafe struct Counts
{
    private readonly void* _numbers;

    private Counts(void* numbers, bool isLarge)
    {
        _numbers = numbers;
        IsLarge = isLarge;
    }

    public bool IsLarge { get; }

    public bool IsGiven => _numbers != null;

    public static Counts From(int* raw) => new(raw, false);

    public static Counts FromLarge(long* raw) => new(raw, true);

    public long this[int index] => IsLarge ? ((long*)_numbers)[index] : ((int*)_numbers)[index];

    /// <exception cref="MpiException">a null pointer where there are some</exception>
    public long[] Take(long count)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        if (count > 0 && _numbers == null) throw new MpiException(ErrorClass.Arg, "a null pointer");
        long[] all = new long[count];
        for (int i = 0; i < all.Length; i++) all[i] = this[i];
        return all;
    }
}

/// <summary>An array of distances in bytes: MPI_Aint, or MPI_Count.</summary>
internal readonly unsafe struct Distances
{
    private readonly long* _numbers;

    private Distances(void* numbers) => _numbers = (long*)numbers;

    public static Distances From(nint* raw) => new(raw);

    public static Distances FromLarge(long* raw) => new(raw);

    public long this[int index] => _numbers[index];

    /// <exception cref="MpiException">a null pointer where there are some</exception>
    public long[] Take(long count)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        if (count > 0 && _numbers == null) throw new MpiException(ErrorClass.Arg, "a null pointer");
        return new ReadOnlySpan<long>(_numbers, (int)count).ToArray();
    }
}

/// <summary>Where a number of items is written: an int, which says MPI_UNDEFINED of one that does not fit, or an MPI_Count.</summary>
internal readonly unsafe struct CountPointer
{
    private readonly void* _number;
    private readonly bool _isLarge;

    private CountPointer(void* number, bool isLarge)
    {
        _number = number;
        _isLarge = isLarge;
    }

    public static CountPointer From(int* raw) => new(raw, false);

    public static CountPointer FromLarge(long* raw) => new(raw, true);

    public long Value
    {
        get => _isLarge ? *(long*)_number : *(int*)_number;
        set
        {
            if (_isLarge) *(long*)_number = value;
            else *(int*)_number = value > int.MaxValue ? MpiAbi.Undefined : (int)value;
        }
    }
}

/// <summary>Where a distance in bytes is read or written.</summary>
internal readonly unsafe struct DistancePointer
{
    private readonly long* _number;

    private DistancePointer(void* number) => _number = (long*)number;

    public static DistancePointer From(nint* raw) => new(raw);

    public static DistancePointer FromLarge(long* raw) => new(raw);

    public long Value
    {
        get => *_number;
        set => *_number = value;
    }
}
