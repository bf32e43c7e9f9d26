using System.Diagnostics;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Streams;

/// <summary>
/// The device's queues and its workers, one per core. Everything that waits is expressed as "stream S has completed N items", which serves order
/// inside streams, the legacy stream's implicit order, events and synchronisation alike.
/// </summary>
/// <remarks>One lock guards all queues; kernels and copies run outside of it. Host functions run on a thread of their own, so that they never hold up a worker.</remarks>
sealed unsafe partial class SoftScheduler : IDisposable
{
    public object Gate { get; } = new();
    readonly List<SoftContext> contexts = [];
    readonly List<StreamItem> active = [];
    readonly Stack<StreamItem> freeItems = new();
    readonly Stack<GridLaunch> freeLaunches = new();
    readonly Queue<StreamItem> hostFunctions = new();
    readonly Thread[] threads;
    readonly Thread hostThread;
    readonly ThreadBell hostBell = new();
    /// <summary>of workers that found nothing to do, the last of them on top: one that is not in it looks for work before it sleeps</summary>
    readonly Stack<ThreadBell> idle = new();
    /// <summary>of threads that wait for a stream or an event; who is rung is taken out</summary>
    readonly List<ThreadBell> waiters = [];
    bool stopping;
    ulong gridIds;

    public int Workers { get; }
    public AccessMap Memory { get; set; } = AccessMap.Empty;

    public SoftScheduler(int workers)
    {
        Workers = workers;
        threads = new Thread[workers];
        for (int n = 0; n < workers; n++)
        {
            int number = n;
            // Emitted code keeps its registers in frames of native memory, so a worker's own stack stays small.
            threads[n] = new(() => Work(number), 4 << 20) { IsBackground = true, Name = $"soft device worker {n}" };
            threads[n].Start();
        }
        hostThread = new(RunHostFunctions) { IsBackground = true, Name = "soft device host functions" };
        hostThread.Start();
    }

    /// <summary>Nanoseconds of the device clock.</summary>
    public static ulong NowNs => (ulong)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

    public SoftContext NewContext(int device)
    {
        SoftContext c = new(this, device);
        lock (Gate) contexts.Add(c);
        return c;
    }

    public void Remove(SoftContext c)
    {
        lock (Gate) contexts.Remove(c);
    }

    public StreamItem NewItem(ItemKind kind)
    {
        lock (Gate)
        {
            StreamItem item = freeItems.Count > 0 ? freeItems.Pop() : new();
            item.Kind = kind;
            item.Started = false;
            item.Participants = 0;
            item.Dependencies.Clear();
            return item;
        }
    }

    public GridLaunch NewLaunch()
    {
        lock (Gate)
        {
            GridLaunch launch = freeLaunches.Count > 0 ? freeLaunches.Pop() : new();
            launch.GridId = ++gridIds;
            return launch;
        }
    }

    /// <summary>Puts an item at the end of a stream; never waits.</summary>
    public void Enqueue(SoftStream stream, StreamItem item)
    {
        lock (Gate)
        {
            item.Stream = stream;
            SoftContext c = stream.Context;
            if (stream.IsLegacy)
            {
                foreach (SoftStream s in c.Streams)
                    if (s.IsBlocking && s != stream && s.Completed < s.Enqueued) item.Dependencies.Add((s, s.Enqueued));
            }
            else if (stream.IsBlocking && c.Legacy.Completed < c.Legacy.Enqueued) item.Dependencies.Add((c.Legacy, c.Legacy.Enqueued));
            if (item.Kind == ItemKind.Wait && item.Event is { Shared: { } shared }) (item.Kind, item.Word) = (ItemKind.WaitShared, shared.Last);
            else if (item.Kind == ItemKind.Wait && item.Event is { Recorded: true, Stream: { } recorded } e)
            {
                if (recorded.Completed < e.Count) item.Dependencies.Add((recorded, e.Count));
            }
            stream.Items.Enqueue(item);
            stream.Enqueued++;
            if (item.Kind == ItemKind.RecordEvent)
            {
                item.Event!.Recorded = true;
                item.Event.Stream = stream;
                item.Event.Count = stream.Enqueued;
                item.Word = item.Event.Shared?.Issue() ?? 0;
            }
            if (Advance(stream)) AdvanceAll();
        }
    }

