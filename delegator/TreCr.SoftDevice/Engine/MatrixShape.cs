using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Engine;

/// <summary>What one mma.sync or wmma.mma multiplies, and where each lane's registers lie in the matrices. Source: PTX ISA, "Matrix Shape", "Matrix Data-types", "Matrix Fragments for mma".</summary>
sealed class MatrixShape
{
    /// <summary>rows of A and D; columns of B and D; columns of A, rows of B</summary>
    public int M { get; }
    public int N { get; }
    public int K { get; }
    public Fragment A { get; }
    public Fragment B { get; }
    public Fragment C { get; }
    public Fragment D { get; }
    /// <summary>integers: the sum stays within s32</summary>
    public bool Saturates { get; }
    /// <summary>single bits: how a bit of A and one of B meet; 1s are counted</summary>
    public bool IsXor { get; }

    MatrixShape(PtxOpcode op, (int M, int N, int K) shape, PtxType d, PtxType a, PtxType b, PtxType c, Func<char, int, int, int, PtxType, Fragment> fragment)
    {
        (M, N, K) = shape;
        (A, B, C, D) = (fragment('a', M, N, K, a), fragment('b', M, N, K, b), fragment('c', M, N, K, c), fragment('d', M, N, K, d));
        Saturates = op.Has("satfinite");
        IsXor = op.Has("xor");
    }

    /// <summary>Null where this device has no such form.</summary>
    public static MatrixShape? Parse(PtxOpcode op)
    {
        bool wmma = op.Name == "wmma";
        if (Numbers(op) is not { } shape || op.First("sp", "sp::ordered_metadata", "rz", "rm", "rp", "block_scale", "kind::f8f6f4") is not null) return null;
        PtxType[] types = [.. op.Modifiers.Select(PtxTypes.ParseElement).Where(t => t != PtxType.None)];
        // wmma says of f16 products only what C and D are.
        if (wmma && types.Length == 2) types = [types[0], PtxType.F16, PtxType.F16, types[1]];
        if (types.Length != 4) return null;
        (PtxType d, PtxType a, PtxType b, PtxType c) = (types[0], types[1], types[2], types[3]);
        string[] layouts = [.. op.Modifiers.Where(m => m is "row" or "col")];
        if (!wmma && shape is (8, 8, 4) && (a, b) is (PtxType.F16, PtxType.F16))
            return layouts.Length == 2 && (c, d) is (PtxType.F16, PtxType.F16 or PtxType.F32) or (PtxType.F32, PtxType.F32)
                ? new(op, (32, 32, 4), d, a, b, c, (matrix, _, _, _, type) => Fragment.OfQuadPairs(matrix, type, matrix is 'a' or 'b' && layouts[matrix - 'a'] == "row")) : null;
        // Registers of wmma hold a matrix, however it lay in memory; those of mma are laid out for rows of A and columns of B.
        if (layouts.Length != 2 || !wmma && layouts is not ["row", "col"]) return null;
        bool known = (wmma ? IsWmma(shape, a) : IsMma(shape, a)) && (a, b, c, d) switch
        {
            (PtxType.F16, PtxType.F16, PtxType.F16 or PtxType.F32, PtxType.F16 or PtxType.F32) => true,
            (PtxType.BF16, PtxType.BF16, PtxType.F32, PtxType.F32) or (PtxType.TF32, PtxType.TF32, PtxType.F32, PtxType.F32) or (PtxType.F64, PtxType.F64, PtxType.F64, PtxType.F64) => true,
            (PtxType.S8 or PtxType.U8, PtxType.S8 or PtxType.U8, PtxType.S32, PtxType.S32) or (PtxType.S4 or PtxType.U4, PtxType.S4 or PtxType.U4, PtxType.S32, PtxType.S32) => true,
            (PtxType.B1, PtxType.B1, PtxType.S32, PtxType.S32) => op.Has("popc") && op.First("xor", "and") is not null,
            _ => false,
        };
        return known ? new(op, shape, d, a, b, c, wmma ? Fragment.OfWmma : Fragment.OfMma) : null;
    }

    /// <summary>The matrix that a wmma.load or wmma.store moves; null where this device has no such form.</summary>
    public static Fragment? ParseMove(PtxOpcode op)
    {
        PtxType[] types = [.. op.Modifiers.Select(PtxTypes.ParseElement).Where(t => t != PtxType.None)];
        if (Numbers(op) is not { } shape || types.Length != 1 || op.First("a", "b", "c", "d") is not { } matrix) return null;
        PtxType type = types[0];
        bool known = matrix is "a" or "b" ? type is PtxType.F16 or PtxType.BF16 or PtxType.TF32 or PtxType.F64 or PtxType.S8 or PtxType.U8 or PtxType.S4 or PtxType.U4 or PtxType.B1 && IsWmma(shape, type)
            : type switch
            {
                PtxType.F16 => IsWmma(shape, PtxType.F16),
                PtxType.F32 => IsWmma(shape, PtxType.F16) || IsWmma(shape, PtxType.TF32),
                PtxType.F64 => IsWmma(shape, PtxType.F64),
                PtxType.S32 => IsWmma(shape, PtxType.S8) || IsWmma(shape, PtxType.S4) || IsWmma(shape, PtxType.B1),
                _ => false,
            };
        return known ? Fragment.OfWmma(matrix[0], shape.M, shape.N, shape.K, type) : null;
    }

    static (int M, int N, int K)? Numbers(PtxOpcode op)
    {
        string? shape = Array.Find(op.Modifiers, m => m.Length > 5 && m[0] == 'm' && char.IsAsciiDigit(m[1]));
        if (shape is null) return null;
        string[] numbers = shape.Split('m', 'n', 'k');
        return numbers.Length == 4 && int.TryParse(numbers[1], out int m) && int.TryParse(numbers[2], out int n) && int.TryParse(numbers[3], out int k) ? (m, n, k) : null;
    }

    static bool IsMma((int M, int N, int K) s, PtxType a) => a switch
    {
        PtxType.F16 or PtxType.BF16 => s is (16, 8, 8 or 16),
        PtxType.TF32 => s is (16, 8, 4 or 8),
        PtxType.F64 => s is (8, 8, 4) or (16, 8, 4 or 8 or 16),
        PtxType.S8 or PtxType.U8 => s is (8, 8, 16) or (16, 8, 16 or 32),
        PtxType.S4 or PtxType.U4 => s is (8, 8, 32) or (16, 8, 32 or 64),
        PtxType.B1 => s is (8, 8, 128) or (16, 8, 128 or 256),
        _ => false,
    };

    static bool IsWmma((int M, int N, int K) s, PtxType a) => a switch
    {
        PtxType.F16 or PtxType.BF16 or PtxType.S8 or PtxType.U8 => s is (16, 16, 16) or (8, 32, 16) or (32, 8, 16),
        PtxType.TF32 => s is (16, 16, 8),
        PtxType.F64 => s is (8, 8, 4),
        PtxType.S4 or PtxType.U4 => s is (8, 8, 32),
        PtxType.B1 => s is (8, 8, 128),
        _ => false,
    };
}
