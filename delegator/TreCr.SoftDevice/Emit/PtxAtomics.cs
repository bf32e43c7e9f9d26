using System.Runtime.CompilerServices;

namespace TreCr.SoftDevice.Emit;

/// <summary>Atomics on a checked pointer; each returns the old value. Shared* serve shared memory, which one OS thread owns while a block runs, so they need no lock prefix.</summary>
static unsafe class PtxAtomics
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)] public static int AtomicAddB32(int* p, int v) => Interlocked.Add(ref *p, v) - v;
    [MethodImpl(Inline)] public static int SharedAddB32(int* p, int v) { int old = *p; *p = old + v; return old; }

    [MethodImpl(Inline)] public static int AtomicExchB32(int* p, int v) => Interlocked.Exchange(ref *p, v);
    [MethodImpl(Inline)] public static int SharedExchB32(int* p, int v) { int old = *p; *p = v; return old; }

    [MethodImpl(Inline)] public static int AtomicAndB32(int* p, int v) => Interlocked.And(ref *p, v);
    [MethodImpl(Inline)] public static int SharedAndB32(int* p, int v) { int old = *p; *p = old & v; return old; }

    [MethodImpl(Inline)] public static int AtomicOrB32(int* p, int v) => Interlocked.Or(ref *p, v);
    [MethodImpl(Inline)] public static int SharedOrB32(int* p, int v) { int old = *p; *p = old | v; return old; }

    public static int AtomicXorB32(int* p, int v)
    {
        while (true)
        {
            int old = Volatile.Read(ref *p);
            int now = old ^ v;
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static int SharedXorB32(int* p, int v) { int old = *p; *p = old ^ v; return old; }

    [MethodImpl(Inline)] public static int AtomicCasB32(int* p, int compare, int v) => Interlocked.CompareExchange(ref *p, v, compare);
    [MethodImpl(Inline)] public static int SharedCasB32(int* p, int compare, int v) { int old = *p; if (old == compare) *p = v; return old; }

    public static int AtomicMinS32(int* p, int v)
    {
        while (true)
        {
            int old = Volatile.Read(ref *p);
            int now = Math.Min(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static int SharedMinS32(int* p, int v) { int old = *p; *p = Math.Min(old, v); return old; }

    public static int AtomicMaxS32(int* p, int v)
    {
        while (true)
        {
            int old = Volatile.Read(ref *p);
            int now = Math.Max(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static int SharedMaxS32(int* p, int v) { int old = *p; *p = Math.Max(old, v); return old; }

    public static uint AtomicMinU32(uint* p, uint v)
    {
        while (true)
        {
            uint old = Volatile.Read(ref *p);
            uint now = Math.Min(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static uint SharedMinU32(uint* p, uint v) { uint old = *p; *p = Math.Min(old, v); return old; }

    public static uint AtomicMaxU32(uint* p, uint v)
    {
        while (true)
        {
            uint old = Volatile.Read(ref *p);
            uint now = Math.Max(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static uint SharedMaxU32(uint* p, uint v) { uint old = *p; *p = Math.Max(old, v); return old; }

    [MethodImpl(Inline)] public static long AtomicAddB64(long* p, long v) => Interlocked.Add(ref *p, v) - v;
    [MethodImpl(Inline)] public static long SharedAddB64(long* p, long v) { long old = *p; *p = old + v; return old; }

    [MethodImpl(Inline)] public static long AtomicExchB64(long* p, long v) => Interlocked.Exchange(ref *p, v);
    [MethodImpl(Inline)] public static long SharedExchB64(long* p, long v) { long old = *p; *p = v; return old; }

    [MethodImpl(Inline)] public static long AtomicAndB64(long* p, long v) => Interlocked.And(ref *p, v);
    [MethodImpl(Inline)] public static long SharedAndB64(long* p, long v) { long old = *p; *p = old & v; return old; }

    [MethodImpl(Inline)] public static long AtomicOrB64(long* p, long v) => Interlocked.Or(ref *p, v);
    [MethodImpl(Inline)] public static long SharedOrB64(long* p, long v) { long old = *p; *p = old | v; return old; }

    public static long AtomicXorB64(long* p, long v)
    {
        while (true)
        {
            long old = Volatile.Read(ref *p);
            long now = old ^ v;
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static long SharedXorB64(long* p, long v) { long old = *p; *p = old ^ v; return old; }

    [MethodImpl(Inline)] public static long AtomicCasB64(long* p, long compare, long v) => Interlocked.CompareExchange(ref *p, v, compare);
    [MethodImpl(Inline)] public static long SharedCasB64(long* p, long compare, long v) { long old = *p; if (old == compare) *p = v; return old; }

    public static long AtomicMinS64(long* p, long v)
    {
        while (true)
        {
            long old = Volatile.Read(ref *p);
            long now = Math.Min(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static long SharedMinS64(long* p, long v) { long old = *p; *p = Math.Min(old, v); return old; }

    public static long AtomicMaxS64(long* p, long v)
    {
        while (true)
        {
            long old = Volatile.Read(ref *p);
            long now = Math.Max(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static long SharedMaxS64(long* p, long v) { long old = *p; *p = Math.Max(old, v); return old; }

    public static ulong AtomicMinU64(ulong* p, ulong v)
    {
        while (true)
        {
            ulong old = Volatile.Read(ref *p);
            ulong now = Math.Min(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static ulong SharedMinU64(ulong* p, ulong v) { ulong old = *p; *p = Math.Min(old, v); return old; }

    public static ulong AtomicMaxU64(ulong* p, ulong v)
    {
        while (true)
        {
            ulong old = Volatile.Read(ref *p);
            ulong now = Math.Max(old, v);
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static ulong SharedMaxU64(ulong* p, ulong v) { ulong old = *p; *p = Math.Max(old, v); return old; }

    public static uint AtomicIncU32(uint* p, uint v)
    {
        while (true)
        {
            uint old = Volatile.Read(ref *p);
            uint now = old >= v ? 0 : old + 1;
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static uint SharedIncU32(uint* p, uint v) { uint old = *p; *p = old >= v ? 0 : old + 1; return old; }

    public static uint AtomicDecU32(uint* p, uint v)
    {
        while (true)
        {
            uint old = Volatile.Read(ref *p);
            uint now = old == 0 || old > v ? v : old - 1;
            if (Interlocked.CompareExchange(ref *p, now, old) == old) return old;
        }
    }

    [MethodImpl(Inline)] public static uint SharedDecU32(uint* p, uint v) { uint old = *p; *p = old == 0 || old > v ? v : old - 1; return old; }

    [MethodImpl(Inline)] public static int AtomicCasB16(ushort* p, int compare, int v) => Interlocked.CompareExchange(ref *p, (ushort)v, (ushort)compare);
    [MethodImpl(Inline)] public static int SharedCasB16(ushort* p, int compare, int v) { int old = *p; if (old == (ushort)compare) *p = (ushort)v; return old; }

    public static float AtomicAddF32(float* p, float v)
    {
        while (true)
        {
            int old = Volatile.Read(ref *(int*)p);
            int now = BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(old) + v);
            if (Interlocked.CompareExchange(ref *(int*)p, now, old) == old) return BitConverter.Int32BitsToSingle(old);
        }
    }

    public static double AtomicAddF64(double* p, double v)
    {
        while (true)
        {
            long old = Volatile.Read(ref *(long*)p);
            long now = BitConverter.DoubleToInt64Bits(BitConverter.Int64BitsToDouble(old) + v);
            if (Interlocked.CompareExchange(ref *(long*)p, now, old) == old) return BitConverter.Int64BitsToDouble(old);
        }
    }

    [MethodImpl(Inline)] public static float SharedAddF32(float* p, float v) { float old = *p; *p = old + v; return old; }
    [MethodImpl(Inline)] public static double SharedAddF64(double* p, double v) { double old = *p; *p = old + v; return old; }
}
