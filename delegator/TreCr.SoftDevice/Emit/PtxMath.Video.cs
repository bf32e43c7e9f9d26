namespace TreCr.SoftDevice.Emit;

/// <summary>Scalar video instructions. Source: PTX ISA, "Scalar Video Instructions".</summary>
static partial class PtxMath
{
    /// <summary>A byte, half or word of a register. <paramref name="part"/>: 0 the word, 1 to 4 bytes, 5 and 6 halves.</summary>
    public static long VideoPart(uint a, int part, int signed)
    {
        uint v = part switch { 0 => a, < 5 => a >> 8 * (part - 1) & 0xff, _ => a >> 16 * (part - 5) & 0xffff };
        return signed == 0 ? v : part switch { 0 => (int)v, < 5 => (sbyte)v, _ => (short)v };
    }

    /// <param name="operation">0 add, 1 sub, 2 absdiff, 3 min, 4 max, 5 shl, 6 shr; + 8: shift amounts wrap; + 16: the result saturates; + 32: it is signed; + 64, 128, 192: then add, min, max with <paramref name="c"/></param>
    public static uint Video(long a, long b, uint c, int operation)
    {
        bool signed = (operation & 32) != 0;
        int n = (operation & 8) != 0 ? (int)(b & 31) : (int)Math.Min((ulong)b, 32);
        long r = (operation & 7) switch { 0 => a + b, 1 => a - b, 2 => Math.Abs(a - b), 3 => Math.Min(a, b), 4 => Math.Max(a, b), 5 => a << n, _ => a >> n };
        if ((operation & 16) != 0) r = signed ? Math.Clamp(r, int.MinValue, int.MaxValue) : Math.Clamp(r, 0, uint.MaxValue);
        uint first = (uint)r;
        return (operation & 192) switch
        {
            0 => first, 64 => first + c,
            128 => signed ? (uint)Math.Min((int)first, (int)c) : Math.Min(first, c),
            _ => signed ? (uint)Math.Max((int)first, (int)c) : Math.Max(first, c),
        };
    }

    /// <summary>Two halves or four bytes at once. Source: PTX ISA, "SIMD Video Instructions".</summary>
    /// <param name="selectA">lane of the pair {a, b} for each lane that is written, four bits each; so <paramref name="selectB"/></param>
    /// <param name="form">bits 0 to 3: lanes that are written; from 4: add, sub, average, absdiff, min, max, set; 8: lanes saturate; 9: the result is signed; 10: the lanes are added to <paramref name="c"/>, else those that are
    /// not written are c's; 11: bytes; from 12: eq, ne, lt, le, gt, ge; 16, 17: lanes of a, of b are signed</param>
    public static uint VideoLanes(uint a, uint b, uint c, int selectA, int selectB, int form)
    {
        int bits = (form >> 11 & 1) != 0 ? 8 : 16;
        uint mask = (1u << bits) - 1, result = c;
        ulong pair = (ulong)b << 32 | a;
        bool isSigned = (form >> 9 & 1) != 0, accumulates = (form >> 10 & 1) != 0;
        int high = isSigned ? (int)(mask >> 1) : (int)mask, low = isSigned ? -high - 1 : 0;
        for (int n = 0; n < 32 / bits; n++)
        {
            if ((form >> n & 1) == 0) continue;
            int x = Lane(pair, selectA & 15, bits, (form >> 16 & 1) != 0), y = Lane(pair, selectB & 15, bits, (form >> 17 & 1) != 0);
            int r = (form >> 4 & 15) switch
            {
                0 => x + y, 1 => x - y, 2 => x + y >= 0 ? x + y + 1 >> 1 : x + y >> 1, 3 => Math.Abs(x - y), 4 => Math.Min(x, y), 5 => Math.Max(x, y),
                _ => ((form >> 12 & 15) switch { 0 => x == y, 1 => x != y, 2 => x < y, 3 => x <= y, 4 => x > y, _ => x >= y }) ? 1 : 0,
            };
            if ((form >> 8 & 1) != 0) r = Math.Clamp(r, low, high);
            result = accumulates ? result + (uint)r : result & ~(mask << n * bits) | ((uint)r & mask) << n * bits;
            selectA >>= 4;
            selectB >>= 4;
        }
        return result;
    }

    private static int Lane(ulong pair, int lane, int bits, bool isSigned)
    {
        int v = (int)(pair >> lane * bits & (1u << bits) - 1);
        return isSigned && v >> bits - 1 != 0 ? v - (1 << bits) : v;
    }
}
