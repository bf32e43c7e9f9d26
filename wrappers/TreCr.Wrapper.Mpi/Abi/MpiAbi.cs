using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// The numbers and structures that the program was compiled with: Open MPI's or those of MPICH and its relatives. Inside, everything has Open MPI's numbers.
/// </summary>
/// <remarks>Source: mpi.h of Open MPI 4.1.4 and MPICH 4.0.2; facts/mpi.md §1.</remarks>
internal static unsafe class MpiAbi
{
    public const int AnySource = -1, AnyTag = -1, ProcNull = -2, Root = -4, Undefined = -32766, TagUpperBound = int.MaxValue;

    /// <summary>MPICH's error classes by ours, where they differ (0: none of this name).</summary>
    private static readonly int[] s_mpichErrors =
    [
        0, 1, 2, 3, 4, 5, 6, 19, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
        20, 21, 53, 22, 46, 23, 52, 24, 25, 26, 27, 29, 31, 30, 28, 32, 48, 47, 33, 34,
        35, 36, 37, 38, 39, 40, 49, 50, 41, 51, 42, 43, 44, 45,
    ];

    /// <summary>The program has MPICH's numbers.</summary>
    public static bool IsMpich { get; private set; }

    private static nint s_library;

    /// <summary>Finds out which: the library that the program was linked with is loaded, but dormant. Where a module of the program was (Python), its names are not the program's.</summary>
    public static void Detect()
    {
        const string OpenMpi = "ompi_mpi_comm_world", Mpich = "MPIR_Dup_fn";
        if (Sys.FindSymbol(OpenMpi) != 0) return;
        IsMpich = Sys.FindSymbol(Mpich) != 0 || (s_library = Sys.FindLibrary("libmpi.so.40")) == 0;
    }

    /// <summary>Address of something that the program's MPI library defines.</summary>
    /// <returns>0: it does not</returns>
    public static nint Symbol(string name) => Sys.FindSymbol(name) is not 0 and var address ? address : s_library == 0 ? 0 : Sys.FindSymbol(name, s_library);

    /// <summary>Bytes of a handle in the program's memory.</summary>
    public static int HandleBytes => IsMpich ? 4 : 8;

    public static int StatusBytes => IsMpich ? 20 : 24;

    public static int MaxErrorString => IsMpich ? 512 : 256;
    public static int MaxProcessorName => IsMpich ? 128 : 256;
    public static int MaxLibraryVersion => IsMpich ? 8192 : 256;
    public static int MaxObjectName => IsMpich ? 128 : 64;
    public static int BsendOverhead => IsMpich ? 96 : 128;

    /// <summary>A handle out of an argument or a word of memory: MPICH's have 32 bits, and what stands above them in a register means nothing.</summary>
    public static nint Handle(nint raw) => IsMpich ? (nint)(uint)raw : raw;

    /// <summary>Handle number <paramref name="index"/> of an array.</summary>
    public static nint Read(nint array, int index) => IsMpich ? (nint)((uint*)array)[index] : ((nint*)array)[index];

    public static void Write(nint array, int index, nint handle)
    {
        if (IsMpich) ((uint*)array)[index] = (uint)handle;
        else ((nint*)array)[index] = handle;
    }

    /// <summary>A rank argument in our numbers.</summary>
    public static int Rank(int rank) => !IsMpich ? rank : rank switch { -1 => ProcNull, -2 => AnySource, -3 => Root, _ => rank };

    /// <summary>A rank of ours in the program's numbers.</summary>
    public static int RankOut(int rank) => !IsMpich ? rank : rank switch { ProcNull => -1, AnySource => -2, _ => rank };

    /// <summary>An error class in the program's numbers.</summary>
    public static int Error(ErrorClass error) => !IsMpich ? (int)error : error switch
    {
        ErrorClass.RmaRange => 55, ErrorClass.RmaAttach => 56, ErrorClass.RmaShared => 57, ErrorClass.RmaFlavor => 58, ErrorClass.Session => 75,
        _ => (int)error < s_mpichErrors.Length ? s_mpichErrors[(int)error] : (int)error,
    };

    /// <summary>The class of a code of the program.</summary>
    public static ErrorClass ErrorOf(int code)
    {
        if (!IsMpich || UserErrors.IsOne(code)) return (ErrorClass)code;
        if (code is >= 55 and <= 58) return code switch { 55 => ErrorClass.RmaRange, 56 => ErrorClass.RmaAttach, 57 => ErrorClass.RmaShared, _ => ErrorClass.RmaFlavor };
        if (code == 75) return ErrorClass.Session;
        int index = Array.IndexOf(s_mpichErrors, code);
        return index < 0 ? ErrorClass.Unknown : (ErrorClass)index;
    }

    public static bool IsInPlace(nint buffer) => buffer == (IsMpich ? -1 : 1);

    public static bool IsStatusIgnored(nint status) => status == 0 || (IsMpich && status == 1);

    /// <summary>What MPI_Comm_compare and MPI_Group_compare answer: the same numbers in both.</summary>
    public const int Ident = 0, Congruent = 1, Similar = 2, Unequal = 3;

    /// <summary>C's number of a predefined key: in MPICH's mpif.h they are one more.</summary>
    public static int KeyOfC(int key) => IsMpich && (key & 1) == 0 ? key - 1 : key;

    /// <summary>MPI_UNWEIGHTED: with MPICH a pointer that its library has.</summary>
    public static bool IsUnweighted(nint weights) => weights == (IsMpich ? Variable("MPI_UNWEIGHTED") : 2);

    /// <summary>MPI_WEIGHTS_EMPTY.</summary>
    public static bool IsEmptyWeights(nint weights) => weights == (IsMpich ? Variable("MPI_WEIGHTS_EMPTY") : 3);

    private static nint Variable(string name) => Sys.FindSymbol(name) is var address and not 0 ? *(nint*)address : 0;

    /// <summary>MPI_COMM_TYPE_SHARED.</summary>
    public static int CommTypeShared => IsMpich ? 1 : 0;
}
