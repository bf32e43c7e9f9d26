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

    // A guess by the exponent and two steps of third order is within 2^-23.7, and took 15 to 25 % longer in n-body on a Xeon (AVX-512): root and quotient have a unit of their own beside the multiplications.
    [MethodImpl(Inline)] public static float RsqrtF32(float a) => 1 / MathF.Sqrt(a);
    [MethodImpl(Inline)] public static double RsqrtF64(double a) => 1 / Math.Sqrt(a);
    public static float SinF32(float a) => (float)Math.Sin(a);
    public static float CosF32(float a) => (float)Math.Cos(a);
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

    /// <summary>.xorsign.abs: of the magnitudes, with the product's sign.</summary>
    public static float MinXorSignF32(float a, float b) => XorSign(a, b, float.MinNumber(MathF.Abs(a), MathF.Abs(b)));
    public static float MaxXorSignF32(float a, float b) => XorSign(a, b, float.MaxNumber(MathF.Abs(a), MathF.Abs(b)));
    public static float MinNaNXorSignF32(float a, float b) => XorSign(a, b, MathF.Min(MathF.Abs(a), MathF.Abs(b)));
    public static float MaxNaNXorSignF32(float a, float b) => XorSign(a, b, MathF.Max(MathF.Abs(a), MathF.Abs(b)));
    static float XorSign(float a, float b, float r) => float.IsNaN(r) ? r : MathF.CopySign(r, MathF.CopySign(1, a) * MathF.CopySign(1, b));

    /// <summary>rcp.approx.ftz.f64: the upper 32 bits of the operand give the upper 32 bits of the result; subnormals count as zero.</summary>
    public static double RcpApproxF64(double a) => Upper(FlushF64(1 / FlushF64(Upper(a))));
    public static double RsqrtApproxF64(double a) => Upper(1 / Math.Sqrt(FlushF64(Upper(a))));
    static double Upper(double a) => BitConverter.UInt64BitsToDouble(BitConverter.DoubleToUInt64Bits(a) & (double.IsNaN(a) ? ulong.MaxValue : 0xffffffff00000000));
    static double FlushF64(double a) => double.IsSubnormal(a) ? Math.CopySign(0, a) : a;

    /// <summary>To tf32: 10 bits of fraction in a 32-bit register, the rest 0.</summary>
    /// <param name="mode">0 nearest, ties to even; 1 to zero; 4 nearest, ties away</param>
    public static int F32ToTF32(float a, int mode)
    {
        if (float.IsNaN(a)) return 0x7fffffff;
        uint bits = BitConverter.SingleToUInt32Bits(a);
        if (!float.IsInfinity(a)) bits += mode switch { 0 => 0xfffu + (bits >> 13 & 1), 1 => 0, _ => 0x1000 };
        return (int)(bits & ~0x1fffu);
    }

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
