using System.Numerics;
using System.Runtime.CompilerServices;

namespace TreCr.SoftDevice.Emit;

/// <summary>Floating point: flushing, saturation, approximations, conversions.</summary>
static partial class PtxMath
{
    const float MinNormalF32 = 1.17549435e-38f;

    /// <summary>.ftz: subnormals become zero of the same sign.</summary>
    [MethodImpl(Inline)] public static float FlushF32(float a) => MathF.Abs(a) < MinNormalF32 ? MathF.CopySign(0, a) : a;
    /// <summary>.sat: clamped to [0, 1]; NaN becomes +0.</summary>
    [MethodImpl(Inline)] public static float SatF32(float a) => a > 0 ? a < 1 ? a : 1 : 0;
    [MethodImpl(Inline)] public static double SatF64(double a) => a > 0 ? a < 1 ? a : 1 : 0;

    [MethodImpl(Inline)] public static int NotEqualF32(float a, float b) => a < b || a > b ? 1 : 0;
    [MethodImpl(Inline)] public static int NotEqualF64(double a, double b) => a < b || a > b ? 1 : 0;
    [MethodImpl(Inline)] public static int EqualUnorderedF32(float a, float b) => !(a < b || a > b) ? 1 : 0;
    [MethodImpl(Inline)] public static int EqualUnorderedF64(double a, double b) => !(a < b || a > b) ? 1 : 0;
    [MethodImpl(Inline)] public static int BothNumbersF32(float a, float b) => !float.IsNaN(a) && !float.IsNaN(b) ? 1 : 0;
    [MethodImpl(Inline)] public static int BothNumbersF64(double a, double b) => !double.IsNaN(a) && !double.IsNaN(b) ? 1 : 0;

    [MethodImpl(Inline)] public static float MinNumberF32(float a, float b) => float.MinNumber(a, b);
    [MethodImpl(Inline)] public static float MaxNumberF32(float a, float b) => float.MaxNumber(a, b);
    [MethodImpl(Inline)] public static double MinNumberF64(double a, double b) => double.MinNumber(a, b);
    [MethodImpl(Inline)] public static double MaxNumberF64(double a, double b) => double.MaxNumber(a, b);

    /// <summary>div.approx: exact division, except where the ISA promises 0 for a huge divisor.</summary>
    [MethodImpl(Inline)]
    public static float DivApproxF32(float a, float b) => MathF.Abs(b) is > 8.507059e37f and < float.PositiveInfinity ? float.IsInfinity(a) ? float.NaN : MathF.CopySign(0, a) * MathF.CopySign(1, b) : a / b;

    [MethodImpl(Inline)] public static float RsqrtF32(float a) => 1 / MathF.Sqrt(a);
    [MethodImpl(Inline)] public static double RsqrtF64(double a) => 1 / Math.Sqrt(a);
    public static float SinF32(float a) => (float)Math.Sin(a);
    public static float CosF32(float a) => (float)Math.Cos(a);
    public static float Ex2F32(float a) => (float)Math.Pow(2, a);
    public static float Lg2F32(float a) => (float)Math.Log2(a);
    public static float TanhF32(float a) => (float)Math.Tanh(a);

    [MethodImpl(Inline)] public static float NearestF32(float a) => MathF.Round(a, MidpointRounding.ToEven);
    [MethodImpl(Inline)] public static double NearestF64(double a) => Math.Round(a, MidpointRounding.ToEven);
    [MethodImpl(Inline)] public static float FloorF32(float a) => MathF.Floor(a);
    [MethodImpl(Inline)] public static double FloorF64(double a) => Math.Floor(a);
    [MethodImpl(Inline)] public static float CeilingF32(float a) => MathF.Ceiling(a);
    [MethodImpl(Inline)] public static double CeilingF64(double a) => Math.Ceiling(a);
    [MethodImpl(Inline)] public static float TruncateF32(float a) => MathF.Truncate(a);
    [MethodImpl(Inline)] public static double TruncateF64(double a) => Math.Truncate(a);

    // Float to integer saturates. NaN gives 0, but 1 << (width - 1) where source or destination has 64 bits (PTX 9.0 text).
    [MethodImpl(Inline)] public static int F32ToS32(float a) => (int)a;
    [MethodImpl(Inline)] public static uint F32ToU32(float a) => (uint)a;
    [MethodImpl(Inline)] public static long F32ToS64(float a) => float.IsNaN(a) ? long.MinValue : (long)a;
    [MethodImpl(Inline)] public static ulong F32ToU64(float a) => float.IsNaN(a) ? 1UL << 63 : (ulong)a;
    [MethodImpl(Inline)] public static int F32ToS16(float a) => float.IsNaN(a) ? 0 : (int)Math.Clamp(a, short.MinValue, short.MaxValue);
    [MethodImpl(Inline)] public static int F32ToU16(float a) => float.IsNaN(a) ? 0 : (int)Math.Clamp(a, 0, ushort.MaxValue);
    [MethodImpl(Inline)] public static int F32ToS8(float a) => float.IsNaN(a) ? 0 : (int)Math.Clamp(a, sbyte.MinValue, sbyte.MaxValue);
    [MethodImpl(Inline)] public static int F32ToU8(float a) => float.IsNaN(a) ? 0 : (int)Math.Clamp(a, 0, byte.MaxValue);
    [MethodImpl(Inline)] public static int F64ToS32(double a) => double.IsNaN(a) ? int.MinValue : (int)a;
    [MethodImpl(Inline)] public static uint F64ToU32(double a) => double.IsNaN(a) ? 1u << 31 : (uint)a;
    [MethodImpl(Inline)] public static long F64ToS64(double a) => double.IsNaN(a) ? long.MinValue : (long)a;
    [MethodImpl(Inline)] public static ulong F64ToU64(double a) => double.IsNaN(a) ? 1UL << 63 : (ulong)a;
    [MethodImpl(Inline)] public static int F64ToS16(double a) => double.IsNaN(a) ? short.MinValue : (int)Math.Clamp(a, short.MinValue, short.MaxValue);
    [MethodImpl(Inline)] public static int F64ToU16(double a) => double.IsNaN(a) ? 1 << 15 : (int)Math.Clamp(a, 0, ushort.MaxValue);
    [MethodImpl(Inline)] public static int F64ToS8(double a) => double.IsNaN(a) ? sbyte.MinValue : (int)Math.Clamp(a, sbyte.MinValue, sbyte.MaxValue);
    [MethodImpl(Inline)] public static int F64ToU8(double a) => double.IsNaN(a) ? 1 << 7 : (int)Math.Clamp(a, 0, byte.MaxValue);
    [MethodImpl(Inline)] public static float U64ToF32(ulong a) => a;
    [MethodImpl(Inline)] public static double U64ToF64(ulong a) => a;

