using System.Numerics;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>
/// The independent reference for floating point: IEEE 754 in integers of any length. A format is its exponent and fraction width; a finite number is an integer times a power of two; every
/// result is computed exactly, or with a sticky bit, and rounded once.
/// </summary>
sealed record Ieee(int Bits, int ExponentBits)
{
    public static readonly Ieee F16 = new(16, 5), BF16 = new(16, 8), F32 = new(32, 8), F64 = new(64, 11), TF32 = new(19, 8);

    public int FractionBits => Bits - 1 - ExponentBits;
    int Bias => (1 << ExponentBits - 1) - 1;
    ulong FractionMask => (1UL << FractionBits) - 1;
    public ulong SignBit => 1UL << Bits - 1;
    public ulong Infinity => ((1UL << ExponentBits) - 1) << FractionBits;
    public ulong NaN => Infinity | FractionMask;
    public ulong Largest => Infinity - 1;
    public ulong One => (ulong)Bias << FractionBits;
    ulong SmallestNormal => 1UL << FractionBits;

    public bool IsNaN(ulong a) => (a & ~SignBit) > Infinity;
    public bool IsInfinite(ulong a) => (a & ~SignBit) == Infinity;
    public bool IsZero(ulong a) => (a & ~SignBit) == 0;
    public bool IsSubnormal(ulong a) => (a & ~SignBit) is > 0 and var m && m < SmallestNormal;
    public bool IsNegative(ulong a) => (a & SignBit) != 0;
    public ulong Flush(ulong a) => IsSubnormal(a) ? a & SignBit : a;

    /// <summary>A finite number as Significand * 2^Exponent.</summary>
    (BigInteger Significand, int Exponent) Finite(ulong a)
    {
        int e = (int)((a & ~SignBit) >> FractionBits);
        BigInteger m = a & FractionMask;
        if (e == 0) e = 1;
        else m += BigInteger.One << FractionBits;
        return (IsNegative(a) ? -m : m, e - Bias - FractionBits);
    }

    /// <summary>Rounds (significand + a little more where sticky, away from zero) * 2^exponent. Mode: rn, rz, rm, rp, rna.</summary>
    public ulong Round(BigInteger significand, int exponent, bool sticky, string mode, bool negativeZero = false)
    {
        if (significand.IsZero && !sticky) return negativeZero ? SignBit : 0;
        bool negative = significand.Sign < 0 || significand.IsZero && negativeZero;
        BigInteger m = BigInteger.Abs(significand);
        int length = (int)m.GetBitLength(), lowest = 1 - Bias - FractionBits;
        // The unit of the last place: the subnormals' at least.
        int unit = Math.Max(lowest, exponent + length - 1 - FractionBits), drop = unit - exponent;
        BigInteger kept, rest, half;
        if (drop > 0)
        {
            kept = m >> drop;
            rest = (m - (kept << drop)) * 2;
            half = BigInteger.One << drop;
        }
        else (kept, rest, half) = (m << -drop, 0, 1);
        int tail = rest.CompareTo(half);
        bool exact = rest.IsZero && !sticky, above = tail > 0 || tail == 0 && sticky, tie = tail == 0 && !sticky && drop > 0;
        bool up = !exact && mode switch
        {
            "rn" => above || tie && !kept.IsEven, "rna" => above || tie, "rz" => false, "rm" => negative, "rp" => !negative, _ => throw new ArgumentException(mode),
        };
        if (up) kept += 1;
        if (kept.GetBitLength() > FractionBits + 1) { kept >>= 1; unit++; }
        ulong sign = negative ? SignBit : 0;
        int e = unit + FractionBits + Bias;
        if (kept.GetBitLength() <= FractionBits) return sign | (ulong)kept;
        if (e < (1 << ExponentBits) - 1) return sign | (ulong)e << FractionBits | (ulong)kept & FractionMask;
        bool toInfinity = mode switch { "rn" or "rna" => true, "rz" => false, "rm" => negative, _ => !negative };
        return sign | (toInfinity ? Infinity : Largest);
    }

    public ulong Fma(ulong a, ulong b, ulong c, string mode)
    {
        if (IsNaN(a) || IsNaN(b) || IsNaN(c) || IsInfinite(a) && IsZero(b) || IsZero(a) && IsInfinite(b)) return NaN;
        bool negative = IsNegative(a) != IsNegative(b);
        if (IsInfinite(a) || IsInfinite(b)) return IsInfinite(c) && IsNegative(c) != negative ? NaN : (negative ? SignBit : 0) | Infinity;
        if (IsInfinite(c)) return c;
        (BigInteger ma, int ea) = Finite(a);
        (BigInteger mb, int eb) = Finite(b);
        (BigInteger mc, int ec) = Finite(c);
        BigInteger product = ma * mb;
        int e = Math.Min(ea + eb, ec);
        BigInteger sum = (product << ea + eb - e) + (mc << ec - e);
        bool bothNegative = negative && IsNegative(c);
        // Of exact zeros: like signs keep it, unlike ones give +0, or -0 when rounding down.
        return Round(sum, e, false, mode, negative == IsNegative(c) && (product.IsZero || mc.IsZero) && product.IsZero && mc.IsZero ? bothNegative : mode == "rm");
    }

