using System.Runtime.InteropServices;

namespace TreCr.Api;

/// <summary>A copy in the program's memory, of a region in any.</summary>
internal sealed unsafe class HostSnapshot(long bytes) : IRegionSnapshot
{
    private const int PieceBytes = 1 << 30; // a span has no more than 2 GiB

    private readonly byte* _at = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, bytes), 4096);

    public IRegionMemory Memory => HostMemory.Instance;

    public nint Address => (nint)_at;

    public bool Fits(ProtectedRegion region) => region.Bytes == bytes;

    public void Take(ProtectedRegion region)
    {
        for (long at = 0; at < bytes; at += PieceBytes) region.Memory.Read((nint)(region.Address + at), new Span<byte>(_at + at, (int)Math.Min(PieceBytes, bytes - at)));
    }

    public void Dispose() => NativeMemory.AlignedFree(_at);
}
