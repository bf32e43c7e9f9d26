using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>How a window's memory came about; the numbers of both headers.</summary>
internal enum WindowFlavor { Create = 1, Allocate, Dynamic, Shared }

/// <summary>
/// Memory that other ranks access: a communicator of its own, what each rank has opened, and this rank's access and exposure epochs. Calls are messages that the target carries out, in the
/// order of each origin (<see cref="WindowTarget"/>), so that a freeze finds each of them whole: done, or in a queue that is saved.
/// </summary>
/// <remarks>Source: MPI-3.1 chapter 11.</remarks>
internal sealed unsafe class Window : ErrorOwner
{
    private readonly Mailbox _calls;
    private readonly long* _attributes = (long*)NativeMemory.AllocZeroed(4, 8);
    private readonly bool[] _dirty;
    private readonly long[] _sentBytes;
    private readonly List<Request>[] _answers;
    private int _replies;
    private bool _answersAnyTime;

    /// <summary>Bytes of calls to one rank after which the origin waits until they are carried out.</summary>
    private const long MaxAheadBytes = 16 << 20;

    /// <param name="comm">made for this window alone</param><param name="callsNumber">number of a second one, for calls</param>
    public Window(Comm comm, uint callsNumber, WindowFlavor flavor, nint start, long sizeBytes, long unit, long[] sizes, long[] units)
    {
        (Comm, Flavor, Start, SizeBytes, Unit, Sizes, Units) = (comm, flavor, start, sizeBytes, unit, sizes, units);
        _dirty = new bool[comm.Size];
        _sentBytes = new long[comm.Size];
        _answers = new List<Request>[comm.Size];
        for (int i = 0; i < comm.Size; i++) _answers[i] = [];
        Access = new AccessEpoch(comm.Size);
        _calls = Mailbox.Of(2 * callsNumber);
        Target = new WindowTarget(this);
        (_attributes[0], _attributes[1], _attributes[2], _attributes[3]) = (sizeBytes, unit, (int)flavor, MpiAbi.IsMpich ? 2 : 0); // MPI_WIN_UNIFIED
    }

    public Comm Comm { get; }
    public WindowFlavor Flavor { get; }
    public nint Start { get; }
    public long SizeBytes { get; }
    public long Unit { get; }

    /// <summary>Of each rank.</summary>
    public long[] Sizes { get; }
    public long[] Units { get; }

    /// <summary>Of a shared window: the memory of all ranks.</summary>
    public SharedMemory? Shared { get; set; }

    /// <summary>Memory attached to a dynamic window: address and bytes.</summary>
    public List<(nint Start, long Bytes)> Attached { get; } = [];

    public AccessEpoch Access { get; }

    /// <summary>What others have told this rank.</summary>
    public WindowTarget Target { get; }

    public string Name { get; set; } = "";
    public AttributeTable Attributes { get; } = new();
    public InfoObject Info { get; set; } = new();

    public static Window From(nint raw) => Handles.Get<Window>(raw, ErrorClass.Win);

    public static void Define() => Handles.PredefineNull<Window>("ompi_mpi_win_null", 0x20000000);

    /// <summary>Calls of other ranks are carried out from now on.</summary>
    /// <param name="answersAnyTime">also while the program computes; false: nobody calls this rank</param>
    public void Open(bool answersAnyTime = true)
    {
        Handles.Add(this);
        _answersAnyTime = answersAnyTime;
        if (answersAnyTime) ProgressThread.Acquire();
        _calls.Service = Target.Take;
    }

    /// <summary>All ranks are past their last call.</summary>
    public void Close()
    {
        Attributes.DeleteAll(this);
        _calls.Service = null;
        foreach (uint context in new[] { _calls.Context, Comm.Mailbox.Context, Comm.CollectiveMailbox.Context }) Mailbox.Forget(context);
        if (_answersAnyTime) ProgressThread.Release();
        Handles.Remove(this);
        Shared?.Dispose();
        if (Flavor == WindowFlavor.Allocate) NativeMemory.AlignedFree((void*)Start);
        NativeMemory.Free(_attributes);
    }

