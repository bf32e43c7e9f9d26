using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using FV = System.Runtime.Intrinsics.Vector256<float>;
using DV = System.Runtime.Intrinsics.Vector256<double>;
using IV = System.Runtime.Intrinsics.Vector256<int>;
using LV = System.Runtime.Intrinsics.Vector256<long>;

namespace TreCr.SoftDevice.Emit;

/// <summary>PTX operations on vectors, named like the scalar ones; each gives in every lane, bit for bit, what the scalar emitter's code gives. Needs AVX2 and FMA.</summary>
/// <remarks>
/// Written once for both widths: the build compiles this file and VectorMath.Exponential.cs a second time as WideMath, over Vector512 and AVX-512 (TreCr.SoftDevice.csproj, "WidenVectorMath"). So what stands here has the same name
/// in both instruction sets, or is portable; the rest is in VectorMath.Masks.cs and WideMath.Masks.cs.
/// </remarks>
static unsafe partial class VectorMath
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)] public static IV SelectInt32(IV m, IV a, IV b) => Vector256.ConditionalSelect(m, a, b);
    [MethodImpl(Inline)] public static LV SelectInt64(LV m, LV a, LV b) => Vector256.ConditionalSelect(m, a, b);
    [MethodImpl(Inline)] public static FV SelectSingle(IV m, FV a, FV b) => Vector256.ConditionalSelect(m.AsSingle(), a, b);
    [MethodImpl(Inline)] public static DV SelectDouble(LV m, DV a, DV b) => Vector256.ConditionalSelect(m.AsDouble(), a, b);

    [MethodImpl(Inline)] public static IV AddS32(IV a, IV b) => a + b;
    [MethodImpl(Inline)] public static LV AddS64(LV a, LV b) => a + b;
    [MethodImpl(Inline)] public static IV SubS32(IV a, IV b) => a - b;
    [MethodImpl(Inline)] public static LV SubS64(LV a, LV b) => a - b;
    [MethodImpl(Inline)] public static IV MulLoS32(IV a, IV b) => a * b;
    [MethodImpl(Inline)]
    public static LV MulLoS64(LV a, LV b)
    {
        // low * low + ((high * low + low * high) << 32)
        Vector256<uint> x = a.AsUInt32(), y = b.AsUInt32();
        Vector256<ulong> cross = Avx2.Multiply((a.AsUInt64() >>> 32).AsUInt32(), y) + Avx2.Multiply(x, (b.AsUInt64() >>> 32).AsUInt32());
        return (Avx2.Multiply(x, y) + (cross << 32)).AsInt64();
    }
    [MethodImpl(Inline)] public static LV MulWideS32(LV a, LV b) => Avx2.Multiply(a.AsInt32(), b.AsInt32());
    [MethodImpl(Inline)] public static LV MulWideU32(LV a, LV b) => Avx2.Multiply(a.AsUInt32(), b.AsUInt32()).AsInt64();
    static IV OddWords { [MethodImpl(Inline)] get => Vector256.Create(unchecked((long)0xffffffff00000000)).AsInt32(); }
    [MethodImpl(Inline)]
    public static IV MulHiS32(IV a, IV b)
        => Vector256.ConditionalSelect(OddWords, Avx2.Multiply((a.AsUInt64() >>> 32).AsInt32(), (b.AsUInt64() >>> 32).AsInt32()).AsInt32(), (Avx2.Multiply(a, b).AsUInt64() >>> 32).AsInt32());
    [MethodImpl(Inline)]
    public static IV MulHiU32(IV a, IV b)
        => Vector256.ConditionalSelect(OddWords, Avx2.Multiply((a.AsUInt64() >>> 32).AsUInt32(), (b.AsUInt64() >>> 32).AsUInt32()).AsInt32(), (Avx2.Multiply(a.AsUInt32(), b.AsUInt32()) >>> 32).AsInt32());
    [MethodImpl(Inline)] public static IV NegS32(IV a) => -a;
    [MethodImpl(Inline)] public static LV NegS64(LV a) => -a;
    [MethodImpl(Inline)] public static IV AbsS32(IV a) => Avx2.Abs(a).AsInt32();
    [MethodImpl(Inline)] public static LV AbsS64(LV a) { LV sign = Vector256.LessThan(a, LV.Zero); return (a ^ sign) - sign; }
    [MethodImpl(Inline)] public static IV MinS32(IV a, IV b) => Avx2.Min(a, b);
    [MethodImpl(Inline)] public static IV MaxS32(IV a, IV b) => Avx2.Max(a, b);
    [MethodImpl(Inline)] public static IV MinU32(IV a, IV b) => Avx2.Min(a.AsUInt32(), b.AsUInt32()).AsInt32();
    [MethodImpl(Inline)] public static IV MaxU32(IV a, IV b) => Avx2.Max(a.AsUInt32(), b.AsUInt32()).AsInt32();
    [MethodImpl(Inline)] public static LV MinS64(LV a, LV b) => Vector256.ConditionalSelect(Vector256.LessThan(a, b), a, b);
    [MethodImpl(Inline)] public static LV MaxS64(LV a, LV b) => Vector256.ConditionalSelect(Vector256.LessThan(a, b), b, a);
    [MethodImpl(Inline)] public static IV AndS32(IV a, IV b) => a & b;
    [MethodImpl(Inline)] public static LV AndS64(LV a, LV b) => a & b;
    [MethodImpl(Inline)] public static IV OrS32(IV a, IV b) => a | b;
    [MethodImpl(Inline)] public static LV OrS64(LV a, LV b) => a | b;
    [MethodImpl(Inline)] public static IV XorS32(IV a, IV b) => a ^ b;
    [MethodImpl(Inline)] public static LV XorS64(LV a, LV b) => a ^ b;
    [MethodImpl(Inline)] public static IV NotS32(IV a) => ~a;
    [MethodImpl(Inline)] public static LV NotS64(LV a) => ~a;
    // The processor's shifts by vectors give 0, or the sign, where the amount is the width or more, as PTX does.
    [MethodImpl(Inline)] public static IV Shl32(IV a, IV n) => Avx2.ShiftLeftLogicalVariable(a, n.AsUInt32());
    [MethodImpl(Inline)] public static IV ShrU32(IV a, IV n) => Avx2.ShiftRightLogicalVariable(a, n.AsUInt32());
    [MethodImpl(Inline)] public static IV ShrS32(IV a, IV n) => Avx2.ShiftRightArithmeticVariable(a, n.AsUInt32());
    [MethodImpl(Inline)] public static LV Shl64(LV a, LV n) => Avx2.ShiftLeftLogicalVariable(a, n.AsUInt64());
    [MethodImpl(Inline)] public static LV ShrU64(LV a, LV n) => Avx2.ShiftRightLogicalVariable(a, n.AsUInt64());

    [MethodImpl(Inline)] public static LV WidenS32Lower(IV a) => Avx2.ConvertToVector256Int64(a.GetLower());
    [MethodImpl(Inline)] public static LV WidenS32Upper(IV a) => Avx2.ConvertToVector256Int64(a.GetUpper());
    [MethodImpl(Inline)] public static LV WidenU32Lower(IV a) => Avx2.ConvertToVector256Int64(a.GetLower().AsUInt32());
    [MethodImpl(Inline)] public static LV WidenU32Upper(IV a) => Avx2.ConvertToVector256Int64(a.GetUpper().AsUInt32());
    [MethodImpl(Inline)] public static IV NarrowS64(LV a, LV b) => Vector256.Narrow(a, b);
    [MethodImpl(Inline)] public static DV WidenF32Lower(FV a) => Avx.ConvertToVector256Double(a.GetLower());
    [MethodImpl(Inline)] public static DV WidenF32Upper(FV a) => Avx.ConvertToVector256Double(a.GetUpper());
    [MethodImpl(Inline)] public static FV NarrowF64(DV a, DV b) => Vector256.Create(Avx.ConvertToVector128Single(a), Avx.ConvertToVector128Single(b));
    [MethodImpl(Inline)] public static FV S32ToF32(IV a) => Avx.ConvertToVector256Single(a);
    [MethodImpl(Inline)] public static FV B32ToF32(IV a) => U32ToF32(a);
    [MethodImpl(Inline)]
    public static FV U32ToF32(IV a)
    {
        // Both halves are exact; their sum is rounded once.
        FV high = Avx.ConvertToVector256Single((a.AsUInt32() >>> 16).AsInt32()), low = Avx.ConvertToVector256Single(a & Vector256.Create(0xffff));
        return Vector256.FusedMultiplyAdd(high, Vector256.Create(65536f), low);
    }
    [MethodImpl(Inline)] public static IV UpperHalf(IV a) => Vector256.Create(a.GetUpper(), a.GetUpper());
    [MethodImpl(Inline)] public static DV S32ToF64(IV a) => Avx.ConvertToVector256Double(a.GetLower());
    [MethodImpl(Inline)]
    public static IV F32ToS32(FV a)
    {
        // The instruction gives 0x80000000 for NaN and what does not fit.
        IV raw = Avx.ConvertToVector256Int32WithTruncation(a);
        raw = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(a, Vector256.Create(2147483648f)).AsInt32(), Vector256.Create(int.MaxValue), raw);
        return raw & Vector256.Equals(a, a).AsInt32();
    }

    [MethodImpl(Inline)] public static FV AddF32(FV a, FV b) => a + b;
    [MethodImpl(Inline)] public static DV AddF64(DV a, DV b) => a + b;
    [MethodImpl(Inline)] public static FV SubF32(FV a, FV b) => a - b;
    [MethodImpl(Inline)] public static DV SubF64(DV a, DV b) => a - b;
    [MethodImpl(Inline)] public static FV MulF32(FV a, FV b) => a * b;
    [MethodImpl(Inline)] public static DV MulF64(DV a, DV b) => a * b;
    [MethodImpl(Inline)] public static FV DivF32(FV a, FV b) => a / b;
    [MethodImpl(Inline)] public static DV DivF64(DV a, DV b) => a / b;
    [MethodImpl(Inline)] public static FV FmaF32(FV a, FV b, FV c) => Vector256.FusedMultiplyAdd(a, b, c);
    [MethodImpl(Inline)] public static DV FmaF64(DV a, DV b, DV c) => Vector256.FusedMultiplyAdd(a, b, c);
    [MethodImpl(Inline)] public static FV MinF32(FV a, FV b) => Vector256.MinNumber(a, b);
    [MethodImpl(Inline)] public static FV MaxF32(FV a, FV b) => Vector256.MaxNumber(a, b);
    [MethodImpl(Inline)] public static DV MinF64(DV a, DV b) => Vector256.MinNumber(a, b);
    [MethodImpl(Inline)] public static DV MaxF64(DV a, DV b) => Vector256.MaxNumber(a, b);
    [MethodImpl(Inline)] public static FV AbsF32(FV a) => a & Vector256.Create(0x7fffffff).AsSingle();
    [MethodImpl(Inline)] public static DV AbsF64(DV a) => a & Vector256.Create(long.MaxValue).AsDouble();
    [MethodImpl(Inline)] public static FV NegF32(FV a) => a ^ Vector256.Create(-0f);
    [MethodImpl(Inline)] public static DV NegF64(DV a) => a ^ Vector256.Create(-0d);
    [MethodImpl(Inline)] public static FV SqrtF32(FV a) => Vector256.Sqrt(a);
    [MethodImpl(Inline)] public static DV SqrtF64(DV a) => Vector256.Sqrt(a);
    [MethodImpl(Inline)] public static FV RcpF32(FV a) => Vector256.Create(1f) / a;
    [MethodImpl(Inline)] public static DV RcpF64(DV a) => Vector256.Create(1d) / a;
    [MethodImpl(Inline)] public static FV RsqrtF32(FV a) => Vector256.Create(1f) / Vector256.Sqrt(a);
    [MethodImpl(Inline)] public static DV RsqrtF64(DV a) => Vector256.Create(1d) / Vector256.Sqrt(a);
    [MethodImpl(Inline)] public static FV FlushF32(FV a) => Vector256.ConditionalSelect(Vector256.LessThan(AbsF32(a), Vector256.Create(1.17549435e-38f)), a & Vector256.Create(-0f), a);
    [MethodImpl(Inline)] public static FV SatF32(FV a) { FV one = Vector256.Create(1f); return Vector256.ConditionalSelect(Vector256.LessThan(a, one), a, one) & Vector256.GreaterThan(a, FV.Zero); }
    [MethodImpl(Inline)] public static DV SatF64(DV a) { DV one = Vector256.Create(1d); return Vector256.ConditionalSelect(Vector256.LessThan(a, one), a, one) & Vector256.GreaterThan(a, DV.Zero); }
    [MethodImpl(Inline)] public static FV NearestF32(FV a) => Vector256.Round(a);
    [MethodImpl(Inline)] public static FV TruncateF32(FV a) => Vector256.Truncate(a);
    [MethodImpl(Inline)] public static FV FloorF32(FV a) => Vector256.Floor(a);
    [MethodImpl(Inline)] public static FV CeilingF32(FV a) => Vector256.Ceiling(a);

    [MethodImpl(Inline)] static int Bits(IV a) => (int)Vector256.ExtractMostSignificantBits(a);
    [MethodImpl(Inline)] static int Bits(LV a) => (int)Vector256.ExtractMostSignificantBits(a);
    [MethodImpl(Inline)] static int Bits(FV a) => (int)Vector256.ExtractMostSignificantBits(a);
    [MethodImpl(Inline)] static int Bits(DV a) => (int)Vector256.ExtractMostSignificantBits(a);
    [MethodImpl(Inline)] static IV Flip(IV a) => a ^ Vector256.Create(int.MinValue);
    [MethodImpl(Inline)] static LV Flip(LV a) => a ^ Vector256.Create(long.MinValue);

    [MethodImpl(Inline)] public static int EqS32(IV a, IV b) => Bits(Vector256.Equals(a, b));
    [MethodImpl(Inline)] public static int NeS32(IV a, IV b) => Bits(Vector256.Equals(a, b)) ^ All32;
    [MethodImpl(Inline)] public static int LtS32(IV a, IV b) => Bits(Vector256.GreaterThan(b, a));
    [MethodImpl(Inline)] public static int LeS32(IV a, IV b) => Bits(Vector256.GreaterThan(a, b)) ^ All32;
    [MethodImpl(Inline)] public static int GtS32(IV a, IV b) => Bits(Vector256.GreaterThan(a, b));
    [MethodImpl(Inline)] public static int GeS32(IV a, IV b) => Bits(Vector256.GreaterThan(b, a)) ^ All32;
    [MethodImpl(Inline)] public static int LtU32(IV a, IV b) => LtS32(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int LeU32(IV a, IV b) => LeS32(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int GtU32(IV a, IV b) => GtS32(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int GeU32(IV a, IV b) => GeS32(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int EqS64(LV a, LV b) => Bits(Vector256.Equals(a, b));
    [MethodImpl(Inline)] public static int NeS64(LV a, LV b) => Bits(Vector256.Equals(a, b)) ^ All64;
    [MethodImpl(Inline)] public static int LtS64(LV a, LV b) => Bits(Vector256.GreaterThan(b, a));
    [MethodImpl(Inline)] public static int LeS64(LV a, LV b) => Bits(Vector256.GreaterThan(a, b)) ^ All64;
    [MethodImpl(Inline)] public static int GtS64(LV a, LV b) => Bits(Vector256.GreaterThan(a, b));
    [MethodImpl(Inline)] public static int GeS64(LV a, LV b) => Bits(Vector256.GreaterThan(b, a)) ^ All64;
    [MethodImpl(Inline)] public static int LtU64(LV a, LV b) => LtS64(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int LeU64(LV a, LV b) => LeS64(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int GtU64(LV a, LV b) => GtS64(Flip(a), Flip(b));
    [MethodImpl(Inline)] public static int GeU64(LV a, LV b) => GeS64(Flip(a), Flip(b));

    // Ordered: false where one is NaN; the forms with u: true there.
    [MethodImpl(Inline)] public static int EqF32(FV a, FV b) => Bits(Avx.CompareEqual(a, b));
    [MethodImpl(Inline)] public static int NeF32(FV a, FV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedNotEqualNonSignaling));
    [MethodImpl(Inline)] public static int LtF32(FV a, FV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedLessThanNonSignaling));
    [MethodImpl(Inline)] public static int LeF32(FV a, FV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedLessThanOrEqualNonSignaling));
    [MethodImpl(Inline)] public static int GtF32(FV a, FV b) => LtF32(b, a);
    [MethodImpl(Inline)] public static int GeF32(FV a, FV b) => LeF32(b, a);
    [MethodImpl(Inline)] public static int EquF32(FV a, FV b) => NeF32(a, b) ^ All32;
    [MethodImpl(Inline)] public static int NeuF32(FV a, FV b) => EqF32(a, b) ^ All32;
    [MethodImpl(Inline)] public static int LtuF32(FV a, FV b) => GeF32(a, b) ^ All32;
    [MethodImpl(Inline)] public static int LeuF32(FV a, FV b) => GtF32(a, b) ^ All32;
    [MethodImpl(Inline)] public static int GtuF32(FV a, FV b) => LeF32(a, b) ^ All32;
    [MethodImpl(Inline)] public static int GeuF32(FV a, FV b) => LtF32(a, b) ^ All32;
    [MethodImpl(Inline)] public static int NumF32(FV a, FV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedNonSignaling));
    [MethodImpl(Inline)] public static int NanF32(FV a, FV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.UnorderedNonSignaling));
    [MethodImpl(Inline)] public static int EqF64(DV a, DV b) => Bits(Avx.CompareEqual(a, b));
    [MethodImpl(Inline)] public static int NeF64(DV a, DV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedNotEqualNonSignaling));
    [MethodImpl(Inline)] public static int LtF64(DV a, DV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedLessThanNonSignaling));
    [MethodImpl(Inline)] public static int LeF64(DV a, DV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedLessThanOrEqualNonSignaling));
    [MethodImpl(Inline)] public static int GtF64(DV a, DV b) => LtF64(b, a);
    [MethodImpl(Inline)] public static int GeF64(DV a, DV b) => LeF64(b, a);
    [MethodImpl(Inline)] public static int EquF64(DV a, DV b) => NeF64(a, b) ^ All64;
    [MethodImpl(Inline)] public static int NeuF64(DV a, DV b) => EqF64(a, b) ^ All64;
    [MethodImpl(Inline)] public static int LtuF64(DV a, DV b) => GeF64(a, b) ^ All64;
    [MethodImpl(Inline)] public static int LeuF64(DV a, DV b) => GtF64(a, b) ^ All64;
    [MethodImpl(Inline)] public static int GtuF64(DV a, DV b) => LeF64(a, b) ^ All64;
    [MethodImpl(Inline)] public static int GeuF64(DV a, DV b) => LtF64(a, b) ^ All64;
    [MethodImpl(Inline)] public static int NumF64(DV a, DV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.OrderedNonSignaling));
    [MethodImpl(Inline)] public static int NanF64(DV a, DV b) => Bits(Avx.Compare(a, b, FloatComparisonMode.UnorderedNonSignaling));

    [MethodImpl(Inline)] public static int HighestLane(int bits) => System.Numerics.BitOperations.Log2((uint)bits);

    // Bounds and alignment of addresses: distances are from a window's start less 2^63 or 2^31, limits count in units of 1 << k bytes.
    [MethodImpl(Inline)] public static LV DistanceS64(LV a, long add) => a + Vector256.Create(add ^ long.MinValue);
    [MethodImpl(Inline)] public static IV DistanceS32(IV a, long add) => a + Vector256.Create((int)add ^ int.MinValue);
    [MethodImpl(Inline)] public static LV BelowS64(LV distance, ulong limit, int k) => Vector256.GreaterThan(Vector256.Create((long)(limit << k) ^ long.MinValue), distance);
    [MethodImpl(Inline)] public static IV BelowS32(IV distance, ulong limit, int k) => Vector256.GreaterThan(Vector256.Create((int)(limit << k) ^ int.MinValue), distance);
    [MethodImpl(Inline)] public static int IsInsideS64(LV below, LV low, long mask) => Bits(below) == All64 && (low & Vector256.Create(mask)) == LV.Zero ? 1 : 0;
    [MethodImpl(Inline)] public static int IsInsideS32(IV below, IV low, long mask) => Bits(below) == All32 && (low & Vector256.Create((int)mask)) == IV.Zero ? 1 : 0;

    [MethodImpl(Inline)] public static LV IsAtS64(LV a, long first, LV distances) => Vector256.Equals(a, Vector256.Create(first) + distances);
    [MethodImpl(Inline)] public static int AllS64(LV a) => Bits(a) == All64 ? 1 : 0;

    [MethodImpl(Inline)] public static int VoteAll(int bits) => bits == -1 ? 1 : 0;
    [MethodImpl(Inline)] public static int VoteAny(int bits) => bits != 0 ? 1 : 0;
    [MethodImpl(Inline)] public static int VoteUni(int bits) => bits is 0 or -1 ? 1 : 0;
}
