using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>
/// Instructions to blocks. A block ends at a branch, exit, call, barrier or warp collective, and after
/// <c>maxBlock</c> instructions, so that every block fits into one method. A collective with a result is followed by a block of
/// one pseudo instruction that takes the result when the thread goes on.
/// </summary>
public static class ControlFlowPass
{
    static readonly PtxOpcode CollectOpcode = new(InstructionFacts.Collect);

    /// <exception cref="PtxException">218: a branch to nowhere.</exception>
    public static FlowGraph Run(PtxFunction f, int maxBlock)
    {
        FlowGraph g = new() { Function = f, InstructionCount = f.Body.Count };
        bool[] leader = new bool[f.Body.Count + 1];
        foreach (int at in f.Labels.Values) leader[at] = true;
        int[] blockAt = new int[f.Body.Count + 1];
        FlowBlock? open = null;
        for (int n = 0; n < f.Body.Count; n++)
        {
            PtxInstruction i = f.Body[n];
            if (open is not null && (leader[n] || open.Body.Count >= maxBlock && i.Name is not ("addc" or "subc" or "madc"))) open = null;
            open ??= Add(g);
            if (open.Body.Count == 0) blockAt[n] = open.Index;
            open.Body.Add(i);
            BlockEnd end = EndOf(f, i);
            open.End = end;
            if (end == BlockEnd.Fall) continue;
            if (end is BlockEnd.Suspend or BlockEnd.Call)
            {
                g.Suspends = true;
                g.Calls |= end == BlockEnd.Call;
                if (end == BlockEnd.Call || InstructionFacts.WritesFirst(i))
                {
                    FlowBlock collect = Add(g);
                    collect.Body.Add(new() { Opcode = CollectOpcode, Origin = i, Line = i.Line });
                }
            }
            open = null;
        }
        // Running off the end is a return.
        FlowBlock last = Add(g);
        last.Body.Add(new() { Opcode = new("ret") });
        last.End = f.IsEntry ? BlockEnd.Exit : BlockEnd.Return;
        for (int n = f.Body.Count - 1, known = last.Index; n >= 0; n--)
        {
            if (blockAt[n] != 0 || n == 0) known = blockAt[n];
            else blockAt[n] = known;
        }
        blockAt[f.Body.Count] = last.Index;
        Connect(g, blockAt);
        return g;
    }

    static FlowBlock Add(FlowGraph g)
    {
        FlowBlock b = new() { Index = g.Blocks.Count };
        g.Blocks.Add(b);
        return b;
    }

    static BlockEnd EndOf(PtxFunction f, PtxInstruction i) => i.Name switch
    {
        "bra" => BlockEnd.Branch,
        "brx" => BlockEnd.Indexed,
        "ret" => f.IsEntry ? BlockEnd.Exit : BlockEnd.Return,
        "exit" => BlockEnd.Exit,
        "trap" => BlockEnd.Trap,
        "call" => BlockEnd.Call,
        _ => InstructionFacts.Suspends(i) ? BlockEnd.Suspend : BlockEnd.Fall,
    };

    static void Connect(FlowGraph g, int[] blockAt)
    {
        PtxFunction f = g.Function;
        int Block(string label, int line) => f.Labels.TryGetValue(label, out int at) ? blockAt[at]
            : throw new PtxException(PtxException.InvalidPtx, $"label {label} is not defined", line);
        foreach (FlowBlock b in g.Blocks)
        {
            int next = b.Index + 1 < g.Blocks.Count ? b.Index + 1 : -1;
            PtxInstruction? last = b.Last;
            bool guarded = last is { Guard: >= 0 };
            switch (b.End)
            {
                case BlockEnd.Fall:
                    b.Next = next;
                    break;
                case BlockEnd.Branch:
                    if (last!.Operands.Length == 0 || last.Operands[0].Name is null) throw new PtxException(PtxException.InvalidPtx, "bra without a label", last.Line);
                    b.Target = Block(last.Operands[0].Name!, last.Line);
                    b.Next = guarded ? next : -1;
                    break;
                case BlockEnd.Indexed:
                    if (last!.Operands.Length < 2 || !f.BranchTargets.TryGetValue(last.Operands[1].Name ?? "", out string[]? labels))
                        throw new PtxException(PtxException.InvalidPtx, "brx.idx without a target list", last.Line);
                    b.Targets = [.. labels.Select(l => Block(l, last.Line))];
                    b.Next = guarded ? next : -1;
                    break;
                case BlockEnd.Exit or BlockEnd.Return or BlockEnd.Trap:
                    b.Next = guarded ? next : -1;
                    break;
                case BlockEnd.Suspend or BlockEnd.Call:
                    b.Next = next;
                    g.Blocks[next].IsEntryPoint = true;
                    // Where the guard is false, the result block is stepped over.
                    if (guarded) b.Target = g.Blocks[next].Body[0].Name == InstructionFacts.Collect ? next + 1 : next;
                    break;
            }
        }
        g.Blocks[0].IsEntryPoint = true;
    }
}
