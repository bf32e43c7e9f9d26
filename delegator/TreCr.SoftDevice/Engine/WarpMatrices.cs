using System.Runtime.Intrinsics;
using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>Matrix instructions of a warp, on each lane's registers in <see cref="BlockContext.Matrix"/>.</summary>
static unsafe class WarpMatrices
{
    /// <summary>64-bit words of a lane: A, B, C one after the other, as the instruction lists them; results from 0.</summary>
    public const int LaneWords = 32;
    const int Lanes = 32;

    /// <summary>D = A * B + C. Products are exact; f16, bf16, tf32 and f64 sums are taken in double and rounded once (hardware's own order and rounding are not defined).</summary>
    public static void Multiply(ulong* lanes, MatrixShape s)
    {
        double* a = stackalloc double[s.M * s.K];
        double* b = stackalloc double[s.K * s.N];
        double* d = stackalloc double[s.M * s.N];
        Gather(lanes, s.A, a);
        Gather(lanes + s.A.Registers, s.B, b);
        Gather(lanes + s.A.Registers + s.B.Registers, s.C, d);
        if (s.IsXor) CountDifferent(a, b, d, s.M, s.N, s.K);
        else Sum(a, b, d, s.M, s.N, s.K);
        if (s.Saturates)
            for (int n = 0; n < s.M * s.N; n++) d[n] = Math.Clamp(d[n], int.MinValue, int.MaxValue);
        Scatter(d, s.D, lanes);
    }