    [MethodImpl(Inline)] public static float F16ToF32(int bits) => (float)BitConverter.UInt16BitsToHalf((ushort)bits);
    [MethodImpl(Inline)] public static int F32ToF16(float a) => float.IsNaN(a) ? 0x7fff : BitConverter.HalfToUInt16Bits((Half)a);
    [MethodImpl(Inline)] public static int F64ToF16(double a) => double.IsNaN(a) ? 0x7fff : BitConverter.HalfToUInt16Bits((Half)a);
    [MethodImpl(Inline)] public static float BF16ToF32(int bits) => BitConverter.Int32BitsToSingle(bits << 16);

    [MethodImpl(Inline)]
    public static int F32ToBF16(float a)
    {
        if (float.IsNaN(a)) return 0x7fff;
        uint bits = BitConverter.SingleToUInt32Bits(a);
        return (int)(bits + 0x7fff + (bits >> 16 & 1) >> 16);
    }

    public static int HalfF16x2(int a, int b, int c, int op) => HalfF16(a & 0xffff, b & 0xffff, c & 0xffff, op) | HalfF16(a >> 16 & 0xffff, b >> 16 & 0xffff, c >> 16 & 0xffff, op) << 16;
    public static int HalfBF16x2(int a, int b, int c, int op) => HalfBF16(a & 0xffff, b & 0xffff, c & 0xffff, op) | HalfBF16(a >> 16 & 0xffff, b >> 16 & 0xffff, c >> 16 & 0xffff, op) << 16;

    public static int HalfF16(int a, int b, int c, int op)
    {
        if ((HalfOperation)op == HalfOperation.Neg) return a ^ 0x8000;
        if ((HalfOperation)op == HalfOperation.Abs) return a & 0x7fff;
        double r = Half64(F16ToF32(a), F16ToF32(b), F16ToF32(c), (HalfOperation)(op & 0xff));
        if ((op & 0x100) != 0) r = SatF64(r);
        return F64ToF16(r);
    }

    public static int HalfBF16(int a, int b, int c, int op)
    {
        if ((HalfOperation)op == HalfOperation.Neg) return a ^ 0x8000;
        if ((HalfOperation)op == HalfOperation.Abs) return a & 0x7fff;
        float x = BF16ToF32(a), y = BF16ToF32(b), z = BF16ToF32(c);
        // Sums of far-apart exponents do not fit a double exactly: round to odd in f32, which then rounds right to 8 bits.
        HalfOperation o = (HalfOperation)(op & 0xff);
        float r = o switch
        {
            HalfOperation.Add => OddF32(x, 1, y), HalfOperation.Sub => OddF32(x, 1, -y), HalfOperation.Mul => OddF32(x, y, x * y == 0 && (MathF.CopySign(1, x) * MathF.CopySign(1, y)) < 0 ? -0f : 0),
            HalfOperation.Fma => OddF32(x, y, z), _ => (float)Half64(x, y, z, o),
        };
        if ((op & 0x100) != 0) r = SatF32(r);
        return F32ToBF16(r);
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

    [MethodImpl(Inline)] public static int TestpFiniteF32(float a) => float.IsFinite(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpFiniteF64(double a) => double.IsFinite(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpInfiniteF32(float a) => float.IsInfinity(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpInfiniteF64(double a) => double.IsInfinity(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpNumberF32(float a) => float.IsNaN(a) ? 0 : 1;
    [MethodImpl(Inline)] public static int TestpNumberF64(double a) => double.IsNaN(a) ? 0 : 1;
    [MethodImpl(Inline)] public static int TestpNotANumberF32(float a) => float.IsNaN(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpNotANumberF64(double a) => double.IsNaN(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpNormalF32(float a) => float.IsNormal(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpNormalF64(double a) => double.IsNormal(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpSubnormalF32(float a) => float.IsSubnormal(a) ? 1 : 0;
    [MethodImpl(Inline)] public static int TestpSubnormalF64(double a) => double.IsSubnormal(a) ? 1 : 0;
}

/// <summary>Operations on 16-bit floats; 0x100 added: saturate.</summary>
enum HalfOperation { Add, Sub, Mul, Fma, Min, Max, MinNaN, MaxNaN, Neg, Abs, Ex2, Tanh }
