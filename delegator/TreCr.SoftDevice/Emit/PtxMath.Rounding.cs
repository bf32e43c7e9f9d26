using System.Numerics;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Directed rounding (mode 1 to zero, 2 down, 3 up) without touching the CPU's control word: the result rounded to nearest is compared with the
/// exact value and moved by one unit where it lies on the wrong side.
/// </summary>
static partial class PtxMath
{
    /// <summary>The neighbour of <paramref name="nearest"/> that the mode asks for. <paramref name="error"/>: sign of (exact - nearest).</summary>
    static float Adjust(float nearest, int error, int mode)
    {
        if (error == 0) return nearest;
        bool negative = float.IsNegative(nearest);
        if (nearest == 0) negative = error < 0;
        return mode switch
        {
            1 => negative ? error > 0 ? MathF.BitIncrement(nearest) : nearest : error < 0 ? MathF.BitDecrement(nearest) : nearest,
            2 => error < 0 ? MathF.BitDecrement(nearest) : nearest,
            _ => error > 0 ? MathF.BitIncrement(nearest) : nearest,
        };
    }

    static double Adjust(double nearest, int error, int mode)
    {
        if (error == 0) return nearest;
        bool negative = double.IsNegative(nearest);
        if (nearest == 0) negative = error < 0;
        return mode switch
        {
            1 => negative ? error > 0 ? Math.BitIncrement(nearest) : nearest : error < 0 ? Math.BitDecrement(nearest) : nearest,
            2 => error < 0 ? Math.BitDecrement(nearest) : nearest,
            _ => error > 0 ? Math.BitIncrement(nearest) : nearest,
        };
    }

    public static float AddDirectedF32(float a, float b, int mode) => FmaDirectedF32(a, 1, b, mode);
    public static float SubDirectedF32(float a, float b, int mode) => FmaDirectedF32(a, 1, -b, mode);

    public static float MulDirectedF32(float a, float b, int mode)
    {
        double exact = (double)a * b; // 48 bits: exact
        float r = (float)exact;
        return double.IsFinite(exact) ? Adjust(r, exact.CompareTo(r), mode) : r;
    }

    public static float FmaDirectedF32(float a, float b, float c, int mode)
    {
        double product = (double)a * b;
        double sum = product + c;
        if (!double.IsFinite(sum)) return (float)sum;
        // Two-sum: sum + low is exact, as f32 ranges cannot overflow or underflow in f64.
        double part = sum - product;
        double low = product - (sum - part) + (c - part);
        if (sum == 0 && low == 0)
        {
            // An exact zero of unlike signs is -0 when rounding down.
            bool like = double.IsNegative(product) == float.IsNegative(c);
            return product == 0 && c == 0 && like ? c : product == 0 && c == 0 || product != 0 ? mode == 2 ? -0f : 0f : (float)sum;
        }
        float r = MathF.FusedMultiplyAdd(a, b, c);
        int error = float.IsInfinity(r) ? r > 0 ? -1 : 1 : Compare(sum, low, r);
        return Adjust(r, error, mode);
    }

    static int Compare(double sum, double low, float r)
    {
        int high = sum.CompareTo(r);
        if (high == 0) return Math.Sign(low);
        // |low| is at most half a unit of sum, so it can only matter where sum - r is as small.
        double difference = sum - r;
        return Math.Sign(difference + low);
    }

    public static float DivDirectedF32(float a, float b, int mode)
    {
        float r = a / b;
        if (!float.IsFinite(a) || !float.IsFinite(b) || b == 0 || a == 0) return r;
        if (float.IsInfinity(r)) return Adjust(r, r > 0 ? -1 : 1, mode);
        double residual = (double)a - (double)r * b; // exact: 48 bits against 24
        return Adjust(r, Math.Sign(residual) * Math.Sign(b), mode);
    }

    public static float SqrtDirectedF32(float a, int mode)
    {
        float r = MathF.Sqrt(a);
        return a > 0 && float.IsFinite(a) ? Adjust(r, Math.Sign(a - (double)r * r), mode) : r;
    }

