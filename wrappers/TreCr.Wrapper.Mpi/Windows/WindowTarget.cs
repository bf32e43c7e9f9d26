using System.Runtime.InteropServices;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>This rank as the target of calls: carries them out in the order of each origin, keeps the window's lock, and counts what origins have told.</summary>
/// <remarks>Runs in any MPI call of the program or in the progress thread, always under the library's lock: calls are atomic among each other.</remarks>
internal sealed unsafe class WindowTarget
{
    private readonly Window _window;
    private readonly Queue<Incoming>[] _incoming;
    private readonly ErrorClass[] _errors;
    private readonly Queue<(int Source, bool Exclusive, int Reply)> _waiting = new();
    private int _sharers;
    private bool _isExclusive;

    public WindowTarget(Window window)
    {
        _window = window;
        int size = window.Comm.Size;
        (Posts, Completes, _errors, _incoming) = (new int[size], new int[size], new ErrorClass[size], new Queue<Incoming>[size]);
        for (int i = 0; i < size; i++) _incoming[i] = new();
    }

    /// <summary>Exposures (MPI_Win_post) by rank that this rank has not used yet.</summary>
    public int[] Posts { get; }

    /// <summary>Ends of accesses (MPI_Win_complete) by rank that this rank has not waited for yet.</summary>
    public int[] Completes { get; }

    /// <summary>Ranks of the exposure epoch; null: none.</summary>
    public int[]? Exposed { get; set; }

    /// <summary>A call whose bytes are here, or under way.</summary>
    private sealed class Incoming
    {
        public nint Memory;
        public long Bytes;
        public bool IsHere;
    }

    /// <summary>A message has arrived.</summary>
    public void Take(Arrival arrival)
    {
        Incoming incoming = new() { Memory = arrival.Bytes, Bytes = arrival.LengthBytes, IsHere = arrival.Bytes != 0 };
        _incoming[arrival.Source].Enqueue(incoming);
        if (!incoming.IsHere)
        {
            incoming.Memory = (nint)NativeMemory.Alloc((nuint)arrival.LengthBytes);
            Request receive = Request.Take(RequestKind.Receive);
            (receive.Type, receive.Buffer, receive.Count, receive.LengthBytes, receive.IsDetached) = (PredefinedTypes.Byte, incoming.Memory, arrival.LengthBytes, arrival.LengthBytes, true);
            receive.Cursor = new PackCursor(receive.Type, receive.Buffer);
            receive.Completed = _ =>
            {
                incoming.IsHere = true;
                CarryOut(arrival.Source);
            };
            Messages.Accept(receive, arrival);
        }
        CarryOut(arrival.Source);
    }

    private void CarryOut(int source)
    {
        Queue<Incoming> queue = _incoming[source];
        while (queue.TryPeek(out Incoming? first) && first.IsHere)
        {
            queue.Dequeue();
            CarryOut(source, (RemoteCall*)first.Memory, first.Bytes);
            NativeMemory.Free((void*)first.Memory);
        }
    }

    private void CarryOut(int source, RemoteCall* call, long bytes)
    {
        switch (call->Kind)
        {
            case RemoteCallKind.Flush: AnswerError(source, call->Reply); break;
            case RemoteCallKind.Post: Posts[source]++; break;
            case RemoteCallKind.Complete: Completes[source]++; break;
            case RemoteCallKind.LockShared or RemoteCallKind.LockExclusive:
                _waiting.Enqueue((source, call->Kind == RemoteCallKind.LockExclusive, call->Reply));
                Grant();
                break;
            case RemoteCallKind.Unlock:
                if (_isExclusive) _isExclusive = false;
                else _sharers--;
                AnswerError(source, call->Reply);
                Grant();
                break;
            default: Access(source, call, (byte*)call + call->PayloadOffset, bytes - call->PayloadOffset); break;
        }
    }

