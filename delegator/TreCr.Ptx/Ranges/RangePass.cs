using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.Ptx.Ranges;

/// <summary>
/// Finds the accesses of a kernel whose address is arithmetic on parameters, thread and block numbers and loop counters, and writes that arithmetic down as a
/// <see cref="RangeProgram"/>. A launch evaluates it on ranges of thread and block numbers: where all addresses turn out to be mapped and aligned, no check is needed.
/// </summary>
/// <remarks>
/// A register counts only where every way from the kernel's start to its use leads through its definitions, so that no access rests on a value that was never
/// set. A loop counter is a register with one start outside and one addition inside; see <see cref="CountedLoop"/>.
/// </remarks>
public sealed class RangePass
{
    const int MaxNodes = 400, MaxBlocks = 1500, MaxSteps = 20_000;
    int steps;
    readonly FlowGraph g;
    readonly Func<string, long?> addressOf;
    readonly RangeProgram program = new();
    readonly Dictionary<RangeNode, int> known = [];
    readonly List<(int Block, int Index, PtxInstruction I)>[] definitions;
    readonly Dictionary<(int Register, bool Early), int> nodes = [];
    readonly HashSet<int> open = [];
    readonly Dictionary<int, CountedLoop?> loops = [];
    readonly Reachability reach;
    readonly PtxType[] registerTypes;

    RangePass(FlowGraph g, Func<string, long?> addressOf)
    {
        this.g = g;
        this.addressOf = addressOf;
        reach = new(g);
        definitions = new List<(int, int, PtxInstruction)>[g.Function.Registers.Count];
        registerTypes = [.. g.Function.Registers.Select(r => r.Type)];
        foreach (FlowBlock b in g.Blocks)
            for (int n = 0; n < b.Body.Count; n++)
            {
                Definer d = new(definitions, b.Index, n, b.Body[n]);
                InstructionFacts.ForDefs(b.Body[n], ref d);
            }
    }

    readonly ref struct Definer(List<(int, int, PtxInstruction)>[] definitions, int block, int index, PtxInstruction i) : IRegisterVisitor
    {
        public void Visit(int register) => (definitions[register] ??= []).Add((block, index, i));
    }

    /// <param name="addressOf">Offset of a shared variable or address of a global one; null where it has none.</param>
    /// <returns>null where there is nothing to find: a function, or one that is too large to look at</returns>
    public static RangeProgram? Run(FlowGraph g, Func<string, long?> addressOf)
    {
        if (!g.Function.IsEntry || g.Blocks.Count > MaxBlocks) return null;
        RangePass pass = new(g, addressOf);
        foreach (FlowBlock b in g.Blocks)
            for (int n = 0; n < b.Body.Count && pass.program.Nodes.Count < MaxNodes; n++) pass.Look(b, n, b.Body[n]);
        return pass.program.Accesses.Count == 0 ? null : pass.program;
    }

    void Look(FlowBlock b, int index, PtxInstruction i)
    {
        if (i.Name is not ("ld" or "st" or "ldu" or "atom" or "red") || i.Opcode.Space is not (PtxSpace.Global or PtxSpace.Generic or PtxSpace.Const or PtxSpace.Shared)) return;
        PtxOperand? m = i.Operands.FirstOrDefault(o => o.Kind == OperandKind.Memory);
        int bytes = i.Opcode.Type.Bytes() * i.Opcode.Vector;
        if (m is null || bytes is 0 or > 32 || m.Elements.Length > 0) return;
        int node = m.Name is { } name ? Symbol(name, 0) : m.Register >= 0 ? Value(m.Register, b.Index, index) : -1;
        if (node < 0) return;
        // Addresses in 32-bit registers (shared memory) are unsigned.
        if (m.Register >= 0 && registerTypes[m.Register].Bits() == 32) node = Add(new(RangeOp.As, PtxType.U32, node));
        program.Accesses.Add(new(i, node, m.Value, bytes, i.Opcode.Space));
    }

    int Add(RangeNode n)
    {
        if (known.TryGetValue(n, out int at)) return at;
        if (program.Nodes.Count >= MaxNodes) return -1;
        program.Nodes.Add(n);
        return known[n] = program.Nodes.Count - 1;
    }

