namespace TreCr.Calls.Cuda;

/// <summary>What a back end offers whose memory other processes of the job can map: the software device. Whose memory it is and where it stands is the GMMU's to know.</summary>
/// <remarks>Any thread. None of these waits for another process.</remarks>
public interface IDeviceSharing
{
    /// <summary>Others can map this memory by its token from now on.</summary>
    /// <param name="start">first of whole blocks</param><param name="address">of the allocation in them</param><param name="who">the program, for messages of those who miss it</param>
    /// <returns>CUDA_ERROR_ALREADY_MAPPED: another process that lives exports under this token</returns>
    CUresult Publish(UInt128 token, ulong start, ulong blockBytes, ulong address, ulong bytes, string who);

    /// <summary>Nobody can begin to map it any more.</summary>
    /// <returns>false: somebody still does; ask again</returns>
    bool Withdraw(UInt128 token);

    /// <summary>What is behind a token.</summary>
    /// <returns>as <see cref="ICudaSharing.trecrMemImport"/></returns>
    CUresult Find(UInt128 token, out SharedMemory memory);

    /// <summary>Maps the blocks behind a token. They are the other process's own, before and after it ends.</summary>
    /// <param name="at">free addresses of a device's slot, whole blocks</param>
    CUresult Attach(UInt128 token, ulong at, in SharedMemory memory);

    /// <summary>Ends <see cref="Attach"/>.</summary>
    void Detach(UInt128 token, ulong at, ulong blockBytes);

    /// <summary>Who exports it lives.</summary>
    bool IsOwned(UInt128 token);

    /// <summary>Lets blocks of mapped memory show other blocks.</summary>
    /// <param name="target">mapped, or attached; 0: their own again</param>
    CUresult Alias(ulong address, ulong bytes, ulong target);

    CUresult ExportEvent(CUevent @event, UInt128 token);

    /// <param name="isReplay">whoever comes first makes it: who exports it may come later, or have ended</param>
    CUresult ImportEvent(out CUevent @event, UInt128 token, bool isReplay);
}

/// <summary>Memory of another process.</summary>
/// <param name="BlockBytes">of the whole blocks in which it lies</param><param name="Offset">of the allocation in them</param><param name="Bytes">of the allocation</param><param name="Who">exports it</param>
public readonly record struct SharedMemory(ulong BlockBytes, ulong Offset, ulong Bytes, string Who);
