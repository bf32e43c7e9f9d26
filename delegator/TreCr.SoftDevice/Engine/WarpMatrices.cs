using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>Matrix instructions of a warp, on each lane's registers in <see cref="BlockContext.Matrix"/>.</summary>
static unsafe class WarpMatrices
{
    /// <summary>64-bit words of a lane: A, B, C one after the other, as the instruction lists them; results from 0.</summary>
    public const int LaneWords = 16;
    const int Lanes = 32;

    /// <summary>D = A * B + C. Products are exact; f16, bf16, tf32 and f64 sums are taken in double and rounded once (hardware's own order and rounding are not defined).</summary>
    public static void Multiply(ulong* lanes, MatrixShape s)
    {
        double* a = stackalloc double[16 * 32];
        double* b = stackalloc double[32 * 8];
        double* d = stackalloc double[16 * 8];
        for (int lane = 0; lane < Lanes; lane++)
        {
            ulong* words = lanes + lane * LaneWords;
            for (int n = 0, e = Elements(s.ARegisters, s.A); n < e; n++) { (int r, int c) = s.PlaceA(lane, n); a[r * s.K + c] = Read(words, n, s.A); }
            words += s.ARegisters;
            for (int n = 0, e = Elements(s.BRegisters, s.B); n < e; n++) { (int r, int c) = s.PlaceB(lane, n); b[r * s.N + c] = Read(words, n, s.B); }
            words += s.BRegisters;
            for (int n = 0, e = Elements(s.CRegisters, s.C); n < e; n++) { (int r, int c) = MatrixShape.PlaceC(lane, n); d[r * s.N + c] = Read(words, n, s.C); }
        }
        for (int i = 0; i < s.M; i++)
            for (int j = 0; j < s.N; j++)
            {
                double sum = d[i * s.N + j];
                for (int k = 0; k < s.K; k++) sum = Math.FusedMultiplyAdd(a[i * s.K + k], b[k * s.N + j], sum);
                d[i * s.N + j] = sum;
            }
        for (int lane = 0; lane < Lanes; lane++)
        {
            ulong* words = lanes + lane * LaneWords;
            for (int n = 0; n < s.DRegisters; n++) words[n] = 0;
            for (int n = 0, e = Elements(s.DRegisters, s.D); n < e; n++) { (int r, int c) = MatrixShape.PlaceC(lane, n); Write(words, n, s.D, d[r * s.N + c]); }
        }
    }

    static int Elements(int registers, PtxType t) => registers * Math.Max(1, 32 / MatrixShape.Width(t));

    static double Read(ulong* words, int n, PtxType t) => t switch
    {
        PtxType.F64 => BitConverter.UInt64BitsToDouble(words[n]), PtxType.F32 => BitConverter.UInt32BitsToSingle((uint)words[n]), PtxType.TF32 => BitConverter.UInt32BitsToSingle((uint)words[n] & ~0x1fffu), PtxType.S32 => (int)words[n],
        PtxType.F16 => PtxMath.F16ToF32((int)(words[n >> 1] >> 16 * (n & 1) & 0xffff)), PtxType.BF16 => PtxMath.BF16ToF32((int)(words[n >> 1] >> 16 * (n & 1) & 0xffff)),
        PtxType.S8 => (sbyte)(words[n >> 2] >> 8 * (n & 3)), _ => (byte)(words[n >> 2] >> 8 * (n & 3)),
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
