using System.Runtime.InteropServices;
using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §11.3: access to the windows of other ranks. The program's bytes are copied before a call returns; answers come into its buffers at any time before the next synchronization.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class RemoteAccessCalls
{
    public static void MPI_Put(nint origin, Count originCount, Datatype originType, Rank target, nint displacement, Count count, Datatype type, Window window)
        => Change(RemoteCallKind.Put, OpKind.Replace, origin, originCount, originType, target, displacement, count, type, window);

    public static void MPI_Accumulate(nint origin, Count originCount, Datatype originType, Rank target, nint displacement, Count count, Datatype type, Op op, Window window)
        => Change(RemoteCallKind.Accumulate, Predefined(op), origin, originCount, originType, target, displacement, count, type, window);

    public static void MPI_Rput(nint origin, Count originCount, Datatype originType, Rank target, nint displacement, Count count, Datatype type, Window window, HandlePointer request)
    {
        MPI_Put(origin, originCount, originType, target, displacement, count, type, window);
        request.Value = Done().Handle;
    }

    public static void MPI_Raccumulate(nint origin, Count originCount, Datatype originType, Rank target, nint displacement, Count count, Datatype type, Op op, Window window, HandlePointer request)
    {
        MPI_Accumulate(origin, originCount, originType, target, displacement, count, type, op, window);
        request.Value = Done().Handle;
    }

    private static void Change(RemoteCallKind kind, OpKind op, nint origin, long originCount, Datatype originType, Rank target, nint displacement, long count, Datatype type, Window window)
    {
        long bytes = Same(originCount, originType, count, type);
        if (!window.Check(target, displacement, count, type)) return;
        var message = RemoteMessage.Make(new RemoteCall { Kind = kind, Op = op, Displacement = displacement, Count = count }, type, bytes);
        new PackCursor(originType, origin).Pack((byte*)message.Payload, bytes);
        window.Send(target, message);
    }

    public static void MPI_Get(nint origin, Count originCount, Datatype originType, Rank target, nint displacement, Count count, Datatype type, Window window)
        => Ask(RemoteCallKind.Get, OpKind.NoOp, 0, 0, originType, origin, originCount, originType, target, displacement, count, type, window, null);

    public static void MPI_Rget(nint origin, Count originCount, Datatype originType, Rank target, nint displacement, Count count, Datatype type, Window window, HandlePointer request)
        => Ask(RemoteCallKind.Get, OpKind.NoOp, 0, 0, originType, origin, originCount, originType, target, displacement, count, type, window, request);

    public static void MPI_Get_accumulate(nint origin, Count originCount, nint originType, nint result, Count resultCount, Datatype resultType, Rank target, nint displacement, Count count, Datatype type, Op op, Window window)
        => GetAccumulate(origin, originCount, originType, result, resultCount, resultType, target, displacement, count, type, op, window, null);

    public static void MPI_Rget_accumulate(nint origin, Count originCount, nint originType, nint result, Count resultCount, Datatype resultType, Rank target, nint displacement, Count count, Datatype type, Op op, Window window, HandlePointer request)
        => GetAccumulate(origin, originCount, originType, result, resultCount, resultType, target, displacement, count, type, op, window, request);

    /// <summary>With MPI_NO_OP nothing of the origin is looked at.</summary>
    private static void GetAccumulate(nint origin, long originCount, nint originType, nint result, long resultCount, Datatype resultType, Rank target, nint displacement, long count, Datatype type, Op op, Window window, HandlePointer? request)
        => Ask(RemoteCallKind.GetAccumulate, Predefined(op), origin, op.Kind == OpKind.NoOp ? 0 : originCount, op.Kind == OpKind.NoOp ? type : Datatype.From(originType), result, resultCount, resultType, target, displacement, count, type, window, request);

    public static void MPI_Fetch_and_op(nint origin, nint result, Datatype type, Rank target, nint displacement, Op op, Window window)
        => Ask(RemoteCallKind.GetAccumulate, Predefined(op), origin, op.Kind == OpKind.NoOp ? 0 : 1, type, result, 1, type, target, displacement, 1, type, window, null);

    public static void MPI_Compare_and_swap(nint origin, nint compare, nint result, Datatype type, Rank target, nint displacement, Window window)
    {
        if (!window.Check(target, displacement, 1, type)) return;
        window.Ask(target, new RemoteCall { Kind = RemoteCallKind.CompareAndSwap, Displacement = displacement, Count = 1 }, type, payload =>
        {
            new PackCursor(type, origin).Pack((byte*)payload, type.SizeBytes);
            new PackCursor(type, compare).Pack((byte*)payload + type.SizeBytes, type.SizeBytes);
        }, 2 * type.SizeBytes, result, 1, type, null);
    }

    private static void Ask(RemoteCallKind kind, OpKind op, nint origin, long originCount, Datatype originType, nint result, long resultCount, Datatype resultType, Rank target, nint displacement, long count, Datatype type, Window window, HandlePointer? request)
    {
        Same(resultCount, resultType, count, type);
        long bytes = originCount == 0 ? 0 : Same(originCount, originType, count, type);
        bool somebody = window.Check(target, displacement, count, type);
        Request? handle = request is null ? null : somebody ? Request.Take(RequestKind.Schedule) : Done();
        if (request is { } into) into.Value = handle!.Handle;
        if (!somebody) return;
        window.Ask(target, new RemoteCall { Kind = kind, Op = op, Displacement = displacement, Count = count }, type, payload => new PackCursor(originType, origin).Pack((byte*)payload, bytes), bytes, result, resultCount, resultType, handle);
    }

    /// <summary>Both sides name the same number of bytes.</summary>
    private static long Same(long originCount, Datatype originType, long count, Datatype type)
    {
        if (originCount < 0 || count < 0) throw new MpiException(ErrorClass.Count, $"count {Math.Min(originCount, count)}");
        long bytes = originCount * originType.SizeBytes;
        return bytes == count * type.SizeBytes ? bytes : throw new MpiException(ErrorClass.Arg, $"{bytes} bytes here, {count * type.SizeBytes} there");
    }

    private static OpKind Predefined(Op op) => op.Kind != OpKind.User ? op.Kind : throw new MpiException(ErrorClass.Op, "an operation of the program");

    private static Request Done()
    {
        Request done = Request.Take(RequestKind.Schedule);
        done.IsDone = true;
        return done;
    }
}
