namespace TreCr.Ptx.Ranges;

/// <summary>Integers from Low to High that are equal to Residue modulo 2^KnownBits. All within ±2^62; <see cref="None"/> stands for anything.</summary>
public readonly record struct Interval(long Low, long High, int KnownBits, long Residue)
{
    const int MaxBits = 16;
    const long Limit = 1L << 62;

    /// <summary>Nothing is known.</summary>
    public static Interval None { get; } = new(1, 0, 0, 0);

    public bool IsKnown => Low <= High;
    public bool IsSingle => Low == High;

    public static Interval Single(long v) => v is > -Limit and < Limit ? new(v, v, MaxBits, v & (1 << MaxBits) - 1) : None;
    public static Interval Span(long low, long high) => low == high ? Single(low) : new(low, high, 0, 0);

    static Interval Make(Int128 low, Int128 high, int bits, long residue)
    {
        if (low <= -Limit || high >= Limit) return None;
        if (low == high) return Single((long)low);
        bits = Math.Min(bits, MaxBits);
        return new((long)low, (long)high, bits, residue & (1L << bits) - 1);
    }

    public static Interval operator +(Interval a, Interval b)
        => a.IsKnown && b.IsKnown ? Make((Int128)a.Low + b.Low, (Int128)a.High + b.High, Math.Min(a.KnownBits, b.KnownBits), a.Residue + b.Residue) : None;

    public static Interval operator -(Interval a, Interval b)
        => a.IsKnown && b.IsKnown ? Make((Int128)a.Low - b.High, (Int128)a.High - b.Low, Math.Min(a.KnownBits, b.KnownBits), a.Residue - b.Residue) : None;

    public static Interval operator *(Interval a, Interval b)
    {
        if (!a.IsKnown || !b.IsKnown) return None;
        Int128 p = (Int128)a.Low * b.Low, q = (Int128)a.Low * b.High, r = (Int128)a.High * b.Low, s = (Int128)a.High * b.High;
        // x = ra + 2^ka u, y = rb + 2^kb v: the product is known as far as the trailing zeros of the other side carry.
        int bits = Math.Min(a.KnownBits + b.Zeros, b.KnownBits + a.Zeros);
        return Make(Int128.Min(Int128.Min(p, q), Int128.Min(r, s)), Int128.Max(Int128.Max(p, q), Int128.Max(r, s)), bits, a.Residue * b.Residue);
    }

    /// <summary>Low bits that are known to be 0.</summary>
    int Zeros => Residue == 0 ? KnownBits : System.Numerics.BitOperations.TrailingZeroCount(Residue);

    public Interval Join(Interval b)
    {
        if (!IsKnown || !b.IsKnown) return None;
        int bits = Math.Min(KnownBits, b.KnownBits);
        bits = Math.Min(bits, Residue == b.Residue ? bits : System.Numerics.BitOperations.TrailingZeroCount(Residue ^ b.Residue));
        return Make(Math.Min(Low, b.Low), Math.Max(High, b.High), bits, Residue);
    }

    /// <summary>The same low <paramref name="width"/> bits as a number that lies between the smallest and largest given; None where the range straddles.</summary>
    public Interval Within(Int128 smallest, Int128 largest, int width)
    {
        if (!IsKnown) return None;
        for (int turn = -1; turn <= 1; turn++)
        {
            Int128 shift = (Int128)turn << width;
            if (Low + shift >= smallest && High + shift <= largest) return Make(Low + shift, High + shift, KnownBits, Residue);
        }
        return None;
    }

    /// <summary>True where all members, plus <paramref name="offset"/>, are multiples of <paramref name="bytes"/>, a power of two.</summary>
    public bool IsAligned(long offset, int bytes) => bytes == 1 || KnownBits >= System.Numerics.BitOperations.Log2((uint)bytes) && (Residue + offset & bytes - 1) == 0;
}
