using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>
/// Registers that may have changed since a group of threads last stopped at a barrier: only those need saving at the next one, the frame holds the others (forward fixpoint). What lives at a barrier and did not change since
/// the one before lived there too, and was saved there, or had not changed there either.
/// </summary>
public static class ChangedPass
{
    /// <returns>per block: bits of the registers that may have changed when its end is reached; a register that no way here has defined is not among them</returns>
    public static ulong[][] Run(FlowGraph g, Func<FlowBlock, bool> stops)
    {
        int words = (g.Function.Registers.Count + 63) / 64;
        ulong[][] defined = new ulong[g.Blocks.Count][], entry = new ulong[g.Blocks.Count][], end = new ulong[g.Blocks.Count][];
        foreach (FlowBlock b in g.Blocks)
        {
            (defined[b.Index], entry[b.Index], end[b.Index]) = (new ulong[words], new ulong[words], new ulong[words]);
            Marker d = new(defined[b.Index]);
            foreach (PtxInstruction i in b.Body) InstructionFacts.ForDefs(i, ref d);
        }
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (FlowBlock b in g.Blocks)
            {
                for (int w = 0; w < words; w++) end[b.Index][w] = entry[b.Index][w] | defined[b.Index][w];
                foreach (int s in b.Successors())
                {
                    // Behind the barrier nothing has changed; past it, where its guard is false, all of it has.
                    if (stops(b) && s == b.Next && s != b.Target) continue;
                    for (int w = 0; w < words; w++)
                    {
                        if ((end[b.Index][w] & ~entry[s][w]) == 0) continue;
                        entry[s][w] |= end[b.Index][w];
                        changed = true;
                    }
                }
            }
        }
        return end;
    }

    readonly ref struct Marker(ulong[] bits) : IRegisterVisitor
    {
        public void Visit(int register) => bits[register >> 6] |= 1UL << register;
    }
}
