using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.SoftDevice.Collectives;
using TreCr.SoftDevice.Sharing;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>Communicators. All their members are on one host.</summary>
public sealed unsafe partial class SoftBackend
{
    /// <summary>Most members of a communicator: each pair has a place of its own.</summary>
    const uint MostMembers = 1024;

    readonly string? meetingDirectory;
    StatusBoard? board;

    public CUresult trecrCommJoin(CUcommunicator* communicator, ulong tokenLow, ulong tokenHigh, uint rank, uint size)
    {
        CUresult r = NeedContext(out SoftContext c);
        if (r != CUDA_SUCCESS) return r;
        if (meetingDirectory is null) return CUDA_ERROR_NOT_SUPPORTED;
        if (communicator == null || size is 0 or > MostMembers || rank >= size) return CUDA_ERROR_INVALID_VALUE;
        try
        {
            StatusBoard b = Board(meetingDirectory);
            string token = $"{tokenHigh:x16}{tokenLow:x16}";
            if (MeetingPage.Join(b.Directory, token, rank, size, b.StatusFd, out string? problem) is not { } page)
            {
                Console.Error.WriteLine($"trecr: NCCL: communicator {token[..8]}, rank {rank}: {problem}");
                return CUDA_ERROR_INVALID_VALUE;
            }
            Communicator made = new(b, c, page, token, rank);
            b.Add(made);
            *communicator = new(Add(made));
            return CUDA_SUCCESS;
        }
        catch (LinuxException e)
        {
            Console.Error.WriteLine($"trecr: NCCL: {e.Message}");
            return CUDA_ERROR_OPERATING_SYSTEM;
        }
    }

    StatusBoard Board(string directory)
    {
        lock (gate)
        {
            if (board is not null) return board;
            TokenFile.RemoveAbandoned(directory);
            StatusBoard made = new(directory);
            if (memfd >= 0) made.SetMemory(memfd, TotalBytes);
            foreach (Mapping m in mappings.Values) made.SetBlocks(m.Address, m.Bytes, m.Physical.Offset);
            return board = made;
        }
    }

    public CUresult trecrCommLeave(CUcommunicator communicator)
    {
        if (Find<Communicator>(communicator.Value) is not { } c) return CUDA_ERROR_INVALID_HANDLE;
        Remove(c);
        board!.Remove(c);
        return CUDA_SUCCESS;
    }

    public CUresult trecrCommAbort(CUcommunicator communicator)
    {
        if (Find<Communicator>(communicator.Value) is not { } c) return CUDA_ERROR_INVALID_HANDLE;
        c.Abort();
        return CUDA_SUCCESS;
    }

    public CUresult trecrCommState(CUcommunicator communicator, CommunicatorState* state)
    {
        if (Find<Communicator>(communicator.Value) is not { } c) return CUDA_ERROR_INVALID_HANDLE;
        *state = c.State;
        return CUDA_SUCCESS;
    }

    public CUresult trecrCommTell(CUcommunicator communicator, uint word, ulong value)
    {
        if (Find<Communicator>(communicator.Value) is not { } c) return CUDA_ERROR_INVALID_HANDLE;
        if (word > 3) return CUDA_ERROR_INVALID_VALUE;
        Volatile.Write(ref (&c.Page.Member(c.Rank)->Word0)[word], value);
        return CUDA_SUCCESS;
    }

    public CUresult trecrCommAsk(CUcommunicator communicator, uint rank, uint word, ulong* value)
    {
        if (Find<Communicator>(communicator.Value) is not { } c) return CUDA_ERROR_INVALID_HANDLE;
        if (rank >= c.Size || word > 3) return CUDA_ERROR_INVALID_VALUE;
        *value = Volatile.Read(ref (&c.Page.Member(rank)->Word0)[word]);
        return CUDA_SUCCESS;
    }

    public CUresult trecrCommLaunch(CUcommunicator communicator, CUstream stream, void* operations, nuint bytes)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        if (Find<Communicator>(communicator.Value) is not { } c) return CUDA_ERROR_INVALID_HANDLE;
        if (bytes == 0 || bytes > int.MaxValue || bytes % (nuint)sizeof(CollectiveOperation) != 0) return CUDA_ERROR_INVALID_VALUE;
        ReadOnlySpan<CollectiveOperation> all = MemoryMarshal.Cast<byte, CollectiveOperation>(new ReadOnlySpan<byte>(operations, (int)bytes));
        foreach (ref readonly CollectiveOperation o in all)
            if ((uint)o.Peer >= c.Size || o.Kind > CollectiveKind.Receive || o.Type > CollectiveType.Float8E5M2 || o.Reduction > CollectiveReduction.ScaledSum || o.Count > (1UL << 43) / c.Size) return CUDA_ERROR_INVALID_VALUE;
        c.Enqueue(s, all);
        return CUDA_SUCCESS;
    }

    public GateStep StepGate(out string? blocker)
    {
        blocker = null;
        return board?.StepGate(out blocker) ?? GateStep.Close;
    }

    public void GateOpened() => board?.GateOpened();
}
