using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §8.3: error handlers.</summary>
[LocalExports(typeof(Library), "P")]
internal static class ErrhandlerCalls
{
    public static void MPI_Comm_create_errhandler(nint function, HandlePointer handler) => handler.Value = Handles.Add(new Errhandler(ErrhandlerKind.User) { Function = function });
    public static void MPI_Errhandler_create(nint function, HandlePointer handler) => MPI_Comm_create_errhandler(function, handler);

    public static void MPI_Comm_set_errhandler(Comm comm, Errhandler handler) => comm.Errhandler = handler;
    public static void MPI_Errhandler_set(Comm comm, Errhandler handler) => comm.Errhandler = handler;

    public static void MPI_Comm_get_errhandler(Comm comm, HandlePointer handler) => handler.Value = comm.Errhandler.Handle;
    public static void MPI_Errhandler_get(Comm comm, HandlePointer handler) => handler.Value = comm.Errhandler.Handle;

    /// <summary>Its communicators keep it.</summary>
    public static void MPI_Errhandler_free(HandlePointer handler)
    {
        Errhandler.From(handler.Value);
        handler.Value = Handles.Null<Errhandler>();
    }

    public static void MPI_Comm_call_errhandler(Comm comm, int code) => Library.Raise(MpiAbi.ErrorOf(code), comm, "called by the program");
}
