using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using FV = System.Runtime.Intrinsics.Vector256<float>;
using DV = System.Runtime.Intrinsics.Vector256<double>;
using IV = System.Runtime.Intrinsics.Vector256<int>;
using LV = System.Runtime.Intrinsics.Vector256<long>;

namespace TreCr.SoftDevice.Emit;

/// <summary>What AVX2 has in another way than AVX-512: masks, and words by index.</summary>
static unsafe partial class VectorMath
{
    public static bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    /// <summary>A bit for each lane of 32 bits, and of 64.</summary>
    const int All32 = 0xff, All64 = 0xf;

    [MethodImpl(Inline)] public static IV Mask32(int bits) { IV c = Vector256.Create(1, 2, 4, 8, 16, 32, 64, 128); return Vector256.Equals(Vector256.Create(bits) & c, c); }
    [MethodImpl(Inline)] public static LV Mask64(int bits) { LV c = Vector256.Create(1L, 2, 4, 8); return Vector256.Equals(Vector256.Create((long)bits) & c, c); }

    // Lanes that are off are not touched, and cannot fault.
    [MethodImpl(Inline)] public static IV MaskLoadInt32(byte* p, IV m) => Avx2.MaskLoad((int*)p, m);
    [MethodImpl(Inline)] public static LV MaskLoadInt64(byte* p, LV m) => Avx2.MaskLoad((long*)p, m);
    [MethodImpl(Inline)] public static FV MaskLoadSingle(byte* p, IV m) => Avx.MaskLoad((float*)p, m.AsSingle());
    [MethodImpl(Inline)] public static DV MaskLoadDouble(byte* p, LV m) => Avx.MaskLoad((double*)p, m.AsDouble());
    [MethodImpl(Inline)] public static void MaskStoreInt32(IV v, byte* p, IV m) => Avx2.MaskStore((int*)p, m, v);
    [MethodImpl(Inline)] public static void MaskStoreInt64(LV v, byte* p, LV m) => Avx2.MaskStore((long*)p, m, v);
    [MethodImpl(Inline)] public static void MaskStoreSingle(FV v, byte* p, IV m) => Avx.MaskStore((float*)p, m.AsSingle(), v);
    [MethodImpl(Inline)] public static void MaskStoreDouble(DV v, byte* p, LV m) => Avx.MaskStore((double*)p, m.AsDouble(), v);

    /// <summary>Words of a table of 32 in memory, by indices there.</summary>
    [MethodImpl(Inline)] public static IV GatherWords(byte* table, nint indices) => Avx2.GatherVector256((int*)table, Vector256.Load((int*)indices), 4);
}
