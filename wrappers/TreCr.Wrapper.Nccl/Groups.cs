using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Nccl;

/// <summary>Calls between ncclGroupStart and ncclGroupEnd, of one thread: the work of each communicator is one record, and what has to wait for others waits for all of it together. A call outside is a group of its own.</summary>
internal static unsafe class Groups
{
    private sealed record Work(Communicator Communicator, CUstream Stream, CollectiveOperation Operation);

    private sealed class Group
    {
        public int Depth;
        public NcclResult Error;
        public readonly List<Work> Works = [];
        public readonly List<(IPending Pending, bool IsBlocking)> Pending = [];
    }

    private const string TimeoutVariable = "TRECR_NCCL_INIT_SECONDS";
    private const int DefaultSeconds = 300, LongestSleepNs = 5_000_000;

    [ThreadStatic] private static Group? t_group;

    private static Group Current => t_group ??= new Group();

    /// <summary>An error inside of a group is what its end answers.</summary>
    public static void Note(NcclResult error)
    {
        if (Current is { Depth: > 0, Error: NcclResult.Success } group) group.Error = error;
    }

    public static void Start() => Current.Depth++;

    public static void End()
    {
        Group group = Current;
        if (group.Depth == 0) throw new NcclException(NcclResult.InvalidUsage, "ncclGroupEnd without ncclGroupStart");
        if (--group.Depth > 0) return;
        NcclResult error = group.Error;
        group.Error = NcclResult.Success;
        try
        {
            if (error != NcclResult.Success) throw new NcclException(error, "a call of the group has failed");
            Finish(group);
        }
        finally
        {
            group.Works.Clear();
            group.Pending.Clear();
        }
    }

    /// <summary>What was called in the group is not done.</summary>
    /// <returns>bytes that would have been moved</returns>
    public static ulong Drop()
    {
        Group group = Current;
        if (group.Depth == 0) throw new NcclException(NcclResult.InvalidUsage, "ncclGroupSimulateEnd without ncclGroupStart");
        group.Depth--;
        ulong bytes = 0;
        foreach (Work w in group.Works) bytes += w.Operation.Count * (ulong)CollectiveOperation.BytesOf(w.Operation.Type);
        if (group.Depth == 0) group.Works.Clear();
        return bytes;
    }

    public static void Add(Communicator communicator, CUstream stream, in CollectiveOperation operation)
    {
        communicator.MustBeUsable();
        if (StreamCapture.IsActive && StreamCapture.Spoils(stream, out _)) throw new NcclException(NcclResult.InvalidUsage, "collectives in a stream capture are not supported");
        Group group = Current;
        if (group.Depth > 0)
        {
            group.Works.Add(new Work(communicator, stream, operation));
            return;
        }
        using Communicator.Scope scope = communicator.Enter();
        CollectiveOperation one = operation;
        NcclRuntime.Check(CudaCollectiveCalls.Send_trecrCommLaunch(scope.Thread, communicator.Member, stream, &one, (nuint)sizeof(CollectiveOperation)), "launch");
    }

    /// <summary>Waits, now or at the group's end; a communicator that does not block is only remembered.</summary>
    public static void Await(IPending pending, bool isBlocking)
    {
        Group group = Current;
        if (group.Depth > 0) group.Pending.Add((pending, isBlocking));
        else if (isBlocking) AwaitAll([pending]);
        else if (!pending.Step()) throw new NcclException(NcclResult.InProgress, "");
    }

    private static void Finish(Group group)
    {
        foreach (IGrouping<Communicator, Work> works in group.Works.GroupBy(w => w.Communicator)) Launch(works.Key, [.. works]);
        AwaitAll([.. group.Pending.Where(p => p.IsBlocking).Select(p => p.Pending)]);
        bool isInProgress = false;
        foreach ((IPending pending, bool isBlocking) in group.Pending) isInProgress |= !isBlocking && !pending.Step();
        if (isInProgress) throw new NcclException(NcclResult.InProgress, "");
    }

    /// <summary>One record. Streams beside the first wait for it, and it for them.</summary>
    private static void Launch(Communicator communicator, Work[] works)
    {
        communicator.MustBeUsable();
        using Communicator.Scope scope = communicator.Enter();
        CUstream main = works[0].Stream;
        CUstream[] others = [.. works.Select(w => w.Stream).Distinct().Where(s => s != main)];
        foreach (CUstream other in others) Order(scope.Thread, other, main);
        CollectiveOperation[] operations = [.. works.Select(w => w.Operation)];
        fixed (CollectiveOperation* all = operations)
            NcclRuntime.Check(CudaCollectiveCalls.Send_trecrCommLaunch(scope.Thread, communicator.Member, main, all, (nuint)(operations.Length * sizeof(CollectiveOperation))), "launch");
        foreach (CUstream other in others) Order(scope.Thread, main, other);
    }

    private static void Order(ProgramThread* thread, CUstream first, CUstream then)
    {
        const uint WithoutTime = 2;
        CUevent reached;
        NcclRuntime.Check(CudaEventCalls.Send_cuEventCreate(thread, &reached, WithoutTime), "cuEventCreate");
        NcclRuntime.Check(CudaEventCalls.Send_cuEventRecord(thread, CallClass.Enqueue, reached, first), "cuEventRecord");
        NcclRuntime.Check(CudaStreamCalls.Send_cuStreamWaitEvent(thread, CallClass.Enqueue, then, reached, 0), "cuStreamWaitEvent");
        NcclRuntime.Check(CudaEventCalls.Send_cuEventDestroy_v2(thread, CallClass.Answer, reached), "cuEventDestroy");
    }

    private static void AwaitAll(IPending[] pending)
    {
        int seconds = int.TryParse(Environment.GetEnvironmentVariable(TimeoutVariable), out int given) && given > 0 ? given : DefaultSeconds;
        long end = Environment.TickCount64 + seconds * 1000L;
        List<IPending> left = [.. pending];
        for (long sleep = 50_000; ; sleep = Math.Min(2 * sleep, LongestSleepNs))
        {
            left.RemoveAll(p => p.Step());
            if (left.Count == 0) return;
            if (Environment.TickCount64 >= end) throw new NcclException(NcclResult.SystemError, $"after {seconds} s ({TimeoutVariable}) this is still missing: {left[0].WaitsFor}. Members on other hosts are not supported");
            Sys.SleepNs(sleep);
        }
    }
}