    /// <summary>Gives the lock to those who wait, in their order.</summary>
    private void Grant()
    {
        while (_waiting.TryPeek(out var next) && !_isExclusive && (!next.Exclusive || _sharers == 0))
        {
            _waiting.Dequeue();
            if (next.Exclusive) _isExclusive = true;
            else _sharers++;
            AnswerError(next.Source, next.Reply);
        }
    }

    private void AnswerError(int source, int reply)
    {
        int* memory = (int*)NativeMemory.Alloc(4);
        *memory = (int)_errors[source];
        _errors[source] = ErrorClass.Success;
        _window.Answer(source, reply, (nint)memory, 4);
    }

    private void Access(int source, RemoteCall* call, byte* payload, long payloadBytes)
    {
        Datatype type = RemoteMessage.TypeOf(call);
        long bytes = call->Count * type.SizeBytes;
        nint at = _window.Flavor == WindowFlavor.Dynamic ? (nint)call->Displacement : _window.Start + (nint)(call->Displacement * _window.Unit);
        ErrorClass error = Covers(at, call->Count, type) ? ErrorClass.Success : ErrorClass.RmaRange;
        bool answers = call->Kind is RemoteCallKind.Get or RemoteCallKind.GetAccumulate or RemoteCallKind.CompareAndSwap;
        byte* before = answers ? (byte*)NativeMemory.AllocZeroed((nuint)Math.Max(1, bytes)) : null;
        if (error == ErrorClass.Success)
            try
            {
                if (answers) new PackCursor(type, at).Pack(before, bytes);
                error = Change(call, type, at, payload, Math.Min(bytes, payloadBytes), before);
            }
            catch (MpiException e) { error = e.Error; }
        if (error != ErrorClass.Success && _errors[source] == ErrorClass.Success) _errors[source] = error;
        if (answers) _window.Answer(source, call->Reply, (nint)before, bytes);
    }

    private static ErrorClass Change(RemoteCall* call, Datatype type, nint at, byte* payload, long bytes, byte* before)
    {
        switch (call->Kind)
        {
            case RemoteCallKind.Put: new PackCursor(type, at).Unpack(payload, bytes); break;
            case RemoteCallKind.CompareAndSwap:
                if (new ReadOnlySpan<byte>(before, (int)type.SizeBytes).SequenceEqual(new ReadOnlySpan<byte>(payload + type.SizeBytes, (int)type.SizeBytes))) new PackCursor(type, at).Unpack(payload, type.SizeBytes);
                break;
            case RemoteCallKind.Accumulate or RemoteCallKind.GetAccumulate when call->Op != OpKind.NoOp && bytes > 0: return Accumulate(call->Op, type, at, payload, bytes);
        }
        return ErrorClass.Success;
    }

    private static ErrorClass Accumulate(OpKind op, Datatype type, nint at, byte* payload, long bytes)
    {
        if (op == OpKind.Replace)
        {
            new PackCursor(type, at).Unpack(payload, bytes);
            return ErrorClass.Success;
        }
        long count = bytes / type.SizeBytes;
        if (DeviceMemory.Contains((void*)at))
        {
            using LaidOut target = new(count, type);
            Schedule.Copy(at, count, type, target.First, count, type);
            ErrorClass error = Accumulate(op, type, target.First, payload, bytes);
            Schedule.Copy(target.First, count, type, at, count, type);
            return error;
        }
        if (type.IsContiguous) return Reduction.Run(op, type, payload, (byte*)at, count) ? ErrorClass.Success : ErrorClass.Op;
        // The operation wants both sides laid out alike.
        using LaidOut given = new(count, type);
        new PackCursor(type, given.First).Unpack(payload, bytes);
        return Reduction.Run(op, type, (byte*)given.First, (byte*)at, count) ? ErrorClass.Success : ErrorClass.Op;
    }

    private bool Covers(nint at, long count, Datatype type)
    {
        if (_window.Flavor != WindowFlavor.Dynamic) return Window.Fits(at - _window.Start, count, type, _window.SizeBytes);
        foreach (var (start, bytes) in _window.Attached)
            if (Window.Fits(at - start, count, type, bytes)) return true;
        return count == 0;
    }
}