    public ulong Add(ulong a, ulong b, string mode) => Fma(a, One, b, mode);
    public ulong Subtract(ulong a, ulong b, string mode) => IsNaN(b) ? NaN : Fma(a, One, b ^ SignBit, mode);

    public ulong Multiply(ulong a, ulong b, string mode)
    {
        if (IsNaN(a) || IsNaN(b) || IsInfinite(a) && IsZero(b) || IsZero(a) && IsInfinite(b)) return NaN;
        bool negative = IsNegative(a) != IsNegative(b);
        if (IsInfinite(a) || IsInfinite(b)) return (negative ? SignBit : 0) | Infinity;
        (BigInteger ma, int ea) = Finite(a);
        (BigInteger mb, int eb) = Finite(b);
        return Round(ma * mb, ea + eb, false, mode, negative);
    }

    public ulong Divide(ulong a, ulong b, string mode)
    {
        if (IsNaN(a) || IsNaN(b) || IsInfinite(a) && IsInfinite(b) || IsZero(a) && IsZero(b)) return NaN;
        bool negative = IsNegative(a) != IsNegative(b);
        ulong sign = negative ? SignBit : 0;
        if (IsInfinite(a) || IsZero(b)) return sign | Infinity;
        if (IsInfinite(b) || IsZero(a)) return sign;
        (BigInteger ma, int ea) = Finite(a);
        (BigInteger mb, int eb) = Finite(b);
        const int extra = 140;
        BigInteger q = BigInteger.DivRem(BigInteger.Abs(ma) << extra, BigInteger.Abs(mb), out BigInteger rest);
        return Round(negative ? -q : q, ea - eb - extra, !rest.IsZero, mode, negative);
    }

    public ulong Sqrt(ulong a, string mode)
    {
        if (IsNaN(a) || IsNegative(a) && !IsZero(a)) return NaN;
        if (IsZero(a) || IsInfinite(a)) return a;
        (BigInteger m, int e) = Finite(a);
        int shift = 140 + (e & 1);
        BigInteger n = m << shift, r = Root(n);
        return Round(r, (e - shift) / 2, r * r != n, mode);
    }

    static BigInteger Root(BigInteger n)
    {
        BigInteger r = BigInteger.One << (int)((n.GetBitLength() + 1) / 2);
        while (true)
        {
            BigInteger next = (r + n / r) >> 1;
            if (next >= r) return r;
            r = next;
        }
    }

    /// <summary>The number nearest to a (finite) under a mode, as an integer: rni, rzi, rmi, rpi.</summary>
    public BigInteger ToInteger(ulong a, string mode)
    {
        (BigInteger m, int e) = Finite(a);
        if (e >= 0) return m << e;
        BigInteger floor = m >> -e, rest = m - (floor << -e), half = BigInteger.One << -e - 1;
        return mode switch
        {
            "rmi" => floor, "rpi" => rest.IsZero ? floor : floor + 1, "rzi" => rest.IsZero || m.Sign >= 0 ? floor : floor + 1,
            _ => rest > half || rest == half && !floor.IsEven ? floor + 1 : floor,
        };
    }

    public ulong FromInteger(BigInteger v, string mode) => Round(v, 0, false, mode);

    /// <summary>The same number in another format.</summary>
    public ulong Convert(ulong a, Ieee to, string mode)
    {
        if (IsNaN(a)) return to.NaN;
        ulong sign = IsNegative(a) ? to.SignBit : 0;
        if (IsInfinite(a)) return sign | to.Infinity;
        (BigInteger m, int e) = Finite(a);
        return to.Round(m, e, false, mode, IsNegative(a));
    }

    /// <summary>-1, 0, 1; null where one is no number.</summary>
    public int? Compare(ulong a, ulong b)
    {
        if (IsNaN(a) || IsNaN(b)) return null;
        if (IsZero(a) && IsZero(b)) return 0;
        BigInteger x = Order(a), y = Order(b);
        return x.CompareTo(y);
    }

    /// <summary>Numbers in order, -0 below +0.</summary>
    BigInteger Order(ulong a) => IsNegative(a) ? -(BigInteger)(a & ~SignBit) - 1 : a;

    public ulong MinMax(ulong a, ulong b, bool max, bool nan)
    {
        if (IsNaN(a) || IsNaN(b)) return nan || IsNaN(a) && IsNaN(b) ? NaN : IsNaN(a) ? b : a;
        return Order(a) > Order(b) == max ? a : b;
    }

    public ulong Saturate(ulong a) => IsNaN(a) || IsNegative(a) ? 0 : a > One ? One : a;

    public double ToDouble(ulong a) => BitConverter.UInt64BitsToDouble(Convert(a, F64, "rn"));
}
