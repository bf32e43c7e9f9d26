namespace TreCr.Calls.Cuda;

/// <summary>
/// A CUDA device behind the delegator: NVIDIA's driver or the software device. All handles are the back end's own. Any thread may call; the current
/// context is the calling thread's, as in the driver.
/// </summary>
public interface ICudaBackend : ICudaDevice, ICudaContext, ICudaModule, ICudaVirtualMemory, ICudaCopy, ICudaExecution, ICudaStream, ICudaEvent, ICudaImage, ICudaCollective
{
    /// <summary>"soft" or "cuda"; recorded in manifests.</summary>
    string DeviceKind { get; }

    /// <summary>True when device memory is ordinary memory of this process at the device addresses (software device): it is captured by plain reads.</summary>
    bool DeviceMemoryIsHostMemory { get; }

    /// <summary>Before anything was made: a restored program has this many devices.</summary>
    /// <returns>false: the back end has those that there are</returns>
    bool Provide(int devices) => false;

    /// <summary>Waits until all queued work of all streams is done (the gate).</summary>
    /// <param name="blocker">kernel, host function or stream that did not end by the deadline</param>
    /// <returns>false: deadline passed</returns>
    bool Drain(TimeSpan deadline, out string? blocker);

    /// <summary>While a gate is to close, again and again between two records: whether it may. What has been launched here must be what the other members of its communicators have launched.</summary>
    /// <param name="blocker">whom a gate waits for that may not close yet</param>
    /// <remarks>On the one thread that issues records.</remarks>
    GateStep StepGate(out string? blocker)
    {
        blocker = null;
        return GateStep.Close;
    }

    /// <summary>The gate stands open again.</summary>
    void GateOpened() { }

    /// <summary>How memory and events are shared with other processes; null: they cannot be.</summary>
    IDeviceSharing? Sharing => null;
}

/// <summary>What the thread that issues records does next while its gate is to close.</summary>
public enum GateStep
{
    /// <summary>Issues nothing more.</summary>
    Close,

    /// <summary>Issues the next record: others have come further than this process.</summary>
    GoOn,

    /// <summary>Issues nothing, and asks again: others have not come as far, or may still go on.</summary>
    Wait,
}

/// <summary>
/// Device memory for a back end's own needs that must be saved and come back at the same address: module globals and constants of the software device.
/// Given by the GMMU; during replay of a module load the same calls return the same addresses.
/// </summary>
public interface IDeviceAllocator
{
    /// <returns>device address, zero-filled, multiple of 512; 0 when out of memory</returns>
    ulong Allocate(int deviceOrdinal, ulong bytes);

    /// <summary>Memory that the program reaches at the same address: for <c>__managed__</c> variables.</summary>
    /// <returns>as <see cref="Allocate"/></returns>
    ulong AllocateManaged(int deviceOrdinal, ulong bytes);

    void Free(ulong address);
}
