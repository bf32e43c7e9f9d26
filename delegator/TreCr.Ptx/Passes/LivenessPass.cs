using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>Registers needed on entry to each block (backward fixpoint), and the one block of block-local registers.</summary>
public static class LivenessPass
{
    public static void Run(FlowGraph g)
    {
        int words = (g.Function.Registers.Count + 63) / 64, blocks = g.Blocks.Count;
        ulong[] use = new ulong[blocks * words], def = new ulong[blocks * words];
        g.OnlyBlock = new int[g.Function.Registers.Count];
        Array.Fill(g.OnlyBlock, -2);
        foreach (FlowBlock b in g.Blocks)
        {
            Span<ulong> u = use.AsSpan(b.Index * words, words), d = def.AsSpan(b.Index * words, words);
            foreach (PtxInstruction i in b.Body)
            {
                // A guarded write keeps the old value where the guard is false: it reads too.
                Mention uses = new(u, d, g.OnlyBlock, b.Index, false);
                InstructionFacts.ForUses(i, ref uses);
                if (i.Guard >= 0) InstructionFacts.ForDefs(i, ref uses);
                Mention defs = new(u, d, g.OnlyBlock, b.Index, true);
                InstructionFacts.ForDefs(i, ref defs);
            }
            b.LiveIn = new ulong[words];
        }
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int n = blocks - 1; n >= 0; n--)
            {
                FlowBlock b = g.Blocks[n];
                for (int w = 0; w < words; w++)
                {
                    ulong live = 0;
                    if (b.Next >= 0) live |= g.Blocks[b.Next].LiveIn[w];
                    if (b.Target >= 0) live |= g.Blocks[b.Target].LiveIn[w];
                    foreach (int t in b.Targets) live |= g.Blocks[t].LiveIn[w];
                    live = use[n * words + w] | live & ~def[n * words + w];
                    if (live == b.LiveIn[w]) continue;
                    b.LiveIn[w] = live;
                    changed = true;
                }
            }
        }
        // A value carried round a loop of one block is not block-local either.
        foreach (FlowBlock b in g.Blocks)
            for (int r = 0; r < g.OnlyBlock.Length; r++)
                if ((b.LiveIn[r >> 6] >> r & 1) != 0) g.OnlyBlock[r] = -1;
    }

    readonly ref struct Mention(Span<ulong> use, Span<ulong> def, int[] only, int block, bool writes) : IRegisterVisitor
    {
        readonly Span<ulong> use = use, def = def;

        public void Visit(int register)
        {
            ulong bit = 1UL << register;
            if (writes) def[register >> 6] |= bit;
            else if ((def[register >> 6] & bit) == 0) use[register >> 6] |= bit;
            if (only[register] == -2) only[register] = block;
            else if (only[register] != block) only[register] = -1;
        }
    }
}
