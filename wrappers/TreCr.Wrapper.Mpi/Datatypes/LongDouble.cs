using System.Numerics;
using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>C's long double on x86-64: 80 bits (sign, exponent of 15 bits, mantissa of 64 with its leading bit), in 16 bytes. Sums and products are rounded to nearest, ties to even, as the x87 unit rounds them.</summary>
/// <remarks>Source: Intel SDM volume 1, §4.2.2 and §4.8.4; System V ABI for x86-64, §3.1.2.</remarks>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal struct LongDouble : IAdditionOperators<LongDouble, LongDouble, LongDouble>, ISubtractionOperators<LongDouble, LongDouble, LongDouble>, IMultiplyOperators<LongDouble, LongDouble, LongDouble>,
    IComparisonOperators<LongDouble, LongDouble, bool>
{
    private const int Bias = 16383, MantissaBits = 64, Special = 0x7fff, SignBit = 0x8000;
    private const ulong LeadingBit = 1UL << 63, QuietBit = 1UL << 62;

    private ulong _mantissa;
    private ushort _signAndExponent;

    private readonly bool IsNegative => (_signAndExponent & SignBit) != 0;
    private readonly int Exponent => _signAndExponent & Special;
    private readonly bool IsNaN => Exponent == Special && _mantissa << 1 != 0;
    private readonly bool IsInfinity => Exponent == Special && _mantissa << 1 == 0;

    /// <summary>Weight of the mantissa's lowest bit, as a power of two. A subnormal number has that of the smallest exponent.</summary>
    private readonly int LowestBit => Math.Max(1, Exponent) - Bias - (MantissaBits - 1);

    private static LongDouble Of(bool negative, int exponent, ulong mantissa) => new() { _signAndExponent = (ushort)((negative ? SignBit : 0) | exponent), _mantissa = mantissa };

    private static LongDouble Infinity(bool negative) => Of(negative, Special, LeadingBit);

    /// <summary>What an operation without a result gives.</summary>
    private static LongDouble Invalid => Of(true, Special, LeadingBit | QuietBit);

    private readonly LongDouble Quiet() => this with { _mantissa = _mantissa | QuietBit };

    public static LongDouble operator +(LongDouble a, LongDouble b)
    {
        if (a.IsNaN || b.IsNaN) return a.IsNaN ? a.Quiet() : b.Quiet();
        if (a.IsInfinity) return b.IsInfinity && a.IsNegative != b.IsNegative ? Invalid : a;
        if (b.IsInfinity) return b;
        if (a.LowestBit < b.LowestBit) (a, b) = (b, a);
        // The larger one has 62 bits below it; what the other loses below them is kept as one bit.
        const int Below = 62;
        int apart = a.LowestBit - b.LowestBit;
        UInt128 x = (UInt128)a._mantissa << Below, y = (UInt128)b._mantissa << Below;
        UInt128 moved = apart > 127 ? 0 : y >> apart;
        if (y != 0 && (apart > 127 || moved << apart != y)) moved |= 1;
        int lowest = a.LowestBit - Below;
        if (a.IsNegative == b.IsNegative) return Round(a.IsNegative, x + moved, lowest);
        if (x == moved) return Of(false, 0, 0);
        return x > moved ? Round(a.IsNegative, x - moved, lowest) : Round(b.IsNegative, moved - x, lowest);
    }

    public static LongDouble operator -(LongDouble a, LongDouble b) => a + (b.IsNaN ? b : b with { _signAndExponent = (ushort)(b._signAndExponent ^ SignBit) });

    public static LongDouble operator *(LongDouble a, LongDouble b)
    {
        if (a.IsNaN || b.IsNaN) return a.IsNaN ? a.Quiet() : b.Quiet();
        bool negative = a.IsNegative != b.IsNegative;
        if (a.IsInfinity || b.IsInfinity) return (a.IsInfinity ? b : a) is { _mantissa: 0 } ? Invalid : Infinity(negative);
        return Round(negative, (UInt128)a._mantissa * b._mantissa, a.LowestBit + b.LowestBit);
    }

    /// <summary>The number nearest to a whole number of units.</summary>
    /// <param name="lowest">weight of the lowest bit of <paramref name="units"/>, as a power of two</param>
    private static LongDouble Round(bool negative, UInt128 units, int lowest)
    {
        if (units == 0) return Of(negative, 0, 0);
        int top = 127 - (int)UInt128.LeadingZeroCount(units), exponent = Math.Max(1, top + lowest + Bias);
        int drop = exponent - Bias - (MantissaBits - 1) - lowest;
        ulong mantissa;
        if (drop <= 0) mantissa = (ulong)(units << -drop);
        else if (drop > 127) mantissa = 0;
        else
        {
            mantissa = (ulong)(units >> drop);
            UInt128 rest = units & ((UInt128.One << drop) - 1), half = UInt128.One << (drop - 1);
            if ((rest > half || (rest == half && (mantissa & 1) != 0)) && ++mantissa == 0) (mantissa, exponent) = (LeadingBit, exponent + 1);
        }
        if ((mantissa & LeadingBit) == 0) exponent = 0; // subnormal
        return exponent >= Special ? Infinity(negative) : Of(negative, exponent, mantissa);
    }

    /// <returns>below, equal or above 0; null: one is not a number</returns>
    private static int? Compare(LongDouble a, LongDouble b)
    {
        if (a.IsNaN || b.IsNaN) return null;
        if (a is { Exponent: 0, _mantissa: 0 } && b is { Exponent: 0, _mantissa: 0 }) return 0;
        if (a.IsNegative != b.IsNegative) return a.IsNegative ? -1 : 1;
        int size = a.Exponent != b.Exponent ? a.Exponent.CompareTo(b.Exponent) : a._mantissa.CompareTo(b._mantissa);
        return a.IsNegative ? -size : size;
    }

    public static bool operator ==(LongDouble a, LongDouble b) => Compare(a, b) == 0;
    public static bool operator !=(LongDouble a, LongDouble b) => Compare(a, b) != 0;
    public static bool operator <(LongDouble a, LongDouble b) => Compare(a, b) < 0;
    public static bool operator >(LongDouble a, LongDouble b) => Compare(a, b) > 0;
    public static bool operator <=(LongDouble a, LongDouble b) => Compare(a, b) <= 0;
    public static bool operator >=(LongDouble a, LongDouble b) => Compare(a, b) >= 0;

    public override readonly bool Equals(object? other) => other is LongDouble number && this == number;

    public override readonly int GetHashCode() => HashCode.Combine(_mantissa, _signAndExponent);
}