    int Symbol(string name, long offset) => addressOf(name) is { } at ? Add(new(RangeOp.Constant, PtxType.S64, Immediate: at + offset)) : -1;

    /// <summary>Node of a register's value just before instruction <paramref name="index"/> of a block; -1 where it is not known.</summary>
    int Value(int register, int block, int index)
    {
        if (++steps > MaxSteps || definitions[register] is not { Count: > 0 } defs || registerTypes[register].Bits() is not (32 or 64)) return -1;
        if (Loop(register) is { } loop)
        {
            bool early = !(block == loop.Block && index > loop.StepIndex || reach.Can(loop.Block, block, loop.StartBlocks, loop.Edge));
            if (!reach.Guards(loop.Starts.Select(s => (s.Block, s.Index)), block, index)) return -1;
            if (nodes.TryGetValue((register, early), out int done)) return done;
            if (!open.Add(register)) return -1;
            int start = Union(register, loop.Starts), number = start < 0 ? -1 : LoopNumber(loop);
            open.Remove(register);
            int node = number < 0 ? -1 : Add(new(RangeOp.Induction, registerTypes[register], start, loop.StepNode, early ? 1 : 0, number));
            return nodes[(register, early)] = node;
        }
        if (!reach.Guards(defs.Where(d => d.I.Guard < 0).Select(d => (d.Block, d.Index)), block, index)) return -1;
        if (nodes.TryGetValue((register, false), out int earlier)) return earlier;
        if (!open.Add(register) || open.Count > 60) return -1;
        int result = Union(register, defs);
        open.Remove(register);
        // A cycle makes inner results depend on where it was entered: those are kept only at the top.
        if (result >= 0 || open.Count == 0) nodes[(register, false)] = result;
        return result;
    }

    int Union(int register, List<(int Block, int Index, PtxInstruction I)> defs)
    {
        int result = -1;
        foreach ((int b, int n, PtxInstruction i) in defs)
        {
            int one = Definition(register, b, n, i);
            result = one < 0 ? -1 : result < 0 || one == result ? one : Add(new(RangeOp.Union, registerTypes[register], result, one));
            if (result < 0) break;
        }
        return result;
    }

    CountedLoop? Loop(int register)
    {
        if (loops.TryGetValue(register, out CountedLoop? done)) return done;
        loops[register] = null;
        return loops[register] = CountedLoop.Find(register, definitions[register], g, reach, (o, b, n, t) => Operand(o, b, n, t));
    }

    /// <summary>The loop's number in the program, by the counter that ends it; -1 where none is found.</summary>
    int LoopNumber(CountedLoop loop)
    {
        if (loop.Number != -2) return loop.Number;
        loop.Number = -1;
        FlowBlock y = g.Blocks[loop.Edge.From];
        // Any counter that steps in the same block, starts in the same block, and is what the loop's last branch compares.
        PtxInstruction branch = y.Body[^1];
        int at = y.Body.FindLastIndex(i => i.Name == "setp" && i.Guard < 0 && i.Operands.Length == 3 && i.Operands[0].Register == branch.Guard && i.Operands[0].Register2 < 0);
        if (at < 0 || definitions[branch.Guard].Count(d => d.Block == y.Index) != 1) return -1;
        PtxInstruction setp = y.Body[at];
        PtxType type = setp.Opcode.Type;
        if (type.IsFloat() || type.IsHalf() || type.Bits() is not (32 or 64)) return -1;
        for (int side = 1; side <= 2; side++)
        {
            PtxOperand counter = setp.Operands[side], other = setp.Operands[3 - side];
            if (counter.Kind != OperandKind.Register || Loop(counter.Register) is not { } q) continue;
            // Stepping in the same block, and not started anew on a way round that does not start the other one anew: then it made at least as many steps.
            if (q.Block != loop.Block || !reach.Guards(q.Starts.Select(s => (s.Block, s.Index)), y.Index, at)) continue;
            if (q.Starts.Exists(s => !loop.StartBlocks.Contains(s.Block) && reach.Can(loop.Block, s.Block, loop.StartBlocks) && reach.Can(s.Block, loop.Block, loop.StartBlocks))) continue;
            bool goesOn = loop.Edge.To == y.Target ? !branch.GuardNegated : branch.GuardNegated;
            string? relation = CountedLoop.Relation(setp.Opcode, goesOn, side == 2, ref type);
            if (relation is null) continue;
            int start = Union(counter.Register, q.Starts), bound = Operand(other, y.Index, at, type);
            if (start < 0 || bound < 0) continue;
            bool late = y.Index == q.Block && at < q.StepIndex, entered = relation == "ne" && IsEntryGuarded(start, bound, q.Block);
            program.Loops.Add(new(Add(new(RangeOp.As, type, start)), q.StepNode, Add(new(RangeOp.As, type, bound)), relation, type, late, entered));
            return loop.Number = program.Loops.Count - 1;
        }
        return -1;
    }

