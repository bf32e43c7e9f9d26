using System.Numerics;

namespace TreCr.Wrapper.Mpi;

/// <summary>A floating-point number of 16 bytes with an exponent of 15 bits: C's long double on x86-64 and Fortran's REAL*16. Sums and products are rounded to nearest, ties to even, as the x87 unit and libquadmath round them.</summary>
/// <remarks>Source: Intel SDM volume 1, §4.2.2 and §4.8.4; IEEE 754-2019 §3.4; System V ABI for x86-64, §3.1.2.</remarks>
internal struct Extended<TFormat> : IAdditionOperators<Extended<TFormat>, Extended<TFormat>, Extended<TFormat>>, ISubtractionOperators<Extended<TFormat>, Extended<TFormat>, Extended<TFormat>>,
    IMultiplyOperators<Extended<TFormat>, Extended<TFormat>, Extended<TFormat>>, IComparisonOperators<Extended<TFormat>, Extended<TFormat>, bool> where TFormat : struct, IExtendedFormat
{
    private const int Bias = 16383, Special = 0x7fff, SignBit = 0x8000;

    /// <summary>Bits that a sum or product has before it is rounded; the lowest stands for all that was lost below it.</summary>
    private const int ExactBits = 126;

    private readonly ulong _low, _high;

    private Extended(bool negative, int exponent, UInt128 mantissa) => (_low, _high) = TFormat.Pack((ushort)((negative ? SignBit : 0) | exponent), mantissa);

    private static int MantissaBits => TFormat.MantissaBits;
    private static UInt128 LeadingBit => UInt128.One << (MantissaBits - 1);
    private static UInt128 QuietBit => LeadingBit >> 1;

    private readonly ushort SignAndExponent => TFormat.Unpack(_low, _high).SignAndExponent;

    /// <summary>With its leading bit, which only subnormal numbers lack.</summary>
    private readonly UInt128 Mantissa => TFormat.Unpack(_low, _high).Mantissa;

    private readonly bool IsNegative => (SignAndExponent & SignBit) != 0;
    private readonly int Exponent => SignAndExponent & Special;
    private readonly bool IsNaN => Exponent == Special && (Mantissa & ~LeadingBit) != 0;
    private readonly bool IsInfinity => Exponent == Special && (Mantissa & ~LeadingBit) == 0;

    /// <summary>Weight of the mantissa's lowest bit, as a power of two. A subnormal number has that of the smallest exponent.</summary>
    private readonly int LowestBit => Math.Max(1, Exponent) - Bias - (MantissaBits - 1);

    private static Extended<TFormat> Infinity(bool negative) => new(negative, Special, LeadingBit);

    /// <summary>What an operation without a result gives.</summary>
    private static Extended<TFormat> Invalid => new(true, Special, LeadingBit | QuietBit);

    private readonly Extended<TFormat> Quiet() => new(IsNegative, Special, Mantissa | QuietBit);

    /// <summary>The nearest number of this format.</summary>
    public static Extended<TFormat> From<TOther>(Extended<TOther> number) where TOther : struct, IExtendedFormat
    {
        if (!number.IsNaN) return number.IsInfinity ? Infinity(number.IsNegative) : Round(number.IsNegative, number.Mantissa, number.LowestBit);
        int wider = MantissaBits - Extended<TOther>.MantissaBits;
        return new(number.IsNegative, Special, LeadingBit | QuietBit | (wider >= 0 ? number.Mantissa << wider : number.Mantissa >> -wider));
    }

    public static Extended<TFormat> operator +(Extended<TFormat> a, Extended<TFormat> b)
    {
        if (a.IsNaN || b.IsNaN) return a.IsNaN ? a.Quiet() : b.Quiet();
        if (a.IsInfinity) return b.IsInfinity && a.IsNegative != b.IsNegative ? Invalid : a;
        if (b.IsInfinity) return b;
        if (a.LowestBit < b.LowestBit) (a, b) = (b, a);
        // What the smaller one loses below the larger one's bits is kept as one bit.
        int below = ExactBits - MantissaBits, apart = a.LowestBit - b.LowestBit;
        UInt128 x = a.Mantissa << below, y = b.Mantissa << below;
        UInt128 moved = apart > 127 ? 0 : y >> apart;
        if (y != 0 && (apart > 127 || moved << apart != y)) moved |= 1;
        int lowest = a.LowestBit - below;
        if (a.IsNegative == b.IsNegative) return Round(a.IsNegative, x + moved, lowest);
        if (x == moved) return new(false, 0, 0);
        return x > moved ? Round(a.IsNegative, x - moved, lowest) : Round(b.IsNegative, moved - x, lowest);
    }

    public static Extended<TFormat> operator -(Extended<TFormat> a, Extended<TFormat> b) => a + (b.IsNaN ? b : new(!b.IsNegative, b.Exponent, b.Mantissa));

    public static Extended<TFormat> operator *(Extended<TFormat> a, Extended<TFormat> b)
    {
        if (a.IsNaN || b.IsNaN) return a.IsNaN ? a.Quiet() : b.Quiet();
        bool negative = a.IsNegative != b.IsNegative;
        if (a.IsInfinity || b.IsInfinity) return (a.IsInfinity ? b : a).Mantissa == 0 ? Invalid : Infinity(negative);
        (UInt128 high, UInt128 low) = Multiply(a.Mantissa, b.Mantissa);
        int drop = Math.Max(0, (high == 0 ? 128 : 256) - (int)UInt128.LeadingZeroCount(high == 0 ? low : high) - ExactBits);
        if (drop == 0) return Round(negative, low, a.LowestBit + b.LowestBit);
        UInt128 units = drop < 128 ? high << (128 - drop) | low >> drop : high >> (drop - 128);
        if (drop < 128 ? low << (128 - drop) != 0 : low != 0 || high << (256 - drop) != 0) units |= 1;
        return Round(negative, units, a.LowestBit + b.LowestBit + drop);
    }

    private static (UInt128 High, UInt128 Low) Multiply(UInt128 a, UInt128 b)
    {
        (UInt128 a0, UInt128 a1, UInt128 b0, UInt128 b1) = ((ulong)a, a >> 64, (ulong)b, b >> 64);
        UInt128 low = a0 * b0, first = a1 * b0, second = a0 * b1;
        UInt128 middle = (low >> 64) + (ulong)first + (ulong)second;
        return (a1 * b1 + (first >> 64) + (second >> 64) + (middle >> 64), middle << 64 | (ulong)low);
    }

    /// <summary>The number nearest to a whole number of units.</summary>
    /// <param name="lowest">weight of the lowest bit of <paramref name="units"/>, as a power of two</param>
    private static Extended<TFormat> Round(bool negative, UInt128 units, int lowest)
    {
        if (units == 0) return new(negative, 0, 0);
        int top = 127 - (int)UInt128.LeadingZeroCount(units), exponent = Math.Max(1, top + lowest + Bias);
        int drop = exponent - Bias - (MantissaBits - 1) - lowest;
        UInt128 mantissa;
        if (drop <= 0) mantissa = units << -drop;
        else if (drop > 127) mantissa = 0;
        else
        {
            mantissa = units >> drop;
            UInt128 rest = units & ((UInt128.One << drop) - 1), half = UInt128.One << (drop - 1);
            if ((rest > half || (rest == half && (mantissa & 1) != 0)) && ++mantissa == LeadingBit << 1) (mantissa, exponent) = (LeadingBit, exponent + 1);
        }
        if ((mantissa & LeadingBit) == 0) exponent = 0; // subnormal
        return exponent >= Special ? Infinity(negative) : new(negative, exponent, mantissa);
    }

    /// <returns>below, equal or above 0; null: one is not a number</returns>
    private static int? Compare(Extended<TFormat> a, Extended<TFormat> b)
    {
        if (a.IsNaN || b.IsNaN) return null;
        if (a.Mantissa == 0 && b.Mantissa == 0) return 0;
        if (a.IsNegative != b.IsNegative) return a.IsNegative ? -1 : 1;
        int size = a.Exponent != b.Exponent ? a.Exponent.CompareTo(b.Exponent) : a.Mantissa.CompareTo(b.Mantissa);
        return a.IsNegative ? -size : size;
    }

    public static bool operator ==(Extended<TFormat> a, Extended<TFormat> b) => Compare(a, b) == 0;
    public static bool operator !=(Extended<TFormat> a, Extended<TFormat> b) => Compare(a, b) != 0;
    public static bool operator <(Extended<TFormat> a, Extended<TFormat> b) => Compare(a, b) < 0;
    public static bool operator >(Extended<TFormat> a, Extended<TFormat> b) => Compare(a, b) > 0;
    public static bool operator <=(Extended<TFormat> a, Extended<TFormat> b) => Compare(a, b) <= 0;
    public static bool operator >=(Extended<TFormat> a, Extended<TFormat> b) => Compare(a, b) >= 0;

    public override readonly bool Equals(object? other) => other is Extended<TFormat> number && this == number;

    public override readonly int GetHashCode() => HashCode.Combine(_low, _high);
}
