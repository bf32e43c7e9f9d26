using System.Runtime.InteropServices;

namespace TreCr.Calls.Cuda;

/// <summary>What the members of a communicator do together.</summary>
public enum CollectiveKind : byte { AllReduce, Broadcast, Reduce, AllGather, ReduceScatter, Send, Receive }

/// <summary>Element types; numbers are NCCL's (nccl.h, ncclDataType_t).</summary>
public enum CollectiveType : byte { Int8, UInt8, Int32, UInt32, Int64, UInt64, Float16, Float32, Float64, BFloat16, Float8E4M3, Float8E5M2 }

/// <summary>How elements are combined; numbers are NCCL's (nccl.h, ncclRedOp_t), but the last: a sum of products with each member's own factor.</summary>
public enum CollectiveReduction : byte { Sum, Product, Max, Min, Average, ScaledSum }

/// <summary>One operation of a record of trecrCommLaunch.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CollectiveOperation
{
    public CollectiveKind Kind;
    public CollectiveType Type;
    public CollectiveReduction Reduction;

    /// <summary>1: <see cref="Factor"/> is the device address of the factor.</summary>
    public byte FactorIsOnDevice;

    /// <summary>Root of a broadcast or reduction, or the other side of a send or receive.</summary>
    public int Peer;

    /// <summary>Device addresses.</summary>
    public ulong Send, Receive;

    /// <summary>Elements: of the whole for most, of each member's part for AllGather and ReduceScatter.</summary>
    public ulong Count;

    /// <summary>Of <see cref="CollectiveReduction.ScaledSum"/>: the bits of one element, or where they are.</summary>
    public ulong Factor;

    /// <summary>Bytes of one element.</summary>
    public static int BytesOf(CollectiveType type) => type switch
    {
        CollectiveType.Int32 or CollectiveType.UInt32 or CollectiveType.Float32 => 4,
        CollectiveType.Int64 or CollectiveType.UInt64 or CollectiveType.Float64 => 8,
        CollectiveType.Float16 or CollectiveType.BFloat16 => 2,
        _ => 1,
    };
}

/// <summary>What can be asked about a communicator at any time.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CommunicatorState
{
    /// <summary>1 when all members have joined.</summary>
    public uint IsComplete;

    /// <summary>While not complete: the lowest rank that has not joined, and how many have not.</summary>
    public uint FirstMissing, Missing;

    /// <summary>0, or an error of NCCL (ncclResult_t) that ended it.</summary>
    public uint Error;

    /// <summary>Launched and not done.</summary>
    public uint Outstanding;

    /// <summary>The member that the error is about; uint.MaxValue: none.</summary>
    public uint ErrorRank;
}
