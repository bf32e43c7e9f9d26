using TreCr.Calls.Cuda;
using AccessMap = TreCr.SoftDevice.Engine.AccessMap;

namespace TreCr.SoftDevice.Collectives;

/// <summary>
/// Collectives. All post what they are about to do and compare; then each member does its part: of a reduction for all, its share of the elements, which the others fetch when all are ready.
/// </summary>
sealed unsafe partial class Communicator
{
    void RunCollective(Launch launch, ref CollectiveOperation o)
    {
        ulong bytes = o.Count * (ulong)CollectiveOperation.BytesOf(o.Type);
        CheckMemory(o.Kind, o.Send, SendBytes(o, bytes), o.Receive, ReceiveBytes(o, bytes), CollectiveOperation.BytesOf(o.Type));
        Touch(o.Send, SendBytes(o, bytes));
        Own->Operation = o;
        Own->FactorBits = FactorOf(o);
        Step(launch);
        Compare(o);
        switch (o.Kind)
        {
            case CollectiveKind.AllReduce:
                (ulong first, ulong count) = Share(o.Count, Rank);
                Reduce(o, first, first, count);
                Step(launch);
                FetchShares(o);
                break;
            case CollectiveKind.Reduce:
                if (o.Peer == Rank) Reduce(o, 0, 0, o.Count);
                break;
            case CollectiveKind.ReduceScatter:
                Reduce(o, Rank * o.Count, 0, o.Count);
                break;
            case CollectiveKind.Broadcast:
                Fetch((uint)o.Peer, page.Member((uint)o.Peer)->Operation.Send, o.Receive, bytes);
                break;
            case CollectiveKind.AllGather:
                for (uint n = 0; n < Size; n++)
                {
                    uint from = (Rank + n) % Size; // all begin elsewhere
                    Fetch(from, page.Member(from)->Operation.Send, o.Receive + from * bytes, bytes);
                }
                break;
        }
        Step(launch);
    }

    ulong SendBytes(in CollectiveOperation o, ulong bytes) => o.Kind switch
    {
        CollectiveKind.ReduceScatter => bytes * Size, CollectiveKind.Broadcast when o.Peer != Rank => 0, _ => bytes,
    };

    ulong ReceiveBytes(in CollectiveOperation o, ulong bytes) => o.Kind switch
    {
        CollectiveKind.AllGather => bytes * Size, CollectiveKind.Reduce when o.Peer != Rank => 0, _ => bytes,
    };

    void CheckMemory(CollectiveKind kind, ulong send, ulong sendBytes, ulong receive, ulong receiveBytes, int elementBytes)
    {
        const uint PeersReadDeviceMemoryOnly = 8;
        AccessMap memory = context.Scheduler.Memory;
        foreach ((string name, ulong address, ulong bytes) in new[] { ("send", send, sendBytes), ("receive", receive, receiveBytes) })
        {
            if (bytes == 0) continue;
            if (address % (ulong)elementBytes != 0) throw new CollectiveException(CollectiveException.InvalidArgument, Rank, $"{kind}: the {name} buffer 0x{address:x} is not aligned to its elements");
            if (!memory.IsAccessible(address, bytes)) throw new CollectiveException(CollectiveException.InvalidArgument, Rank, $"{kind}: the {name} buffer 0x{address:x} of {bytes} bytes is not memory of the device");
            if (members!.Length > 1 && (address - PeerProcess.FirstAddress) >> 40 >= PeersReadDeviceMemoryOnly && !members.All(m => m.IsOwn))
                throw new CollectiveException(CollectiveException.InvalidArgument, Rank, $"{kind}: the {name} buffer 0x{address:x} is host memory, which members in other processes do not reach");
        }
    }

    /// <summary>Memory that a lazy restart has still to bring comes by a look of this process, not of another's.</summary>
    static void Touch(ulong address, ulong bytes)
    {
        const ulong PageBytes = 4096;
        if (bytes == 0) return;
        for (ulong at = address & ~(PageBytes - 1); at < address + bytes; at += PageBytes) Volatile.Read(ref *(byte*)at);
    }

