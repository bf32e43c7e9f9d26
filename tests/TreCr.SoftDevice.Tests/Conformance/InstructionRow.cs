namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>
/// One form of an instruction: what it is written as, what its operands are, and what must come out, from a reference that shares nothing with the emitter.
/// </summary>
/// <param name="Form">opcode and modifiers as in PTX; the name of the row</param>
/// <param name="Result">PTX type of the register that receives the result, or pred</param>
/// <param name="Operands">PTX types of the source registers</param>
/// <param name="Reference">expected bits from the operands' bits; both zero-extended</param>
/// <param name="Source">where the expected value comes from: "integers" (BigInteger or UInt128), "IEEE in integers" (<see cref="Ieee"/>), "double" (approximations, with the ISA's bound)</param>
sealed record InstructionRow(string Form, string Result, string[] Operands, Func<ulong[], ulong> Reference, string Source)
{
    /// <summary>For approximations: whether bits may come out for these operands. Null: only the reference's.</summary>
    public Func<ulong[], ulong, bool>? Accept { get; init; }
    /// <summary>The instruction's text, with operands {d}, {a}, {b}, {c}; null: Form {d}, {a}, ….</summary>
    public string? Body { get; init; }
    /// <summary>Extra declarations.</summary>
    public string Declarations { get; init; } = "";
    /// <summary>Forms that this row proves besides the one it is named after.</summary>
    public string[] Covers { get; init; } = [];
    /// <summary>The instruction that mutations change, where it is not the form's first word.</summary>
    public string? Mutated { get; init; }
    /// <summary>Declarations at module scope: variables, functions.</summary>
    public string Module { get; init; } = "";
    /// <summary>Values worth trying, per operand; null: by type.</summary>
    public ulong[]?[]? Values { get; init; }
    /// <summary>Whether a NaN of one payload may stand for another.</summary>
    public bool AnyNaN { get; init; }
    /// <summary>Vectors that the instruction leaves undefined.</summary>
    public Func<ulong[], bool>? Skip { get; init; }
    /// <summary>For warp instructions: all 32 lanes' operands, and the lane; replaces Reference.</summary>
    public Func<ulong[][], int, ulong>? WarpReference { get; init; }

    public override string ToString() => Form;
}
