using System.Runtime.CompilerServices;

namespace TreCr.SoftDevice.Emit;

/// <summary>16-bit floats: f16 and bf16, alone and in pairs, with every rounding.</summary>
static partial class PtxMath
{
    public const int HalfSat = 0x100, HalfFtz = 0x200, HalfRelu = 0x400, HalfXorSign = 0x800;

    [MethodImpl(Inline)] public static float F16ToF32(int bits) => (float)BitConverter.UInt16BitsToHalf((ushort)bits);
    [MethodImpl(Inline)] public static int F32ToF16(float a) => float.IsNaN(a) ? 0x7fff : BitConverter.HalfToUInt16Bits((Half)a);
    [MethodImpl(Inline)] public static int F64ToF16(double a) => double.IsNaN(a) ? 0x7fff : BitConverter.HalfToUInt16Bits((Half)a);
    [MethodImpl(Inline)] public static float BF16ToF32(int bits) => BitConverter.Int32BitsToSingle(bits << 16);
    [MethodImpl(Inline)] public static int FlushF16(int bits) => (bits & 0x7c00) == 0 ? bits & 0x8000 : bits;
    /// <summary>.relu: negative numbers become +0.</summary>
    [MethodImpl(Inline)] public static int HalfReluBits(int bits) => (bits & 0x8000) != 0 && (bits & 0x7fff) <= 0x7f80 ? 0 : bits;

    [MethodImpl(Inline)]
    public static int F32ToBF16(float a)
    {
        if (float.IsNaN(a)) return 0x7fff;
        uint bits = BitConverter.SingleToUInt32Bits(a);
        return (int)(bits + 0x7fff + (bits >> 16 & 1) >> 16);
    }

    public static int F64ToF16Rounded(double a, int mode) => RoundHalf(a, mode, 10, 15);
    public static int F64ToBF16Rounded(double a, int mode) => RoundHalf(a, mode, 7, 127);

    /// <summary>A double to a 16-bit format. mode: 0 nearest, 1 to zero, 2 down, 3 up.</summary>
    static int RoundHalf(double a, int mode, int fractionBits, int bias)
    {
        int infinity = (2 * bias + 1) << fractionBits, sign = double.IsNegative(a) ? 0x8000 : 0;
        if (double.IsNaN(a)) return 0x7fff;
        if (a == 0) return sign;
        if (double.IsInfinity(a)) return sign | infinity;
        double m = Math.Abs(a);
        // The unit of the last place: the subnormals' at least.
        int unit = Math.Max(Math.ILogB(m), 1 - bias) - fractionBits;
        double scaled = unit < -900 ? 0 : Math.ScaleB(m, -unit), floor = Math.Floor(scaled), rest = scaled - floor;
        bool tiny = scaled == 0;
        bool up = mode switch
        {
            0 => rest > 0.5 || rest == 0.5 && ((long)floor & 1) != 0, 1 => false, 2 => (rest > 0 || tiny) && sign != 0, _ => (rest > 0 || tiny) && sign == 0,
        };
        long n = (long)floor + (up ? 1 : 0);
        if (n < 1 << fractionBits) return sign | (int)n;
        int bits = (unit + fractionBits + bias << fractionBits) + (int)(n - (1 << fractionBits));
        if (bits < infinity) return sign | bits;
        bool toInfinity = mode switch { 0 => true, 1 => false, 2 => sign != 0, _ => sign == 0 };
        return sign | (toInfinity ? infinity : infinity - 1);
    }

    /// <summary>To 53 bits with the last one set where some were lost: rounds right to anything shorter.</summary>
    public static double OddS64(long a) => a < 0 ? -OddU64((ulong)-a) : OddU64((ulong)a);

    public static double OddU64(ulong a)
    {
        int drop = Math.Max(0, 11 - System.Numerics.BitOperations.LeadingZeroCount(a));
        ulong kept = a >> drop << drop;
        return kept == a ? a : (double)(kept | 1UL << drop);
    }

    public static int HalfF16x2(int a, int b, int c, int op) => HalfF16(a & 0xffff, b & 0xffff, c & 0xffff, op) | HalfF16(a >> 16 & 0xffff, b >> 16 & 0xffff, c >> 16 & 0xffff, op) << 16;
    public static int HalfBF16x2(int a, int b, int c, int op) => HalfBF16(a & 0xffff, b & 0xffff, c & 0xffff, op) | HalfBF16(a >> 16 & 0xffff, b >> 16 & 0xffff, c >> 16 & 0xffff, op) << 16;

