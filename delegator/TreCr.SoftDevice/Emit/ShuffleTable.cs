using System.Runtime.InteropServices;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Source lanes of warp shuffles whose operands are constants, in native memory that is never freed; and lane numbers times a stride.</summary>
static unsafe class ShuffleTable
{
    static readonly Dictionary<(CollectiveKind, uint, uint), (nint, uint)> Tables = [];
    static readonly Dictionary<(long, int), nint> Strides = [];

    /// <returns>32 words, the lane that each lane reads; and the lanes whose source is inside their segment</returns>
    public static (nint Lanes, uint Valid) For(CollectiveKind kind, uint b, uint c)
    {
        lock (Tables)
        {
            if (Tables.TryGetValue((kind, b, c), out (nint, uint) known)) return known;
            int* table = (int*)NativeMemory.AlignedAlloc(128, 64);
            uint valid = 0;
            for (int n = 0; n < 32; n++)
            {
                if (WarpCollectives.Source(kind, n, b, c, out table[n])) valid |= 1u << n;
            }
            return Tables[(kind, b, c)] = ((nint)table, valid);
        }
    }

    /// <summary>0, stride, 2 * stride, … for 32 lanes, as words of 4 or 8 bytes.</summary>
    public static nint Multiples(long stride, int bytes)
    {
        lock (Strides)
        {
            if (Strides.TryGetValue((stride, bytes), out nint known)) return known;
            byte* table = (byte*)NativeMemory.AlignedAlloc((nuint)(32 * bytes), 64);
            for (int n = 0; n < 32; n++)
                if (bytes == 8) ((long*)table)[n] = n * stride;
                else ((int*)table)[n] = (int)(n * stride);
            return Strides[(stride, bytes)] = (nint)table;
        }
    }
}