    ulong FactorOf(in CollectiveOperation o)
    {
        if (o.FactorIsOnDevice == 0) return o.Factor;
        int bytes = CollectiveOperation.BytesOf(o.Type);
        if (!context.Scheduler.Memory.IsAccessible(o.Factor, (ulong)bytes)) throw new CollectiveException(CollectiveException.InvalidArgument, Rank, $"the factor 0x{o.Factor:x} is not memory of the device");
        ulong bits = 0;
        Buffer.MemoryCopy((byte*)o.Factor, &bits, 8, bytes);
        return bits;
    }

    /// <summary>All members do the same thing.</summary>
    void Compare(in CollectiveOperation o)
    {
        for (uint n = 0; n < Size; n++)
        {
            CollectiveOperation other = page.Member(n)->Operation;
            bool hasRoot = o.Kind is CollectiveKind.Broadcast or CollectiveKind.Reduce, reduces = o.Kind is CollectiveKind.AllReduce or CollectiveKind.Reduce or CollectiveKind.ReduceScatter;
            if (other.Kind == o.Kind && other.Type == o.Type && other.Count == o.Count && (!hasRoot || other.Peer == o.Peer) && (!reduces || other.Reduction == o.Reduction)) continue;
            throw new CollectiveException(CollectiveException.InvalidUsage, n, $"the calls do not match: rank {Rank} has called {Text(o)}, rank {n} {Text(other)}");
        }
    }

    static string Text(in CollectiveOperation o) => $"{o.Kind} of {o.Count} {o.Type}" + o.Kind switch
    {
        CollectiveKind.AllReduce or CollectiveKind.ReduceScatter => $", {o.Reduction}", CollectiveKind.Reduce => $", {o.Reduction}, root {o.Peer}", CollectiveKind.Broadcast => $", root {o.Peer}", _ => "",
    };

    /// <summary>A member's share of elements: whole lines of the cache.</summary>
    (ulong First, ulong Count) Share(ulong count, uint rank)
    {
        const ulong Line = 64;
        ulong share = ((count + Size - 1) / Size + Line - 1) & ~(Line - 1), first = Math.Min(count, share * rank);
        return (first, Math.Min(share, count - first));
    }

    /// <summary>Reduces elements of all members' send buffers into the own receive buffer.</summary>
    void Reduce(in CollectiveOperation o, ulong first, ulong to, ulong count)
    {
        ulong elementBytes = (ulong)CollectiveOperation.BytesOf(o.Type);
        ulong[] factors = new ulong[Size];
        for (uint n = 0; n < Size; n++) factors[n] = page.Member(n)->FactorBits;
        Reduction reduction = new(o.Type, o.Reduction, factors);
        Span<nint> sources = stackalloc nint[(int)Math.Min(Size, 256)];
        if (Size > sources.Length) sources = new nint[Size];
        for (ulong done = 0; done < count;)
        {
            ulong piece = Math.Min(Reduction.Chunk, count - done);
            for (uint n = 0; n < Size; n++)
            {
                ulong bytes = piece * elementBytes;
                sources[(int)n] = (nint)ReadMember(n, page.Member(n)->Operation.Send + (first + done) * elementBytes, ref bytes);
                piece = bytes / elementBytes;
            }
            reduction.Run(sources[..(int)Size], (byte*)(o.Receive + (to + done) * elementBytes), (int)piece);
            done += piece;
        }
    }

    void FetchShares(in CollectiveOperation o)
    {
        ulong elementBytes = (ulong)CollectiveOperation.BytesOf(o.Type);
        for (uint n = 1; n < Size; n++)
        {
            uint from = (Rank + n) % Size;
            (ulong first, ulong count) = Share(o.Count, from);
            Fetch(from, page.Member(from)->Operation.Receive + first * elementBytes, o.Receive + first * elementBytes, count * elementBytes);
        }
    }

    void Fetch(uint from, ulong source, ulong target, ulong bytes)
    {
        for (ulong done = 0; done < bytes;)
        {
            ulong piece = bytes - done;
            byte* at = ReadMember(from, source + done, ref piece);
            if (at != (byte*)(target + done)) Buffer.MemoryCopy(at, (byte*)(target + done), piece, piece);
            done += piece;
        }
    }

    byte* ReadMember(uint n, ulong address, ref ulong bytes)
    {
        byte* at = members![n].Read(address, ref bytes);
        return at != null ? at : throw new CollectiveException(CollectiveException.RemoteError, n, $"memory of rank {n} at 0x{address:x} cannot be reached");
    }
}
