using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// A message whose parts are given away, or looked for, one by one. Each part of the sender is a message of its own behind its number; how many there are the sender says once,
/// where the two sides are matched.
/// </summary>
/// <remarks>Source: MPI-4.0 chapter 4. The receiver may divide the same bytes otherwise.</remarks>
internal sealed unsafe class Partitions
{
    private const int HeadBytes = 8;
    private static int s_channels;

    private readonly Request _request;
    private readonly Comm _data, _heads;
    private readonly Datatype _type;
    private readonly nint _buffer;
    private readonly long _items;     // of one part
    private readonly int _peer, _tag;
    private readonly bool[] _done;    // this side's parts: given away, or here
    private readonly long[] _head = GC.AllocateArray<long>(3, pinned: true); // channel, parts of the sender, bytes of each
    private readonly long[] _arrived; // bytes of this side's parts
    private int _left;
    private bool _hasMet;

    /// <param name="request">taken</param><param name="items">of one part</param>
    public Partitions(Request request, nint buffer, int parts, long items, Datatype type, int peer, int tag, Comm comm)
    {
        (_request, _buffer, _items, _type, _peer, _tag) = (request, buffer, items, type, peer, tag);
        (_data, _heads, _done, _arrived) = (comm.Beside(Agreement.PartitionData), comm.Beside(Agreement.PartitionHeads), new bool[parts], new long[parts]);
    }

    private bool IsSend => _request.Kind == RequestKind.Send;

    private nint Head => (nint)Marshal.UnsafeAddrOfPinnedArrayElement(_head, 0);

    private long PartBytes => _items * _type.SizeBytes;

    /// <summary>Tells the other side, or begins to wait for what it tells.</summary>
    public void Open()
    {
        if (_peer == MpiAbi.ProcNull) return;
        if (IsSend) (_head[0], _head[1], _head[2]) = (++s_channels & int.MaxValue, _done.Length, PartBytes);
        Begin(_heads, _tag, s => Meet(s));
    }

    private static void Begin(Comm comm, int tag, Func<Schedule, IEnumerator<bool>> steps)
    {
        Request result = Request.Take(RequestKind.Schedule);
        result.IsDetached = true;
        Schedule.Begin(comm, steps, result, tag);
    }

    private IEnumerator<bool> Meet(Schedule s)
    {
        const int Bytes = 3 * sizeof(long);
        if (IsSend) s.Send(_peer, Head, Bytes, PredefinedTypes.Byte);
        else s.Receive(_peer, Head, Bytes, PredefinedTypes.Byte);
        yield return true;
        _hasMet = true;
        if (!IsSend && _request.IsActive && !_request.IsDone) Receive();
    }

    /// <summary>MPI_Start.</summary>
    public void Start()
    {
        Array.Clear(_done);
        Array.Clear(_arrived);
        _left = _done.Length;
        _request.IsDone = _peer == MpiAbi.ProcNull;
        if (_request.IsDone) _request.Status = MessageStatus.OfNobody;
        else if (!IsSend && _hasMet) Receive();
    }

    /// <summary>MPI_Pready.</summary>
    public void GiveAway(int part)
    {
        if (!IsSend || !_request.IsActive) throw new MpiException(ErrorClass.Request, "not an active partitioned send");
        if ((uint)part >= (uint)_done.Length || _done[part]) throw new MpiException(ErrorClass.Arg, $"part {part} of {_done.Length}, or one that is ready already");
        _done[part] = true;
        if (_peer != MpiAbi.ProcNull) Begin(_data, (int)_head[0], s => Send(s, part));
    }

    private IEnumerator<bool> Send(Schedule s, int part)
    {
        nint packed = s.Allocate(HeadBytes + PartBytes, PredefinedTypes.Byte);
        Pack(packed, part);
        s.Send(_peer, packed, HeadBytes + PartBytes, PredefinedTypes.Byte);
        yield return true;
        if (--_left == 0) Messages.Finish(_request);
    }

    private void Pack(nint packed, int part)
    {
        *(long*)packed = part;
        new PackCursor(_type, _buffer + (nint)(part * _items * _type.Extent)).Pack((byte*)packed + HeadBytes, PartBytes);
    }

    private void Receive() => Begin(_data, (int)_head[0], Receive);

    private IEnumerator<bool> Receive(Schedule s)
    {
        nint packed = s.Allocate(HeadBytes + _head[2], PredefinedTypes.Byte);
        for (long part = 0; part < _head[1]; part++)
        {
            s.Receive(_peer, packed, HeadBytes + _head[2], PredefinedTypes.Byte);
            yield return true;
            Unpack(packed);
        }
        _request.Status = new MessageStatus { Source = _peer, Tag = _tag, LengthBytes = Math.Min(_head[1] * _head[2], _done.Length * PartBytes), Error = _head[1] * _head[2] > _done.Length * PartBytes ? ErrorClass.Truncate : ErrorClass.Success };
        Messages.Finish(_request);
    }

    /// <summary>Puts the bytes where they belong: pieces of one or several parts of this side.</summary>
    private void Unpack(nint packed)
    {
        long at = *(long*)packed * _head[2], end = Math.Min(at + _head[2], _done.Length * PartBytes);
        byte* from = (byte*)packed + HeadBytes;
        while (at < end)
        {
            long part = at / PartBytes, within = at % PartBytes, piece = Math.Min(end - at, PartBytes - within);
            PackCursor cursor = new(_type, _buffer + (nint)(part * _items * _type.Extent));
            cursor.Skip(within);
            cursor.Unpack(from, piece);
            at += piece;
            from += piece;
            _done[part] = (_arrived[part] += piece) == PartBytes;
        }
    }

    /// <summary>MPI_Parrived.</summary>
    public bool HasArrived(int part)
    {
        if (IsSend) throw new MpiException(ErrorClass.Request, "not a partitioned receive");
        if ((uint)part >= (uint)_done.Length) throw new MpiException(ErrorClass.Arg, $"part {part} of {_done.Length}");
        return !_request.IsActive || _request.IsDone || _done[part];
    }
}