    /// <summary>Value of a predefined attribute as the program reads it; null: no such key.</summary>
    public nint? Predefined(int key)
    {
        int index = MpiAbi.IsMpich ? (uint)key is >= 0x66000001 and <= 0x66000009 && (key & 1) != 0 ? (key & 15) / 2 : -1 : key - 7;
        return index switch { 0 => Start, >= 1 and <= 4 => (nint)(_attributes + index - 1), _ => null };
    }

    /// <summary>A number for the next answer.</summary>
    private int NextReply() => _replies++ & int.MaxValue;

    /// <summary>Checks what a call names, and that this rank may access that rank now.</summary>
    /// <returns>false: the target is nobody</returns>
    public bool Check(Rank target, long displacement, long count, Datatype type)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        if (target.Value == MpiAbi.ProcNull) return false;
        Comm.WorldRank(target);
        if (!Access.Covers(target)) throw new MpiException(ErrorClass.RmaSync, $"no access epoch for rank {target.Value}");
        if (Flavor == WindowFlavor.Dynamic) return true;
        if (!Fits(displacement * Units[target], count, type, Sizes[target])) throw new MpiException(ErrorClass.RmaRange, $"displacement {displacement}, {count} items: the window of rank {target.Value} has {Sizes[target]} bytes");
        return true;
    }

    public static bool Fits(long offset, long count, Datatype type, long sizeBytes)
    {
        if (count == 0 || type.SizeBytes == 0) return true;
        long last = (count - 1) * type.Extent;
        return offset + type.TrueLowerBound + Math.Min(0, last) >= 0 && offset + type.TrueUpperBound + Math.Max(0, last) <= sizeBytes;
    }

    /// <summary>Sends a call that has no answer.</summary>
    public void Send(int target, (nint Memory, long Bytes, nint Payload) message)
    {
        _dirty[target] = true;
        SendBytes(_calls, target, 0, message.Memory, message.Bytes);
        if ((_sentBytes[target] += message.Bytes) > MaxAheadBytes) Flush(target);
    }

    /// <summary>Sends a call whose answer goes into the program's memory.</summary>
    /// <param name="result">done with the answer; null: nobody waits for it alone</param>
    public void Ask(int target, RemoteCall call, Datatype type, Action<nint> fill, long payloadBytes, nint buffer, long count, Datatype bufferType, Request? result)
    {
        List<Request> answers = _answers[target];
        if (answers.Count > 64) answers.RemoveAll(static a => a.IsDone && Released(a));
        _dirty[target] = true;
        call.Reply = NextReply();
        var message = RemoteMessage.Make(call, type, payloadBytes);
        fill(message.Payload);
        Request answer = ReceiveAnswer(target, call.Reply, buffer, count, bufferType);
        if (result is not null) answer.Completed = a =>
        {
            result.Status.Error = a.Status.Error;
            Messages.Finish(result);
        };
        answers.Add(answer);
        SendBytes(_calls, target, 0, message.Memory, message.Bytes);
    }

    private static bool Released(Request request)
    {
        request.Free();
        return true;
    }

    /// <summary>Sends a call and waits for its answer: an error class.</summary>
    public void Ask(int target, RemoteCallKind kind)
    {
        int error = 0;
        Request answer = BeginAsk(target, kind, &error);
        Finish(answer, &error);
    }

    /// <param name="error">where the answer goes; must stay until <see cref="Finish"/></param>
    private Request BeginAsk(int target, RemoteCallKind kind, int* error)
    {
        RemoteCall call = new() { Kind = kind, Reply = NextReply() };
        var message = RemoteMessage.Make(call, null, 0);
        Request answer = ReceiveAnswer(target, call.Reply, (nint)error, 4, PredefinedTypes.Byte);
        SendBytes(_calls, target, 0, message.Memory, message.Bytes);
        return answer;
    }

    private static void Finish(Request answer, int* error)
    {
        Waiting.Until(answer);
        answer.Free();
        if (*error != 0) throw new MpiException((ErrorClass)(*error), "a call was refused at its target");
    }

    /// <summary>Tells a rank something.</summary>
    public void Tell(int target, RemoteCallKind kind)
    {
        var message = RemoteMessage.Make(new RemoteCall { Kind = kind }, null, 0);
        SendBytes(_calls, target, 0, message.Memory, message.Bytes);
    }

    /// <summary>All calls to a rank are carried out, and their answers here.</summary>
    public void Flush(int target)
    {
        if (_dirty[target]) Ask(target, RemoteCallKind.Flush);
        Settle(target);
    }

    /// <summary>The target has carried all calls out: their answers may still be under way.</summary>
    public void Settle(int target)
    {
        (_dirty[target], _sentBytes[target]) = (false, 0);
        FlushLocal(target);
    }

    /// <summary>All calls to a rank need the program's buffers no more: those of calls without an answer were copied.</summary>
    public void FlushLocal(int target)
    {
        List<Request> answers = _answers[target];
        Waiting.Until(static all => all.TrueForAll(static a => a.IsDone), answers);
        ErrorClass error = ErrorClass.Success;
        foreach (Request answer in answers)
        {
            if (error == ErrorClass.Success) error = answer.Status.Error;
            answer.Free();
        }
        answers.Clear();
        if (error != ErrorClass.Success) throw new MpiException(error, "an answer does not fit");
    }

    /// <summary>All ranks that were called.</summary>
    public void FlushAll()
    {
        int dirty = _dirty.Count(static d => d);
        if (dirty > 0)
        {
            // All at once: one round trip, not one each.
            int* errors = (int*)NativeMemory.AllocZeroed((nuint)Comm.Size, 4);
            List<(int Target, Request Answer)> asked = [];
            for (int target = 0; target < Comm.Size; target++)
                if (_dirty[target]) asked.Add((target, BeginAsk(target, RemoteCallKind.Flush, errors + target)));
            MpiException? failed = null;
            foreach ((int target, Request answer) in asked)
                try
                {
                    Finish(answer, errors + target);
                    Settle(target);
                }
                catch (MpiException e) { failed ??= e; }
            NativeMemory.Free(errors);
            if (failed is not null) throw failed;
        }
        for (int target = 0; target < Comm.Size; target++)
            if (_answers[target].Count > 0) FlushLocal(target);
    }

    private Request ReceiveAnswer(int target, int tag, nint buffer, long count, Datatype type)
    {
        Request answer = Request.Take(RequestKind.Receive);
        (answer.Mailbox, answer.Type, answer.Buffer, answer.Count, answer.Tag) = (Comm.Mailbox, type, buffer, count, tag);
        (answer.Peer, answer.PeerWorld, answer.OwnRank, answer.Comm) = (target, Comm.Group.Ranks[target], Comm.Rank, Comm);
        Messages.Receive(answer);
        return answer;
    }

    /// <summary>Answers a call of another rank with bytes in native memory, which become the message's.</summary>
    public void Answer(int source, int reply, nint memory, long bytes) => SendBytes(Comm.Mailbox, source, reply, memory, bytes);

    private void SendBytes(Mailbox mailbox, int target, int tag, nint memory, long bytes)
    {
        Request send = Request.Take(RequestKind.Send);
        (send.Mailbox, send.Type, send.Buffer, send.Count, send.Tag, send.OwnedCopy, send.IsDetached) = (mailbox, PredefinedTypes.Byte, memory, bytes, tag, memory, true);
        (send.Peer, send.PeerWorld, send.OwnRank) = (target, Comm.Group.Ranks[target], Comm.Rank);
        Messages.Send(send);
    }
}

/// <summary>Which ranks this one may access now.</summary>
internal sealed class AccessEpoch(int ranks)
{
    /// <summary>Locks held, by rank.</summary>
    public bool[] Locked { get; } = new bool[ranks];

    public bool AllLocked { get; set; }

    /// <summary>Between two fences.</summary>
    public bool Fenced { get; set; }

    /// <summary>Ranks of MPI_Win_start; null: none.</summary>
    public int[]? Started { get; set; }

    public bool IsPassive => AllLocked || Array.IndexOf(Locked, true) >= 0;

    public bool Covers(int rank) => AllLocked || Locked[rank] || Fenced || (Started is { } started && Array.IndexOf(started, rank) >= 0);
}
