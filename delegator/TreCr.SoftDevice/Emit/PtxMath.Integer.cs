using System.Numerics;
using System.Runtime.CompilerServices;

namespace TreCr.SoftDevice.Emit;

/// <summary>What PTX instructions do where no IL opcode does the same. Called from emitted code by name. Source: PTX ISA 8.x; facts/cuda.md section 6.3.</summary>
static partial class PtxMath
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)] public static int Shl16(int a, uint n) => n >= 16 ? 0 : a << (int)n;
    [MethodImpl(Inline)] public static int Shl32(int a, uint n) => n >= 32 ? 0 : a << (int)n;
    [MethodImpl(Inline)] public static long Shl64(long a, uint n) => n >= 64 ? 0 : a << (int)n;
    [MethodImpl(Inline)] public static int ShrS16(int a, uint n) => a >> (int)Math.Min(n, 31);
    [MethodImpl(Inline)] public static int ShrS32(int a, uint n) => a >> (int)Math.Min(n, 31);
    [MethodImpl(Inline)] public static long ShrS64(long a, uint n) => a >> (int)Math.Min(n, 63);
    [MethodImpl(Inline)] public static uint ShrU16(uint a, uint n) => n >= 32 ? 0 : a >> (int)n;
    [MethodImpl(Inline)] public static uint ShrU32(uint a, uint n) => n >= 32 ? 0 : a >> (int)n;
    [MethodImpl(Inline)] public static ulong ShrU64(ulong a, uint n) => n >= 64 ? 0 : a >> (int)n;
    [MethodImpl(Inline)] public static uint ShfLWrap(uint a, uint b, uint n) => (uint)(((ulong)b << 32 | a) << (int)(n & 31) >> 32);
    [MethodImpl(Inline)] public static uint ShfLClamp(uint a, uint b, uint n) => n >= 32 ? a : ShfLWrap(a, b, n);
    [MethodImpl(Inline)] public static uint ShfRWrap(uint a, uint b, uint n) => (uint)(((ulong)b << 32 | a) >> (int)(n & 31));
    [MethodImpl(Inline)] public static uint ShfRClamp(uint a, uint b, uint n) => n >= 32 ? b : ShfRWrap(a, b, n);

    [MethodImpl(Inline)] public static int MulHiS16(int a, int b) => a * b >> 16;
    [MethodImpl(Inline)] public static uint MulHiU16(uint a, uint b) => a * b >> 16;
    [MethodImpl(Inline)] public static int MulHiS32(int a, int b) => (int)((long)a * b >> 32);
    [MethodImpl(Inline)] public static uint MulHiU32(uint a, uint b) => (uint)((ulong)a * b >> 32);
    [MethodImpl(Inline)] public static long MulHiS64(long a, long b) => Math.BigMul(a, b, out _);
    [MethodImpl(Inline)] public static ulong MulHiU64(ulong a, ulong b) => Math.BigMul(a, b, out _);
    [MethodImpl(Inline)] public static uint Mul24LoU32(uint a, uint b) => (a & 0xffffff) * (b & 0xffffff);
    [MethodImpl(Inline)] public static uint Mul24HiU32(uint a, uint b) => (uint)((ulong)(a & 0xffffff) * (b & 0xffffff) >> 16);
    [MethodImpl(Inline)] public static int Mul24LoS32(int a, int b) => (a << 8 >> 8) * (b << 8 >> 8);
    [MethodImpl(Inline)] public static int Mul24HiS32(int a, int b) => (int)((long)(a << 8 >> 8) * (b << 8 >> 8) >> 16);

    // Division by zero gives all ones, as NVIDIA's instruction sequences do; it never traps.
    [MethodImpl(Inline)] public static int DivS32(int a, int b) => b == 0 ? -1 : b == -1 ? -a : a / b;
    [MethodImpl(Inline)] public static uint DivU32(uint a, uint b) => b == 0 ? uint.MaxValue : a / b;
    [MethodImpl(Inline)] public static long DivS64(long a, long b) => b == 0 ? -1 : b == -1 ? -a : a / b;
    [MethodImpl(Inline)] public static ulong DivU64(ulong a, ulong b) => b == 0 ? ulong.MaxValue : a / b;
    [MethodImpl(Inline)] public static int RemS32(int a, int b) => b == 0 ? -1 : b == -1 ? 0 : a % b;
    [MethodImpl(Inline)] public static uint RemU32(uint a, uint b) => b == 0 ? uint.MaxValue : a % b;
    [MethodImpl(Inline)] public static long RemS64(long a, long b) => b == 0 ? -1 : b == -1 ? 0 : a % b;
    [MethodImpl(Inline)] public static ulong RemU64(ulong a, ulong b) => b == 0 ? ulong.MaxValue : a % b;

    [MethodImpl(Inline)] public static int AbsS32(int a) => a < 0 ? -a : a;
    [MethodImpl(Inline)] public static long AbsS64(long a) => a < 0 ? -a : a;
    [MethodImpl(Inline)] public static int AbsDifferenceS32(int a, int b) => a < b ? b - a : a - b;
    [MethodImpl(Inline)] public static uint AbsDifferenceU32(uint a, uint b) => a < b ? b - a : a - b;
    [MethodImpl(Inline)] public static long AbsDifferenceS64(long a, long b) => a < b ? b - a : a - b;
    [MethodImpl(Inline)] public static ulong AbsDifferenceU64(ulong a, ulong b) => a < b ? b - a : a - b;
    [MethodImpl(Inline)] public static int AddSatS32(int a, int b) => (int)Math.Clamp((long)a + b, int.MinValue, int.MaxValue);
    [MethodImpl(Inline)] public static int SubSatS32(int a, int b) => (int)Math.Clamp((long)a - b, int.MinValue, int.MaxValue);

    [MethodImpl(Inline)] public static uint AddCarry32(uint a, uint b, int c) => a + b + (uint)c;
    [MethodImpl(Inline)] public static ulong AddCarry64(ulong a, ulong b, int c) => a + b + (uint)c;
    [MethodImpl(Inline)] public static int AddCarryOut32(uint a, uint b, int c) => (int)((ulong)a + b + (uint)c >> 32);
    [MethodImpl(Inline)] public static int AddCarryOut64(ulong a, ulong b, int c) => (int)((UInt128)a + b + (uint)c >> 64);
    [MethodImpl(Inline)] public static uint SubCarry32(uint a, uint b, int c) => a - b - (uint)c;
    [MethodImpl(Inline)] public static ulong SubCarry64(ulong a, ulong b, int c) => a - b - (uint)c;
    [MethodImpl(Inline)] public static int SubBorrowOut32(uint a, uint b, int c) => a < (ulong)b + (uint)c ? 1 : 0;
    [MethodImpl(Inline)] public static int SubBorrowOut64(ulong a, ulong b, int c) => a < (UInt128)b + (uint)c ? 1 : 0;

    public static long SatSToS(long v, int bits) => bits >= 64 ? v : Math.Clamp(v, -(1L << bits - 1), (1L << bits - 1) - 1);
    public static long SatSToU(long v, int bits) => v <= 0 ? 0 : bits >= 64 ? v : Math.Min(v, (1L << bits) - 1);
    public static ulong SatUToS(ulong v, int bits) => Math.Min(v, (1UL << bits - 1) - 1);
    public static ulong SatUToU(ulong v, int bits) => bits >= 64 ? v : Math.Min(v, (1UL << bits) - 1);

    [MethodImpl(Inline)] public static uint Popc32(uint a) => (uint)BitOperations.PopCount(a);
    [MethodImpl(Inline)] public static uint Popc64(ulong a) => (uint)BitOperations.PopCount(a);
    [MethodImpl(Inline)] public static uint Clz32(uint a) => (uint)BitOperations.LeadingZeroCount(a);
    [MethodImpl(Inline)] public static uint Clz64(ulong a) => (uint)BitOperations.LeadingZeroCount(a);

    [MethodImpl(Inline)]
    public static uint Brev32(uint v)
    {
        v = v >> 1 & 0x55555555 | (v & 0x55555555) << 1;
        v = v >> 2 & 0x33333333 | (v & 0x33333333) << 2;
        v = v >> 4 & 0x0f0f0f0f | (v & 0x0f0f0f0f) << 4;
        return System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(v);
    }

    [MethodImpl(Inline)] public static ulong Brev64(ulong v) => (ulong)Brev32((uint)v) << 32 | Brev32((uint)(v >> 32));

    public static uint BfeU32(uint a, uint b, uint c)
    {
        int pos = (int)(b & 255), len = (int)(c & 255);
        return len == 0 || pos >= 32 ? 0 : len >= 32 ? a >> pos : a >> pos & (1u << len) - 1;
    }

    public static int BfeS32(int a, uint b, uint c) => (int)BfeSigned(a, 32, b, c);
    public static long BfeS64(long a, uint b, uint c) => BfeSigned(a, 64, b, c);

    static long BfeSigned(long a, int width, uint b, uint c)
    {
        int pos = (int)(b & 255), len = (int)(c & 255);
        if (len == 0) return 0;
        int top = Math.Min(pos + len - 1, width - 1);
        long sign = a >> top & 1;
        long value = -sign;
        for (int i = 0; i < len && i < width && pos + i < width; i++)
            value = value & ~(1L << i) | (a >> pos + i & 1) << i;
        return value;
    }

    public static ulong BfeU64(ulong a, uint b, uint c)
    {
        int pos = (int)(b & 255), len = (int)(c & 255);
        return len == 0 || pos >= 64 ? 0 : len >= 64 ? a >> pos : a >> pos & (1UL << len) - 1;
    }

    public static uint Bfi32(uint a, uint b, uint c, uint d)
    {
        int pos = (int)(c & 255), len = (int)(d & 255);
        if (len == 0 || pos >= 32) return b;
        uint mask = (len >= 32 ? uint.MaxValue : (1u << len) - 1) << pos;
        return b & ~mask | a << pos & mask;
    }

    public static ulong Bfi64(ulong a, ulong b, uint c, uint d)
    {
        int pos = (int)(c & 255), len = (int)(d & 255);
        if (len == 0 || pos >= 64) return b;
        ulong mask = (len >= 64 ? ulong.MaxValue : (1UL << len) - 1) << pos;
        return b & ~mask | a << pos & mask;
    }

    static uint Find(ulong a, int width, int shiftAmount)
    {
        if (a == 0) return uint.MaxValue;
        uint at = (uint)BitOperations.Log2(a);
        return shiftAmount != 0 ? (uint)width - 1 - at : at;
    }

    public static uint BfindU32(uint a, int shiftAmount) => Find(a, 32, shiftAmount);
    public static uint BfindS32(int a, int shiftAmount) => Find((uint)(a < 0 ? ~a : a), 32, shiftAmount);
    public static uint BfindU64(ulong a, int shiftAmount) => Find(a, 64, shiftAmount);
    public static uint BfindS64(long a, int shiftAmount) => Find((ulong)(a < 0 ? ~a : a), 64, shiftAmount);

    public static uint BmskClamp(uint a, uint b) => a >= 32 ? 0 : (uint)((b >= 32 ? uint.MaxValue : (1u << (int)b) - 1) << (int)a);
    public static uint BmskWrap(uint a, uint b) => BmskClamp(a & 31, b & 31);

    public static uint Fns(uint mask, uint start, int offset)
    {
        int at = (int)(start & 31);
        if (offset == 0) return (mask >> at & 1) != 0 ? (uint)at : uint.MaxValue;
        int step = offset > 0 ? 1 : -1;
        for (int left = Math.Abs(offset); at is >= 0 and < 32; at += step)
            if ((mask >> at & 1) != 0 && --left == 0) return (uint)at;
        return uint.MaxValue;
    }

    public static uint Prmt(uint a, uint b, uint selector)
    {
        ulong bytes = (ulong)b << 32 | a;
        uint result = 0;
        for (int i = 0; i < 4; i++)
        {
            int n = (int)(selector >> 4 * i & 15);
            byte v = (byte)(bytes >> 8 * (n & 7));
            if ((n & 8) != 0) v = (byte)((sbyte)v >> 7);
            result |= (uint)v << 8 * i;
        }
        return result;
    }

    static uint Pick(uint a, uint b, int i0, int i1, int i2, int i3) => Prmt(a, b, (uint)(i0 | i1 << 4 | i2 << 8 | i3 << 12));

    public static uint Prmt_f4e(uint a, uint b, uint c) { int s = (int)(c & 3); return Pick(a, b, s, s + 1, s + 2, s + 3); }
    public static uint Prmt_b4e(uint a, uint b, uint c) { int s = (int)(c & 3); return Pick(a, b, s, s + 7 & 7, s + 6 & 7, s + 5 & 7); }
    public static uint Prmt_rc8(uint a, uint b, uint c) { int s = (int)(c & 3); return Pick(a, b, s, s, s, s); }
    public static uint Prmt_ecl(uint a, uint b, uint c) { int s = (int)(c & 3); return Pick(a, b, s, Math.Max(s, 1), Math.Max(s, 2), 3); }
    public static uint Prmt_ecr(uint a, uint b, uint c) { int s = (int)(c & 3); return Pick(a, b, 0, Math.Min(s, 1), Math.Min(s, 2), s); }
    public static uint Prmt_rc16(uint a, uint b, uint c) { int s = (int)(c & 1) * 2; return Pick(a, b, s, s + 1, s, s + 1); }

    public static uint Lop3(uint a, uint b, uint c, int table)
    {
        uint r = 0;
        if ((table & 0x01) != 0) r |= ~a & ~b & ~c;
        if ((table & 0x02) != 0) r |= ~a & ~b & c;
        if ((table & 0x04) != 0) r |= ~a & b & ~c;
        if ((table & 0x08) != 0) r |= ~a & b & c;
        if ((table & 0x10) != 0) r |= a & ~b & ~c;
        if ((table & 0x20) != 0) r |= a & ~b & c;
        if ((table & 0x40) != 0) r |= a & b & ~c;
        if ((table & 0x80) != 0) r |= a & b & c;
        return r;
    }

    /// <param name="signs">bit 0: a is signed; bit 1: b is signed</param>
    public static int Dp4a(uint a, uint b, int c, int signs)
    {
        for (int i = 0; i < 32; i += 8)
            c += ((signs & 1) != 0 ? (sbyte)(a >> i) : (byte)(a >> i)) * ((signs & 2) != 0 ? (sbyte)(b >> i) : (byte)(b >> i));
        return c;
    }

    /// <param name="signs">as in <see cref="Dp4a"/>; bit 2: the high two bytes of b</param>
    public static int Dp2a(uint a, uint b, int c, int signs)
    {
        if ((signs & 4) != 0) b >>= 16;
        for (int i = 0; i < 2; i++)
            c += ((signs & 1) != 0 ? (short)(a >> 16 * i) : (ushort)(a >> 16 * i)) * ((signs & 2) != 0 ? (sbyte)(b >> 8 * i) : (byte)(b >> 8 * i));
        return c;
    }

    [MethodImpl(Inline)] public static uint LaneMaskEq(int thread) => 1u << (thread & 31);
    [MethodImpl(Inline)] public static uint LaneMaskLt(int thread) => (1u << (thread & 31)) - 1;
    [MethodImpl(Inline)] public static uint LaneMaskLe(int thread) => (2u << (thread & 31)) - 1;
    [MethodImpl(Inline)] public static uint LaneMaskGt(int thread) => ~LaneMaskLe(thread);
    [MethodImpl(Inline)] public static uint LaneMaskGe(int thread) => ~LaneMaskLt(thread);
    public static ulong Clock64() => (ulong)System.Diagnostics.Stopwatch.GetTimestamp();
    public static ulong GlobalTimer() => (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
}
