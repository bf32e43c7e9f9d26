namespace TreCr.Ptx.Ast;

/// <summary>Fundamental types of PTX (PTX ISA, "Types"); S4, U4 and B1 are elements of matrices only.</summary>
public enum PtxType : byte { None, Pred, B8, B16, B32, B64, B128, U8, U16, U32, U64, S8, S16, S32, S64, F16, F16x2, BF16, BF16x2, F32, F64, TF32, S4, U4, B1 }

/// <summary>State spaces.</summary>
public enum PtxSpace : byte { Generic, Global, Const, Shared, Local, Param }

public static class PtxTypes
{
    /// <summary>Type named by a modifier without its dot; <see cref="PtxType.None"/> if it is none.</summary>
    public static PtxType Parse(string name) => name switch
    {
        "pred" => PtxType.Pred, "b8" => PtxType.B8, "b16" => PtxType.B16, "b32" => PtxType.B32, "b64" => PtxType.B64, "b128" => PtxType.B128,
        "u8" => PtxType.U8, "u16" => PtxType.U16, "u32" => PtxType.U32, "u64" => PtxType.U64,
        "s8" => PtxType.S8, "s16" => PtxType.S16, "s32" => PtxType.S32, "s64" => PtxType.S64,
        "f16" => PtxType.F16, "f16x2" => PtxType.F16x2, "bf16" => PtxType.BF16, "bf16x2" => PtxType.BF16x2,
        "f32" => PtxType.F32, "f64" => PtxType.F64, "tf32" => PtxType.TF32, _ => PtxType.None,
    };

    /// <summary>The same for elements of matrices.</summary>
    public static PtxType ParseElement(string name) => name switch { "s4" => PtxType.S4, "u4" => PtxType.U4, "b1" => PtxType.B1, _ => Parse(name) };

    /// <summary>Width in bits; 1 for a predicate.</summary>
    public static int Bits(this PtxType type) => type switch
    {
        PtxType.Pred or PtxType.B1 => 1,
        PtxType.S4 or PtxType.U4 => 4,
        PtxType.B8 or PtxType.U8 or PtxType.S8 => 8,
        PtxType.B16 or PtxType.U16 or PtxType.S16 or PtxType.F16 or PtxType.BF16 => 16,
        PtxType.B64 or PtxType.U64 or PtxType.S64 or PtxType.F64 => 64,
        PtxType.B128 => 128,
        PtxType.None => 0,
        _ => 32,
    };

    /// <summary>Size in memory, bytes.</summary>
    public static int Bytes(this PtxType type) => type == PtxType.Pred ? 1 : Bits(type) / 8;

    public static bool IsSigned(this PtxType type) => type is >= PtxType.S8 and <= PtxType.S64;

    /// <summary>f32 or f64: the types that have machine registers of their own here. f16 kinds are handled as bits.</summary>
    public static bool IsFloat(this PtxType type) => type is PtxType.F32 or PtxType.F64;

    public static bool IsHalf(this PtxType type) => type is PtxType.F16 or PtxType.BF16 or PtxType.F16x2 or PtxType.BF16x2;
}