    void AdvanceAll()
    {
        bool again;
        do
        {
            again = false;
            foreach (SoftContext c in contexts)
                for (int n = c.Streams.Count - 1; n >= 0; n--)
                {
                    SoftStream s = c.Streams[n];
                    again |= Advance(s);
                    if (s is { Destroyed: true, Items.Count: 0 }) c.Streams.RemoveAt(n);
                }
        } while (again);
    }

    /// <summary>Wakes workers for an item that so many of them can do at once.</summary>
    void CallWorkers(ulong needed)
    {
        for (; needed > 0 && idle.TryPop(out ThreadBell? bell); needed--) bell.Ring();
    }

    /// <summary>Starts what the head of a stream allows. True when items were completed on the spot.</summary>
    bool Advance(SoftStream stream)
    {
        bool completed = false;
        while (stream.Items.TryPeek(out StreamItem? item) && !item.Started)
        {
            foreach ((SoftStream s, long count) in item.Dependencies)
                if (s.Completed < count) return completed;
            bool dead = stream.Context.StickyError != 0;
            if (item.Kind is ItemKind.WaitValue or ItemKind.WaitShared && !dead && !MayGo(item)) return completed;
            item.Started = true;
            switch (item.Kind)
            {
                case ItemKind.Kernel or ItemKind.Copy or ItemKind.Fill when !dead:
                    if (item.Kind == ItemKind.Kernel) item.Launch!.Start(Workers);
                    active.Add(item);
                    CallWorkers(item.Kind == ItemKind.Kernel ? item.Launch!.Blocks : 1);
                    return completed;
                case ItemKind.HostFunction when !dead:
                    hostFunctions.Enqueue(item);
                    hostBell.Ring();
                    return completed;
                case ItemKind.Collective: // also when dead: the others are told
                    item.Worker!.Begin(item);
                    return completed;
                case ItemKind.RecordEvent:
                    item.Event!.TimeNs = NowNs;
                    if (item.Word == 0) break;
                    item.Event.Shared!.Reach(item.Word);
                    RingWaiters(null, item.Event);
                    break;
                case ItemKind.WriteValue when !dead:
                    WriteWord(item);
                    break;
            }
            Pop(item);
            completed = true;
        }
        return completed;
    }

    void Pop(StreamItem item)
    {
        SoftStream stream = item.Stream;
        stream.Items.Dequeue();
        stream.Completed++;
        RingWaiters(stream, null);
        if (item.Launch is { } launch)
        {
            item.Launch = null;
            if (freeLaunches.Count < 256) freeLaunches.Push(launch);
        }
        item.Event = null;
        (item.Worker, item.Work) = (null, null);
        if (item.Kind is ItemKind.WaitValue or ItemKind.WaitShared) waits.Remove(item);
        if (freeItems.Count < 1024) freeItems.Push(item);
    }

    /// <summary>A worker has done an item.</summary>
    /// <param name="failure">CUDA error that ends the context; 0: none</param>
    public void Finish(StreamItem item, int failure)
    {
        lock (Gate)
        {
            if (failure != 0 && item.Stream.Context.StickyError == 0) item.Stream.Context.StickyError = failure;
            Complete(item);
        }
    }

    void Complete(StreamItem item)
    {
        Pop(item);
        AdvanceAll();
    }

    void Work(int number)
    {
        using GridWorker worker = new(number, Workers);
        ThreadBell bell = ThreadBell.OfThisThread;
        while (true)
        {
            StreamItem? item;
            AccessMap memory;
            lock (Gate)
            {
                item = FindWork();
                if (item is not null) item.Participants++;
                else if (stopping) return;
                else idle.Push(bell);
                memory = Memory;
            }
            if (item is null)
            {
                bell.Await(watch: true);
                continue;
            }
            if (item.Kind == ItemKind.Kernel) worker.Run(item.Launch!, memory);
            else Transfer.Run(item);
            lock (Gate)
            {
                // Nobody can join any more once the first participant found nothing left.
                active.Remove(item);
                if (--item.Participants > 0) continue;
                if (item.Launch?.Fault is { } fault) Fail(item, fault);
                Complete(item);
            }
        }
    }

    /// <summary>What a worker can join: kernels with blocks left; copies only one takes.</summary>
    StreamItem? FindWork()
    {
        foreach (StreamItem item in active)
            if (item.Kind == ItemKind.Kernel ? item.Launch!.HasBlocks || item.Participants == 0 : item.Participants == 0) return item;
        return null;
    }

