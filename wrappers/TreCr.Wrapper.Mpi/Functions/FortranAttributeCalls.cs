using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// Routines of Fortran that Open MPI's Fortran library carries out inside its own objects, which ours are not. All others of it call C's functions and come here by themselves.
/// With MPICH these are the same calls.
/// </summary>
/// <remarks>Found by disassembling libmpi_mpifh.so.40 of Open MPI 4.1.4: what it reads or writes behind a handle.</remarks>
[LocalExports(typeof(Library), "", Fortran = true)]
internal static unsafe class FortranAttributeCalls
{
    /// <summary>MPI-1's: default integers.</summary>
    public static void mpi_attr_get(int* comm, int* key, int* value, int* flag)
    {
        *flag = AttributeCalls.TryGetNumber(Comm.From(FortranHandles.ToC<Comm>(*comm)), *key, out nint number) ? 1 : 0;
        if (*flag != 0) *value = (int)number;
    }

    public static void mpi_comm_get_attr(int* comm, int* key, nint* value, int* flag)
    {
        *flag = AttributeCalls.TryGetNumber(Comm.From(FortranHandles.ToC<Comm>(*comm)), *key, out nint number) ? 1 : 0;
        if (*flag != 0) *value = number;
    }

    public static void mpi_type_get_attr(int* type, int* key, nint* value, int* flag)
    {
        Keyval.Of(*key);
        *flag = Datatype.From(FortranHandles.ToC<Datatype>(*type)).Attributes.TryGetNumber(*key, out nint number) ? 1 : 0;
        if (*flag != 0) *value = number;
    }

    public static void mpi_win_get_attr(int* window, int* key, nint* value, int* flag)
    {
        Window of = Window.From(FortranHandles.ToC<Window>(*window));
        *flag = 1;
        if (of.Attributes.TryGetNumber(*key, out *value)) return;
        int known = MpiAbi.KeyOfC(*key);
        // The base is an address; of the others C gets that of a number, of which the size is a long one.
        int which = MpiAbi.IsMpich ? (known - FirstOfMpich) / 2 : known - FirstOfOpenMpi;
        if (of.Predefined(known) is { } place) *value = which switch { 0 => place, 1 => *(nint*)place, _ => *(int*)place };
        else
        {
            Keyval.Of(*key);
            *flag = 0;
        }
    }

    /// <summary>MPI_WIN_BASE; SIZE, DISP_UNIT and others follow.</summary>
    private const int FirstOfMpich = 0x66000001, FirstOfOpenMpi = 7;

    public static void mpi_type_match_size(int* kind, int* bytes, int* type) => *type = FortranHandles.ToFortran<Datatype>(DatatypeCalls.Matching(*kind, *bytes));

    public static void mpi_op_create(delegate* unmanaged[Cdecl]<void*, void*, int*, void*, void> function, int* commutes, int* op)
        => *op = FortranHandles.ToFortran<Op>(Handles.Add(new Op { Kind = OpKind.User, Function = function, IsCommutative = *commutes != 0, IsFortran = true }));

    public static void mpi_grequest_start(nint query, nint free, nint cancel, nint* extraState, int* request)
        => *request = FortranHandles.ToFortran<Request>(GeneralizedCalls.Start(new GeneralizedRequest(query, free, cancel, *extraState) { IsFortran = true }));
}

/// <summary>What Open MPI's Fortran library calls inside its C library. Source: its attribute.h and errhandler.h.</summary>
[LocalExports(typeof(Library), "")]
internal static unsafe class OpenMpiInternals
{
    private const int OfComm = 1, OfType = 2, OfWindow = 3;

    public static void ompi_attr_create_keyval_fint(int kind, nint copy, nint delete, int* key, int extraState, int flags, nint bindings) => *key = Keyval.Create(copy, delete, extraState, KeyvalCalls.FortranInt);

    public static void ompi_attr_create_keyval_aint(int kind, nint copy, nint delete, int* key, nint extraState, int flags, nint bindings) => *key = Keyval.Create(copy, delete, extraState, KeyvalCalls.FortranAint);

    public static void ompi_attr_set_fint(int kind, nint owner, nint table, int key, int value, int predefined) => Set(kind, owner, key, value, AttributeKind.Int);

    public static void ompi_attr_set_aint(int kind, nint owner, nint table, int key, nint value, int predefined) => Set(kind, owner, key, value, AttributeKind.Aint);

    private static void Set(int kind, nint owner, int key, nint value, AttributeKind how)
    {
        if (kind == OfComm && Comm.From(owner) is var comm) comm.Attributes.Set(comm, key, value, how);
        else if (kind == OfType && Datatype.From(owner) is var type) type.Attributes.Set(type, key, value, how);
        else if (kind == OfWindow && Window.From(owner) is var window) window.Attributes.Set(window, key, value, how);
    }

    public static nint ompi_errhandler_create(int kind, nint function, int language) => Handles.Add(new Errhandler(ErrhandlerKind.User) { Function = function, IsFortran = true });
}

/// <summary>What MPICH's Fortran library calls inside its C library. Source: mpir_attr_generic.h of MPICH 4.0.</summary>
[LocalExports(typeof(Library), "")]
internal static unsafe class MpichInternals
{
    public static void MPII_Comm_set_attr(Comm comm, int key, nint value, int kind) => comm.Attributes.Set(comm, key, value, (AttributeKind)kind);

    public static void MPII_Type_set_attr(Datatype type, int key, nint value, int kind) => type.Attributes.Set(type, key, value, (AttributeKind)kind);

    public static void MPII_Comm_get_attr(Comm comm, int key, nint value, int* flag, int kind)
    {
        if (kind == (int)AttributeKind.Pointer) AttributeCalls.MPI_Comm_get_attr(comm, key, (nint*)value, flag);
        else Write(AttributeCalls.TryGetNumber(comm, key, out nint number), number, value, flag, kind);
    }

    public static void MPII_Type_get_attr(Datatype type, int key, nint value, int* flag, int kind)
    {
        if (kind == (int)AttributeKind.Pointer) AttributeCalls.MPI_Type_get_attr(type, key, (nint*)value, flag);
        else Write(type.Attributes.TryGetNumber(key, out nint number), number, value, flag, kind);
    }

    public static void MPII_Win_set_attr(Window window, int key, nint value, int kind) => window.Attributes.Set(window, key, value, (AttributeKind)kind);

    public static void MPII_Win_get_attr(Window window, int key, nint value, int* flag, int kind)
    {
        if (kind == (int)AttributeKind.Pointer) WindowCalls.MPI_Win_get_attr(window, key, (nint*)value, flag);
        else
        {
            int handle = FortranHandles.ToFortran(window);
            nint number = 0;
            FortranAttributeCalls.mpi_win_get_attr(&handle, &key, &number, flag);
            Write(*flag != 0, number, value, flag, kind);
        }
    }

    private static void Write(bool found, nint number, nint value, int* flag, int kind)
    {
        *flag = found ? 1 : 0;
        if (!found) return;
        if (kind == (int)AttributeKind.Int) *(int*)value = (int)number;
        else *(nint*)value = number;
    }

    public static void MPII_Keyval_set_proxy(int key, nint copy, nint delete)
    {
        Keyval keyval = Keyval.Of(key);
        (keyval.CopyProxy, keyval.DeleteProxy) = (copy, delete);
    }

    public static void MPII_Grequest_set_lang_f77(nint request) => GeneralizedCalls.Of(request).IsFortran = true;
}
