namespace TreCr.Zstd;

/// <summary>Decompresses whole zstd frames. Shaped like ZstdSharp's class of this name, which could take its place.</summary>
/// <remarks>One thread at a time. Calls do not allocate managed memory. Hostile input is an exception, never a write outside the destination.</remarks>
public sealed unsafe class Decompressor : IDisposable
{
    private nint _context = ZstdNative.ZSTD_createDCtx() is var c and not 0 ? c : throw new OutOfMemoryException("ZSTD_createDCtx");

    ~Decompressor() => Free();

    /// <summary>Decompresses <paramref name="src"/>.</summary>
    /// <returns>bytes written to <paramref name="dest"/></returns>
    /// <exception cref="ZstdException">not a zstd frame, damaged, or longer than the destination</exception>
    public int Unwrap(ReadOnlySpan<byte> src, Span<byte> dest)
    {
        ObjectDisposedException.ThrowIf(_context == 0, this);
        nuint result;
        fixed (byte* s = src)
        fixed (byte* d = dest) result = ZstdNative.ZSTD_decompressDCtx(_context, d, (nuint)dest.Length, s, (nuint)src.Length);
        GC.KeepAlive(this);
        return (int)ZstdNative.Check(result);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        nint context = Interlocked.Exchange(ref _context, 0);
        if (context != 0) ZstdNative.ZSTD_freeDCtx(context);
    }
}
