using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §3.7.3 to §3.7.5: completion.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class RequestCalls
{
    private static bool IsActive(Request r) => !r.IsPersistent || r.IsActive;

    /// <summary>The program has the result: the handle becomes null, or the persistent request inactive.</summary>
    private static ErrorClass Deliver(Request r, HandlePointer requests, int index, StatusPointer status)
    {
        GeneralizedRequest? functions = r.Generalized;
        if (functions is not null) r.Status = functions.Query();
        ErrorClass error = r.Status.Error;
        status.Set(r.Status);
        if (r.IsPersistent) r.IsActive = false;
        else
        {
            r.Free();
            requests[index] = Handles.Null<Request>();
            functions?.Free();
        }
        return error;
    }

    /// <summary>One request is done: its communicator's error handler hears of what went wrong.</summary>
    private static void DeliverOnly(Request r, HandlePointer requests, int index, StatusPointer status)
    {
        Comm? comm = r.Comm;
        ErrorClass error = Deliver(r, requests, index, status);
        if (error != ErrorClass.Success) throw new MpiException(error, Why, comm);
    }

    private const string Why = "a message is longer than its buffer, or a function of the program failed";

    public static void MPI_Wait(HandlePointer request, StatusPointer status)
    {
        Request? r = Request.Of(request.Value);
        if (r is null || !IsActive(r))
        {
            status.Set(MessageStatus.Empty);
            return;
        }
        Waiting.Until(r);
        DeliverOnly(r, request, 0, status);
    }

    public static void MPI_Test(HandlePointer request, int* flag, StatusPointer status)
    {
        Request? r = Request.Of(request.Value);
        *flag = 1;
        if (r is null || !IsActive(r))
        {
            status.Set(MessageStatus.Empty);
            return;
        }
        if (!r.IsDone) Messages.Progress();
        if (r.IsDone) DeliverOnly(r, request, 0, status);
        else
        {
            *flag = 0;
            Idle.Turn();
        }
    }

    public static void MPI_Request_get_status(nint request, int* flag, StatusPointer status)
    {
        Request? r = Request.Of(request);
        if (r is not null && !r.IsDone) Messages.Progress();
        *flag = r is null || !IsActive(r) || r.IsDone ? 1 : 0;
        if (*flag != 0) status.Set(r is null || !IsActive(r) ? MessageStatus.Empty : r.Generalized?.Query() ?? r.Status);
    }

    private static Request?[] Live(int count, HandlePointer requests)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        Request?[] live = new Request?[count];
        for (int i = 0; i < count; i++)
        {
            Request? r = Request.Of(requests[i]);
            live[i] = r is not null && IsActive(r) ? r : null;
        }
        return live;
    }

    public static void MPI_Waitall(int count, HandlePointer requests, StatusPointer statuses)
    {
        Request?[] live = Live(count, requests);
        Waiting.Until(static all => Array.TrueForAll(all, r => r is null || r.IsDone), live);
        DeliverAll(live, requests, statuses);
    }

    public static void MPI_Testall(int count, HandlePointer requests, int* flag, StatusPointer statuses)
    {
        Request?[] live = Live(count, requests);
        Messages.Progress();
        *flag = Array.TrueForAll(live, r => r is null || r.IsDone) ? 1 : 0;
        if (*flag != 0) DeliverAll(live, requests, statuses);
        else Idle.Turn();
    }

    private static void DeliverAll(Request?[] live, HandlePointer requests, StatusPointer statuses)
    {
        Comm? failed = null;
        for (int i = 0; i < live.Length; i++)
        {
            StatusPointer status = statuses.At(i);
            ErrorClass error = ErrorClass.Success;
            Comm? comm = live[i]?.Comm;
            if (live[i] is { } r) error = Deliver(r, requests, i, status);
            else status.Set(MessageStatus.Empty);
            status.SetError(error);
            if (error != ErrorClass.Success) failed ??= comm ?? Comm.World;
        }
        if (failed is not null) throw new MpiException(ErrorClass.InStatus, Why, failed);
    }

    private static int FindDone(Request?[] live)
    {
        bool any = false;
        for (int i = 0; i < live.Length; i++)
        {
            if (live[i] is not { } r) continue;
            any = true;
            if (r.IsDone) return i;
        }
        return any ? -1 : MpiAbi.Undefined;
    }

    public static void MPI_Waitany(int count, HandlePointer requests, int* index, StatusPointer status)
    {
        Request?[] live = Live(count, requests);
        Waiting.Until(static all => FindDone(all) != -1, live);
        *index = FindDone(live);
        if (*index == MpiAbi.Undefined) status.Set(MessageStatus.Empty);
        else DeliverOnly(live[*index]!, requests, *index, status);
    }

    public static void MPI_Testany(int count, HandlePointer requests, int* index, int* flag, StatusPointer status)
    {
        Request?[] live = Live(count, requests);
        Messages.Progress();
        int found = FindDone(live);
        *flag = found == -1 ? 0 : 1;
        *index = found < 0 ? MpiAbi.Undefined : found;
        if (found >= 0) DeliverOnly(live[found]!, requests, found, status);
        else if (found == MpiAbi.Undefined) status.Set(MessageStatus.Empty);
        else Idle.Turn();
    }

    public static void MPI_Waitsome(int count, HandlePointer requests, int* done, int* indexes, StatusPointer statuses)
    {
        Request?[] live = Live(count, requests);
        Waiting.Until(static all => FindDone(all) != -1, live);
        DeliverSome(live, requests, done, indexes, statuses);
    }

    public static void MPI_Testsome(int count, HandlePointer requests, int* done, int* indexes, StatusPointer statuses)
    {
        Request?[] live = Live(count, requests);
        Messages.Progress();
        DeliverSome(live, requests, done, indexes, statuses);
        if (*done == 0) Idle.Turn();
    }

    private static void DeliverSome(Request?[] live, HandlePointer requests, int* done, int* indexes, StatusPointer statuses)
    {
        int n = 0;
        Comm? failed = null;
        for (int i = 0; i < live.Length; i++)
        {
            if (live[i] is not { IsDone: true } r) continue;
            StatusPointer status = statuses.At(n);
            Comm? comm = r.Comm;
            ErrorClass error = Deliver(r, requests, i, status);
            status.SetError(error);
            if (error != ErrorClass.Success) failed ??= comm ?? Comm.World;
            indexes[n++] = i;
        }
        *done = n == 0 && Array.TrueForAll(live, r => r is null) ? MpiAbi.Undefined : n;
        if (failed is not null) throw new MpiException(ErrorClass.InStatus, Why, failed);
    }

    public static void MPI_Request_free(HandlePointer request)
    {
        Request r = Request.Of(request.Value) ?? throw new MpiException(ErrorClass.Request, "MPI_REQUEST_NULL");
        GeneralizedRequest? functions = r.Generalized;
        bool isOver = r.IsDone || !IsActive(r);
        if (isOver) r.Free();
        else r.IsDetached = true;
        request.Value = Handles.Null<Request>();
        if (isOver) functions?.Free();
    }

    /// <summary>A receive that has not been matched, and a send whose envelope has not left: of others nothing is cancelled.</summary>
    public static void MPI_Cancel(HandlePointer request)
    {
        Request r = Request.Of(request.Value) ?? throw new MpiException(ErrorClass.Request, "MPI_REQUEST_NULL");
        if (r.Generalized is { } functions)
        {
            functions.Cancel(r.IsDone);
            return;
        }
        if (r.IsDone || !IsActive(r)) return;
        if (r.Kind == RequestKind.Receive ? !r.Mailbox.TryRemovePosted(r) : r.Kind != RequestKind.Send || !Messages.TryCancelSend(r)) return;
        r.Status = MessageStatus.Empty;
        r.Status.IsCancelled = true;
        Messages.Finish(r);
    }
}
