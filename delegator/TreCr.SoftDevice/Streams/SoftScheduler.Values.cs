using TreCr.SoftDevice.Engine;
using TreCr.SoftDevice.Sharing;

namespace TreCr.SoftDevice.Streams;

/// <summary>Stream memory operations. Who writes a word that a stream waits for may be a kernel, a copy, or the program: it is looked at whenever some work ends, and once a millisecond while a stream waits.</summary>
sealed unsafe partial class SoftScheduler
{
    const int PollMs = 1, IllegalAddress = 700;

    readonly List<StreamItem> waits = [];
    readonly ThreadBell pollBell = new();
    Thread? poller;

    /// <summary>Whether the head of a stream that waits for a value may go. The gate is held.</summary>
    bool MayGo(StreamItem item)
    {
        if (IsSatisfied(item)) return true;
        if (waits.Contains(item)) return false;
        waits.Add(item);
        if (poller is null)
        {
            poller = new(Poll, 256 << 10) { IsBackground = true, Name = "soft device waits for values" };
            poller.Start();
        }
        pollBell.Ring();
        return false;
    }

    bool IsSatisfied(StreamItem item)
    {
        if (item.Kind == ItemKind.WaitShared) return item.Event!.Shared!.IsReached(item.Word);
        if (!Memory.IsAccessible(item.Destination, (ulong)item.ElementBytes))
        {
            if (item.Stream.Context.StickyError == 0) item.Stream.Context.StickyError = IllegalAddress;
            return true;
        }
        bool isWide = item.ElementBytes == 8;
        ulong found = isWide ? Volatile.Read(ref *(ulong*)item.Destination) : Volatile.Read(ref *(uint*)item.Destination);
        return item.Height switch
        {
            0 => isWide ? (long)(found - item.Word) >= 0 : (int)((uint)found - (uint)item.Word) >= 0,
            1 => found == item.Word,
            2 => (found & item.Word) != 0,
            _ => (~(found | item.Word) & (isWide ? ulong.MaxValue : uint.MaxValue)) != 0,
        };
    }

    void Poll()
    {
        while (true)
        {
            bool any;
            lock (Gate)
            {
                if (stopping) return;
                if (waits.Exists(IsSatisfied)) AdvanceAll();
                any = waits.Count > 0;
            }
            pollBell.Await(watch: false, any ? PollMs : -1);
        }
    }

    /// <summary>Waits for the last record of an event that other processes use too: they tell by a word in memory.</summary>
    public void WaitShared(SoftEvent e)
    {
        ThreadBell bell = ThreadBell.OfThisThread;
        ulong number = e.Shared!.Last;
        while (true)
        {
            lock (Gate)
            {
                if (e.Shared.IsReached(number)) { Leave(bell); return; }
                Enter(bell, null, 0, e);
            }
            bell.Await(watch: true, PollMs);
        }
    }

    /// <summary>Other processes use the event from now on; what it was recorded for may still be under way.</summary>
    public void Share(SoftEvent e, SharedEvent shared)
    {
        lock (Gate)
        {
            if (!e.IsReached)
                foreach (StreamItem item in e.Stream!.Items)
                    if (item.Kind == ItemKind.RecordEvent && item.Event == e) item.Word = shared.Issue();
            e.Shared = shared;
        }
    }

    /// <summary>Whether work that was put into a stream still needs the event.</summary>
    public bool IsInUse(SoftEvent e)
    {
        lock (Gate) return contexts.Exists(c => c.Streams.Exists(s => s.Items.Any(i => i.Event == e)));
    }

    static void WriteWord(StreamItem item)
    {
        if (item.ElementBytes == 8) Volatile.Write(ref *(ulong*)item.Destination, item.Word);
        else Volatile.Write(ref *(uint*)item.Destination, (uint)item.Word);
    }
}
