namespace TreCr.Ptx.Ast;

public enum OperandKind : byte
{
    /// <summary><c>_</c></summary>
    Sink,
    Register,
    /// <summary>integer bits in <see cref="PtxOperand.Value"/></summary>
    Integer,
    /// <summary>f32 bits in Value (0f…)</summary>
    Float32,
    /// <summary>f64 bits in Value (0d… or a decimal literal)</summary>
    Float64,
    /// <summary>address of a variable or function, plus Value</summary>
    Symbol,
    /// <summary>[register + Value], [symbol + Value] or [Value]</summary>
    Memory,
    Vector,
    Special,
    Label,
    /// <summary>(a, b): arguments of a call</summary>
    List,
}

/// <summary>Special registers the software device has.</summary>
public enum SpecialRegister : byte
{
    TidX, TidY, TidZ, NtidX, NtidY, NtidZ, CtaidX, CtaidY, CtaidZ, NctaidX, NctaidY, NctaidZ,
    LaneId, WarpId, NWarpId, SmId, NSmId, GridId, LaneMaskEq, LaneMaskLt, LaneMaskLe, LaneMaskGt, LaneMaskGe,
    Clock, ClockHi, Clock64, GlobalTimer, GlobalTimerLo, GlobalTimerHi, DynamicSharedSize, TotalSharedSize, WarpSize, Zero,
    /// <summary>%envreg1 and 2: address of the words that blocks of a cooperative launch meet at</summary>
    GridWorkspaceHi, GridWorkspaceLo,
}

/// <summary>One operand.</summary>
public sealed class PtxOperand
{
    public OperandKind Kind;
    /// <summary>register number in the function; -1 where none (Memory without a register)</summary>
    public int Register = -1;
    /// <summary>for <c>p|q</c>: the second register; -1 where none</summary>
    public int Register2 = -1;
    /// <summary>written with a leading ! (predicates)</summary>
    public bool Negated;
    public const int ManyParts = 7;
    /// <summary>of video instructions: 0 the whole register, 1 to 4 for .b0 to .b3, 5 and 6 for .h0 and .h1, else <see cref="ManyParts"/></summary>
    public int Part;
    /// <summary>of SIMD video instructions: the suffix, as in b3210, highest lane first; null where none</summary>
    public string? Lanes;
    public long Value;
    public SpecialRegister Special;
    /// <summary>symbol or label, else null</summary>
    public string? Name;
    public PtxOperand[] Elements = [];

    public static PtxOperand Reg(int register) => new() { Kind = OperandKind.Register, Register = register };

    public override string ToString() => Kind switch
    {
        OperandKind.Register => $"%{Register}" + (Register2 >= 0 ? $"|%{Register2}" : ""),
        OperandKind.Memory => $"[{Name ?? (Register >= 0 ? "%" + Register : "")}+{Value}]",
        OperandKind.Vector or OperandKind.List => "{" + string.Join(",", (object[])Elements) + "}",
        OperandKind.Symbol or OperandKind.Label => Name ?? "",
        _ => $"{Kind}:{Value}",
    };
}
