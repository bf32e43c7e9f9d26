using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>What every call does first and last: one thread at a time where the program may use several, and errors through its handlers.</summary>
internal static class Library
{
    private static readonly object s_lock = new();
    [ThreadStatic] private static string? t_call;

    /// <summary>Threads may call at the same time (MPI_THREAD_MULTIPLE).</summary>
    public static bool IsMultiple { get; set; }

    public static LibraryState State { get; set; }

    /// <summary>Where and as whom calls may be made before MPI_Init and after MPI_Finalize.</summary>
    private static bool IsAlwaysAllowed(string call) => call is "MPI_Init" or "MPI_Init_thread" or "MPI_Initialized" or "MPI_Finalized" or "MPI_Get_version" or "MPI_Get_library_version" or "MPI_Abort"
        || call is "MPI_Session_init" or "MPI_Session_create_errhandler" or "MPI_Errhandler_free" || call.StartsWith("MPI_Info_", StringComparison.Ordinal);

    public static void Enter(string call)
    {
        if (IsMultiple) Monitor.Enter(s_lock);
        t_call = call;
        if (State != LibraryState.Running && !IsAlwaysAllowed(call))
        {
            StandardError.Write("trecr: "u8, $"{call} was called {(State == LibraryState.None ? "before MPI_Init" : "after MPI_Finalize")}");
            Environment.Exit(1);
        }
        if (State == LibraryState.None) Lifetime.DefineFirst();
    }

    public static void Leave()
    {
        if (IsMultiple && Monitor.IsEntered(s_lock)) Monitor.Exit(s_lock);
    }

    /// <summary>From now on a thread of ours calls as well; the calling one holds the lock until its call ends.</summary>
    public static void BecomeMultiple()
    {
        if (IsMultiple) return;
        Monitor.Enter(s_lock);
        IsMultiple = true;
    }

    /// <summary>Runs something between the program's calls.</summary>
    public static void Between(Action act)
    {
        lock (s_lock) act();
    }

    /// <summary>Lets other threads in for a moment.</summary>
    public static void Yield()
    {
        if (!IsMultiple) return;
        int depth = Release();
        Thread.Yield();
        TakeBack(depth);
    }

    public static void Sleep(long timeoutNs)
    {
        int depth = IsMultiple ? Release() : 0;
        Transport.Sleep(timeoutNs);
        TakeBack(depth);
    }

    private static int Release()
    {
        int depth = 0;
        for (; Monitor.IsEntered(s_lock); depth++) Monitor.Exit(s_lock);
        return depth;
    }

    private static void TakeBack(int depth)
    {
        for (; depth > 0; depth--) Monitor.Enter(s_lock);
    }

    /// <summary>A call has failed: what the error handler of its communicator, window or file says.</summary>
    /// <returns>code in the program's numbers</returns>
    public static int Failed(Exception e, ErrorOwner? owner)
    {
        ErrorClass error = e is MpiException known ? known.Error : ErrorClass.Intern;
        if (e is not MpiException) StandardError.Write("trecr: MPI: "u8, $"{t_call}: {e.GetType().Name}: {e.Message}");
        return Raise(error, (e as MpiException)?.Owner ?? owner, e.Message);
    }

    /// <summary>A function that is not supported: said by name, once each, and answered with MPI_ERR_UNSUPPORTED_OPERATION through MPI_COMM_WORLD's error handler.</summary>
    public static int NotSupported(string call)
    {
        NoteNotSupported(call);
        t_call = call;
        return Raise(ErrorClass.UnsupportedOperation, null, "not supported by this version of TreCr");
    }

    /// <summary>Says it, once each.</summary>
    public static void NoteNotSupported(string what)
    {
        lock (s_lock)
            if (s_refused.Add(what)) StandardError.Write("trecr: MPI: "u8, $"{what} is not supported by this version of TreCr");
    }

    private static readonly HashSet<string> s_refused = [];

    /// <summary>Calls the error handler.</summary>
    public static int Raise(ErrorClass error, ErrorOwner? owner, string message)
    {
        int code = MpiAbi.Error(error);
        owner ??= State == LibraryState.Running ? Comm.World : null;
        Errhandler handler = owner?.Errhandler ?? Errhandler.Fatal;
        switch (handler.Kind)
        {
            case ErrhandlerKind.Return: return code;
            case ErrhandlerKind.User:
                handler.Call(owner!, code);
                return code;
            default:
                StandardError.Write("trecr: MPI: "u8, $"rank {Rankings.World}: {t_call}: {ErrorTexts.Of(error)} ({message}): MPI_ERRORS_ARE_FATAL, the job is aborted");
                Lifetime.Abort(code == 0 ? 1 : code);
                return code;
        }
    }
}

internal enum LibraryState { None, Running, Finalized }
