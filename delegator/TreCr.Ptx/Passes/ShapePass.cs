using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>How a register's values differ between the lanes of a group of threads, and which instructions can rely on it.</summary>
public sealed class Shapes
{
    /// <summary>Stride of a register that has no rule.</summary>
    public const long Varying = long.MinValue;

    /// <summary>By register: 0 the same in all lanes, n: lane k has the first lane's value + k * n (modulo the width), <see cref="Varying"/>.</summary>
    public required long[] Stride;
    /// <summary>Widenings of affine values, 32 to 64 bits: the emitter must see that no lane's value wraps, else leave the vector code.</summary>
    public required HashSet<PtxInstruction> Widenings;
    /// <summary>of those: check on entry to the block, because the instruction stands behind a side effect</summary>
    public required HashSet<PtxInstruction> CheckedOnEntry;

    public bool IsUniform(int register) => Stride[register] == 0;
    public bool IsVarying(int register) => Stride[register] == Varying;
}

/// <summary>
/// Finds, for code that runs a group of neighbouring threads in lockstep, registers that are uniform or affine in the lane number. The lattice is: nothing known, one
/// stride, varying; a register has the join of its definitions. Lanes that part are the concern of <see cref="DivergencePass"/>.
/// </summary>
public static class ShapePass
{
    const long Unknown = long.MaxValue;

