using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §12.2: requests for what the program does itself.</summary>
[LocalExports(typeof(Library), "P")]
internal static class GeneralizedCalls
{
    public static void MPI_Grequest_start(nint query, nint free, nint cancel, nint extraState, HandlePointer request) => request.Value = Start(new GeneralizedRequest(query, free, cancel, extraState));

    /// <returns>handle</returns>
    internal static nint Start(GeneralizedRequest functions)
    {
        Request made = Request.Take(RequestKind.Generalized);
        made.Generalized = functions;
        return made.Handle;
    }

    internal static GeneralizedRequest Of(nint request) => Request.Of(request)?.Generalized ?? throw new MpiException(ErrorClass.Request, "not a generalized request");

    public static void MPI_Grequest_complete(nint request)
    {
        GeneralizedRequest functions = Of(request);
        Request completed = Request.Of(request)!;
        bool isDetached = completed.IsDetached;
        Messages.Finish(completed);
        if (isDetached) functions.Free();
    }
}

/// <summary>The program's functions for such a request.</summary>
internal sealed unsafe class GeneralizedRequest(nint query, nint free, nint cancel, nint extraState)
{
    /// <summary>They take references, and one more argument for the error.</summary>
    public bool IsFortran { get; set; }

    /// <summary>What the program says of it: the status, and an error of its own.</summary>
    public MessageStatus Query()
    {
        const int MostWords = 8;
        int* words = stackalloc int[MostWords];
        new Span<int>(words, MostWords).Clear();
        StatusPointer status = StatusPointer.From((nint)words);
        status.Set(MessageStatus.Empty);
        int error = 0;
        nint extra = extraState;
        if (IsFortran) ((delegate* unmanaged[Cdecl]<nint*, int*, int*, void>)query)(&extra, words, &error);
        else error = ((delegate* unmanaged[Cdecl]<nint, int*, int>)query)(extraState, words);
        MessageStatus said = status.Get();
        said.Error = MpiAbi.ErrorOf(error);
        return said;
    }

    public void Free()
    {
        int error = 0;
        nint extra = extraState;
        if (IsFortran) ((delegate* unmanaged[Cdecl]<nint*, int*, void>)free)(&extra, &error);
        else error = ((delegate* unmanaged[Cdecl]<nint, int>)free)(extraState);
        if (error != 0) throw new MpiException(MpiAbi.ErrorOf(error), "the function that frees a generalized request failed");
    }

    public void Cancel(bool isComplete)
    {
        int error = 0, flag = isComplete ? 1 : 0;
        nint extra = extraState;
        if (IsFortran) ((delegate* unmanaged[Cdecl]<nint*, int*, int*, void>)cancel)(&extra, &flag, &error);
        else error = ((delegate* unmanaged[Cdecl]<nint, int, int>)cancel)(extraState, flag);
        if (error != 0) throw new MpiException(MpiAbi.ErrorOf(error), "the function that cancels a generalized request failed");
    }
}
