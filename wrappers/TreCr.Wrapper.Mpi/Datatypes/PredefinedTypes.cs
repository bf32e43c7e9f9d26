namespace TreCr.Wrapper.Mpi;

/// <summary>The named datatypes: Open MPI's symbol, MPICH's value, size, element. Source: MPI-3.1 §3.2.2; mpi.h of both; facts/mpi.md §1.3.</summary>
internal static class PredefinedTypes
{
    private static readonly (string Name, string Symbol, long Mpich, int Size, Element Element)[] s_types =
    [
        ("MPI_BYTE", "byte", 0x4c00010d, 1, Element.Byte), ("MPI_PACKED", "packed", 0x4c00010f, 1, Element.None), ("MPI_CHAR", "char", 0x4c000101, 1, Element.I8),
        ("MPI_SIGNED_CHAR", "signed_char", 0x4c000118, 1, Element.I8), ("MPI_UNSIGNED_CHAR", "unsigned_char", 0x4c000102, 1, Element.U8), ("MPI_WCHAR", "wchar", 0x4c00040e, 4, Element.I32),
        ("MPI_SHORT", "short", 0x4c000203, 2, Element.I16), ("MPI_UNSIGNED_SHORT", "unsigned_short", 0x4c000204, 2, Element.U16), ("MPI_INT", "int", 0x4c000405, 4, Element.I32),
        ("MPI_UNSIGNED", "unsigned", 0x4c000406, 4, Element.U32), ("MPI_LONG", "long", 0x4c000807, 8, Element.I64), ("MPI_UNSIGNED_LONG", "unsigned_long", 0x4c000808, 8, Element.U64),
        ("MPI_LONG_LONG_INT", "long_long_int", 0x4c000809, 8, Element.I64), ("MPI_UNSIGNED_LONG_LONG", "unsigned_long_long", 0x4c000819, 8, Element.U64),
        ("MPI_FLOAT", "float", 0x4c00040a, 4, Element.F32), ("MPI_DOUBLE", "double", 0x4c00080b, 8, Element.F64), ("MPI_LONG_DOUBLE", "long_double", 0x4c00100c, 16, Element.F80),
        ("MPI_INT8_T", "int8_t", 0x4c000137, 1, Element.I8), ("MPI_INT16_T", "int16_t", 0x4c000238, 2, Element.I16), ("MPI_INT32_T", "int32_t", 0x4c000439, 4, Element.I32),
        ("MPI_INT64_T", "int64_t", 0x4c00083a, 8, Element.I64), ("MPI_UINT8_T", "uint8_t", 0x4c00013b, 1, Element.U8), ("MPI_UINT16_T", "uint16_t", 0x4c00023c, 2, Element.U16),
        ("MPI_UINT32_T", "uint32_t", 0x4c00043d, 4, Element.U32), ("MPI_UINT64_T", "uint64_t", 0x4c00083e, 8, Element.U64), ("MPI_AINT", "aint", 0x4c000843, 8, Element.I64),
        ("MPI_OFFSET", "offset", 0x4c000844, 8, Element.I64), ("MPI_COUNT", "count", 0x4c000845, 8, Element.I64), ("MPI_C_BOOL", "c_bool", 0x4c00013f, 1, Element.Bool),
        ("MPI_C_FLOAT_COMPLEX", "c_float_complex", 0x4c000840, 8, Element.C64), ("MPI_C_DOUBLE_COMPLEX", "c_double_complex", 0x4c001041, 16, Element.C128),
        ("MPI_C_LONG_DOUBLE_COMPLEX", "c_long_double_complex", 0x4c002042, 32, Element.C160), ("MPI_CXX_BOOL", "cxx_bool", 0x4c000133, 1, Element.Bool),
        ("MPI_CXX_FLOAT_COMPLEX", "cxx_cplex", 0x4c000834, 8, Element.C64), ("MPI_CXX_DOUBLE_COMPLEX", "cxx_dblcplex", 0x4c001035, 16, Element.C128),
        ("MPI_CXX_LONG_DOUBLE_COMPLEX", "cxx_ldblcplex", 0x4c002036, 32, Element.C160),
        ("MPI_FLOAT_INT", "float_int", 0x8c000000, 8, Element.FloatInt), ("MPI_DOUBLE_INT", "double_int", 0x8c000001, 12, Element.DoubleInt), ("MPI_LONG_INT", "long_int", 0x8c000002, 12, Element.LongInt),
        ("MPI_SHORT_INT", "short_int", 0x8c000003, 6, Element.ShortInt), ("MPI_2INT", "2int", 0x4c000816, 8, Element.TwoInt), ("MPI_LONG_DOUBLE_INT", "longdbl_int", 0x8c000004, 20, Element.LongDoubleInt),
        ("MPI_CHARACTER", "character", 0x4c00011a, 1, Element.I8), ("MPI_LOGICAL", "logical", 0x4c00041d, 4, Element.I32), ("MPI_INTEGER", "integer", 0x4c00041b, 4, Element.I32),
        ("MPI_REAL", "real", 0x4c00041c, 4, Element.F32), ("MPI_DOUBLE_PRECISION", "dblprec", 0x4c00081f, 8, Element.F64), ("MPI_COMPLEX", "cplex", 0x4c00081e, 8, Element.C64),
        ("MPI_DOUBLE_COMPLEX", "dblcplex", 0x4c001022, 16, Element.C128), ("MPI_INTEGER1", "integer1", 0x4c00012d, 1, Element.I8), ("MPI_INTEGER2", "integer2", 0x4c00022f, 2, Element.I16),
        ("MPI_INTEGER4", "integer4", 0x4c000430, 4, Element.I32), ("MPI_INTEGER8", "integer8", 0x4c000831, 8, Element.I64), ("MPI_REAL4", "real4", 0x4c000427, 4, Element.F32),
        ("MPI_REAL8", "real8", 0x4c000829, 8, Element.F64), ("MPI_REAL16", "real16", 0x4c00102b, 16, Element.F128), ("MPI_COMPLEX8", "complex8", 0x4c000828, 8, Element.C64),
        ("MPI_COMPLEX16", "complex16", 0x4c00102a, 16, Element.C128), ("MPI_COMPLEX32", "complex32", 0x4c00202c, 32, Element.C256), ("MPI_2REAL", "2real", 0x4c000821, 8, Element.TwoFloat),
        ("MPI_2DOUBLE_PRECISION", "2dblprec", 0x4c001023, 16, Element.TwoDouble), ("MPI_2INTEGER", "2integer", 0x4c000820, 8, Element.TwoInt),
        ("MPI_LOGICAL1", "logical1", 0, 1, Element.I8), ("MPI_LOGICAL2", "logical2", 0, 2, Element.I16), ("MPI_LOGICAL4", "logical4", 0, 4, Element.I32), ("MPI_LOGICAL8", "logical8", 0, 8, Element.I64),
        ("MPI_LB", "lb", 0x4c000010, 0, Element.None), ("MPI_UB", "ub", 0x4c000011, 0, Element.None),
    ];

