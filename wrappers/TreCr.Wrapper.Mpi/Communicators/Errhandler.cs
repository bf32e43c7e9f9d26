namespace TreCr.Wrapper.Mpi;

/// <summary>What happens when a call fails.</summary>
internal sealed unsafe class Errhandler(ErrhandlerKind kind) : MpiObject
{
    public ErrhandlerKind Kind => kind;

    /// <summary>void f(MPI_Comm* comm, int* code, ...).</summary>
    public nint Function { get; init; }

    /// <summary>It takes a handle as Fortran has it.</summary>
    public bool IsFortran { get; init; }

    public static Errhandler Fatal { get; } = new(ErrhandlerKind.Fatal);
    public static Errhandler Return { get; } = new(ErrhandlerKind.Return);

    public static Errhandler From(nint raw) => Handles.Get<Errhandler>(raw, ErrorClass.Arg);

    public static void Define()
    {
        Handles.PredefineNull<Errhandler>("ompi_mpi_errhandler_null", 0x14000000);
        Handles.Predefine(Fatal, "ompi_mpi_errors_are_fatal", 0x54000000);
        Handles.Predefine(Return, "ompi_mpi_errors_return", 0x54000001);
    }

    /// <summary>Calls the program's function. With the three words of a variadic call.</summary>
    public void Call(ErrorOwner owner, int code)
    {
        nint handle = IsFortran ? FortranHandles.ToFortran(owner) : owner.Handle;
        int word = code;
        ((delegate* unmanaged[Cdecl]<nint*, int*, nint, void>)Function)(&handle, &word, 0);
    }
}

internal enum ErrhandlerKind { Fatal, Return, User }
