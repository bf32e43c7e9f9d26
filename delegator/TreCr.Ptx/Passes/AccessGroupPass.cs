using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>One address check that stands for several accesses: bytes [LowOffset, HighOffset) from the register's value.</summary>
public sealed class AccessGroup
{
    public required PtxInstruction First;
    public long LowOffset, HighOffset;
    public int AccessBytes;
    /// <summary>one of them stores</summary>
    public bool Writes;
}

/// <summary>
/// Accesses of one block through the same value of one register, at offsets within a page: the first one checks for all. All of them are carried out where one is (no guard, one
/// block), so a bad one among them ends the launch in any case; it may be seen some instructions earlier.
/// </summary>
public static class AccessGroupPass
{
    /// <summary>Widest group, bytes: it touches two pages at most, those of its ends.</summary>
    public const int MaxSpanBytes = 4096;

    /// <param name="without">accesses that need no check at all</param>
    /// <param name="maxSpanBytes">less than <see cref="MaxSpanBytes"/> where neighbouring threads are checked together: theirs is added</param>
    public static Dictionary<PtxInstruction, AccessGroup> Run(FlowBlock block, IReadOnlySet<PtxInstruction> without, int maxSpanBytes = MaxSpanBytes)
    {
        Dictionary<PtxInstruction, AccessGroup> groups = [];
        Dictionary<(int Register, int Bytes, long Phase), AccessGroup> open = [];
        foreach (PtxInstruction i in block.Body)
        {
            if (i.Guard < 0 && !without.Contains(i) && i.Name is "ld" or "st" or "ldu" && i.Opcode.Space is PtxSpace.Generic or PtxSpace.Global or PtxSpace.Const)
            {
                PtxOperand m = i.Name == "st" ? i.Operands[0] : i.Operands.Length > 1 ? i.Operands[1] : i.Operands[0];
                int bytes = i.Opcode.Type.Bytes() * i.Opcode.Vector;
                if (m.Kind == OperandKind.Memory && m.Register >= 0 && bytes > 0)
                {
                    // Same size, offsets apart by multiples of it: one alignment check is enough.
                    (int, int, long) key = (m.Register, bytes, m.Value & bytes - 1);
                    if (open.TryGetValue(key, out AccessGroup? g) && Math.Max(g.HighOffset, m.Value + bytes) - Math.Min(g.LowOffset, m.Value) <= maxSpanBytes)
                    {
                        g.LowOffset = Math.Min(g.LowOffset, m.Value);
                        g.HighOffset = Math.Max(g.HighOffset, m.Value + bytes);
                    }
                    else open[key] = g = new() { First = i, LowOffset = m.Value, HighOffset = m.Value + bytes, AccessBytes = bytes };
                    g.Writes |= i.Name == "st";
                    groups[i] = g;
                }
            }
            // Another value in the register, or something that may stop the launch on its own account, closes groups.
            Closer closer = new(open);
            InstructionFacts.ForDefs(i, ref closer);
            if (i.Name is "call" or "trap" or "exit" or "atom" or "red" or "mbarrier" or "bar" or "barrier") open.Clear();
        }
        return groups;
    }

    readonly ref struct Closer(Dictionary<(int Register, int Bytes, long Phase), AccessGroup> open) : IRegisterVisitor
    {
        public void Visit(int register)
        {
            foreach ((int Register, int Bytes, long Phase) key in open.Keys)
                if (key.Register == register) open.Remove(key);
        }
    }
}
