using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>What a kernel does in its loops.</summary>
public static class LoopPass
{
    /// <summary>There are loops, and none of them touches memory or waits for other threads: their time is that of one operation after the other.</summary>
    public static bool OnlyCompute(FlowGraph g)
    {
        bool any = false;
        foreach (FlowBlock b in g.Blocks)
            foreach (int header in b.Successors())
            {
                if (header > b.Index) continue;
                any = true;
                for (int n = header; n <= b.Index; n++)
                    if (g.Blocks[n].End is BlockEnd.Suspend or BlockEnd.Call || g.Blocks[n].Body.Exists(i => i.Opcode.Space != PtxSpace.Param && i.Operands.Any(o => o.Kind == OperandKind.Memory))) return false;
            }
        return any;
    }
}
