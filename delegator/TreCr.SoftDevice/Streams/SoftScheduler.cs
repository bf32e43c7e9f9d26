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
        Monitor.PulseAll(Gate);
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
                    Monitor.PulseAll(Gate);
                    return completed;
                case ItemKind.HostFunction when !dead:
                    hostFunctions.Enqueue(item);
                    Monitor.PulseAll(Gate);
                    return completed;
                case ItemKind.Collective: // also when dead: the others are told
                    item.Worker!.Begin(item);
                    return completed;
                case ItemKind.RecordEvent:
                    item.Event!.TimeNs = NowNs;
                    if (item.Word != 0) item.Event.Shared!.Reach(item.Word);
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
        while (true)
        {
            StreamItem? item;
            AccessMap memory;
            lock (Gate)
            {
                while ((item = FindWork()) is null)
                {
                    if (stopping) return;
                    Monitor.Wait(Gate);
                }
                item.Participants++;
                memory = Memory;
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
                while (hostFunctions.Count == 0)
                {
                    if (stopping) return;
                    Monitor.Wait(Gate);
                }
                item = hostFunctions.Dequeue();
            }
            item.Function((void*)item.UserData);
            lock (Gate) Complete(item);
        }
    }

    /// <summary>Waits until <paramref name="stream"/> has completed <paramref name="count"/> items.</summary>
    /// <returns>false: the deadline passed</returns>
    public bool Wait(SoftStream stream, long count, long deadlineTicks = long.MaxValue)
    {
        lock (Gate)
        {
            while (stream.Completed < count)
            {
                if (deadlineTicks == long.MaxValue) { Monitor.Wait(Gate); continue; }
                long left = deadlineTicks - Environment.TickCount64;
                if (left <= 0 || !Monitor.Wait(Gate, (int)Math.Min(left, int.MaxValue)) && stream.Completed < count) return false;
            }
            return true;
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
            Monitor.PulseAll(Gate);
        }
        foreach (Thread t in threads) t.Join(1000);
    }
}
