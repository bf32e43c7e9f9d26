using TreCr.Ptx.Ast;
using TreCr.Ptx.Ranges;

namespace TreCr.SoftDevice.Engine;

/// <summary>Evaluates a <see cref="RangeProgram"/> for some blocks of a launch: which accesses cannot fault, whatever way its threads take.</summary>
/// <remarks>Any thread; allocates nothing. About 10 ns a node.</remarks>
static unsafe class RangeProof
{
    /// <summary>Sets a bit in <paramref name="holds"/> for each access that is mapped and aligned for all threads of the blocks given.</summary>
    /// <param name="low">smallest block numbers</param><param name="high">and largest, inclusive</param>
    public static void Run(RangeProgram program, GridLaunch launch, AccessMap memory, (uint X, uint Y, uint Z) low, (uint X, uint Y, uint Z) high, Span<bool> holds)
    {
        int count = program.Nodes.Count;
        Interval* values = stackalloc Interval[count];
        for (int n = 0; n < count; n++) values[n] = Evaluate(program, program.Nodes[n], values, launch, low, high);
        for (int n = 0; n < holds.Length; n++)
        {
            RangeAccess a = program.Accesses[n];
            Interval at = values[a.Node];
            holds[n] = false;
            if (!at.IsKnown || !at.IsAligned(a.Offset, a.Bytes)) continue;
            Int128 first = (Int128)at.Low + a.Offset, end = (Int128)at.High + a.Offset + a.Bytes;
            if (first < 0 || end > 1L << PageTable.AddressBits) continue;
            if (a.Space == PtxSpace.Shared) { holds[n] = end <= launch.SharedBytes; continue; }
            holds[n] = memory.BytesFrom((ulong)first) >= (ulong)(end - first);
        }
    }

    /// <summary>True where all accesses that <paramref name="fast"/> leaves unchecked hold, for blocks [first, end) in order of number.</summary>
    public static bool Holds(FastVariant fast, GridLaunch launch, AccessMap memory, ulong first, ulong end)
    {
        RangeProgram program = launch.Kernel.Ranges!;
        Span<bool> holds = stackalloc bool[program.Accesses.Count];
        (uint X, uint Y, uint Z) a = launch.BlockAt(first), b = launch.BlockAt(end - 1);
        // Blocks of several rows are taken as whole rows, of several planes as whole planes.
        if (a.Z != b.Z) (a.Y, b.Y) = (0, launch.GridY - 1);
        if (a.Y != b.Y || a.Z != b.Z) (a.X, b.X) = (0, launch.GridX - 1);
        Run(program, launch, memory, a, b, holds);
        foreach (int n in fast.Accesses)
            if (!holds[n]) return false;
        return true;
    }

