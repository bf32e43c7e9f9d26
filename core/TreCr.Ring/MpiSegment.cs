using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Ring;

/// <summary>
/// The memory shared by a rank's program and its MPI delegator (a memfd, mapped by both; saved with the program like any memory of its tree): two rings of
/// packets. The delegator moves packets between the rings of the ranks and knows nothing of what they mean.
/// </summary>
/// <remarks>
/// Protocol. Each ring has one producer and one consumer; positions only grow, and are published with release after the bytes. A packet lies in one piece, 16-byte
/// aligned; where it does not fit before the end of the ring the producer puts a filler there (<see cref="MpiPacket.Filler"/>). The outgoing ring's tail moves when the
/// library needs the packet's bytes no more, the incoming ring's head when all of a packet is there. A rank may send to another only what that has given it credit for:
/// <see cref="WindowBytes"/> at first, and what the credit fields of its packets add, so that the incoming ring has room for everything under way and a freeze can
/// always empty the network into it. While the gate is closed the delegator writes nothing here but the last packets under way, and nothing at all once it is drained.
/// Everything here may be written by the program at any time: the delegator checks each length before it uses it.
/// </remarks>
public static class MpiSegmentLayout
{
    public const uint ProtocolVersion = 1;

    public const ulong Magic = 0x31_49_50_4d_43_45_52_54; // "TRECMPI1"

    /// <summary>Name of the memfd.</summary>
    public const string SegmentName = "trecr-mpi";

    public const int HeaderBytes = 4096;

    /// <summary>Outgoing ring, bytes; a power of two.</summary>
    public const int OutBytes = 4 << 20;

    /// <summary>Longest packet with its header, bytes.</summary>
    public const int MaxPacketBytes = 64 * 1024;

    /// <summary>Ranks of a job at most: one incoming window each.</summary>
    public const int MaxRanks = 16384;

    /// <summary>What a rank may send to another before that has given credit back, bytes.</summary>
    public static int WindowBytes(int ranks) => ranks <= 16 ? 1 << 20 : ranks <= 256 ? 256 << 10 : 128 << 10;

    /// <summary>Kept free in each window for packets that only give credit back, bytes.</summary>
    public const int CreditReserveBytes = 16 * 64;

    /// <summary>Incoming ring, bytes; a power of two with room for all windows and fillers.</summary>
    public static long InBytes(int ranks)
    {
        long needed = (long)ranks * (WindowBytes(ranks) + CreditReserveBytes) * 9 / 8 + 4L * MaxPacketBytes;
        return (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)needed);
    }

    public static long SegmentBytes(int ranks) => HeaderBytes + OutBytes + InBytes(ranks);
}

/// <summary>First page of the MPI segment.</summary>
[StructLayout(LayoutKind.Explicit, Size = MpiSegmentLayout.HeaderBytes)]
public struct MpiSegmentHeader
{
    [FieldOffset(0)] public ulong Magic;
    [FieldOffset(8)] public uint Version;
    [FieldOffset(12)] public int Rank;
    [FieldOffset(16)] public int Size;

    /// <summary>Position of the program's next packet.</summary>
    [FieldOffset(64)] public ulong OutHead;

    /// <summary>Up to here the library needs the outgoing bytes no more.</summary>
    [FieldOffset(128)] public ulong OutTail;

    /// <summary>Up to here packets have arrived.</summary>
    [FieldOffset(192)] public ulong InHead;

    /// <summary>Up to here the program has taken them.</summary>
    [FieldOffset(256)] public ulong InTail;

    /// <summary>Futex word: counts arrivals while the program slept.</summary>
    [FieldOffset(320)] public uint InSignal;

    /// <summary>Threads of the program that sleep on <see cref="InSignal"/> or are about to.</summary>
    [FieldOffset(384)] public uint ProgramSleeps;

    /// <summary>Futex word: counts publications while the delegator slept.</summary>
    [FieldOffset(448)] public uint OutSignal;

    /// <summary>1 while the delegator sleeps on <see cref="OutSignal"/> or is about to.</summary>
    [FieldOffset(512)] public uint DelegatorSleeps;

    /// <summary>Calls of the program that wait for packets now.</summary>
    [FieldOffset(576)] public int WaitingCalls;

    /// <summary>What the program wants of the library: <see cref="MpiCommand"/>.</summary>
    [FieldOffset(640)] public uint Command;

    /// <summary>Of MPI_Abort.</summary>
    [FieldOffset(644)] public int AbortCode;

    /// <summary>The command that has been carried out.</summary>
    [FieldOffset(AnsweredOffset)] public uint Answered;

    public const int AnsweredOffset = 648;
}

/// <summary>What a program asks its MPI delegator for beside packets.</summary>
public enum MpiCommand : uint
{
    None, Finalize, Abort,
}

/// <summary>Head of a packet. The delegator reads <see cref="Peer"/> and <see cref="Bytes"/>; the rest is between the programs.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MpiPacket
{
    /// <summary><see cref="Peer"/> of a packet that only fills the end of a ring.</summary>
    public const int Filler = -1;

    /// <summary>World rank: where to in the outgoing ring, where from in the incoming one.</summary>
    public int Peer;

    /// <summary>With this head; a multiple of 16.</summary>
    public uint Bytes;

    /// <summary>Number of the packet among those of its pair of ranks, from 0.</summary>
    public uint Sequence;

    /// <summary>Bytes of the other direction's window that are free again.</summary>
    public uint Credit;

    public ushort Kind, Flags;

    /// <summary>Of a communicator.</summary>
    public uint Context;

    /// <summary>Rank of the sender in it, and tag.</summary>
    public int Source, Tag;

    /// <summary>Bytes of the whole message, packed.</summary>
    public ulong Length;

    /// <summary>Numbers by which the two sides know the message.</summary>
    public uint SendId, ReceiveId;

    public const int HeadBytes = 48;
}

/// <summary>A mapped MPI segment. Both sides.</summary>
public sealed unsafe class MpiSegment
{
    private readonly long _lengthBytes;

    private MpiSegment(byte* start, long lengthBytes, int ranks)
    {
        Header = (MpiSegmentHeader*)start;
        _lengthBytes = lengthBytes;
        Out = start + MpiSegmentLayout.HeaderBytes;
        In = Out + MpiSegmentLayout.OutBytes;
        InMask = (ulong)MpiSegmentLayout.InBytes(ranks) - 1;
    }

    public MpiSegmentHeader* Header { get; }

    public byte* Out { get; }
    public byte* In { get; }

    public const ulong OutMask = MpiSegmentLayout.OutBytes - 1;

    /// <summary>Length of the incoming ring minus one.</summary>
    public ulong InMask { get; }

    /// <summary>Maps a segment for so many ranks; the descriptor stays the caller's.</summary>
    /// <param name="dontFork">true in the program</param>
    /// <exception cref="LinuxException">mmap failed</exception>
    public static MpiSegment Map(int fd, int ranks, bool dontFork)
    {
        if (Unsafe.SizeOf<MpiPacket>() != MpiPacket.HeadBytes) throw new RingException("packet head");
        long length = MpiSegmentLayout.SegmentBytes(ranks);
        long address = Sys.Check(Sys.Mmap(0, (ulong)length, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE, fd), "mmap", "MPI segment");
        if (dontFork) Sys.Check(Sys.Madvise((ulong)address, (ulong)length, Sys.MADV_DONTFORK), "madvise", "MPI segment");
        return new MpiSegment((byte*)address, length, ranks);
    }

    public void Unmap() => Sys.Munmap((ulong)Header, (ulong)_lengthBytes);
}