    /// <param name="tidIsAffine">tid.x counts up by one inside each group, tid.y and tid.z are the same in it</param>
    /// <param name="forced">registers that are to be varying for another reason</param>
    public static Shapes Run(FlowGraph g, bool tidIsAffine, IReadOnlySet<int>? forced = null)
    {
        PtxFunction f = g.Function;
        long[] stride = new long[f.Registers.Count];
        Array.Fill(stride, Unknown);
        foreach (int r in forced ?? new HashSet<int>()) stride[r] = Shapes.Varying;
        HashSet<PtxInstruction> widenings = new(ReferenceEqualityComparer.Instance), onEntry = new(ReferenceEqualityComparer.Instance), never = new(ReferenceEqualityComparer.Instance);
        foreach (FlowBlock b in g.Blocks) ClassifyWidenings(b, onEntry, never);
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (FlowBlock b in g.Blocks)
                foreach (PtxInstruction raw in b.Body)
                {
                    PtxInstruction i = raw.Name == InstructionFacts.Collect ? raw.Origin! : raw;
                    long shape = Transfer(f, i, stride, tidIsAffine, never);
                    if (i.Guard >= 0 && stride[i.Guard] != 0) shape = stride[i.Guard] == Unknown ? Unknown : Shapes.Varying;
                    Joiner join = new(g, stride, shape);
                    InstructionFacts.ForDefs(raw, ref join);
                    changed |= join.Changed;
                }
        }
        foreach (FlowBlock b in g.Blocks)
            foreach (PtxInstruction i in b.Body)
                if (Widens(i) && i.Operands[0].Register >= 0 && stride[i.Operands[0].Register] is not (0 or Shapes.Varying or Unknown)) widenings.Add(i);
        // Never defined: zero, or whatever; the same for all.
        for (int r = 0; r < stride.Length; r++) if (stride[r] == Unknown) stride[r] = 0;
        onEntry.IntersectWith(widenings);
        return new() { Stride = stride, Widenings = widenings, CheckedOnEntry = onEntry };
    }

    /// <summary>
    /// A widening can be left for scalar code only at the start of a block, with the registers that the block began with. It may stand where nothing has been
    /// stored and no such register been changed; or its source is itself one of those, and can be looked at on entry.
    /// </summary>
    static void ClassifyWidenings(FlowBlock b, HashSet<PtxInstruction> onEntry, HashSet<PtxInstruction> never)
    {
        bool clean = true;
        HashSet<int> defined = [];
        foreach (PtxInstruction i in b.Body)
        {
            if (Widens(i) && !clean)
            {
                PtxOperand source = i.Operands[1];
                if (i.Guard < 0 && source.Register >= 0 && !defined.Contains(source.Register) && (b.LiveIn[source.Register >> 6] >> source.Register & 1) != 0) onEntry.Add(i);
                else never.Add(i);
            }
            Recorder recorder = new(defined);
            InstructionFacts.ForDefs(i, ref recorder);
            if (i.Name is "st" or "atom" or "red" or "cp" or "mbarrier" or "sust" or "bar" or "barrier" || i.Name == "ld" && i.Opcode.Strong) clean = false;
            foreach (int r in recorder.Defined)
                if ((b.LiveIn[r >> 6] >> r & 1) != 0) { clean = false; break; }
        }
    }

    readonly ref struct Recorder(HashSet<int> defined) : IRegisterVisitor
    {
        public HashSet<int> Defined => defined;
        public void Visit(int register) => defined.Add(register);
    }

    ref struct Joiner(FlowGraph g, long[] stride, long shape) : IRegisterVisitor
    {
        public bool Changed;

        public void Visit(int register)
        {
            long s = shape;
            if (s == Unknown) return;
            // Floats, predicates and narrow integers are uniform or varying.
            if (s != 0 && (g.Classes[register] is not (RegisterClass.I32 or RegisterClass.I64) || g.Function.Registers[register].Type.Bits() < 32)) s = Shapes.Varying;
            long old = stride[register], now = old == Unknown || old == s ? s : Shapes.Varying;
            if (now == old) return;
            stride[register] = now;
            Changed = true;
        }
    }

    /// <summary>True for conversions and products that make 64-bit values of 32-bit integers.</summary>
    public static bool Widens(PtxInstruction i) => i.Name == "cvt" && IsWord(i.Opcode.Type, 64) && IsWord(i.Opcode.Type2, 32) && !i.Opcode.Sat
        || i.Name is "mul" or "mad" && i.Opcode.Has("wide") && IsWord(i.Opcode.Type, 32);

    static bool IsWord(PtxType t, int bits) => t.Bits() == bits && !t.IsFloat() && !t.IsHalf() && t != PtxType.TF32;

    /// <summary>True where threads do it one by one whatever the operands are.</summary>
    public static bool IsPerThread(PtxInstruction i) => InstructionFacts.Counts(i) || (i.Name is "bar" or "barrier") && i.Opcode.Has("arrive")
        || i.Opcode.Space == PtxSpace.Local && i.Name is "ld" or "st" or "cvta" or "isspacep";

    static long Transfer(PtxFunction f, PtxInstruction i, long[] stride, bool tidIsAffine, HashSet<PtxInstruction> never)
    {
        PtxOpcode op = i.Opcode;
        PtxOperand[] o = i.Operands;
        if (i.Name is "atom" or "shfl" or "match" || IsPerThread(i)) return Shapes.Varying;
        // Taken by the whole group, or the vector code is left.
        if (i.Name is "vote" or "activemask" or "redux") return 0;
        bool uniform = true;
        for (int n = 1; n < o.Length; n++)
        {
            long s = Of(f, o[n], stride, tidIsAffine);
            if (s == Unknown) return Unknown;
            uniform &= s == 0;
        }
        if (uniform || o.Length < 2) return 0;
        long S(int n) => Of(f, o[n], stride, tidIsAffine);
        bool whole = op.Type.Bits() is 32 or 64 && IsWord(op.Type, op.Type.Bits()) && !op.Sat && !op.Has("cc") && o.All(x => x.Kind is not (OperandKind.Vector or OperandKind.Memory) && x.Part == 0);
        if (!whole || o[0].Kind != OperandKind.Register) return Shapes.Varying;
        long a = S(1), b = o.Length > 2 ? S(2) : 0;
        if (a == Shapes.Varying || b == Shapes.Varying) return Shapes.Varying;
        switch (i.Name)
        {
            case "mov": return a;
            case "cvta": return op.Space == PtxSpace.Local ? Shapes.Varying : a;
            case "add": return Small(a + b);
            case "sub": return Small(a - b);
            case "shl": return o[2].Kind == OperandKind.Integer && o[2].Value is >= 0 and < 32 ? Small(a << (int)o[2].Value) : Shapes.Varying;
            case "cvt":
                if (!IsWord(op.Type2, 32) && !IsWord(op.Type2, 64)) return Shapes.Varying;
                return op.Type.Bits() > op.Type2.Bits() && never.Contains(i) ? Shapes.Varying : a;
            case "mul" or "mad":
            {
                if (op.Has("hi") || op.Has("wide") && (never.Contains(i) || !op.Type.IsSigned() && o[2].Value < 0)) return Shapes.Varying;
                long product = b == 0 && o[2].Kind == OperandKind.Integer && Math.Abs(o[2].Value) < 1 << 20 ? a * o[2].Value
                    : a == 0 && b == 0 ? 0 : Shapes.Varying;
                if (product == Shapes.Varying) return product;
                if (i.Name == "mul") return Small(product);
                long c = S(3);
                // A product that is uniform needs no look at how it was widened.
                return c == Shapes.Varying ? c : Small(product + c);
            }
            default: return Shapes.Varying;
        }
    }

    static long Small(long stride) => Math.Abs(stride) < 1 << 24 ? stride : Shapes.Varying;

    public static long Of(PtxFunction f, PtxOperand o, long[] stride, bool tidIsAffine)
    {
        long result = 0;
        switch (o.Kind)
        {
            case OperandKind.Register or OperandKind.Memory:
                if (o.Register >= 0) result = stride[o.Register];
                if (o.Register2 >= 0 && stride[o.Register2] != 0) result = stride[o.Register2] == Unknown ? Unknown : Shapes.Varying;
                if (o.Negated && result is not (0 or Unknown)) result = Shapes.Varying;
                // The coordinates of a texture.
                foreach (PtxOperand e in o.Elements)
                {
                    long s = Of(f, e, stride, tidIsAffine);
                    if (s == Unknown || result == Unknown) return Unknown;
                    if (s != 0) result = Shapes.Varying;
                }
                return result;
            case OperandKind.Vector or OperandKind.List:
                foreach (PtxOperand e in o.Elements)
                {
                    long s = Of(f, e, stride, tidIsAffine);
                    if (s == Unknown) return Unknown;
                    if (s != 0) result = Shapes.Varying;
                }
                return o.Elements.Length == 1 ? Of(f, o.Elements[0], stride, tidIsAffine) : result;
            case OperandKind.Special:
                return o.Special switch
                {
                    SpecialRegister.TidX => tidIsAffine ? 1 : Shapes.Varying,
                    SpecialRegister.TidY or SpecialRegister.TidZ => tidIsAffine ? 0 : Shapes.Varying,
                    SpecialRegister.LaneId => 1,
                    SpecialRegister.LaneMaskEq or SpecialRegister.LaneMaskLt or SpecialRegister.LaneMaskLe or SpecialRegister.LaneMaskGt or SpecialRegister.LaneMaskGe => Shapes.Varying,
                    _ => 0,
                };
            default: return 0;
        }
    }
}
