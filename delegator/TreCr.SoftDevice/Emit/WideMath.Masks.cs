using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using FV = System.Runtime.Intrinsics.Vector512<float>;
using DV = System.Runtime.Intrinsics.Vector512<double>;
using IV = System.Runtime.Intrinsics.Vector512<int>;
using LV = System.Runtime.Intrinsics.Vector512<long>;

namespace TreCr.SoftDevice.Emit;

/// <summary>As <see cref="VectorMath"/>, over 512 bits; the rest of this class is made of that one by the build.</summary>
static unsafe partial class WideMath
{
    public static bool IsSupported => Avx512F.IsSupported && Avx512DQ.IsSupported && Avx512BW.IsSupported && Vector512.IsHardwareAccelerated;

    /// <summary>A bit for each lane of 32 bits, and of 64.</summary>
    const int All32 = 0xffff, All64 = 0xff;

    [MethodImpl(Inline)] public static IV Mask32(int bits) { IV c = Vector512.Create(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768); return Vector512.Equals(Vector512.Create(bits) & c, c); }
    [MethodImpl(Inline)] public static LV Mask64(int bits) { LV c = Vector512.Create(1L, 2, 4, 8, 16, 32, 64, 128); return Vector512.Equals(Vector512.Create((long)bits) & c, c); }

    // Lanes that are off are not touched, and cannot fault; they are 0.
    [MethodImpl(Inline)] public static IV MaskLoadInt32(byte* p, IV m) => Avx512F.MaskLoad((int*)p, m, IV.Zero);
    [MethodImpl(Inline)] public static LV MaskLoadInt64(byte* p, LV m) => Avx512F.MaskLoad((long*)p, m, LV.Zero);
    [MethodImpl(Inline)] public static FV MaskLoadSingle(byte* p, IV m) => Avx512F.MaskLoad((float*)p, m.AsSingle(), FV.Zero);
    [MethodImpl(Inline)] public static DV MaskLoadDouble(byte* p, LV m) => Avx512F.MaskLoad((double*)p, m.AsDouble(), DV.Zero);
    [MethodImpl(Inline)] public static void MaskStoreInt32(IV v, byte* p, IV m) => Avx512F.MaskStore((int*)p, m, v);
    [MethodImpl(Inline)] public static void MaskStoreInt64(LV v, byte* p, LV m) => Avx512F.MaskStore((long*)p, m, v);
    [MethodImpl(Inline)] public static void MaskStoreSingle(FV v, byte* p, IV m) => Avx512F.MaskStore((float*)p, m.AsSingle(), v);
    [MethodImpl(Inline)] public static void MaskStoreDouble(DV v, byte* p, LV m) => Avx512F.MaskStore((double*)p, m.AsDouble(), v);

    /// <summary>Words of a table of 32 in memory, by indices there.</summary>
    [MethodImpl(Inline)] public static IV GatherWords(byte* table, nint indices) => Avx512F.PermuteVar16x32x2(Vector512.Load((int*)table), Vector512.Load((int*)indices), Vector512.Load((int*)table + 16));
}
