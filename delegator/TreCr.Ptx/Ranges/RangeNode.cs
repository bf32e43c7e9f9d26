using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Ranges;

/// <summary>How a range is made.</summary>
public enum RangeOp : byte
{
    /// <summary>the number Immediate</summary>
    Constant,
    /// <summary>parameter of type Type at byte Immediate</summary>
    Parameter,
    /// <summary>the special register whose number is Immediate</summary>
    Special,
    Add, Subtract, Multiply, Minimum, Maximum, Union, Or,
    /// <summary>A and the mask Immediate</summary>
    Mask,
    /// <summary>A shifted right by Immediate</summary>
    ShiftRight,
    Divide, Remainder,
    /// <summary>a value in [0, Immediate]</summary>
    UpTo,
    /// <summary>A, read as Type</summary>
    As,
    /// <summary>A + B * [0, rounds of Loop]; Immediate is 1 where the last step never counts</summary>
    Induction,
}

/// <summary>One range. A and B are numbers of earlier nodes.</summary>
/// <param name="Type">Width and sign in which the result is held or read; integers only.</param>
public readonly record struct RangeNode(RangeOp Op, PtxType Type, int A = -1, int B = -1, long Immediate = 0, int Loop = -1);

/// <summary>Why a loop ends: it goes on only while (Start + m * Step) Relation Bound, m the number of steps done.</summary>
/// <param name="Relation">lt, le, gt, ge or ne</param><param name="Type">of the comparison</param>
/// <param name="Late">the comparison sees the value before the step of the same round</param>
/// <param name="Entered">the loop is entered only where Start and Bound differ</param>
public readonly record struct RangeLoop(int Start, int Step, int Bound, string Relation, PtxType Type, bool Late, bool Entered);

/// <summary>An access whose addresses are those of a node.</summary>
public readonly record struct RangeAccess(PtxInstruction Instruction, int Node, long Offset, int Bytes, PtxSpace Space);

/// <summary>What RangePass found: nodes in order of evaluation, and the accesses that depend on nothing else.</summary>
public sealed class RangeProgram
{
    public List<RangeNode> Nodes { get; } = [];
    public List<RangeLoop> Loops { get; } = [];
    public List<RangeAccess> Accesses { get; } = [];
}
