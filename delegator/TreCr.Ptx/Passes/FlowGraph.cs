using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

public enum BlockEnd : byte
{
    /// <summary>goes to Next</summary>
    Fall,
    /// <summary>goes to Target; with a guard, to Next where it is false</summary>
    Branch,
    /// <summary>brx.idx over Targets</summary>
    Indexed,
    /// <summary>ret or exit of a kernel, exit of a function; with a guard, to Next where it is false</summary>
    Exit,
    /// <summary>ret of a device function</summary>
    Return,
    Trap,
    /// <summary>barrier or warp collective: the thread stops and goes on at Next; where a guard is false, at Target</summary>
    Suspend,
    /// <summary>call: the thread's frame changes and it goes on at Next after the return; where a guard is false, at Target</summary>
    Call,
}

/// <summary>A basic block. Its last instruction is the one that ends it, unless <see cref="End"/> is Fall.</summary>
public sealed class FlowBlock
{
    public int Index;
    public List<PtxInstruction> Body = [];
    public BlockEnd End;
    /// <summary>block numbers; -1 where there is none</summary>
    public int Next = -1, Target = -1;
    public int[] Targets = [];
    /// <summary>registers whose values are needed on entry; bit n = register n</summary>
    public ulong[] LiveIn = [];
    /// <summary>a thread may stop before this block and be resumed here</summary>
    public bool IsEntryPoint;
    /// <summary>The branch to Target goes back in a loop that may wait for other threads.</summary>
    public bool IsSpinEdge;

    public PtxInstruction? Last => End == BlockEnd.Fall ? null : Body[^1];

    int[]? successors;

    /// <summary>Next, Target and Targets, those that there are; they do not change once this was asked for.</summary>
    public int[] Successors() => successors ??= [.. Next >= 0 ? (ReadOnlySpan<int>)[Next] : [], .. Target >= 0 ? (ReadOnlySpan<int>)[Target] : [], .. Targets];
}

/// <summary>How a register is held: the IL type of its local.</summary>
public enum RegisterClass : byte { Pred, I32, I64, F32, F64 }

/// <summary>A function as blocks in layout order. Filled by the passes, in the order of <see cref="PassList"/>.</summary>
public sealed class FlowGraph
{
    public required PtxFunction Function;
    public List<FlowBlock> Blocks = [];
    public RegisterClass[] Classes = [];
    /// <summary>block that holds all mentions of the register; -1: several, -2: none</summary>
    public int[] OnlyBlock = [];
    /// <summary>something makes threads stop in the middle</summary>
    public bool Suspends;
    public bool Calls;
    public int InstructionCount;

    // Set by FrameLayoutPass: bytes from the start of the thread's frame.
    public int[] SlotOffset = [];
    public Dictionary<string, int> CallParameterOffset = [];
    public int ReturnsOffset, ParametersOffset, FrameBytes;
    /// <summary>bytes of .local variables, aligned to 16</summary>
    public int LocalBytes;
    public Dictionary<string, int> LocalOffset = [];
}
