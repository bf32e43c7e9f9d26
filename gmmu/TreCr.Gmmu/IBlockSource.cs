using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>Physical memory behind an arena.</summary>
internal interface IBlockSource
{
    /// <summary>Puts memory behind a range of whole blocks.</summary>
    /// <param name="handle">given back to <see cref="Unmap"/></param>
    CUresult Map(ulong address, ulong bytes, out ulong handle);

    /// <summary>Takes it away again; exactly a range that was mapped.</summary>
    void Unmap(ulong address, ulong bytes, ulong handle);
}
