using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// A collective call under way: steps that begin messages and wait until all of these are done. It goes on inside any MPI call of the program, blocking or not, so that a
/// blocking collective is its non-blocking one and a wait.
/// </summary>
/// <remarks>Messages of a call have its number as their tag, in a context of the communicator of their own. All ranks run the same algorithm, whatever library is below.</remarks>
internal sealed unsafe class Schedule
{
    private readonly List<Request> _pending = [];
    private readonly List<nint> _memory = [];
    private readonly Comm _comm;
    private readonly int _tag;
    private IEnumerator<bool> _steps = null!;
    private ErrorClass _error;

    private Schedule(Comm comm)
    {
        _comm = comm;
        _tag = comm.NextCollective();
        Result = Request.Take(RequestKind.Schedule);
        Result.Schedule = this;
        Result.Comm = comm;
    }

    /// <summary>Done when the call is.</summary>
    public Request Result { get; }

    public int Rank => _comm.Rank;
    public int Size => _comm.Size;

    /// <summary>Begins a call.</summary>
    /// <param name="steps">each <c>yield return</c> waits until everything begun before is done</param>
    public static Request Begin(Comm comm, Func<Schedule, IEnumerator<bool>> steps)
    {
        Schedule schedule = new(comm);
        Request result = schedule.Result;
        schedule._steps = steps(schedule);
        Messages.Begin(schedule);
        return result;
    }

    /// <summary>A call that is done at once at this rank.</summary>
    public static void Run(Comm comm, Func<Schedule, IEnumerator<bool>> steps) => Wait(Begin(comm, steps));

    /// <exception cref="MpiException">the call has failed</exception>
    private static void Wait(Request result)
    {
        Waiting.Until(result);
        ErrorClass error = result.Status.Error;
        result.Free();
        if (error != ErrorClass.Success) throw new MpiException(error, "a message of the collective call does not fit");
    }

    /// <returns>true: done</returns>
    public bool Advance()
    {
        while (true)
        {
            foreach (Request request in _pending)
                if (!request.IsDone) return false;
            foreach (Request request in _pending)
            {
                if (_error == ErrorClass.Success) _error = request.Status.Error;
                request.Free();
            }
            _pending.Clear();
            bool more;
            try { more = _steps.MoveNext(); }
            catch (MpiException e)
            {
                _error = e.Error;
                more = false;
            }
            if (more) continue;
            foreach (nint memory in _memory) NativeMemory.Free((void*)memory);
            _memory.Clear();
            Result.Status.Error = _error;
            Messages.Finish(Result);
            return true;
        }
    }

    public void Send(int peer, nint buffer, long count, Datatype type) => Begin(RequestKind.Send, peer, buffer, count, type);

    public void Receive(int peer, nint buffer, long count, Datatype type) => Begin(RequestKind.Receive, peer, buffer, count, type);

    private void Begin(RequestKind kind, int peer, nint buffer, long count, Datatype type)
    {
        Request request = Request.Take(kind);
        (request.Mailbox, request.Type, request.Buffer, request.Count, request.Tag) = (_comm.CollectiveMailbox, type, buffer, count, _tag);
        (request.Peer, request.PeerWorld, request.OwnRank) = (peer, _comm.Group.Ranks[peer], Rank);
        _pending.Add(request);
        if (kind == RequestKind.Send) Messages.Send(request);
        else Messages.Receive(request);
    }

    /// <summary>Memory for so many items, until the call ends; the address is where an item with this type's lower bound would be.</summary>
    public nint Allocate(long count, Datatype type)
    {
        long span = type.TrueUpperBound - type.TrueLowerBound + Math.Max(0, count - 1) * Math.Abs(type.Extent);
        nint memory = (nint)NativeMemory.Alloc((nuint)Math.Max(16, span));
        _memory.Add(memory);
        return memory - (nint)type.TrueLowerBound;
    }

    /// <summary>Copies items between places of this process.</summary>
    public static void Copy(nint from, long fromCount, Datatype fromType, nint to, long toCount, Datatype toType)
    {
        long bytes = Math.Min(fromCount * fromType.SizeBytes, toCount * toType.SizeBytes);
        if (bytes == 0 || (from == to && fromType == toType)) return;
        if (fromType.IsContiguous && toType.IsContiguous)
        {
            System.Buffer.MemoryCopy((void*)from, (void*)to, bytes, bytes);
            return;
        }
        byte* packed = (byte*)NativeMemory.Alloc((nuint)bytes);
        new PackCursor(fromType, from).Pack(packed, bytes);
        new PackCursor(toType, to).Unpack(packed, bytes);
        NativeMemory.Free(packed);
    }
}