    public static int HalfF16(int a, int b, int c, int op)
    {
        if ((op & HalfFtz) != 0) (a, b, c) = (FlushF16(a), FlushF16(b), FlushF16(c));
        HalfOperation operation = (HalfOperation)(op & 0xff);
        if (operation == HalfOperation.Neg) return a ^ 0x8000;
        if (operation == HalfOperation.Abs) return a & 0x7fff;
        int sign = (op & HalfXorSign) != 0 ? (a ^ b) & 0x8000 : 0;
        if ((op & HalfXorSign) != 0) (a, b) = (a & 0x7fff, b & 0x7fff);
        double r = Half64(F16ToF32(a), F16ToF32(b), F16ToF32(c), operation);
        if ((op & HalfSat) != 0) r = SatF64(r);
        int bits = F64ToF16(r);
        if ((op & HalfFtz) != 0) bits = FlushF16(bits);
        if ((op & HalfRelu) != 0 && !double.IsNaN(r)) bits = HalfReluBits(bits);
        return double.IsNaN(r) ? bits : bits | sign;
    }

    public static int HalfBF16(int a, int b, int c, int op)
    {
        HalfOperation o = (HalfOperation)(op & 0xff);
        if ((op & HalfFtz) != 0 && (a & 0x7f80) == 0) a &= 0x8000;
        if (o == HalfOperation.Neg) return a ^ 0x8000;
        if (o == HalfOperation.Abs) return a & 0x7fff;
        int sign = (op & HalfXorSign) != 0 ? (a ^ b) & 0x8000 : 0;
        if ((op & HalfXorSign) != 0) (a, b) = (a & 0x7fff, b & 0x7fff);
        float x = BF16ToF32(a), y = BF16ToF32(b), z = BF16ToF32(c);
        // Sums of far-apart exponents do not fit a double exactly: round to odd in f32, which then rounds right to 8 bits.
        float r = o switch
        {
            HalfOperation.Add => OddF32(x, 1, y), HalfOperation.Sub => OddF32(x, 1, -y), HalfOperation.Mul => OddF32(x, y, x * y == 0 && (MathF.CopySign(1, x) * MathF.CopySign(1, y)) < 0 ? -0f : 0),
            HalfOperation.Fma => OddF32(x, y, z), _ => (float)Half64(x, y, z, o),
        };
        if ((op & HalfSat) != 0) r = SatF32(r);
        int bits = F32ToBF16(r);
        if ((op & HalfFtz) != 0 && (bits & 0x7f80) == 0) bits &= 0x8000;
        if ((op & HalfRelu) != 0 && !float.IsNaN(r)) bits = HalfReluBits(bits);
        return float.IsNaN(r) ? bits : bits | sign;
    }

    /// <summary>a * b + c with the last bit set where the result is not exact.</summary>
    static float OddF32(float a, float b, float c)
    {
        float zero = FmaDirectedF32(a, b, c, 1);
        if (zero != MathF.FusedMultiplyAdd(a, b, c) || FmaDirectedF32(a, b, c, 2) != FmaDirectedF32(a, b, c, 3))
            return float.IsFinite(zero) ? BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(zero) | 1) : zero;
        return zero;
    }

    static double Half64(double a, double b, double c, HalfOperation op) => op switch
    {
        HalfOperation.Add => a + b, HalfOperation.Sub => a - b, HalfOperation.Mul => a * b, HalfOperation.Fma => a * b + c,
        HalfOperation.Min => double.MinNumber(a, b), HalfOperation.Max => double.MaxNumber(a, b), HalfOperation.MinNaN => Math.Min(a, b), HalfOperation.MaxNaN => Math.Max(a, b),
        HalfOperation.Ex2 => Math.Pow(2, a), _ => Math.Tanh(a),
    };
}

/// <summary>Operations on 16-bit floats; PtxMath.Half* flags may be added.</summary>
enum HalfOperation { Add, Sub, Mul, Fma, Min, Max, MinNaN, MaxNaN, Neg, Abs, Ex2, Tanh }
