using System.Runtime.InteropServices;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// A collective call under way: steps that begin messages and wait until all of these are done. It goes on inside any MPI call of the program, blocking or not, so that a
/// blocking collective is its non-blocking one and a wait.
/// </summary>
/// <remarks>Messages of a call have its number as their tag, in a context of the communicator of their own. All ranks run the same algorithm, whatever library is below.</remarks>
internal sealed unsafe class Schedule
{
    private readonly List<Request> _pending;
    private readonly List<nint> _memory;
    private readonly Mailbox _mailbox;
    private readonly Group _peers;
    private readonly Comm _comm;
    private readonly int _tag;
    private IEnumerator<bool> _steps = null!;
    private Request? _answer;
    private ErrorClass _error;

    private Schedule(Comm comm, Request result, int tag)
    {
        (_pending, _memory) = ([], []);
        (_comm, _mailbox, _peers, _tag) = (comm, comm.CollectiveMailbox, comm.Peers, tag);
        Result = result;
        (result.Schedule, result.Comm, result.IsDone) = (this, comm, false);
    }

    /// <summary>The part of an intercommunicator's call that stays in the local group: its messages are of the local communicator's other context.</summary>
    private Schedule(Schedule whole)
    {
        (_pending, _memory) = (whole._pending, whole._memory);
        _comm = whole._comm.Local!;
        (_mailbox, _peers, _tag, Result) = (_comm.Mailbox, _comm.Group, whole._tag, whole.Result);
    }

    /// <summary>Done when the call is.</summary>
    public Request Result { get; }

    public int Rank => _comm.Rank;

    /// <summary>Of the own group.</summary>
    public int Size => _comm.Size;

    /// <summary>Of the group that messages go to: another one with an intercommunicator.</summary>
    public int PeerSize => _peers.Size;

    /// <summary>The same call among the own group of an intercommunicator.</summary>
    public Schedule Local => field ??= new Schedule(this);

    /// <summary>Begins a call.</summary>
    /// <param name="steps">each <c>yield return</c> waits until everything begun before is done</param>
    public static Request Begin(Comm comm, Func<Schedule, IEnumerator<bool>> steps) => Begin(comm, steps, Request.Take(RequestKind.Schedule), comm.NextCollective());

    /// <param name="result">taken</param><param name="tag">of its messages: the same at all members, and of no other call that is under way</param>
    public static Request Begin(Comm comm, Func<Schedule, IEnumerator<bool>> steps, Request result, int tag)
    {
        Schedule schedule = new(comm, result, tag);
        schedule._steps = steps(schedule);
        Messages.Begin(schedule);
        return result;
    }

    /// <summary>A call that is done when this returns.</summary>
    public static void Run(Comm comm, Func<Schedule, IEnumerator<bool>> steps) => Wait(Begin(comm, steps));

    /// <inheritdoc cref="Run(Comm, Func{Schedule, IEnumerator{bool}})"/>
    public static void Run(Comm comm, Func<Schedule, IEnumerator<bool>> steps, int tag) => Wait(Begin(comm, steps, Request.Take(RequestKind.Schedule), tag));

    /// <exception cref="MpiException">the call has failed</exception>
    private static void Wait(Request result)
    {
        Waiting.Until(result);
        ErrorClass error = result.Status.Error;
        result.Free();
        if (error != ErrorClass.Success) throw new MpiException(error, "a message of the collective call is longer than its buffer, or the operation is not defined for the type");
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
                if (request == _answer) Result.Status = request.Status;
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
        (request.Mailbox, request.Type, request.Buffer, request.Count, request.Tag) = (_mailbox, type, buffer, count, _tag);
        (request.Peer, request.PeerWorld, request.OwnRank) = (peer, _peers.Ranks[peer], Rank);
        Begin(request);
    }

    /// <summary>Begins a message of the program's own as one of the step.</summary>
    /// <param name="isAnswer">its status is the call's</param>
    public void Begin(Request message, bool isAnswer = false)
    {
        _pending.Add(message);
        if (isAnswer) _answer = message;
        if (message.Kind == RequestKind.Send) Messages.Send(message);
        else Messages.Receive(message);
    }

    /// <summary>Memory for so many items, until the call ends; the address is the first item's.</summary>
    public nint Allocate(long count, Datatype type)
    {
        nint memory = (nint)NativeMemory.Alloc((nuint)Math.Max(16, type.SpanBytes(count)));
        _memory.Add(memory);
        return memory - (nint)type.LowestByte(count);
    }

    /// <summary>Where a reduction computes: in the target itself, or, where that is a device's memory, beside it.</summary>
    public nint Workplace(nint target, long count, Datatype type) => DeviceMemory.Contains((void*)target) ? Allocate(count, type) : target;

    /// <summary>Copies items between places of this process.</summary>
    public static void Copy(nint from, long fromCount, Datatype fromType, nint to, long toCount, Datatype toType)
    {
        long bytes = Math.Min(fromCount * fromType.SizeBytes, toCount * toType.SizeBytes);
        if (bytes == 0 || (from == to && fromType == toType)) return;
        if (fromType.IsContiguous && toType.IsContiguous && !DeviceMemory.Contains((void*)from) && !DeviceMemory.Contains((void*)to))
        {
            System.Buffer.MemoryCopy((void*)from, (void*)to, bytes, bytes);
            return;
        }
        byte* packed = (byte*)NativeMemory.Alloc((nuint)bytes);
        try
        {
            new PackCursor(fromType, from).Pack(packed, bytes);
            new PackCursor(toType, to).Unpack(packed, bytes);
        }
        finally { NativeMemory.Free(packed); }
    }
}
