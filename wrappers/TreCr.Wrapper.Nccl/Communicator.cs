using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Nccl;

/// <summary>
/// ncclComm_t: a communicator as the program knows it. It lies in the program's memory, and so comes back with it; the delegator has the membership behind it, which replay makes anew under the same handle.
/// </summary>
internal sealed unsafe class Communicator
{
    private static readonly object s_lock = new();
    private static readonly Dictionary<nint, Communicator> s_all = [];
    private readonly List<(CollectiveType Type, ulong Factor, bool IsOnDevice)?> _factors = [];

    public Communicator(UInt128 token, uint rank, uint size, ulong context, bool isBlocking)
    {
        (Token, Rank, Size, Context, IsBlocking) = (token, rank, size, context, isBlocking);
        Contexts.TryFind(context, out int device, out _);
        Device = device;
        Handle = (nint)NativeMemory.AllocZeroed(64);
        lock (s_lock) s_all[Handle] = this;
    }

    public nint Handle { get; }
    public UInt128 Token { get; }
    public uint Rank { get; }
    public uint Size { get; }
    public ulong Context { get; }
    public int Device { get; }
    public bool IsBlocking { get; }

    /// <summary>The delegator's; 0 before the device knows it.</summary>
    public CUcommunicator Member { get; set; }

    /// <summary>What is still to be done before it can be used; null: nothing.</summary>
    public IPending? Pending { get; set; }

    public bool IsFinalized { get; set; }

    /// <summary>Error that ended it, as last seen.</summary>
    public NcclResult Error { get; set; }

    /// <summary>Communicators made of this one so far: all members count alike.</summary>
    public uint Children { get; set; }

    /// <summary>Words told to the other members so far.</summary>
    public uint Told { get; set; }

    /// <summary>Called by exported functions with what the program gave.</summary>
    public static Communicator From(nint handle)
    {
        lock (s_lock)
            return s_all.TryGetValue(handle, out Communicator? found) ? found : throw new NcclException(NcclResult.InvalidArgument, handle == 0 ? "the communicator is NULL" : "there is no such communicator, or none any more");
    }

    /// <summary>Forgets it; its handle is none any more.</summary>
    public void Forget()
    {
        lock (s_lock)
            if (s_all.Remove(Handle)) NativeMemory.Free((void*)Handle);
    }

    /// <summary>Runs a call in this communicator's context.</summary>
    public Scope Enter() => new(Context);

    /// <summary>Makes a context current for records of the calling thread.</summary>
    public readonly ref struct Scope
    {
        private readonly ulong _before;

        public Scope(ulong context)
        {
            Thread = NcclRuntime.Thread;
            _before = Thread->Context;
            Thread->Context = context;
        }

        public ProgramThread* Thread { get; }

        public void Dispose() => Thread->Context = _before;
    }

    public void Join()
    {
        using Scope scope = Enter();
        CUcommunicator member;
        NcclRuntime.Check(CudaCollectiveCalls.Send_trecrCommJoin(scope.Thread, &member, (ulong)Token, (ulong)(Token >> 64), Rank, Size), $"rank {Rank} of {Size} cannot join");
        Member = member;
    }

    public CommunicatorState State
    {
        get
        {
            using Scope scope = Enter();
            CommunicatorState state;
            NcclRuntime.Check(CudaCollectiveCalls.Send_trecrCommState(scope.Thread, Member, &state), "state");
            Error = (NcclResult)state.Error;
            return state;
        }
    }

    public void Tell(uint word, ulong value)
    {
        using Scope scope = Enter();
        NcclRuntime.Check(CudaCollectiveCalls.Send_trecrCommTell(scope.Thread, Member, word, value), "tell");
    }

    public ulong Ask(uint rank, uint word)
    {
        using Scope scope = Enter();
        ulong value;
        NcclRuntime.Check(CudaCollectiveCalls.Send_trecrCommAsk(scope.Thread, Member, rank, word, &value), "ask");
        return value;
    }

    /// <summary>Throws where no work can be given to it.</summary>
    public void MustBeUsable()
    {
        if (Pending is not null) throw new NcclException(NcclResult.InvalidUsage, "the communicator is not ready: ncclCommGetAsyncError says ncclInProgress");
        if (IsFinalized) throw new NcclException(NcclResult.InvalidUsage, "the communicator was finalized");
        if (Error != NcclResult.Success) throw new NcclException(Error, "the communicator has failed");
    }

    public int AddFactor(CollectiveType type, ulong factor, bool isOnDevice)
    {
        int free = _factors.IndexOf(null);
        if (free < 0)
        {
            free = _factors.Count;
            _factors.Add(null);
        }
        _factors[free] = (type, factor, isOnDevice);
        return free;
    }

    public bool RemoveFactor(int index)
    {
        if ((uint)index >= (uint)_factors.Count || _factors[index] is null) return false;
        _factors[index] = null;
        return true;
    }

    public (CollectiveType Type, ulong Factor, bool IsOnDevice)? FactorAt(int index) => (uint)index < (uint)_factors.Count ? _factors[index] : null;
}

/// <summary>Something that takes its time because other members have to do their part: asked again and again, so that no call waits inside the delegator.</summary>
internal interface IPending
{
    /// <returns>true: done</returns>
    bool Step();

    /// <summary>For the message when it takes too long.</summary>
    string WaitsFor { get; }
}
