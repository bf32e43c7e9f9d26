using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Engine;

/// <summary>What one mma.sync multiplies, and where each lane's registers lie in the matrices. Source: PTX ISA, "Matrix Fragments for mma".</summary>
/// <param name="M">rows of A and D</param><param name="N">columns of B and D</param><param name="K">columns of A, rows of B</param>
/// <param name="D">element types</param>
sealed record MatrixShape(int M, int N, int K, PtxType D, PtxType A, PtxType B, PtxType C)
{
    /// <summary>Registers of a lane: of 64 bits for f64, else of 32.</summary>
    public int ARegisters => M * K * Width(A) / 32 / RegisterBits(A);
    public int BRegisters => K * N * Width(B) / 32 / RegisterBits(B);
    public int CRegisters => M * N * Width(C) / 32 / RegisterBits(C);
    public int DRegisters => M * N * Width(D) / 32 / RegisterBits(D);

    /// <summary>tf32 elements lie in 32 bits.</summary>
    public static int Width(PtxType t) => t.Bits();
    static int RegisterBits(PtxType t) => t == PtxType.F64 ? 64 : 32;

    /// <summary>Null where this device has no such form.</summary>
    public static MatrixShape? Parse(PtxOpcode op)
    {
        string? shape = op.First("m16n8k4", "m16n8k8", "m16n8k16", "m16n8k32", "m8n8k4", "m8n8k16");
        PtxType[] types = [.. op.Modifiers.Select(PtxTypes.Parse).Where(t => t != PtxType.None)];
        if (shape is null || types.Length != 4 || !op.Has("row") || !op.Has("col") || op.First("sp", "and", "xor") is not null) return null;
        string[] numbers = shape.Split('m', 'n', 'k');
        MatrixShape m = new(int.Parse(numbers[1]), int.Parse(numbers[2]), int.Parse(numbers[3]), types[0], types[1], types[2], types[3]);
        bool known = (m.A, m.B, m.C, m.D) switch
        {
            (PtxType.F16, PtxType.F16, PtxType.F16 or PtxType.F32, PtxType.F16 or PtxType.F32) => m.M == 16 && m.K is 8 or 16,
            (PtxType.BF16, PtxType.BF16, PtxType.F32, PtxType.F32) => m.M == 16 && m.K is 8 or 16,
            (PtxType.TF32, PtxType.TF32, PtxType.F32, PtxType.F32) => m.M == 16 && m.K is 4 or 8,
            (PtxType.F64, PtxType.F64, PtxType.F64, PtxType.F64) => m is { M: 8, K: 4 },
            (PtxType.S8 or PtxType.U8, PtxType.S8 or PtxType.U8, PtxType.S32, PtxType.S32) => m.M == 16 && m.K is 16 or 32 || m is { M: 8, K: 16 },
            _ => false,
        };
        return known ? m : null;
    }

    /// <summary>Row and column in A of element <paramref name="n"/> of a lane's registers, in order.</summary>
    public (int Row, int Column) PlaceA(int lane, int n)
    {
        int pack = Math.Max(1, 32 / Width(A)), register = n / pack, group = lane >> 2, quad = lane & 3;
        if (M == 8) return (group, quad * pack + n % pack);
        // Registers go through the two halves of the rows first, then through blocks of columns.
        return (group + (register & 1) * 8, quad * pack + n % pack + (register >> 1) * 4 * pack);
    }

    public (int Row, int Column) PlaceB(int lane, int n)
    {
        int pack = Math.Max(1, 32 / Width(B)), register = n / pack;
        return ((lane & 3) * pack + n % pack + register * 4 * pack, lane >> 2);
    }

    /// <summary>Of C and D: pairs of columns, then the lower half of the rows.</summary>
    public static (int Row, int Column) PlaceC(int lane, int n) => ((lane >> 2) + (n >> 1) * 8, (lane & 3) * 2 + (n & 1));
}
