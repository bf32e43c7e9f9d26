namespace TreCr.Store;

/// <summary>
/// A quick look whether compression can pay, so that random or packed data does not spend its time in zstd: the values of 4096 sampled bytes
/// are counted, and a distribution as flat as that of random bytes is not tried.
/// </summary>
internal static unsafe class Compressibility
{
    private const int Samples = 4096;

    /// <summary>
    /// Sum of squared counts. For random bytes: 4096 · 4095 / 256 + 4096 = 69,616 with a standard deviation of about 360; numbers with an
    /// exponent in one byte of eight lie far above.
    /// </summary>
    private const long FlatLimit = 72_000;

    /// <param name="frame">[64 KiB]</param>
    /// <returns>false: looks random</returns>
    internal static bool IsLikely(ReadOnlySpan<byte> frame)
    {
        ushort* counts = stackalloc ushort[256];
        new Span<ushort>(counts, 256).Clear();
        // Runs of 16 bytes, 256 bytes apart: every position within a word is seen.
        for (int at = 0; at + 16 <= frame.Length; at += 16 * Format.FrameSizeBytes / Samples)
            for (int i = 0; i < 16; i++) counts[frame[at + i]]++;
        long sum = 0;
        for (int i = 0; i < 256; i++) sum += (long)counts[i] * counts[i];
        return sum > FlatLimit;
    }
}
