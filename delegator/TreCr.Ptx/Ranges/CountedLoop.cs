using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.Ptx.Ranges;

/// <summary>
/// A register with one or more starts and one unguarded addition to itself, where every way from the addition back to itself that does not start anew goes over one
/// and the same branch edge. Then the number of additions is at most one more than the times that edge is taken.
/// </summary>
sealed class CountedLoop
{
    public int Block, StepIndex, StepNode;
    public required List<(int Block, int Index, PtxInstruction I)> Starts;
    /// <summary>the blocks of the starts</summary>
    public required BlockSet StartBlocks;
    /// <summary>the edge that every further round takes: from a block that ends in a guarded branch to a successor</summary>
    public (int From, int To) Edge;
    /// <summary>number in RangeProgram.Loops; -1: has no bound; -2: not looked for yet</summary>
    public int Number = -2;

    public static CountedLoop? Find(int register, List<(int Block, int Index, PtxInstruction I)>? defs, FlowGraph g, Reachability reach, Func<PtxOperand, int, int, PtxType, int> operand)
    {
        if (defs is not { Count: > 1 and < 8 } || defs.Exists(d => d.I.Guard >= 0)) return null;
        int steps = 0, at = -1, self = 0;
        for (int n = 0; n < defs.Count; n++)
        {
            PtxInstruction d = defs[n].I;
            if (!d.Operands.Skip(1).Any(o => o.Register == register)) continue;
            steps++;
            at = n;
            if (d.Name is not ("add" or "sub") || d.Opcode.Has("cc") || d.Opcode.Sat || d.Opcode.Type.Bits() is not (32 or 64) || d.Opcode.Type.IsFloat()) return null;
            self = d.Operands[1].Register == register ? 1 : d.Name == "add" ? 2 : 0;
        }
        if (steps != 1 || self == 0) return null;
        (int block, int index, PtxInstruction i) = defs[at];
        List<(int Block, int Index, PtxInstruction I)> starts = [.. defs.Where((_, n) => n != at)];
        if (starts.Exists(s => s.Block == block)) return null;
        PtxOperand by = i.Operands[3 - self];
        int step = by.Kind == OperandKind.Integer ? operand(new() { Kind = OperandKind.Integer, Value = i.Name == "sub" ? -by.Value : by.Value }, block, index, i.Opcode.Type)
            : i.Name == "add" && by.Register != register ? operand(by, block, index, i.Opcode.Type) : -1;
        if (step < 0) return null;
        BlockSet avoid = new(starts.Select(s => s.Block));
        foreach (FlowBlock y in g.Blocks)
        {
            if (y.End != BlockEnd.Branch || y.Body[^1].Guard < 0 || y.Next < 0 || y.Target < 0 || y.Next == y.Target || avoid.Contains(y.Index) || !(y.Index == block || reach.Can(block, y.Index, avoid))) continue;
            foreach (int to in (int[])[y.Target, y.Next])
                if (!avoid.Contains(to) && (to == block || reach.Can(to, block, avoid)) && !reach.Can(block, block, avoid, (y.Index, to)))
                    return new() { Block = block, StepIndex = index, Starts = starts, StartBlocks = avoid, StepNode = step, Edge = (y.Index, to) };
        }
        return null;
    }

    /// <summary>The relation that holds whenever the loop goes on, seen from the counter; null where it says nothing about rounds.</summary>
    public static string? Relation(PtxOpcode setp, bool whenTrue, bool counterIsSecond, ref PtxType type)
    {
        string? how = setp.First("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs");
        if (how is "lo" or "ls" or "hi" or "hs")
        {
            type = type.Bits() == 64 ? PtxType.U64 : PtxType.U32;
            how = how switch { "lo" => "lt", "ls" => "le", "hi" => "gt", _ => "ge" };
        }
        if (!whenTrue) how = how switch { "eq" => "ne", "ne" => "eq", "lt" => "ge", "le" => "gt", "gt" => "le", "ge" => "lt", _ => null };
        if (counterIsSecond) how = how switch { "lt" => "gt", "le" => "ge", "gt" => "lt", "ge" => "le", _ => how };
        return how == "eq" ? null : how;
    }
}
