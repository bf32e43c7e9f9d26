using System.Runtime.Intrinsics.X86;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.SoftDevice.Streams;

namespace TreCr.SoftDevice.Collectives;

/// <summary>
/// One member of a communicator. Its work is done by a thread of its own, in the order in which it was launched: each member reads what the others have, and writes only memory of its own, so that who keeps account
/// of written memory sees every write.
/// </summary>
sealed unsafe partial class Communicator : IStreamWorker, IDisposable
{
    const long SliceNs = 20_000_000;
    const int Pauses = 2000, Yields = 50;

    /// <summary>How long a program has to notice an error and to abort before its streams fail, ms.</summary>
    const int AbortMs = 10_000;

    readonly object sync = new();
    readonly Queue<Launch> queue = new();
    readonly MeetingPage page;
    readonly StatusBoard board;
    readonly SoftContext context;
    readonly Thread thread;
    PeerProcess[]? members;
    uint phase, outstanding;
    volatile bool aborted, stopping, ending;
    volatile uint error;
    uint errorRank = uint.MaxValue;

    public Communicator(StatusBoard board, SoftContext context, MeetingPage page, string token, uint rank)
    {
        (this.board, this.context, this.page, Token, Rank) = (board, context, page, token, rank);
        thread = new(Main, 1 << 20) { IsBackground = true, Name = $"communicator, rank {rank}" };
        thread.Start();
    }

    public string Token { get; }
    public uint Rank { get; }
    public uint Size => page.Size;
    public MeetingPage Page => page;
    MemberSlot* Own => page.Member(Rank);

    /// <summary>For messages.</summary>
    public string Name => $"communicator {Token[..8]}";

    public CommunicatorState State
    {
        get
        {
            CommunicatorState state = new() { IsComplete = page.IsComplete ? 1u : 0, Error = error, ErrorRank = errorRank };
            for (uint n = Size; n-- > 0 && state.IsComplete == 0;)
                if (page.Member(n)->Pid == 0) (state.FirstMissing, state.Missing) = (n, state.Missing + 1);
            if (state.Error == 0 && state.IsComplete == 1 && Outsider is { } gone) Fail(gone);
            (state.Error, state.ErrorRank) = (error, errorRank);
            lock (sync) state.Outstanding = outstanding;
            return state;
        }
    }

    /// <summary>Queues work. On the thread that issues records.</summary>
    public void Enqueue(SoftStream stream, ReadOnlySpan<CollectiveOperation> operations)
    {
        Launch launch = new(operations.ToArray());
        foreach (ref readonly CollectiveOperation o in operations)
            if (o.Kind == CollectiveKind.Send) Volatile.Write(ref page.Pair(Rank, (uint)o.Peer)->SendsLaunched, page.Pair(Rank, (uint)o.Peer)->SendsLaunched + 1);
            else if (o.Kind == CollectiveKind.Receive) Volatile.Write(ref page.Pair((uint)o.Peer, Rank)->ReceivesLaunched, page.Pair((uint)o.Peer, Rank)->ReceivesLaunched + 1);
            else Volatile.Write(ref Own->Launched, Own->Launched + 1);
        board.CountLaunches((uint)operations.Length);
        lock (sync)
        {
            queue.Enqueue(launch);
            outstanding++;
        }
        StreamItem item = context.Scheduler.NewItem(ItemKind.Collective);
        item.Worker = this;
        item.Work = launch;
        context.Scheduler.Enqueue(stream, item);
    }

    /// <inheritdoc/>
    public void Begin(StreamItem item)
    {
        lock (sync)
        {
            ((Launch)item.Work!).Item = item;
            Monitor.PulseAll(sync);
        }
    }

    /// <inheritdoc/>
    public string Describe(StreamItem item)
    {
        Launch launch = (Launch)item.Work!;
        return $"{launch.Operations[Math.Min(launch.At, launch.Operations.Length - 1)].Kind} of {Name}, rank {Rank}{(launch.WaitsFor is { } late ? $", which waits for rank {late}" : "")}";
    }

    public void Abort()
    {
        aborted = true;
        page.Leave(Rank, MemberSlot.HasAborted);
        lock (sync) Monitor.PulseAll(sync);
    }

    /// <summary>Ends this member's part. What was launched before is done or, after <see cref="Abort"/>, given up, by a thread that ends then.</summary>
    public void Dispose() => Leave(MemberSlot.HasLeft);

    /// <param name="how">of <see cref="MemberSlot.End"/></param>
    public void Leave(uint how)
    {
        if (Own->End == 0) page.Leave(Rank, how);
        stopping = true;
        lock (sync) Monitor.PulseAll(sync);
    }

    /// <summary>After <see cref="Dispose"/>, when no stream goes on any more.</summary>
    /// <returns>false: the thread still runs</returns>
    public bool Join(int milliseconds)
    {
        ending = true;
        lock (sync) Monitor.PulseAll(sync);
        return thread.Join(milliseconds);
    }

    void Main()
    {
        while (true)
        {
            Launch launch;
            lock (sync)
            {
                while (queue.Count == 0 || queue.Peek().Item is null)
                {
                    if (ending || stopping && queue.Count == 0)
                    {
                        page.Dispose();
                        return;
                    }
                    Monitor.Wait(sync);
                }
                launch = queue.Dequeue();
            }
            int failure = 0;
            try
            {
                if (error == 0 && !aborted && !stopping) Run(launch);
                else failure = AwaitAbort();
            }
            catch (CollectiveException e)
            {
                Fail(e);
                failure = AwaitAbort();
            }
            catch (Exception e)
            {
                Fail(new(CollectiveException.SystemError, Rank, $"failed inside the delegator: {e}"));
                failure = AwaitAbort();
            }
            lock (sync) outstanding--;
            context.Scheduler.Finish(launch.Item!, failure);
        }
    }

