using TreCr.Calls.Cuda;
using TreCr.Linux;

namespace TreCr.SoftDevice.Collectives;

/// <summary>
/// Sends and receives. A sender says where its bytes are, in a ring of a few places for each pair; the receiver copies them, and the send is done when they are taken. All of a group go on side by side; those of
/// one pair in their order.
/// </summary>
sealed unsafe partial class Communicator
{
    /// <summary>A send or receive of a group.</summary>
    struct Transfer
    {
        public CollectiveOperation Operation;
        public ulong Bytes;

        /// <summary>Of a send: posted as this number of its pair.</summary>
        public uint Number;
        public bool IsPosted, IsDone;
    }

    void RunPairs(Launch launch, List<CollectiveOperation> operations)
    {
        Transfer[] transfers = new Transfer[operations.Count];
        for (int i = 0; i < transfers.Length; i++)
        {
            CollectiveOperation o = operations[i];
            ulong bytes = o.Count * (ulong)CollectiveOperation.BytesOf(o.Type);
            bool sends = o.Kind == CollectiveKind.Send;
            CheckMemory(o.Kind, o.Send, sends ? bytes : 0, o.Receive, sends ? 0 : bytes, CollectiveOperation.BytesOf(o.Type));
            if (sends) Touch(o.Send, bytes);
            transfers[i] = new Transfer { Operation = o, Bytes = bytes };
        }
        HashSet<uint> sendsHeld = [], receivesHeld = [];
        for (int left = transfers.Length; left > 0;)
        {
            uint bell = Volatile.Read(ref Own->Bell);
            sendsHeld.Clear();
            receivesHeld.Clear();
            bool moved = false;
            for (int i = 0; i < transfers.Length; i++)
            {
                ref Transfer t = ref transfers[i];
                if (t.IsDone) continue;
                uint peer = (uint)t.Operation.Peer;
                bool sends = t.Operation.Kind == CollectiveKind.Send, wasPosted = t.IsPosted;
                if (sends ? !t.IsPosted && sendsHeld.Contains(peer) : receivesHeld.Contains(peer)) continue;
                if (sends) TrySend(ref t, peer); else TryReceive(ref t, peer);
                moved |= t.IsDone || t.IsPosted != wasPosted;
                if (t.IsDone) left--;
                else if (!sends) receivesHeld.Add(peer);
                else if (!t.IsPosted) sendsHeld.Add(peer);
            }
            if (!moved && left > 0) AwaitBell(launch, bell, transfers);
        }
        launch.WaitsFor = null;
    }

    void TrySend(ref Transfer t, uint peer)
    {
        PairSlot* pair = page.Pair(Rank, peer);
        if (!t.IsPosted)
        {
            uint posted = pair->Posted;
            if (posted - Volatile.Read(ref pair->Taken) >= PairSlot.Ring) return;
            (&pair->Address0)[posted % PairSlot.Ring] = t.Operation.Send;
            (&pair->Bytes0)[posted % PairSlot.Ring] = t.Bytes;
            t.Number = posted + 1;
            t.IsPosted = true;
            Volatile.Write(ref pair->Posted, posted + 1);
            Ring(peer);
        }
        t.IsDone = (int)(Volatile.Read(ref pair->Taken) - t.Number) >= 0;
    }

    void TryReceive(ref Transfer t, uint peer)
    {
        PairSlot* pair = page.Pair(peer, Rank);
        uint taken = pair->Taken;
        if (Volatile.Read(ref pair->Posted) == taken) return;
        ulong bytes = (&pair->Bytes0)[taken % PairSlot.Ring];
        if (bytes != t.Bytes) throw new CollectiveException(CollectiveException.InvalidUsage, peer, $"the calls do not match: rank {peer} sends {bytes} bytes, rank {Rank} receives {t.Bytes}");
        Fetch(peer, (&pair->Address0)[taken % PairSlot.Ring], t.Operation.Receive, bytes);
        Volatile.Write(ref pair->Taken, taken + 1);
        Ring(peer);
        t.IsDone = true;
    }

    void Ring(uint peer)
    {
        MemberSlot* other = page.Member(peer);
        Interlocked.Increment(ref other->Bell);
        if (Volatile.Read(ref other->BellSleepers) != 0) Sys.FutexWake(&other->Bell);
    }

    void AwaitBell(Launch launch, uint bell, Transfer[] transfers)
    {
        for (int i = 0; i < Pauses + Yields; i++)
        {
            if (Volatile.Read(ref Own->Bell) != bell) return;
            if (i < Pauses) System.Runtime.Intrinsics.X86.X86Base.Pause(); else Sys.Yield();
        }
        launch.WaitsFor = (uint)transfers.First(t => !t.IsDone).Operation.Peer;
        Interlocked.Increment(ref Own->BellSleepers);
        Sys.FutexWait(&Own->Bell, bell, SliceNs);
        Interlocked.Decrement(ref Own->BellSleepers);
        if (Volatile.Read(ref Own->Bell) != bell) return;
        ThrowIfOver();
        foreach (Transfer t in transfers)
            if (!t.IsDone && t.Operation.Peer != Rank && WhyNever((uint)t.Operation.Peer) is { } never && Volatile.Read(ref Own->Bell) == bell) throw never;
    }
}
