namespace TreCr.Api;

/// <summary>A copy of a region's bytes in memory, which is used again for the next checkpoint.</summary>
public interface IRegionSnapshot : IDisposable
{
    /// <summary>Where the copy lies.</summary>
    IRegionMemory Memory { get; }

    nint Address { get; }

    /// <summary>Whether it can hold a region's bytes.</summary>
    bool Fits(ProtectedRegion region);

    /// <summary>Copies; returns when the region may change.</summary>
    void Take(ProtectedRegion region);
}
