using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>
/// Marks back edges of loops that may wait for another thread: loops with an atomic, a volatile or acquiring load, or
/// nanosleep, or a look at a barrier object. There the emitter counts, and a thread that has gone round often gives way, so that the one it waits for can run.
/// </summary>
public static class SpinPass
{
    public static void Run(FlowGraph g)
    {
        int[] suspects = new int[g.Blocks.Count + 1];
        for (int b = 0; b < g.Blocks.Count; b++)
            suspects[b + 1] = suspects[b] + (g.Blocks[b].Body.Exists(MayWait) ? 1 : 0);
        foreach (FlowBlock b in g.Blocks)
        {
            if (b.End != BlockEnd.Branch || b.Target > b.Index || suspects[b.Index + 1] == suspects[b.Target]) continue;
            // The blocks between the two ends stand for the loop's body: layout order, as compilers write it.
            b.IsSpinEdge = true;
            g.Blocks[b.Target].IsEntryPoint = true;
            g.Suspends = true;
        }
    }

    static bool MayWait(PtxInstruction i) => i.Name is "nanosleep" || InstructionFacts.LooksAtBarrier(i) || i.Name == "atom" && (i.Opcode.Has("cas") || i.Opcode.Has("exch")|| i.Opcode.Has("or") || i.Opcode.Has("add") && !i.Opcode.Type.IsFloat())
        || i.Name == "ld" && i.Opcode.Strong && i.Opcode.Space != PtxSpace.Local;
}
