using TreCr.Calls.Cuda;
using TreCr.Linux;

namespace TreCr.Gmmu;

/// <summary>Pinned memory: ranges of the memfd that both processes map at one address, made known to the device.</summary>
/// <param name="discarded">called with address and length of what was given back to the system and reads as zero from then on</param>
internal sealed class PinnedBlocks(ICudaVirtualMemory memory, Action<ulong, ulong> discarded) : IBlockSource
{
    public CUresult Map(ulong address, ulong bytes, out ulong handle)
    {
        handle = 0;
        return memory.trecrHostMap(address, (nuint)bytes);
    }

    /// <remarks>The pages go back to the system: the memfd gets a hole, in the program too.</remarks>
    public void Unmap(ulong address, ulong bytes, ulong handle)
    {
        memory.trecrHostUnmap(address);
        Sys.Madvise(address, bytes, Sys.MADV_REMOVE);
        discarded(address, bytes); // after it: what is read in between may be from before
    }
}
