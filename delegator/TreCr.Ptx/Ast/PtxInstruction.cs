namespace TreCr.Ptx.Ast;

/// <summary>One instruction, or a pseudo instruction that a pass inserted.</summary>
public sealed class PtxInstruction
{
    public required PtxOpcode Opcode;
    public PtxOperand[] Operands = [];
    /// <summary>guard register, -1 for none</summary>
    public int Guard = -1;
    public bool GuardNegated;
    /// <summary>1-based line of the text</summary>
    public int Line;
    /// <summary>For call: the call in the next block whose results this collects; see Passes/SuspensionPass.</summary>
    public PtxInstruction? Origin;

    public string Name => Opcode.Name;
    public override string ToString() => (Guard >= 0 ? $"@{(GuardNegated ? "!" : "")}%{Guard} " : "") + Opcode.Text + " " + string.Join(", ", (object[])Operands);
}
