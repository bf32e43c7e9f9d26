using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// Handles as Fortran has them. With MPICH's ABI they are the same 32 bits (its header does that with macros); with Open MPI's the predefined ones are the numbers of its
/// mpif.h, and those that the program made are the low 32 bits of ours. Open MPI's Fortran library calls these functions and then the C ones, so that Fortran programs are served.
/// </summary>
/// <remarks>Source: mpif-handles.h of Open MPI 4.1.4; facts/mpi.md §1.7.</remarks>
[LocalExports(typeof(Library), "P")]
internal static class FortranCalls
{
    public static int MPI_Comm_c2f(nint handle) => FortranHandles.ToFortran<Comm>(handle);
    public static nint MPI_Comm_f2c(int handle) => FortranHandles.ToC<Comm>(handle);
    public static int MPI_Type_c2f(nint handle) => FortranHandles.ToFortran<Datatype>(handle);
    public static nint MPI_Type_f2c(int handle) => FortranHandles.ToC<Datatype>(handle);
    public static int MPI_Group_c2f(nint handle) => FortranHandles.ToFortran<Group>(handle);
    public static nint MPI_Group_f2c(int handle) => FortranHandles.ToC<Group>(handle);
    public static int MPI_Op_c2f(nint handle) => FortranHandles.ToFortran<Op>(handle);
    public static nint MPI_Op_f2c(int handle) => FortranHandles.ToC<Op>(handle);
    public static int MPI_Request_c2f(nint handle) => FortranHandles.ToFortran<Request>(handle);
    public static nint MPI_Request_f2c(int handle) => FortranHandles.ToC<Request>(handle);
    public static int MPI_Errhandler_c2f(nint handle) => FortranHandles.ToFortran<Errhandler>(handle);
    public static nint MPI_Errhandler_f2c(int handle) => FortranHandles.ToC<Errhandler>(handle);
    public static int MPI_Info_c2f(nint handle) => FortranHandles.ToFortran<InfoObject>(handle);
    public static nint MPI_Info_f2c(int handle) => FortranHandles.ToC<InfoObject>(handle);
    public static int MPI_Message_c2f(nint handle) => FortranHandles.ToFortran<PendingMessage>(handle);
    public static nint MPI_Message_f2c(int handle) => FortranHandles.ToC<PendingMessage>(handle);

    public static int MPI_File_c2f(nint handle) => FortranHandles.ToFortran<MpiFile>(handle);
    public static nint MPI_File_f2c(int handle) => FortranHandles.ToC<MpiFile>(handle);
    public static int MPI_Win_c2f(nint handle) => FortranHandles.ToFortran<Window>(handle);
    public static nint MPI_Win_f2c(int handle) => FortranHandles.ToC<Window>(handle);

    /// <summary>A Fortran status is the C one, as integers.</summary>
    public static unsafe void MPI_Status_c2f(nint status, int* fortran) => Copy((int*)status, fortran);

    public static unsafe void MPI_Status_f2c(int* fortran, nint status) => Copy(fortran, (int*)status);

    private static unsafe void Copy(int* from, int* to)
    {
        if (MpiAbi.IsStatusIgnored((nint)from) || to == null) throw new MpiException(ErrorClass.Arg, "an ignored status");
        Buffer.MemoryCopy(from, to, MpiAbi.StatusBytes, MpiAbi.StatusBytes);
    }
}

/// <summary>The numbers.</summary>
internal static class FortranHandles
{
    private static readonly string[] s_types =
    [
        "", "byte", "packed", "ub", "lb", "character", "logical", "integer", "integer1", "integer2", "integer4", "integer8", "integer16", "real", "real4", "real8", "real16", "dblprec", "cplex", "complex8", "complex16",
        "complex32", "dblcplex", "2real", "2dblprec", "2integer", "2cplex", "2dblcplex", "real2", "logical1", "logical2", "logical4", "logical8", "wchar", "char", "unsigned_char", "signed_char", "short", "unsigned_short",
        "int", "unsigned", "long", "unsigned_long", "long_long_int", "unsigned_long_long", "float", "double", "long_double", "float_int", "double_int", "longdbl_int", "long_int", "2int", "short_int", "cxx_bool", "cxx_cplex",
        "cxx_dblcplex", "cxx_ldblcplex", "int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "uint64_t", "aint", "offset", "c_bool", "c_float_complex", "c_double_complex", "c_long_double_complex", "count",
    ];

    private static readonly string[] s_ops = ["", "max", "min", "sum", "prod", "land", "band", "lor", "bor", "lxor", "bxor", "maxloc", "minloc", "replace", "no_op"];

    private static readonly Dictionary<(Type, nint), int> s_numbers = [];
    private static readonly Dictionary<(Type, int), nint> s_handles = [];
    private static bool s_made;

    public static int ToFortran<T>(nint raw)
    {
        nint handle = MpiAbi.Handle(raw);
        if (MpiAbi.IsMpich || Handles.IsMade(handle)) return (int)handle;
        Make();
        return s_numbers.TryGetValue((typeof(T), handle), out int number) ? number : -1;
    }

    public static int ToFortran(MpiObject item) => item switch { Datatype => ToFortran<Datatype>(item.Handle), Window => ToFortran<Window>(item.Handle), _ => ToFortran<Comm>(item.Handle) };

    public static nint ToC<T>(int number)
    {
        if (MpiAbi.IsMpich || Handles.IsMade((nint)(uint)number)) return (nint)(uint)number;
        Make();
        return s_handles.TryGetValue((typeof(T), number), out nint handle) ? handle : Handles.Null<T>();
    }

    private static void Make()
    {
        if (s_made) return;
        s_made = true;
        Add<Comm>("ompi_mpi_comm_world", 0);
        Add<Comm>("ompi_mpi_comm_self", 1);
        Add<Comm>("ompi_mpi_comm_null", 2);
        Add<Datatype>("ompi_mpi_datatype_null", 0);
        for (int i = 1; i < s_types.Length; i++) Add<Datatype>("ompi_mpi_" + s_types[i], i);
        Add<Op>("ompi_mpi_op_null", 0);
        for (int i = 1; i < s_ops.Length; i++) Add<Op>("ompi_mpi_op_" + s_ops[i], i);
        Add<Group>("ompi_mpi_group_null", 0);
        Add<Group>("ompi_mpi_group_empty", 1);
        Add<Request>("ompi_request_null", 0);
        Add<Errhandler>("ompi_mpi_errhandler_null", 0);
        Add<Errhandler>("ompi_mpi_errors_are_fatal", 1);
        Add<Errhandler>("ompi_mpi_errors_return", 2);
        Add<InfoObject>("ompi_mpi_info_null", 0);
        Add<InfoObject>("ompi_mpi_info_env", 1);
        Add<MpiFile>("ompi_mpi_file_null", 0);
        Add<Window>("ompi_mpi_win_null", 0);
        Add<PendingMessage>("ompi_message_null", 0);
        Add<PendingMessage>("ompi_message_no_proc", 1);
    }

    private static void Add<T>(string symbol, int number)
    {
        nint handle = MpiAbi.Symbol(symbol);
        if (handle == 0) return;
        s_numbers[(typeof(T), handle)] = number;
        s_handles[(typeof(T), number)] = handle;
    }
}
