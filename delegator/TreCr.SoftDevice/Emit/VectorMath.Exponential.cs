using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using FV = System.Runtime.Intrinsics.Vector256<float>;
using DV = System.Runtime.Intrinsics.Vector256<double>;
using LV = System.Runtime.Intrinsics.Vector256<long>;

namespace TreCr.SoftDevice.Emit;

/// <summary>The steps of PtxMath.Ex2F32 and Lg2F32, as many lanes at once as doubles go into a vector.</summary>
static unsafe partial class VectorMath
{
    [MethodImpl(Inline)] static DV C(double v) => Vector256.Create(v);

    [MethodImpl(Inline)]
    static DV Ex2(DV x)
    {
        // Where a lane is NaN the instructions give the second operand.
        x = Avx.Max(C(-PtxMath.MaxExponent), Avx.Min(C(PtxMath.MaxExponent), x));
        DV n = Vector256.Round(x), f = x - n;
        DV p = Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(C(PtxMath.E8), f, C(PtxMath.E7)), f, C(PtxMath.E6)), f, C(PtxMath.E5)), f, C(PtxMath.E4));
        p = Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(p, f, C(PtxMath.E3)), f, C(PtxMath.E2)), f, C(PtxMath.E1)), f, C(1));
        LV e = Avx2.ConvertToVector256Int64(Avx.ConvertToVector128Int32(n)) + Vector256.Create(1023L);
        return p * (e << 52).AsDouble();
    }

    [MethodImpl(Inline)]
    public static FV Ex2F32(FV a)
    {
        FV r = NarrowF64(Ex2(WidenF32Lower(a)), Ex2(WidenF32Upper(a)));
        return Vector256.ConditionalSelect(Vector256.Equals(a, a), r, Vector256.Create(float.NaN));
    }

    [MethodImpl(Inline)]
    static DV Lg2(DV a)
    {
        LV bits = a.AsInt64();
        DV m = (bits & Vector256.Create(PtxMath.FractionBits) | Vector256.Create(PtxMath.OneBits)).AsDouble();
        // The exponent as a double: its bits as the fraction of 2^52, less what that adds.
        DV e = ((bits.AsUInt64() >>> 52).AsInt64() | Vector256.Create(0x4330000000000000L)).AsDouble() - C(4503599627370496.0 + 1023);
        DV large = Avx.Compare(m, C(PtxMath.SquareRoot2), FloatComparisonMode.OrderedGreaterThanNonSignaling);
        m = Vector256.ConditionalSelect(large, m * C(0.5), m);
        e += large & C(1);
        DV t = (m - C(1)) / (m + C(1)), s = t * t;
        DV p = Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(C(PtxMath.L13), s, C(PtxMath.L11)), s, C(PtxMath.L9)), s, C(PtxMath.L7));
        p = Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(p, s, C(PtxMath.L5)), s, C(PtxMath.L3)), s, C(PtxMath.L1));
        return Vector256.FusedMultiplyAdd(p, t, e);
    }

    [MethodImpl(Inline)]
    public static FV Lg2F32(FV a)
    {
        FV r = NarrowF64(Lg2(WidenF32Lower(a)), Lg2(WidenF32Upper(a)));
        r = Vector256.ConditionalSelect(Vector256.Equals(a, Vector256.Create(float.PositiveInfinity)), a, r);
        r = Vector256.ConditionalSelect(Vector256.Equals(a, FV.Zero), Vector256.Create(float.NegativeInfinity), r);
        return Vector256.ConditionalSelect(Avx.Compare(a, FV.Zero, FloatComparisonMode.OrderedGreaterThanOrEqualNonSignaling), r, Vector256.Create(float.NaN));
    }
}
