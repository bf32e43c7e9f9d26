using System.Runtime.CompilerServices;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// ex2.approx and lg2.approx by polynomials in double precision, errors below 1e-10 before the one rounding to float (PTX ISA allows 2^-22). <see cref="VectorMath"/> does the same steps, so that results do not
/// depend on how a kernel was compiled.
/// </summary>
static partial class PtxMath
{
    /// <summary>Largest exponent that is looked at: far outside of what a float can hold.</summary>
    internal const double MaxExponent = 200;
    /// <summary>ln(2)^n / n!, for n = 1 to 8.</summary>
    internal const double E1 = 0.69314718055994531, E2 = 0.24022650695910072, E3 = 0.055504108664821580, E4 = 0.0096181291076284772, E5 = 0.0013333558146428443, E6 = 0.00015403530393381608, E7 = 0.000015252733804059840, E8 = 0.0000013215486790144309;
    /// <summary>2 / ln(2) / n, for odd n.</summary>
    internal const double L1 = 2.8853900817779268, L3 = 0.96179669392597560, L5 = 0.57707801635558536, L7 = 0.41219858311113240, L9 = 0.32059889797532520, L11 = 0.26230818925253880, L13 = 0.22195308321368668;
    internal const double SquareRoot2 = 1.4142135623730951;
    internal const long FractionBits = 0xfffffffffffff, OneBits = 0x3ff0000000000000;

    [MethodImpl(Inline)]
    public static float Ex2F32(float a)
    {
        double x = a;
        if (x > MaxExponent) x = MaxExponent;
        if (x < -MaxExponent) x = -MaxExponent;
        double n = Math.Round(x, MidpointRounding.ToEven), f = x - n;
        double p = Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(E8, f, E7), f, E6), f, E5), f, E4);
        p = Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(p, f, E3), f, E2), f, E1), f, 1);
        return double.IsNaN(x) ? float.NaN : (float)(p * BitConverter.Int64BitsToDouble((long)((int)n + 1023) << 52));
    }

    [MethodImpl(Inline)]
    public static float Lg2F32(float a)
    {
        if (float.IsNaN(a) || a < 0) return float.NaN;
        if (a == 0) return float.NegativeInfinity;
        if (float.IsPositiveInfinity(a)) return a;
        // All floats are normal doubles.
        long bits = BitConverter.DoubleToInt64Bits(a);
        double m = BitConverter.Int64BitsToDouble(bits & FractionBits | OneBits), e = (int)(bits >>> 52) - 1023;
        if (m > SquareRoot2)
        {
            m *= 0.5;
            e += 1;
        }
        double t = (m - 1) / (m + 1), s = t * t;
        double p = Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(L13, s, L11), s, L9), s, L7);
        p = Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(p, s, L5), s, L3), s, L1);
        return (float)Math.FusedMultiplyAdd(p, t, e);
    }
}