    public static double AddDirectedF64(double a, double b, int mode) => FmaDirectedF64(a, 1, b, mode);
    public static double SubDirectedF64(double a, double b, int mode) => FmaDirectedF64(a, 1, -b, mode);

    public static double MulDirectedF64(double a, double b, int mode)
    {
        double r = a * b;
        if (!double.IsFinite(a) || !double.IsFinite(b) || a == 0 || b == 0) return r;
        if (double.IsInfinity(r)) return Adjust(r, r > 0 ? -1 : 1, mode);
        return Adjust(r, (Exact(a) * Exact(b)).CompareTo(Exact(r)), mode);
    }

    public static double FmaDirectedF64(double a, double b, double c, int mode)
    {
        double r = Math.FusedMultiplyAdd(a, b, c);
        if (!double.IsFinite(a) || !double.IsFinite(b) || !double.IsFinite(c)) return r;
        if (double.IsInfinity(r)) return Adjust(r, r > 0 ? -1 : 1, mode);
        ExactNumber exact = Exact(a) * Exact(b) + Exact(c);
        if (exact.Significand.IsZero && r == 0)
        {
            bool productNegative = double.IsNegative(a) != double.IsNegative(b), product0 = a == 0 || b == 0;
            return product0 && c == 0 && productNegative == double.IsNegative(c) ? c : mode == 2 ? -0.0 : 0.0;
        }
        return Adjust(r, exact.CompareTo(Exact(r)), mode);
    }

    public static double DivDirectedF64(double a, double b, int mode)
    {
        double r = a / b;
        if (!double.IsFinite(a) || !double.IsFinite(b) || a == 0 || b == 0) return r;
        if (double.IsInfinity(r)) return Adjust(r, r > 0 ? -1 : 1, mode);
        return Adjust(r, Exact(a).CompareTo(Exact(r) * Exact(b)) * Math.Sign(b), mode);
    }

    public static double SqrtDirectedF64(double a, int mode)
    {
        double r = Math.Sqrt(a);
        return a > 0 && double.IsFinite(a) ? Adjust(r, Exact(a).CompareTo(Exact(r) * Exact(r)), mode) : r;
    }

    public static float F64ToF32Directed(double a, int mode)
    {
        float r = (float)a;
        return double.IsFinite(a) ? Adjust(r, a.CompareTo(r), mode) : r;
    }

    public static float S64ToF32Directed(long a, int mode) => Adjust((float)a, Int128Compare(a, (float)a), mode);
    public static float U64ToF32Directed(ulong a, int mode) => Adjust((float)a, Int128Compare(a, (float)a), mode);
    public static double S64ToF64Directed(long a, int mode) => Adjust((double)a, Int128Compare(a, (double)a), mode);
    public static double U64ToF64Directed(ulong a, int mode) => Adjust((double)a, Int128Compare(a, (double)a), mode);

    static int Int128Compare(Int128 exact, double rounded) => exact.CompareTo((Int128)rounded);

    /// <summary>Significand times 2 to the exponent, exact.</summary>
    readonly record struct ExactNumber(BigInteger Significand, int Exponent)
    {
        public static ExactNumber operator *(ExactNumber a, ExactNumber b) => new(a.Significand * b.Significand, a.Exponent + b.Exponent);

        public static ExactNumber operator +(ExactNumber a, ExactNumber b)
        {
            int e = Math.Min(a.Exponent, b.Exponent);
            return new((a.Significand << a.Exponent - e) + (b.Significand << b.Exponent - e), e);
        }

        public int CompareTo(ExactNumber b)
        {
            int e = Math.Min(Exponent, b.Exponent);
            return (Significand << Exponent - e).CompareTo(b.Significand << b.Exponent - e);
        }
    }

    static ExactNumber Exact(double a)
    {
        long bits = BitConverter.DoubleToInt64Bits(a);
        int exponent = (int)(bits >> 52 & 0x7ff);
        long fraction = bits & (1L << 52) - 1;
        if (exponent == 0) exponent = 1;
        else fraction |= 1L << 52;
        return new(bits < 0 ? -fraction : fraction, exponent - 1075);
    }
}
