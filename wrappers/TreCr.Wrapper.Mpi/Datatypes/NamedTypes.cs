namespace TreCr.Wrapper.Mpi;

/// <summary>Named datatypes found by what they hold. Source: MPI-3.1 §17.1.9.</summary>
internal static class NamedTypes
{
    private static readonly Dictionary<(Combiner, int, int), Datatype> s_made = [];

    /// <returns>null: there is none of this size</returns>
    public static Datatype? Matching(TypeClass kind, int bytes) => (kind, bytes) switch
    {
        (TypeClass.Real, 4) => PredefinedTypes.Named("MPI_REAL"), (TypeClass.Real, 8) => PredefinedTypes.Named("MPI_DOUBLE_PRECISION"), (TypeClass.Real, 16) => PredefinedTypes.Named("MPI_REAL16"),
        (TypeClass.Complex, 8) => PredefinedTypes.Named("MPI_COMPLEX"), (TypeClass.Complex, 16) => PredefinedTypes.Named("MPI_DOUBLE_COMPLEX"), (TypeClass.Complex, 32) => PredefinedTypes.Named("MPI_COMPLEX32"),
        (TypeClass.Integer, 1 or 2 or 4 or 8) => PredefinedTypes.Named("MPI_INTEGER" + bytes),
        _ => null,
    };

    /// <summary>The type that Fortran's selected_real_kind gives; with the same arguments the same one.</summary>
    /// <param name="digits">decimal, or MPI_UNDEFINED</param><param name="range">decimal exponent, or MPI_UNDEFINED</param>
    public static Datatype Real(Combiner combiner, int digits, int range)
    {
        bool isComplex = combiner == Combiner.F90Complex;
        string name = (digits, range) switch
        {
            ( <= 6, <= 37) => isComplex ? "MPI_C_FLOAT_COMPLEX" : "MPI_FLOAT", ( <= 15, <= 307) => isComplex ? "MPI_C_DOUBLE_COMPLEX" : "MPI_DOUBLE", ( <= 18, <= 4931) => isComplex ? "MPI_C_LONG_DOUBLE_COMPLEX" : "MPI_LONG_DOUBLE",
            ( <= 33, <= 4931) => isComplex ? "MPI_COMPLEX32" : "MPI_REAL16",
            _ => throw new MpiException(ErrorClass.Arg, $"no type of {digits} digits and range {range}"),
        };
        return Made(combiner, digits, range, name, [digits, range]);
    }

    public static Datatype Integer(int range)
        => Made(Combiner.F90Integer, range, 0, range switch { <= 2 => "MPI_INT8_T", <= 4 => "MPI_INT16_T", <= 9 => "MPI_INT32_T", <= 18 => "MPI_INT64_T", _ => throw new MpiException(ErrorClass.Arg, $"no integer of range {range}") }, [range]);

    private static Datatype Made(Combiner combiner, int first, int second, string name, int[] arguments)
    {
        if (s_made.TryGetValue((combiner, first, second), out Datatype? known)) return known;
        Datatype made = PredefinedTypes.Named(name).Like(combiner, new Contents(arguments, [], [], false), [], isPredefined: true);
        Handles.Add(made);
        return s_made[(combiner, first, second)] = made;
    }
}

/// <summary>MPI_TYPECLASS_*, in Open MPI's numbers.</summary>
internal enum TypeClass { Integer = 1, Real, Complex }