    /// <summary>Row by row, eight columns at a time: every element is one chain of fused additions in the order of k.</summary>
    static void Sum(double* a, double* b, double* d, int rows, int columns, int depth)
    {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j += 8)
            {
                double* to = d + i * columns + j, from = b + j;
                Vector256<double> low = Vector256.Load(to), high = Vector256.Load(to + 4);
                for (int k = 0; k < depth; k++, from += columns)
                {
                    Vector256<double> x = Vector256.Create(a[i * depth + k]);
                    low = Vector256.FusedMultiplyAdd(x, Vector256.Load(from), low);
                    high = Vector256.FusedMultiplyAdd(x, Vector256.Load(from + 4), high);
                }
                low.Store(to);
                high.Store(to + 4);
            }
    }

    static void CountDifferent(double* a, double* b, double* d, int rows, int columns, int depth)
    {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                for (int k = 0; k < depth; k++)
                    if (a[i * depth + k] != b[k * columns + j]) d[i * columns + j]++;
    }

    /// <summary>The lanes' registers to a matrix in the order of rows.</summary>
    static void Gather(ulong* words, Fragment f, double* to)
    {
        fixed (ushort* places = f.Places)
        {
            ushort* at = places;
            for (int lane = 0; lane < Lanes; lane++, words += LaneWords, at += f.Slots)
                switch (f.Type)
                {
                    case PtxType.F16: for (int n = 0; n < f.Slots; n++) to[at[n]] = Half((uint)(words[n >> 1] >> 16 * (n & 1))); break;
                    case PtxType.F32: for (int n = 0; n < f.Slots; n++) to[at[n]] = BitConverter.UInt32BitsToSingle((uint)words[n]); break;
                    case PtxType.F64: for (int n = 0; n < f.Slots; n++) to[at[n]] = BitConverter.UInt64BitsToDouble(words[n]); break;
                    default: for (int n = 0; n < f.Slots; n++) to[at[n]] = Read(words, n, f.Type); break;
                }
        }
    }

    static void Scatter(double* from, Fragment f, ulong* words)
    {
        fixed (ushort* places = f.Places)
        {
            ushort* at = places;
            for (int lane = 0; lane < Lanes; lane++, words += LaneWords, at += f.Slots)
            {
                for (int n = 0; n < f.Registers; n++) words[n] = 0;
                for (int n = 0; n < f.Slots; n++) Write(words, n, f.Type, from[at[n]]);
            }
        }
    }

    /// <summary>The number in the low 16 bits; NaN for any NaN.</summary>
    static float Half(uint bits)
    {
        // The exponent's bias is brought in by a product, which numbers without a leading 1 need as well.
        float magnitude = BitConverter.UInt32BitsToSingle((bits & 0x7fff) << 13) * 5.192296858534828e33f;
        uint special = (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
        return BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(magnitude) | special | (bits & 0x8000) << 16);
    }

    static double Read(ulong* words, int n, PtxType t) => t switch
    {
        PtxType.TF32 => BitConverter.UInt32BitsToSingle((uint)words[n] & ~0x1fffu), PtxType.S32 => (double)(int)words[n], PtxType.BF16 => PtxMath.BF16ToF32((int)(words[n >> 1] >> 16 * (n & 1) & 0xffff)),
        PtxType.S8 => (sbyte)(words[n >> 2] >> 8 * (n & 3)), PtxType.U8 => (byte)(words[n >> 2] >> 8 * (n & 3)),
        PtxType.S4 => (sbyte)(words[n >> 3] >> 4 * (n & 7) << 4) >> 4, PtxType.U4 => words[n >> 3] >> 4 * (n & 7) & 15, PtxType.B1 => words[n >> 5] >> (n & 31) & 1,
        _ => throw new InvalidOperationException($"{t} in a matrix"),
    };

    static void Write(ulong* words, int n, PtxType t, double v)
    {
        switch (t)
        {
            case PtxType.F64: words[n] = BitConverter.DoubleToUInt64Bits(v); break;
            case PtxType.F32: words[n] = BitConverter.SingleToUInt32Bits((float)v); break;
            case PtxType.S32: words[n] = (uint)(int)(long)v; break;
            default: words[n >> 1] |= (ulong)PtxMath.F64ToF16(v) << 16 * (n & 1); break;
        }
    }

    /// <summary>wmma.load and wmma.store: word 0 of every lane is the address of the matrix, word 1 the elements from one row to the next (column, where they lie so); registers are words 2 and on when storing, 0 and on when loaded.</summary>
    /// <exception cref="DeviceFaultException">700, 716: rows that are not all in memory, or not on the size of their elements.</exception>
    public static void MoveFragment(BlockContext* c, int firstThread, ulong* lanes, FragmentMove move)
    {
        Fragment f = move.Fragment;
        ulong start = lanes[0], stride = lanes[1];
        int bits = f.Type.Bits(), lines = move.ByColumns ? f.Columns : f.Rows, line = move.ByColumns ? f.Rows : f.Columns, bytes = line * bits / 8, alignment = Math.Max(1, bits / 8);
        byte** at = stackalloc byte*[lines];
        for (int n = 0; n < lines; n++)
        {
            ulong address = start + (ulong)n * stride * (ulong)bits / 8;
            bool aligned = (address & (ulong)(alignment - 1)) == 0;
            if (move.Space == PtxSpace.Shared)
            {
                if (!aligned || address >= (ulong)c->SharedBytes || (ulong)c->SharedBytes - address < (ulong)bytes) KernelSupport.SharedFault(c, firstThread, address, alignment);
                at[n] = c->Shared + address;
                continue;
            }
            if (!aligned || !PageTable.IsAccessible(address, (ulong)bytes, move.Stores)) KernelSupport.AccessFault(c, firstThread, address, alignment);
            at[n] = (byte*)address;
        }
        fixed (ushort* places = f.Places)
        {
            int distinct = move.Stores ? f.Distinct : f.Slots;
            for (int lane = 0; lane < Lanes; lane++)
            {
                ulong* words = lanes + lane * LaneWords + (move.Stores ? 2 : 0);
                if (!move.Stores)
                    for (int n = 0; n < f.Registers; n++) words[n] = 0;
                for (int n = 0; n < distinct; n++)
                {
                    (int row, int column) = Math.DivRem(places[lane * f.Slots + n], f.Columns);
                    (int l, int x) = move.ByColumns ? (column, row) : (row, column);
                    MoveElement(words, n, at[l], x, bits, move.Stores);
                }
            }
        }
    }

    static void MoveElement(ulong* words, int n, byte* line, int x, int bits, bool stores)
    {
        switch (bits)
        {
            case 64: if (stores) ((ulong*)line)[x] = words[n]; else words[n] = ((ulong*)line)[x]; break;
            case 32: if (stores) ((uint*)line)[x] = (uint)words[n]; else words[n] = ((uint*)line)[x]; break;
            case 16: if (stores) ((ushort*)line)[x] = (ushort)(words[n >> 1] >> 16 * (n & 1)); else words[n >> 1] |= (ulong)((ushort*)line)[x] << 16 * (n & 1); break;
            // Factors only: they are never stored.
            default:
                int each = 32 / bits;
                words[n / each] |= ((ulong)line[x * bits / 8] >> x * bits % 8 & (1u << bits) - 1) << n % each * bits;
                break;
        }
    }

    /// <summary>ldmatrix and stmatrix: word 0 of lane 8m + r is the shared offset of row r of matrix m; registers are words 1 and on when storing, 0 and on when loaded.</summary>
    /// <exception cref="DeviceFaultException">700, 716: a row that is not in shared memory, or not on 16 bytes.</exception>
    public static void Move(BlockContext* c, int firstThread, ulong* lanes, int matrices, bool transposed, bool store)
    {
        ushort** rows = stackalloc ushort*[32];
        for (int n = 0; n < matrices * 8; n++)
        {
            ulong offset = lanes[n * LaneWords];
            if ((offset & 15) != 0 || offset >= (ulong)c->SharedBytes || (ulong)c->SharedBytes - offset < 16) KernelSupport.SharedFault(c, firstThread + n, offset, 16);
            rows[n] = (ushort*)(c->Shared + offset);
        }
        for (int lane = 0; lane < Lanes; lane++)
            for (int m = 0; m < matrices; m++)
            {
                ulong* word = lanes + lane * LaneWords + m + (store ? 1 : 0);
                if (!store) *word = 0;
                for (int e = 0; e < 2; e++)
                {
                    int r = lane >> 2, column = (lane & 3) * 2 + e;
                    if (transposed) (r, column) = (column, r);
                    if (store) rows[m * 8 + r][column] = (ushort)(*word >> 16 * e);
                    else *word |= (ulong)rows[m * 8 + r][column] << 16 * e;
                }
            }
    }

    /// <summary>movmatrix.trans: an 8 by 8 matrix of 16-bit elements, over the lanes.</summary>
    public static void Transpose(ulong* lanes)
    {
        ushort* m = stackalloc ushort[64];
        for (int lane = 0; lane < Lanes; lane++)
            for (int e = 0; e < 2; e++) m[(lane >> 2) * 8 + (lane & 3) * 2 + e] = (ushort)(lanes[lane * LaneWords] >> 16 * e);
        for (int lane = 0; lane < Lanes; lane++)
            lanes[lane * LaneWords] = m[(lane & 3) * 16 + (lane >> 2)] | (ulong)m[(lane & 3) * 16 + 8 + (lane >> 2)] << 16;
    }
}
