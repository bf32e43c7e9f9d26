using System.Numerics;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Collectives;

/// <summary>Floats of 16 and 8 bits to and from 32. OCP 8-bit Floating Point Specification for E4M3 (no infinity, largest 448) and E5M2 (largest 57344).</summary>
static unsafe class ShortFloats
{
    static readonly float[] E4M3 = Table(3, 7, hasInfinity: false), E5M2 = Table(2, 15, hasInfinity: true);

    /// <summary>Values of all 256 numbers.</summary>
    static float[] Table(int fractionBits, int bias, bool hasInfinity)
    {
        float[] values = new float[256];
        int ones = (1 << 7 - fractionBits) - 1;
        for (int n = 0; n < 256; n++)
        {
            int exponent = n >> fractionBits & ones, fraction = n & (1 << fractionBits) - 1;
            float magnitude = exponent == 0 ? MathF.ScaleB(fraction, 1 - bias - fractionBits) : MathF.ScaleB((1 << fractionBits) + fraction, exponent - bias - fractionBits);
            if (exponent == ones && hasInfinity) magnitude = fraction == 0 ? float.PositiveInfinity : float.NaN;
            else if (exponent == ones && fraction == (1 << fractionBits) - 1) magnitude = float.NaN;
            values[n] = (n & 0x80) != 0 ? -magnitude : magnitude;
        }
        return values;
    }

    public static void Widen(CollectiveType type, byte* from, float* to, int count)
    {
        switch (type)
        {
            case CollectiveType.Float16:
                for (int i = 0; i < count; i++) to[i] = (float)((Half*)from)[i];
                break;
            case CollectiveType.BFloat16:
                int n = 0;
                for (; n + Vector<ushort>.Count <= count; n += Vector<ushort>.Count)
                {
                    Vector.Widen(Vector.Load((ushort*)from + n), out Vector<uint> low, out Vector<uint> high);
                    Vector.Store(Vector.ShiftLeft(low, 16), (uint*)to + n);
                    Vector.Store(Vector.ShiftLeft(high, 16), (uint*)to + n + Vector<uint>.Count);
                }
                for (; n < count; n++) ((uint*)to)[n] = (uint)((ushort*)from)[n] << 16;
                break;
            default:
                float[] values = type == CollectiveType.Float8E4M3 ? E4M3 : E5M2;
                for (int i = 0; i < count; i++) to[i] = values[from[i]];
                break;
        }
    }

    public static void Narrow(CollectiveType type, float* from, byte* to, int count)
    {
        for (int i = 0; i < count; i++)
            switch (type)
            {
                case CollectiveType.Float16: ((Half*)to)[i] = (Half)from[i]; break;
                case CollectiveType.BFloat16: ((ushort*)to)[i] = ToBFloat16(from[i]); break;
                case CollectiveType.Float8E4M3: to[i] = ToShort(from[i], 3, 7, 448, 0x7e, 0x7f); break;
                default: to[i] = ToShort(from[i], 2, 15, 57344, 0x7b, 0x7f); break;
            }
    }

    static ushort ToBFloat16(float value)
    {
        if (float.IsNaN(value)) return 0x7fff;
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(bits + 0x7fff + (bits >> 16 & 1) >> 16);
    }

    /// <summary>To the nearest, to even in the middle; what is too large becomes the largest.</summary>
    static byte ToShort(float value, int fractionBits, int bias, float largest, byte largestBits, byte notANumber)
    {
        if (float.IsNaN(value)) return notANumber;
        int sign = float.IsNegative(value) ? 0x80 : 0;
        float magnitude = MathF.Abs(value);
        if (magnitude >= largest) return (byte)(sign | largestBits);
        if (magnitude == 0) return (byte)sign;
        int unit = Math.Max(MathF.ILogB(magnitude), 1 - bias) - fractionBits;
        int n = (int)MathF.Round(MathF.ScaleB(magnitude, -unit), MidpointRounding.ToEven);
        int bits = n < 1 << fractionBits ? n : (unit + fractionBits + bias << fractionBits) + n - (1 << fractionBits);
        return (byte)(sign | Math.Min(bits, largestBits));
    }
}