    void Fail(CollectiveException e)
    {
        lock (sync)
        {
            if (error != 0 || aborted || stopping) return;
            errorRank = e.Rank;
            error = e.Error;
        }
        Volatile.Write(ref Own->Error, e.Error);
        Console.Error.WriteLine($"trecr: NCCL: {Name}, rank {Rank}: {e.Message}");
    }

    /// <summary>Work that cannot be done holds its stream until the program gives the communicator up; if it does not, the context fails.</summary>
    /// <returns>CUDA error for the context; 0: none</returns>
    int AwaitAbort()
    {
        const int LaunchFailed = 719;
        long until = Environment.TickCount64 + AbortMs;
        // A mistake in the calls will not be waited for; the end of another member may be survived.
        if (error == CollectiveException.RemoteError)
            lock (sync)
                while (!aborted && !stopping && context.StickyError == 0 && Environment.TickCount64 < until) Monitor.Wait(sync, 100);
        return aborted || stopping ? 0 : LaunchFailed;
    }

    void Run(Launch launch)
    {
        AwaitMembers();
        List<CollectiveOperation> pairs = [];
        for (launch.At = 0; launch.At < launch.Operations.Length; launch.At++)
        {
            ref CollectiveOperation o = ref launch.Operations[launch.At];
            if (o.Kind is CollectiveKind.Send or CollectiveKind.Receive) pairs.Add(o);
            else RunCollective(launch, ref o);
        }
        if (pairs.Count > 0) RunPairs(launch, pairs);
    }

    void AwaitMembers()
    {
        if (members is not null) return;
        while (!page.IsComplete)
        {
            ThrowIfOver();
            Sys.FutexWait(&page.Header->IsComplete, 0, SliceNs);
        }
        PeerProcess[] found = new PeerProcess[Size];
        for (uint n = 0; n < Size; n++) found[n] = board.Open(page.Member(n)) ?? throw Ended(n);
        members = found;
    }

    static CollectiveException Ended(uint rank) => new(CollectiveException.RemoteError, rank, $"the process of rank {rank} has ended");

    void ThrowIfOver()
    {
        if (aborted || stopping) throw new CollectiveException(CollectiveException.InvalidUsage, Rank, "aborted");
        if (context.StickyError != 0) throw new CollectiveException(1, Rank, $"the context of rank {Rank} has failed (CUDA error {context.StickyError})");
    }

    /// <summary>What keeps a member from ever coming; null: nothing is known.</summary>
    CollectiveException? WhyNever(uint n)
    {
        MemberSlot* other = page.Member(n);
        if (Volatile.Read(ref other->Error) is not 0 and var its)
            return new(its == CollectiveException.RemoteError ? its : its is CollectiveException.InvalidUsage or CollectiveException.InvalidArgument ? its : CollectiveException.RemoteError, n, $"rank {n} has failed");
        uint end = Volatile.Read(ref other->End);
        if (end == MemberSlot.HasEnded) return Ended(n);
        if (end != 0) return new(CollectiveException.RemoteError, n, $"rank {n} has {(end == MemberSlot.HasAborted ? "aborted" : "left")}");
        return members is { } all && all[n].HasEnded ? Ended(n) : null;
    }

    /// <summary>A member whose process has ended or that has aborted: asked for while nothing waits.</summary>
    CollectiveException? Outsider
    {
        get
        {
            for (uint n = 0; n < Size; n++)
            {
                MemberSlot* other = page.Member(n);
                if (n == Rank || other->End == MemberSlot.HasLeft) continue;
                if (other->End != 0 || other->Error != 0) return WhyNever(n);
                if (other->Pid != Environment.ProcessId && ProcessStart.Of(other->Pid) != other->Start && other->End == 0) return Ended(n);
            }
            return null;
        }
    }

    /// <summary>One step further, and all members as far.</summary>
    void Step(Launch launch)
    {
        Interlocked.Exchange(ref Own->Phase, ++phase); // full fence: the phase is visible before sleepers are looked for
        if (Volatile.Read(ref Own->PhaseSleepers) != 0) Sys.FutexWake(&Own->Phase);
        for (uint n = 0; n < Size; n++)
        {
            MemberSlot* other = page.Member(n);
            for (int i = 0; (int)(Volatile.Read(ref other->Phase) - phase) < 0; i++)
            {
                if (i < Pauses) X86Base.Pause();
                else if (i < Pauses + Yields) Sys.Yield();
                else Sleep(launch, n, &other->Phase, &other->PhaseSleepers, phase);
            }
        }
        launch.WaitsFor = null;
    }

    void Sleep(Launch launch, uint n, uint* word, uint* sleepers, uint target)
    {
        Interlocked.Increment(ref *sleepers);
        uint now = Volatile.Read(ref *word);
        if ((int)(now - target) < 0)
        {
            launch.WaitsFor = n;
            Sys.FutexWait(word, now, SliceNs);
        }
        Interlocked.Decrement(ref *sleepers);
        if ((int)(Volatile.Read(ref *word) - target) >= 0) return;
        ThrowIfOver();
        CollectiveException? never = WhyNever(n);
        if (never is not null && (int)(Volatile.Read(ref *word) - target) < 0) throw never;
    }

    /// <summary>Operations of one record.</summary>
    sealed class Launch(CollectiveOperation[] operations)
    {
        public CollectiveOperation[] Operations => operations;

        /// <summary>Set when its stream has got there.</summary>
        public StreamItem? Item;

        /// <summary>Operation that is being done, and the member that it waits for.</summary>
        public int At;
        public uint? WaitsFor;
    }
}