    static Interval Evaluate(RangeProgram program, RangeNode n, Interval* v, GridLaunch launch, (uint X, uint Y, uint Z) low, (uint X, uint Y, uint Z) high)
    {
        Interval r;
        switch (n.Op)
        {
            case RangeOp.Constant: return Interval.Single(n.Immediate);
            case RangeOp.Parameter:
            {
                byte* p = launch.Parameters + n.Immediate;
                return Interval.Single(n.Type switch
                {
                    PtxType.S8 => *(sbyte*)p, PtxType.S16 => *(short*)p, PtxType.S32 => *(int*)p,
                    _ => n.Type.Bits() switch { 8 => *p, 16 => *(ushort*)p, 32 => *(uint*)p, _ => *(long*)p },
                });
            }
            case RangeOp.Special:
                return (SpecialRegister)n.Immediate switch
                {
                    SpecialRegister.TidX => Interval.Span(0, launch.BlockX - 1), SpecialRegister.TidY => Interval.Span(0, launch.BlockY - 1), SpecialRegister.TidZ => Interval.Span(0, launch.BlockZ - 1),
                    SpecialRegister.NtidX => Interval.Single(launch.BlockX), SpecialRegister.NtidY => Interval.Single(launch.BlockY), SpecialRegister.NtidZ => Interval.Single(launch.BlockZ),
                    SpecialRegister.CtaidX => Interval.Span(low.X, high.X), SpecialRegister.CtaidY => Interval.Span(low.Y, high.Y), SpecialRegister.CtaidZ => Interval.Span(low.Z, high.Z),
                    SpecialRegister.NctaidX => Interval.Single(launch.GridX), SpecialRegister.NctaidY => Interval.Single(launch.GridY), SpecialRegister.NctaidZ => Interval.Single(launch.GridZ),
                    SpecialRegister.LaneId => Interval.Span(0, 31), _ => Interval.None,
                };
            case RangeOp.UpTo: return Interval.Span(0, n.Immediate);
            case RangeOp.Add: r = v[n.A] + v[n.B]; break;
            case RangeOp.Subtract: r = v[n.A] - v[n.B]; break;
            case RangeOp.Multiply: r = v[n.A] * v[n.B]; break;
            case RangeOp.Union: r = v[n.A].Join(v[n.B]); break;
            case RangeOp.As: return As(v[n.A], n.Type);
            case RangeOp.Minimum or RangeOp.Maximum:
                if (!v[n.A].IsKnown || !v[n.B].IsKnown) return Interval.None;
                return n.Op == RangeOp.Minimum ? Interval.Span(Math.Min(v[n.A].Low, v[n.B].Low), Math.Min(v[n.A].High, v[n.B].High))
                    : Interval.Span(Math.Max(v[n.A].Low, v[n.B].Low), Math.Max(v[n.A].High, v[n.B].High));
            case RangeOp.Or:
                // Of numbers that are not negative: at least the larger, at most the sum.
                if (!v[n.A].IsKnown || !v[n.B].IsKnown || v[n.A].Low < 0 || v[n.B].Low < 0) return Interval.None;
                r = v[n.A] + v[n.B];
                if (!r.IsKnown) return r;
                r = new(Math.Max(v[n.A].Low, v[n.B].Low), r.High, Math.Min(v[n.A].KnownBits, v[n.B].KnownBits), 0);
                r = r with { Residue = (v[n.A].Residue | v[n.B].Residue) & (1L << r.KnownBits) - 1 };
                break;
            case RangeOp.Mask:
                if (!v[n.A].IsKnown) return Interval.Span(0, n.Immediate);
                r = new(0, v[n.A].Low >= 0 ? Math.Min(v[n.A].High, n.Immediate) : n.Immediate, v[n.A].KnownBits, v[n.A].Residue & n.Immediate);
                break;
            case RangeOp.ShiftRight: return v[n.A].IsKnown ? Interval.Span(v[n.A].Low >> (int)n.Immediate, v[n.A].High >> (int)n.Immediate) : Interval.None;
            case RangeOp.Divide or RangeOp.Remainder:
                if (!v[n.A].IsKnown || !v[n.B].IsKnown || v[n.A].Low < 0 || v[n.B].Low <= 0) return Interval.None;
                return n.Op == RangeOp.Divide ? Interval.Span(v[n.A].Low / v[n.B].High, v[n.A].High / v[n.B].Low) : Interval.Span(0, Math.Min(v[n.A].High, v[n.B].High - 1));
            case RangeOp.Induction:
            {
                long rounds = Rounds(program.Loops[n.Loop], v);
                if (rounds < 0) return Interval.None;
                r = v[n.A] + v[n.B] * new Interval(0, Math.Max(0, rounds - n.Immediate), 0, 0);
                break;
            }
            default: return Interval.None;
        }
        return n.Type.Bits() == 32 ? r.Within(int.MinValue, uint.MaxValue, 32) : r;
    }

    static Interval As(Interval v, PtxType type) => type switch
    {
        PtxType.S32 => v.Within(int.MinValue, int.MaxValue, 32), PtxType.U32 or PtxType.B32 => v.Within(0, uint.MaxValue, 32),
        PtxType.U64 or PtxType.B64 => v.IsKnown && v.Low >= 0 ? v : Interval.None, _ => v,
    };

    /// <summary>Most steps that a loop's counters can have made; -1 where that is not known.</summary>
    static long Rounds(RangeLoop loop, Interval* v)
    {
        Interval start = v[loop.Start], step = v[loop.Step], bound = v[loop.Bound];
        if (!start.IsKnown || !step.IsSingle || !bound.IsKnown || step.Low == 0 || Math.Abs(step.Low) > int.MaxValue) return -1;
        (Int128 smallest, Int128 largest) = loop.Type switch
        {
            PtxType.S32 or PtxType.B32 => ((Int128)int.MinValue, (Int128)int.MaxValue), PtxType.U32 => (0, uint.MaxValue), PtxType.U64 or PtxType.B64 => (0, 1L << 62), _ => (-(1L << 62), 1L << 62),
        };
        string relation = loop.Relation;
        Int128 by = step.Low, from = start.Low, fromHigh = start.High, to = bound.High, toLow = bound.Low;
        if (by < 0)
        {
            // The mirror image.
            (by, from, fromHigh, to, toLow) = (-by, -fromHigh, -from, -toLow, -to);
            (smallest, largest) = (-largest, -smallest);
            relation = relation switch { "gt" => "lt", "ge" => "le", "lt" => "gt", "le" => "ge", _ => relation };
        }
        Int128 last;
        switch (relation)
        {
            case "lt": last = to - 1; break;
            case "le": last = to; break;
            case "ne":
                // Met exactly, and not passed before the first look.
                if (!bound.IsSingle || fromHigh + (loop.Late || loop.Entered ? 0 : by) > to) return -1;
                if (by > 1 && ((by & by - 1) != 0 || start.KnownBits < Int128.Log2(by) || ((Int128)start.Residue - bound.Residue & by - 1) != 0)) return -1;
                last = to - by;
                break;
            default: return -1;
        }
        if (last + by > largest || from < smallest) return -1;
        if (relation == "ne" && loop.Entered && from == to) return 0;
        Int128 steps = last < from ? 0 : (last - from) / by;
        return (long)steps + (loop.Late ? 2 : 1);
    }
}
