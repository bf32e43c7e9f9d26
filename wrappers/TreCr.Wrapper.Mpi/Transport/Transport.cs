using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Mpi;

/// <summary>The program's side of the MPI segment: puts packets into the outgoing ring and takes them out of the incoming one, within the credit of each pair of ranks.</summary>
/// <remarks>One thread at a time (the caller holds the library's lock). Allocates nothing. All of its state is the program's memory or the segment, so that it is saved at any instruction.</remarks>
internal static unsafe class Transport
{
    private static MpiSegment s_segment = null!;
    private static MpiSegmentHeader* s_header;
    private static uint* s_sent, s_received; // packets of each pair
    private static int* s_credit, s_owed;    // bytes: what we may send; what we have taken and not told
    private static int s_window;

    public static MpiSegmentHeader* Header => s_header;

    /// <summary>Longest payload of a packet, bytes.</summary>
    public const int MaxPayloadBytes = MpiSegmentLayout.MaxPacketBytes - MpiPacket.HeadBytes;

    public static void Start(MpiSegment segment)
    {
        s_segment = segment;
        s_header = segment.Header;
        int ranks = s_header->Size;
        s_window = MpiSegmentLayout.WindowBytes(ranks);
        s_sent = (uint*)NativeMemory.AllocZeroed((nuint)ranks, 4);
        s_received = (uint*)NativeMemory.AllocZeroed((nuint)ranks, 4);
        s_owed = (int*)NativeMemory.AllocZeroed((nuint)ranks, 4);
        s_credit = (int*)NativeMemory.AllocZeroed((nuint)ranks, 4);
        for (int i = 0; i < ranks; i++) s_credit[i] = s_window;
    }

    /// <summary>Room for a packet to a rank.</summary>
    /// <param name="payloadBytes">at most <see cref="MaxPayloadBytes"/></param>
    /// <returns>null: no credit or no room now</returns>
    public static MpiPacket* Reserve(int peer, PacketKind kind, long payloadBytes)
    {
        int bytes = (int)(MpiPacket.HeadBytes + payloadBytes + 15) & ~15;
        if (kind != PacketKind.Credit && s_credit[peer] < bytes) return null;
        ulong head = s_header->OutHead, at = head & MpiSegment.OutMask, left = MpiSegmentLayout.OutBytes - at, skip = left < (ulong)bytes ? left : 0;
        if (head + skip + (ulong)bytes - Volatile.Read(ref s_header->OutTail) > MpiSegmentLayout.OutBytes) return null;
        if (skip > 0)
        {
            MpiPacket* filler = (MpiPacket*)(s_segment.Out + at);
            (filler->Peer, filler->Bytes) = (MpiPacket.Filler, (uint)skip);
            at = 0;
        }
        MpiPacket* packet = (MpiPacket*)(s_segment.Out + at);
        *packet = default;
        (packet->Peer, packet->Bytes, packet->Kind) = (peer, (uint)bytes, (ushort)kind);
        return packet;
    }

    /// <summary>Bytes behind a packet's head.</summary>
    public static byte* PayloadOf(MpiPacket* packet) => (byte*)packet + MpiPacket.HeadBytes;

    /// <summary>Gives a reserved packet away.</summary>
    public static void Publish(MpiPacket* packet)
    {
        int peer = packet->Peer;
        packet->Sequence = s_sent[peer]++;
        packet->Credit = (uint)s_owed[peer];
        s_owed[peer] = 0;
        if (packet->Kind != (ushort)PacketKind.Credit) s_credit[peer] -= (int)packet->Bytes;
        ulong head = s_header->OutHead, offset = (ulong)((byte*)packet - s_segment.Out);
        head += (offset - head) & MpiSegment.OutMask; // past a filler
        Volatile.Write(ref s_header->OutHead, head + packet->Bytes);
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref s_header->DelegatorSleeps) == 0) return;
        Interlocked.Increment(ref s_header->OutSignal);
        Sys.FutexWake(&s_header->OutSignal);
    }

    public static bool HasArrivals => Volatile.Read(ref s_header->InHead) != s_header->InTail;

    /// <summary>The next packet that has arrived, in the ring, until <see cref="Taken"/>; null: none.</summary>
    public static MpiPacket* Peek()
    {
        while (Volatile.Read(ref s_header->InHead) != s_header->InTail)
        {
            MpiPacket* packet = (MpiPacket*)(s_segment.In + (s_header->InTail & s_segment.InMask));
            if (packet->Peer == MpiPacket.Filler)
            {
                Volatile.Write(ref s_header->InTail, s_header->InTail + packet->Bytes);
                continue;
            }
            int peer = packet->Peer;
            if ((uint)peer >= (uint)s_header->Size || packet->Sequence != s_received[peer]) Fatal.Stop($"packet {packet->Sequence} of rank {peer} came where {((uint)peer < (uint)s_header->Size ? s_received[peer] : 0)} was expected");
            return packet;
        }
        return null;
    }

    /// <summary>Gives the place of the packet back, and credit where much is owed.</summary>
    public static void Taken(MpiPacket* packet)
    {
        int peer = packet->Peer;
        s_received[peer]++;
        if (!Seeded.Is(ProtocolBug.CreditForgotten)) s_credit[peer] += (int)packet->Credit;
        bool isCredit = packet->Kind == (ushort)PacketKind.Credit;
        if (!isCredit) s_owed[peer] += (int)packet->Bytes;
        Volatile.Write(ref s_header->InTail, s_header->InTail + packet->Bytes);
        GiveCredit(peer);
    }

    /// <summary>Tells a rank of what it may send, where that is worth a packet.</summary>
    public static void GiveCredit(int peer)
    {
        if (s_owed[peer] < s_window / 2) return;
        MpiPacket* packet = Reserve(peer, PacketKind.Credit, 0);
        if (packet != null) Publish(packet); // else with the next packet, or when more has been taken
        else Owes = true;
    }

    /// <summary>Credit could not be given for want of room.</summary>
    public static bool Owes { get; set; }

    /// <summary>Gives what could not be given before.</summary>
    public static void GiveAllCredit()
    {
        Owes = false;
        for (int peer = 0; peer < s_header->Size; peer++) GiveCredit(peer);
    }

    /// <summary>Sleeps until something arrives, at most so long.</summary>
    public static void Sleep(long timeoutNs)
    {
        uint signal = Volatile.Read(ref s_header->InSignal);
        Interlocked.Increment(ref s_header->ProgramSleeps); // full barrier
        if (!HasArrivals) Sys.FutexWait(&s_header->InSignal, signal, timeoutNs);
        Interlocked.Decrement(ref s_header->ProgramSleeps);
    }
}