    /// <summary>True where every way to a block passes a branch that is taken only when two values differ; values that never change while a thread runs.</summary>
    bool IsEntryGuarded(int a, int b, int block)
    {
        if (!IsPure(a) || !IsPure(b)) return false;
        foreach (FlowBlock z in g.Blocks)
        {
            if (z.End != BlockEnd.Branch || z.Body[^1].Guard < 0 || z.Next < 0 || z.Next == z.Target) continue;
            PtxInstruction branch = z.Body[^1];
            int at = z.Body.FindLastIndex(i => i.Name == "setp" && i.Guard < 0 && i.Operands.Length == 3 && i.Operands[0].Register == branch.Guard && i.Operands[0].Register2 < 0 && i.Opcode.First("eq", "ne") is not null);
            if (at < 0 || definitions[branch.Guard].Count(d => d.Block == z.Index) != 1) continue;
            PtxInstruction setp = z.Body[at];
            if (setp.Opcode.Type.IsFloat() || setp.Opcode.Type.Bits() is not (32 or 64)) continue;
            int to = setp.Opcode.Has("ne") != branch.GuardNegated ? z.Target : z.Next;
            if (block == 0 || reach.Can(0, block, BlockSet.Empty, (z.Index, to))) continue;
            int x = Operand(setp.Operands[1], z.Index, at, setp.Opcode.Type), y = Operand(setp.Operands[2], z.Index, at, setp.Opcode.Type);
            if (x >= 0 && y >= 0 && (Same(x, a) && Same(y, b) || Same(x, b) && Same(y, a))) return true;
        }
        return false;
    }

    bool Same(int a, int b) => a == b || program.Nodes[a] is { Op: RangeOp.Constant } x && program.Nodes[b] is { Op: RangeOp.Constant } y && x.Immediate == y.Immediate;

    bool IsPure(int node)
    {
        RangeNode n = program.Nodes[node];
        return n.Op is not (RangeOp.Union or RangeOp.UpTo or RangeOp.Induction) && (n.A < 0 || IsPure(n.A)) && (n.B < 0 || IsPure(n.B));
    }

    int Operand(PtxOperand o, int block, int index, PtxType type)
    {
        switch (o.Kind)
        {
            case OperandKind.Integer: return Add(new(RangeOp.Constant, type, Immediate: o.Value));
            case OperandKind.Special: return o.Special <= SpecialRegister.LaneId ? Add(new(RangeOp.Special, PtxType.U32, Immediate: (long)o.Special)) : -1;
            case OperandKind.Symbol: return Symbol(o.Name!, o.Value);
            case OperandKind.Register:
                // A 64-bit register read as 32 bits, or the other way, is only done by cvt.
                return registerTypes[o.Register].Bits() == type.Bits() ? Value(o.Register, block, index) : -1;
            default: return -1;
        }
    }