    public static Datatype Byte { get; private set; } = null!;
    public static Datatype Int32 { get; private set; } = null!;
    public static Datatype Int64 { get; private set; } = null!;

    private static readonly Dictionary<string, Datatype> s_named = [];

    public static Datatype Named(string name) => s_named[name];

    public static void Define()
    {
        Handles.PredefineNull<Datatype>("ompi_mpi_datatype_null", 0x0c000000);
        foreach (var (name, symbol, mpich, size, element) in s_types)
        {
            Datatype type = Make(name, size, element);
            s_named[name] = type;
            if (mpich != 0 || !MpiAbi.IsMpich) Handles.Predefine(type, "ompi_mpi_" + symbol, mpich);
            if (name == "MPI_BYTE") Byte = type;
            if (name == "MPI_INT") Int32 = type;
            if (name == "MPI_INT64_T") Int64 = type;
        }
    }

    private static Datatype Make(string name, int size, Element element)
    {
        // Pairs are structures of C: a gap before the int, or behind it.
        ((long, long)[] runs, long extent, int alignment, int[] basic) = element switch
        {
            Element.FloatInt => ([(0, 8)], 8, 4, [4, 4]),
            Element.DoubleInt or Element.LongInt => ([(0, 12)], 16, 8, [8, 4]),
            Element.ShortInt => ([(0, 2), (4, 4)], 8, 4, [2, 4]),
            Element.TwoInt or Element.TwoFloat => ([(0, 8)], 8, 4, [4, 4]),
            Element.TwoDouble => ([(0, 16)], 16, 8, [8, 8]),
            Element.LongDoubleInt => ([(0, 20)], 32, 16, [16, 4]),
            _ => (size == 0 ? [] : ((long, long)[])[(0, size)], (long)size, Math.Clamp(size, 1, 16), (int[])[Math.Max(1, size)]),
        };
        if (element is Element.C64 or Element.C128 or Element.C160 or Element.C256) (alignment, basic) = (size / 2, [size]);
        return new Datatype
        {
            SizeBytes = size, LowerBound = 0, UpperBound = extent, TrueLowerBound = 0, TrueUpperBound = runs.Length == 0 ? 0 : runs[^1].Item1 + runs[^1].Item2, Runs = runs, Element = element, Alignment = alignment,
            BasicSizes = basic, Forms = External32.FormsOf(name, size, element), IsCommitted = true, IsPredefined = true, Name = name, Combiner = Combiner.Named,
        };
    }
}