    static void Fail(StreamItem item, DeviceFaultException fault)
    {
        SoftContext c = item.Stream.Context;
        GridLaunch l = item.Launch!;
        if (c.StickyError == 0) c.StickyError = fault.CudaError;
        string thread = fault.Thread < 0 ? "" : $", thread ({l.Tids[fault.Thread] & 1023},{l.Tids[fault.Thread] >> 10 & 1023},{l.Tids[fault.Thread] >> 20})";
        Console.Error.WriteLine($"trecr: kernel {l.Kernel.Name}: {fault.Message}{(fault.CudaError is 700 or 716 or 718 ? $" 0x{fault.Address:x}" : "")} (CUDA error {fault.CudaError}) in block ({l.FaultBlock.X},{l.FaultBlock.Y},{l.FaultBlock.Z}){thread}");
    }

    void RunHostFunctions()
    {
        while (true)
        {
            StreamItem item;
            lock (Gate)
            {
                if (!hostFunctions.TryDequeue(out item!) && stopping) return;
            }
            if (item is null)
            {
                hostBell.Await(watch: false);
                continue;
            }
            item.Function((void*)item.UserData);
            lock (Gate) Complete(item);
        }
    }

    /// <summary>Waits until <paramref name="stream"/> has completed <paramref name="count"/> items.</summary>
    /// <returns>false: the deadline passed</returns>
    public bool Wait(SoftStream stream, long count, long deadlineTicks = long.MaxValue)
    {
        ThreadBell bell = ThreadBell.OfThisThread;
        while (true)
        {
            long left = deadlineTicks == long.MaxValue ? -1 : Math.Max(0, deadlineTicks - Environment.TickCount64);
            lock (Gate)
            {
                if (stream.Completed >= count || left == 0) { Leave(bell); return stream.Completed >= count; }
                Enter(bell, stream, count, null);
            }
            bell.Await(watch: true, left);
        }
    }

    /// <summary>Enters a thread among those that are rung. The gate is held.</summary>
    void Enter(ThreadBell bell, SoftStream? stream, long count, SoftEvent? e)
    {
        (bell.Stream, bell.Count, bell.Event) = (stream, count, e);
        if (!waiters.Contains(bell)) waiters.Add(bell);
    }

    void Leave(ThreadBell bell)
    {
        waiters.Remove(bell);
        (bell.Stream, bell.Event) = (null, null);
    }

    /// <summary>Wakes who waits for what a stream has completed, or for an event. The gate is held.</summary>
    void RingWaiters(SoftStream? stream, SoftEvent? e)
    {
        for (int n = waiters.Count - 1; n >= 0; n--)
        {
            ThreadBell bell = waiters[n];
            if (stream is not null && bell.Stream == stream ? stream.Completed < bell.Count : e is null || bell.Event != e) continue;
            waiters.RemoveAt(n);
            bell.Ring();
        }
    }

    /// <summary>Waits for all work that a context has now.</summary>
    public void WaitAll(SoftContext context)
    {
        (SoftStream, long)[] places;
        lock (Gate) places = [.. context.Streams.Select(s => (s, s.Enqueued))];
        foreach ((SoftStream s, long count) in places) Wait(s, count);
    }

    /// <summary>Waits for all work of the device; names what did not end in time.</summary>
    public bool DrainAll(TimeSpan deadline, out string? blocker)
    {
        long until = Environment.TickCount64 + (long)deadline.TotalMilliseconds;
        blocker = null;
        SoftStream[] all;
        lock (Gate) all = [.. contexts.SelectMany(c => c.Streams)];
        foreach (SoftStream s in all)
        {
            if (Wait(s, s.Enqueued, until)) continue;
            // What the head waits for is the culprit, not the head.
            lock (Gate)
            {
                StreamItem? item = s.Items.Count > 0 ? s.Items.Peek() : null;
                for (int depth = 0; item is { Started: false } && depth < 64; depth++)
                {
                    StreamItem? before = null;
                    foreach ((SoftStream d, long count) in item.Dependencies)
                        if (d.Completed < count && d.Items.Count > 0) { before = d.Items.Peek(); break; }
                    if (before is null) break;
                    item = before;
                }
                blocker = item?.Describe() ?? $"stream {s.Number}";
            }
            return false;
        }
        return true;
    }

    public void Dispose()
    {
        lock (Gate)
        {
            stopping = true;
            CallWorkers(ulong.MaxValue);
            hostBell.Ring();
            pollBell.Ring();
        }
        foreach (Thread t in threads) t.Join(1000);
    }
}
