namespace TreCr.Calls.Cuda;

/// <summary>Communicators over devices, of one process or several: what the wrapper's NCCL (wrappers/TreCr.Wrapper.Nccl) asks of the device.</summary>
/// <remarks>
/// None of these waits for other members: who waits is the program, which asks <see cref="trecrCommState"/> again, so that a freeze finds it anywhere. All of them can be repeated by replay in any order among the
/// members. Work begins when its stream gets there, and holds that stream up until the other members are there too. A device without communicators answers CUDA_ERROR_NOT_SUPPORTED (the bodies here).
/// </remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaCollective
{
    /// <summary>The current context becomes a member; the others may come later.</summary>
    /// <param name="tokenLow">with <paramref name="tokenHigh"/> the same for all members and no other communicator</param>
    /// <returns>CUDA_ERROR_INVALID_VALUE: somebody else is this rank, or others say another size</returns>
    [Call(0x0a01, CallClass.Answer, Internal = true), Creates(nameof(communicator))]
    CUresult trecrCommJoin([Out] CUcommunicator* communicator, ulong tokenLow, ulong tokenHigh, uint rank, uint size) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    /// <summary>Ends membership.</summary>
    [Call(0x0a02, CallClass.Answer, Internal = true), Destroys(nameof(communicator))]
    CUresult trecrCommLeave(CUcommunicator communicator) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    /// <summary>Gives up what was launched and is not done, and tells the other members. The communicator is left afterwards by <see cref="trecrCommLeave"/>.</summary>
    [Call(0x0a03, CallClass.Answer, Internal = true)]
    CUresult trecrCommAbort(CUcommunicator communicator) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    [Call(0x0a04, CallClass.Answer, Internal = true)]
    CUresult trecrCommState(CUcommunicator communicator, [Out] CommunicatorState* state) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    /// <summary>Puts a word where the other members can read it. It stays, over restarts too, until the same word is told anew.</summary>
    /// <param name="word">0 to 3</param>
    [Call(0x0a05, CallClass.Answer, Internal = true, Logged = true)]
    CUresult trecrCommTell(CUcommunicator communicator, uint word, ulong value) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    /// <summary>What a member told last; 0 before.</summary>
    [Call(0x0a06, CallClass.Answer, Internal = true)]
    CUresult trecrCommAsk(CUcommunicator communicator, uint rank, uint word, [Out] ulong* value) => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    /// <summary>Queues collectives, one after another, and then all sends and receives at once.</summary>
    /// <param name="operations">of <see cref="CollectiveOperation"/></param>
    [Call(0x0a07, CallClass.Enqueue, Internal = true)]
    CUresult trecrCommLaunch(CUcommunicator communicator, CUstream stream, [InBytes(nameof(bytes))] void* operations, nuint bytes) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
}
