namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Barrier objects in shared memory (PTX ISA, "mbarrier"), on checked pointers. A block runs on one OS thread at a time, so plain loads and stores do. The 64 bits, which programs may not look into:
/// 0 to 19 arrivals that are pending, 20 to 39 arrivals that a phase needs, 40 to 61 bytes that are still to come (signed), 62 and 63 the phase, modulo 4.
/// </summary>
static unsafe class PtxBarriers
{
    const int NeedShift = 20, BytesShift = 40, PhaseShift = 62;
    const ulong CountMask = (1 << 20) - 1, BytesMask = (1 << 22) - 1;

    public static void BarrierInit(ulong* b, uint count) => *b = count & CountMask | (count & CountMask) << NeedShift;

    /// <summary>Takes arrivals from what is pending; of a thread that leaves, also from what later phases need.</summary>
    /// <returns>the object as it was before: the state that a wait is given</returns>
    public static long BarrierArrive(ulong* b, uint count, int leaves)
    {
        ulong old = *b, now = old;
        if (leaves != 0) now = now & ~(CountMask << NeedShift) | ((now >> NeedShift & CountMask) - count & CountMask) << NeedShift;
        now = now & ~CountMask | (now & CountMask) - count & CountMask;
        *b = Complete(now);
        return (long)old;
    }

    /// <summary>Adds to the bytes that have to come before the phase ends, or takes away those that came.</summary>
    public static void BarrierBytes(ulong* b, int bytes)
    {
        ulong now = *b;
        now = now & ~(BytesMask << BytesShift) | ((now >> BytesShift & BytesMask) + (ulong)bytes & BytesMask) << BytesShift;
        // Bytes that are announced end no phase.
        *b = bytes < 0 ? Complete(now) : now;
    }

    static ulong Complete(ulong b)
    {
        if ((b & CountMask) != 0 || (b >> BytesShift & BytesMask) != 0) return b;
        return (b & CountMask << NeedShift) | b >> NeedShift & CountMask | ((b >> PhaseShift) + 1) << PhaseShift;
    }

    /// <summary>1 where the phase that <paramref name="state"/> was taken in is over.</summary>
    public static int BarrierTest(ulong* b, long state) => (*b ^ (ulong)state) >> PhaseShift != 0 ? 1 : 0;

    /// <summary>1 where the phase of this parity is over.</summary>
    public static int BarrierTestParity(ulong* b, uint parity) => (*b >> PhaseShift & 1) != (parity & 1) ? 1 : 0;

    public static int BarrierPending(long state) => (int)((ulong)state & CountMask);
}
