namespace TreCr.Calls.Cuda;

/// <summary>Launches and host functions. CUDA Driver API, "Execution Control".</summary>
[CallTable(Library.Cuda)]
public unsafe interface ICudaExecution
{
    /// <summary>
    /// A launch with its parameters laid out in one block: all of cuLaunchKernel, cuLaunchKernelEx without attributes and cuLaunchCooperativeKernel become
    /// this record. The wrapper has checked handles, dimensions and limits.
    /// </summary>
    /// <param name="parameters">[parameterBytes], laid out as FunctionFacts says</param>
    /// <param name="sharedBytes">dynamic shared memory</param>
    /// <param name="flags">1 cooperative</param>
    [Call(0x0601, CallClass.Enqueue, Internal = true)]
    CUresult trecrLaunchKernel(CUfunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes,
        CUstream stream, uint flags, [InBytes(nameof(parameterBytes))] void* parameters, nuint parameterBytes);

    /// <summary>Runs a function of the program when the stream gets there; the stream waits for its end.</summary>
    /// <param name="function">program address of <c>void (*)(void*)</c>; behind the dispatch a function of the delegator that has it run by the program's helper thread</param>
    [Call(0x0602, CallClass.Enqueue), Manual("makes sure that the helper thread runs", Dispatch = true)]
    CUresult cuLaunchHostFunc(CUstream stream, [ProgramAddress] ulong function, [ProgramAddress] ulong userData);

    /// <summary>Device output (printf) since the last call, at most outBytes.</summary>
    /// <param name="text">[capacity]</param>
    [Call(0x0610, CallClass.Answer, Internal = true, NoContext = true)]
    CUresult trecrTakeDeviceOutput([OutBytes(nameof(capacity))] void* text, nuint capacity, [Out] nuint* bytes);
}
