using System.Numerics;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Collectives;

/// <summary>
/// Combines elements of several members, always in the order of their ranks, so that results are the same bytes every time. Integers wrap; floats of 32 and 64 bits are rounded after each step; shorter ones are added up in 32 bits
/// and rounded once, to the nearest (8-bit ones to the largest number instead of infinity).
/// </summary>
sealed unsafe class Reduction
{
    /// <summary>Elements that are worked on at a time: what all members' parts of it need stays in the first cache.</summary>
    public const int Chunk = 1024;

    readonly CollectiveType type;
    readonly CollectiveReduction reduction;
    readonly ulong[] factors;
    readonly double[] sums = new double[Chunk];  // as memory only: one chunk of any type
    readonly double[] scaled = new double[Chunk];

    /// <param name="factors">bits of each member's own factor; of ScaledSum</param>
    public Reduction(CollectiveType type, CollectiveReduction reduction, ulong[] factors) => (this.type, this.reduction, this.factors) = (type, reduction, factors);

    /// <param name="sources">one for each member, in the order of ranks</param>
    /// <param name="target">may be one of the sources</param>
    /// <param name="count">at most <see cref="Chunk"/></param>
    public void Run(ReadOnlySpan<nint> sources, byte* target, int count)
    {
        switch (type)
        {
            case CollectiveType.Int8: Wide<sbyte>(sources, target, count); break;
            case CollectiveType.UInt8: Wide<byte>(sources, target, count); break;
            case CollectiveType.Int32: Wide<int>(sources, target, count); break;
            case CollectiveType.UInt32: Wide<uint>(sources, target, count); break;
            case CollectiveType.Int64: Wide<long>(sources, target, count); break;
            case CollectiveType.UInt64: Wide<ulong>(sources, target, count); break;
            case CollectiveType.Float32: Wide<float>(sources, target, count); break;
            case CollectiveType.Float64: Wide<double>(sources, target, count); break;
            default: Short(sources, target, count); break;
        }
    }

    /// <summary>Types that the processor calculates in.</summary>
    void Wide<T>(ReadOnlySpan<nint> sources, byte* target, int count) where T : unmanaged, INumber<T>
    {
        fixed (double* s = sums, f = scaled)
        {
            T* sum = (T*)s;
            T* first = Scaled<T>(sources, 0, (T*)f, count);
            if (sources.Length == 1) Copy(first, (T*)target, count);
            for (int n = 1; n < sources.Length; n++)
            {
                bool isLast = n + 1 == sources.Length;
                T* next;
                if (n == 1 && reduction == CollectiveReduction.ScaledSum)
                {
                    Copy(first, sum, count); // both would be in the same place
                    first = sum;
                }
                next = Scaled<T>(sources, n, (T*)f, count);
                Combine(n == 1 ? first : sum, next, isLast ? (T*)target : sum, count);
            }
        }
        if (reduction == CollectiveReduction.Average) Divide((T*)target, T.CreateChecked(sources.Length), count);
    }

    T* Scaled<T>(ReadOnlySpan<nint> sources, int n, T* room, int count) where T : unmanaged, INumber<T>
    {
        T* source = (T*)sources[n];
        if (reduction != CollectiveReduction.ScaledSum) return source;
        ulong bits = factors[n];
        T factor = *(T*)&bits;
        for (int i = 0; i < count; i++) room[i] = unchecked(source[i] * factor);
        return room;
    }

    static void Copy<T>(T* from, T* to, int count) where T : unmanaged => new ReadOnlySpan<T>(from, count).CopyTo(new Span<T>(to, count));

    static void Divide<T>(T* values, T by, int count) where T : unmanaged, INumber<T>
    {
        for (int i = 0; i < count; i++) values[i] /= by;
    }

    void Combine<T>(T* a, T* b, T* to, int count) where T : unmanaged, INumber<T>
    {
        int i = 0, step = Vector<T>.Count;
        switch (reduction)
        {
            case CollectiveReduction.Product:
                for (; i + step <= count; i += step) Vector.Store(Vector.Load(a + i) * Vector.Load(b + i), to + i);
                for (; i < count; i++) to[i] = unchecked(a[i] * b[i]);
                break;
            case CollectiveReduction.Max:
                for (; i + step <= count; i += step) Vector.Store(Vector.Max(Vector.Load(a + i), Vector.Load(b + i)), to + i);
                for (; i < count; i++) to[i] = T.Max(a[i], b[i]);
                break;
            case CollectiveReduction.Min:
                for (; i + step <= count; i += step) Vector.Store(Vector.Min(Vector.Load(a + i), Vector.Load(b + i)), to + i);
                for (; i < count; i++) to[i] = T.Min(a[i], b[i]);
                break;
            default:
                for (; i + step <= count; i += step) Vector.Store(Vector.Load(a + i) + Vector.Load(b + i), to + i);
                for (; i < count; i++) to[i] = unchecked(a[i] + b[i]);
                break;
        }
    }

    /// <summary>Floats of 16 and 8 bits.</summary>
    void Short(ReadOnlySpan<nint> sources, byte* target, int count)
    {
        fixed (double* s = sums, f = scaled)
        {
            float* sum = (float*)s, next = (float*)f;
            for (int n = 0; n < sources.Length; n++)
            {
                float* into = n == 0 ? sum : next;
                ShortFloats.Widen(type, (byte*)sources[n], into, count);
                if (reduction == CollectiveReduction.ScaledSum)
                {
                    ulong bits = factors[n];
                    float factor;
                    ShortFloats.Widen(type, (byte*)&bits, &factor, 1);
                    for (int i = 0; i < count; i++) into[i] *= factor;
                }
                if (n > 0) Combine(sum, next, sum, count);
            }
            if (reduction == CollectiveReduction.Average) Divide(sum, sources.Length, count);
            ShortFloats.Narrow(type, sum, target, count);
        }
    }
}
