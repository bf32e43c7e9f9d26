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
}
