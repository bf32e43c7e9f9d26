using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Nccl;

/// <summary>Collectives, sends and receives, groups and operations of the program's own. NCCL documentation, "Collective Communication Functions", "Point To Point Communication Functions", "Group Calls".</summary>
[LocalExports(typeof(NcclRuntime), "p")]
internal static unsafe class CollectiveCalls
{
    /// <summary>Operations of the program's own begin here (ncclNumOps).</summary>
    private const int FirstOwn = 5;

    private static CollectiveOperation Make(CollectiveKind kind, Communicator communicator, void* send, void* receive, nuint count, int type, int peer = 0)
    {
        NcclRuntime.Require((uint)type <= (uint)CollectiveType.Float8E5M2, $"type {type}");
        NcclRuntime.Require((uint)peer < communicator.Size, $"rank {peer} of {communicator.Size}");
        NcclRuntime.Require(count <= (1UL << 43) / communicator.Size, $"{count} elements");
        NcclRuntime.Require(count == 0 || (send != null || !Sends(kind, communicator, peer)) && (receive != null || !Receives(kind, communicator, peer)), "a buffer is NULL");
        return new CollectiveOperation { Kind = kind, Type = (CollectiveType)type, Send = (ulong)send, Receive = (ulong)receive, Count = count, Peer = peer };
    }

    private static bool Sends(CollectiveKind kind, Communicator communicator, int peer) => kind switch
    {
        CollectiveKind.Broadcast => communicator.Rank == peer, CollectiveKind.Receive => false, _ => true,
    };

    private static bool Receives(CollectiveKind kind, Communicator communicator, int peer) => kind switch
    {
        CollectiveKind.Reduce => communicator.Rank == peer, CollectiveKind.Send => false, _ => true,
    };

    private static CollectiveOperation With(CollectiveOperation made, Communicator communicator, int operation)
    {
        if ((uint)operation < FirstOwn)
        {
            made.Reduction = (CollectiveReduction)operation;
            return made;
        }
        if (communicator.FactorAt(operation - FirstOwn) is not { } factor) throw new NcclException(NcclResult.InvalidArgument, $"operation {operation}");
        NcclRuntime.Require(factor.Type == made.Type, $"operation {operation} is for elements of {factor.Type}");
        (made.Reduction, made.Factor, made.FactorIsOnDevice) = (CollectiveReduction.ScaledSum, factor.Factor, factor.IsOnDevice ? (byte)1 : (byte)0);
        return made;
    }

    public static void ncclAllReduce(void* send, void* receive, nuint count, int type, int operation, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, With(Make(CollectiveKind.AllReduce, communicator, send, receive, count, type), communicator, operation));

    public static void ncclReduce(void* send, void* receive, nuint count, int type, int operation, int root, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, With(Make(CollectiveKind.Reduce, communicator, send, receive, count, type, root), communicator, operation));

    public static void ncclBroadcast(void* send, void* receive, nuint count, int type, int root, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, Make(CollectiveKind.Broadcast, communicator, send, receive, count, type, root));

    public static void ncclBcast(void* buffer, nuint count, int type, int root, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, Make(CollectiveKind.Broadcast, communicator, buffer, buffer, count, type, root));

    public static void ncclAllGather(void* send, void* receive, nuint count, int type, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, Make(CollectiveKind.AllGather, communicator, send, receive, count, type));

    public static void ncclReduceScatter(void* send, void* receive, nuint count, int type, int operation, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, With(Make(CollectiveKind.ReduceScatter, communicator, send, receive, count, type), communicator, operation));

    public static void ncclSend(void* send, nuint count, int type, int peer, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, Make(CollectiveKind.Send, communicator, send, null, count, type, peer));

    public static void ncclRecv(void* receive, nuint count, int type, int peer, Communicator communicator, CUstream stream)
        => Groups.Add(communicator, stream, Make(CollectiveKind.Receive, communicator, null, receive, count, type, peer));

    public static void ncclGroupStart() => Groups.Start();

    public static void ncclGroupEnd() => Groups.End();

    /// <summary>Nothing is done; the time is what memory of 10 GB/s would take.</summary>
    public static void ncclGroupSimulateEnd(SimulationInfo* info)
    {
        const float bytesPerMicrosecond = 10_000;
        NcclRuntime.Require(info == null || info->Magic == SimulationInfo.ThisMagic, "the information was not initialised with NCCL_SIM_INFO_INITIALIZER");
        ulong bytes = Groups.Drop();
        if (info != null) info->EstimatedTime = bytes / bytesPerMicrosecond;
    }

    /// <param name="residence">0: the factor is in device memory and read by the collective, 1: it is read now</param>
    public static void ncclRedOpCreatePreMulSum(int* operation, void* factor, int type, int residence, Communicator communicator)
    {
        NcclRuntime.Require(operation != null && factor != null && (uint)type <= (uint)CollectiveType.Float8E5M2 && residence is 0 or 1, $"type {type}, residence {residence}");
        ulong bits = (ulong)factor;
        if (residence == 1)
        {
            bits = 0;
            int bytes = CollectiveOperation.BytesOf((CollectiveType)type);
            Buffer.MemoryCopy(factor, &bits, bytes, bytes);
        }
        *operation = FirstOwn + communicator.AddFactor((CollectiveType)type, bits, residence == 0);
    }

    public static void ncclRedOpDestroy(int operation, Communicator communicator)
        => NcclRuntime.Require(operation >= FirstOwn && communicator.RemoveFactor(operation - FirstOwn), $"operation {operation}");
}
