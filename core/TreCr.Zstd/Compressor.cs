namespace TreCr.Zstd;

/// <summary>Compresses whole buffers into zstd frames. Shaped like ZstdSharp's class of this name, which could take its place.</summary>
/// <param name="level">compression level, 1 (fast) to 19; negative: faster, and larger</param>
/// <remarks>One thread at a time. Calls do not allocate managed memory.</remarks>
public sealed unsafe class Compressor(int level = 3) : IDisposable
{
    private nint _context = ZstdNative.ZSTD_createCCtx() is var c and not 0 ? c : throw new OutOfMemoryException("ZSTD_createCCtx");

    ~Compressor() => Free();

    /// <summary>Size that always suffices for the compressed form of <paramref name="length"/> bytes.</summary>
    public static int GetCompressBound(int length) => checked((int)ZstdNative.ZSTD_compressBound((nuint)length));

    /// <summary>Compresses <paramref name="src"/>.</summary>
    /// <returns>bytes written to <paramref name="dest"/></returns>
    /// <exception cref="ZstdException">the destination is too small</exception>
    public int Wrap(ReadOnlySpan<byte> src, Span<byte> dest) => (int)ZstdNative.Check(Compress(src, dest));

    /// <summary>Compresses <paramref name="src"/>, where a destination that is too small is an expected answer.</summary>
    /// <returns>false: it does not fit; the destination's content is undefined then</returns>
    public bool TryWrap(ReadOnlySpan<byte> src, Span<byte> dest, out int written)
    {
        nuint result = Compress(src, dest);
        if (ZstdNative.ZSTD_isError(result) != 0 && ZstdNative.ZSTD_getErrorCode(result) == ZstdNative.DestinationTooSmall)
        {
            written = 0;
            return false;
        }
        written = (int)ZstdNative.Check(result);
        return true;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private nuint Compress(ReadOnlySpan<byte> src, Span<byte> dest)
    {
        ObjectDisposedException.ThrowIf(_context == 0, this);
        nuint result;
        fixed (byte* s = src)
        fixed (byte* d = dest) result = ZstdNative.ZSTD_compressCCtx(_context, d, (nuint)dest.Length, s, (nuint)src.Length, level);
        GC.KeepAlive(this);
        return result;
    }

    private void Free()
    {
        nint context = Interlocked.Exchange(ref _context, 0);
        if (context != 0) ZstdNative.ZSTD_freeCCtx(context);
    }
}
