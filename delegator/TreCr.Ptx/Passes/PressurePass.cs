using System.Numerics;
using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>How many 32-bit values that differ between neighbouring threads live at once at most; 64-bit ones count twice.</summary>
public static class PressurePass
{
    public static int Run(FlowGraph g, Shapes shapes)
    {
        int most = 0;
        ulong[] live = new ulong[(g.Function.Registers.Count + 63) / 64];
        foreach (FlowBlock b in g.Blocks)
        {
            Array.Clear(live);
            foreach (int s in b.Successors())
                for (int w = 0; w < live.Length; w++) live[w] |= g.Blocks[s].LiveIn[w];
            most = Math.Max(most, Count(g, shapes, live));
            for (int n = b.Body.Count - 1; n >= 0; n--)
            {
                Marker dies = new(live, false), lives = new(live, true);
                if (b.Body[n].Guard < 0) InstructionFacts.ForDefs(b.Body[n], ref dies);
                InstructionFacts.ForUses(b.Body[n], ref lives);
                most = Math.Max(most, Count(g, shapes, live));
            }
        }
        return most;
    }

    static int Count(FlowGraph g, Shapes shapes, ulong[] live)
    {
        int count = 0;
        for (int w = 0; w < live.Length; w++)
            for (ulong bits = live[w]; bits != 0; bits &= bits - 1)
            {
                int r = w * 64 + BitOperations.TrailingZeroCount(bits);
                if (shapes.IsVarying(r) && g.Classes[r] != RegisterClass.Pred) count += g.Classes[r] is RegisterClass.I64 or RegisterClass.F64 ? 2 : 1;
            }
        return count;
    }

    readonly ref struct Marker(ulong[] bits, bool set) : IRegisterVisitor
    {
        public void Visit(int register)
        {
            if (set) bits[register >> 6] |= 1UL << register;
            else bits[register >> 6] &= ~(1UL << register);
        }
    }
}