    /// <summary>Node of what an instruction gives; -1 where that is not known.</summary>
    int Definition(int register, int block, int index, PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        PtxType type = op.Type;
        if (i.Operands.Length < 2 || i.Operands[0].Register != register || i.Operands[0].Register2 >= 0 || i.Operands[0].Kind != OperandKind.Register || op.Sat || op.Has("cc")) return -1;
        if (type.IsFloat() || type.IsHalf() || type.Bits() is not (8 or 16 or 32 or 64) || type.Bits() is 8 or 16 && op.Name != "ld") return -1;
        // Only loads extend a value as they write it.
        if (op.Name == "ld" ? type.Bits() > registerTypes[register].Bits() : type.Bits() != registerTypes[register].Bits() && !op.Has("wide")) return -1;
        int Source(int n, PtxType t) => n < i.Operands.Length ? Operand(i.Operands[n], block, index, t) : -1;
        int Binary(RangeOp what, int a, int b, PtxType t) => a < 0 || b < 0 ? -1 : Add(new(what, t, a, b));
        int Read(int n, PtxType t) => Source(n, t) is >= 0 and int a ? Add(new(RangeOp.As, t, a)) : -1;
        long Literal(int n) => n < i.Operands.Length && i.Operands[n].Kind == OperandKind.Integer ? i.Operands[n].Value : -1;
        switch (op.Name)
        {
            case "mov": return Source(1, type);
            case "cvta": return op.Space is PtxSpace.Global or PtxSpace.Const ? Source(1, type) : -1;
            case "ld":
            {
                PtxOperand m = i.Operands[1];
                return op.Space == PtxSpace.Param && op.Vector == 1 && m.Name is { } name && g.Function.Locals.TryGetValue(name, out PtxVariable? p) && g.Function.Signature.Parameters.Contains(p)
                    && m.Value >= 0 && m.Value + type.Bytes() <= p.SizeBytes ? Add(new(RangeOp.Parameter, type, Immediate: p.Offset + m.Value)) : -1;
            }
            case "add": return Binary(RangeOp.Add, Source(1, type), Source(2, type), type);
            case "sub": return Binary(RangeOp.Subtract, Source(1, type), Source(2, type), type);
            case "neg": return Binary(RangeOp.Subtract, Add(new(RangeOp.Constant, type)), Source(1, type), type);
            case "or": return Binary(RangeOp.Or, Source(1, type), Source(2, type), type);
            case "mul" or "mad":
            {
                int product;
                PtxType to = type;
                if (op.Has("wide"))
                {
                    if (type.Bits() != 32) return -1;
                    to = type.IsSigned() ? PtxType.S64 : PtxType.U64;
                    product = Binary(RangeOp.Multiply, Read(1, type), Read(2, type), to);
                }
                else if (op.Has("lo")) product = Binary(RangeOp.Multiply, Source(1, type), Source(2, type), type);
                else return -1;
                return op.Name == "mul" ? product : Binary(RangeOp.Add, product, Source(3, to), to);
            }
            case "shl": return Literal(2) is >= 0 and < 32 and long left ? Binary(RangeOp.Multiply, Source(1, type), Add(new(RangeOp.Constant, type, Immediate: 1L << (int)left)), type) : -1;
            case "shr":
            {
                PtxType from = type is PtxType.B32 ? PtxType.U32 : type is PtxType.B64 ? PtxType.U64 : type;
                return Literal(2) is >= 0 and < 32 and long right && Read(1, from) is >= 0 and int a ? Add(new(RangeOp.ShiftRight, type, a, Immediate: right)) : -1;
            }
            case "and":
                for (int n = 1; n <= 2; n++)
                    if (Literal(n) is > 0 and long mask) return Source(3 - n, type) is >= 0 and int a ? Add(new(RangeOp.Mask, type, a, Immediate: mask)) : Add(new(RangeOp.UpTo, type, Immediate: mask));
                return -1;
            case "bfe": return type == PtxType.U32 && Literal(3) is > 0 and < 31 and long length ? Add(new(RangeOp.UpTo, type, Immediate: (1L << (int)length) - 1)) : -1;
            case "min" or "max": return Binary(op.Name == "min" ? RangeOp.Minimum : RangeOp.Maximum, Read(1, type), Read(2, type), type);
            case "div" or "rem": return Binary(op.Name == "div" ? RangeOp.Divide : RangeOp.Remainder, Read(1, type), Read(2, type), type);
            case "selp": return Binary(RangeOp.Union, Source(1, type), Source(2, type), type);
            case "cvt":
                if (op.Type2.IsFloat() || op.Type2.IsHalf() || op.Type2.Bits() is not (32 or 64)) return -1;
                return Read(1, op.Type2) is >= 0 and int v ? Add(new(RangeOp.As, type, v)) : -1;
            default: return -1;
        }
    }
}
