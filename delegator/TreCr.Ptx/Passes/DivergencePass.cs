using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>Which branches may part the lanes of a group that goes on under masks, and the shapes of registers that hold while they are parted.</summary>
public sealed class Divergence
{
    public required Shapes Shapes;
    /// <summary>By block: its branch may part the lanes; at the others the group must be given up.</summary>
    public required bool[] Masked;
    /// <summary>By block: lanes that parted at such a branch meet there.</summary>
    public required bool[] Joins;
    /// <summary>By block: the headers of the loops whose last block it is, inner ones first.</summary>
    public required List<int>[] LoopsEndingAt;
}

/// <summary>
/// Masked code runs the blocks in layout order, each for the lanes that are due there, and goes back at a loop's last block while a lane is due at its header. So lanes that parted at a branch
/// wait for each other at its post-dominator, and a register may stay one value for all lanes if none that waits needs the value which another side of the branch has overwritten. Registers for
/// which that could happen are made varying. Layouts in which loops are not runs of blocks with one entry are not masked at all.
/// </summary>
public static class DivergencePass
{
    public static Divergence? Run(FlowGraph g, bool tidIsAffine)
    {
        int count = g.Blocks.Count;
        int[] loopEnd = new int[count];
        Array.Fill(loopEnd, -1);
        foreach (FlowBlock b in g.Blocks)
            foreach (int s in b.Successors())
                if (s <= b.Index) loopEnd[s] = Math.Max(loopEnd[s], b.Index);
        for (int h = 0; h < count; h++)
        {
            if (loopEnd[h] < 0) continue;
            for (int inner = h + 1; inner <= loopEnd[h]; inner++)
                if (loopEnd[inner] > loopEnd[h]) return null;
            foreach (FlowBlock b in g.Blocks)
                if (b.Index < h || b.Index > loopEnd[h])
                    foreach (int s in b.Successors())
                        if (s > h && s <= loopEnd[h]) return null;
        }
        int[] postDominator = PostDominators(g);
        HashSet<int> forced = [];
        bool[] masked = new bool[count], joins = new bool[count], seen = new bool[count];
        Shapes shapes;
        bool again;
        do
        {
            again = false;
            shapes = ShapePass.Run(g, tidIsAffine, forced);
            foreach (FlowBlock b in g.Blocks)
            {
                if (seen[b.Index] || b.End != BlockEnd.Branch || b.Last!.Guard < 0 || shapes.IsUniform(b.Last.Guard) || b.Target == b.Next) continue;
                seen[b.Index] = true;
                if (Conflicts(g, b, postDominator[b.Index], loopEnd) is not { } registers) continue;
                masked[b.Index] = true;
                if (postDominator[b.Index] >= 0) joins[postDominator[b.Index]] = true;
                foreach (int r in registers) again |= !shapes.IsVarying(r) && forced.Add(r);
            }
        } while (again);
        List<int>[] ending = [.. Enumerable.Range(0, count).Select(_ => new List<int>())];
        for (int h = count - 1; h >= 0; h--)
            if (loopEnd[h] >= 0) ending[loopEnd[h]].Add(h);
        return new() { Shapes = shapes, Masked = masked, Joins = joins, LoopsEndingAt = ending };
    }

    /// <summary>Registers that one side of a branch writes and another, or what follows both, needs. Null: lanes could pass the place where they should wait.</summary>
    static HashSet<int>? Conflicts(FlowGraph g, FlowBlock b, int join, int[] loopEnd)
    {
        // Lanes that go back to a header are run again at the end of the loop, not before: they would miss the others at a join inside of it.
        bool Misses(int from, int to) => join >= 0 && to != join && to <= from && loopEnd[to] >= join;
        if (Misses(b.Index, b.Target) || Misses(b.Index, b.Next)) return null;
        bool[][] sides = [Side(g, b.Target, join), Side(g, b.Next, join)];
        int words = (g.Function.Registers.Count + 63) / 64;
        ulong[][] written = [new ulong[words], new ulong[words]], needed = [new ulong[words], new ulong[words]];
        for (int side = 0; side < 2; side++)
            for (int n = 0; n < g.Blocks.Count; n++)
            {
                if (!sides[side][n]) continue;
                // Without a common place to wait, code that both sides run would be run twice.
                if (join < 0 && sides[1 - side][n]) return null;
                if (join >= 0 && n >= join && !(loopEnd[join] >= n)) return null;
                foreach (int s in g.Blocks[n].Successors())
                    if (Misses(n, s)) return null;
                foreach (PtxInstruction i in g.Blocks[n].Body)
                {
                    Marker m = new(written[side]);
                    InstructionFacts.ForDefs(i, ref m);
                }
                for (int w = 0; w < words; w++) needed[side][w] |= g.Blocks[n].LiveIn[w];
            }
        HashSet<int> found = [];
        for (int w = 0; w < words; w++)
        {
            ulong after = join >= 0 ? g.Blocks[join].LiveIn[w] : 0;
            for (ulong bits = written[0][w] & (needed[1][w] | after) | written[1][w] & (needed[0][w] | after); bits != 0; bits &= bits - 1)
                found.Add(w * 64 + System.Numerics.BitOperations.TrailingZeroCount(bits));
        }
        return found;
    }

    readonly ref struct Marker(ulong[] bits) : IRegisterVisitor
    {
        public void Visit(int register) => bits[register >> 6] |= 1UL << register;
    }

    static bool[] Side(FlowGraph g, int start, int join)
    {
        bool[] seen = new bool[g.Blocks.Count];
        if (start == join) return seen;
        Stack<int> todo = new([start]);
        seen[start] = true;
        while (todo.TryPop(out int n))
            foreach (int s in g.Blocks[n].Successors())
                if (s != join && !seen[s])
                {
                    seen[s] = true;
                    todo.Push(s);
                }
        return seen;
    }

    /// <summary>The nearest block that every way from a block to the end passes; -1 where there is none.</summary>
    static int[] PostDominators(FlowGraph g)
    {
        int count = g.Blocks.Count, words = (count + 63) / 64;
        ulong[][] sets = new ulong[count][];
        for (int n = 0; n < count; n++)
        {
            sets[n] = new ulong[words];
            Array.Fill(sets[n], ulong.MaxValue);
        }
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int n = count - 1; n >= 0; n--)
            {
                FlowBlock b = g.Blocks[n];
                ulong[] meet = new ulong[words];
                bool leaves = b.End is BlockEnd.Exit or BlockEnd.Return or BlockEnd.Trap, first = true;
                foreach (int s in b.Successors())
                {
                    for (int w = 0; w < words; w++) meet[w] = first ? sets[s][w] : meet[w] & sets[s][w];
                    first = false;
                }
                if (leaves) Array.Clear(meet);
                meet[n >> 6] |= 1UL << n;
                if (meet.AsSpan().SequenceEqual(sets[n])) continue;
                sets[n] = meet;
                changed = true;
            }
        }
        int[] nearest = new int[count], sizes = new int[count];
        for (int n = 0; n < count; n++)
            foreach (ulong w in sets[n]) sizes[n] += System.Numerics.BitOperations.PopCount(w);
        for (int n = 0; n < count; n++)
        {
            nearest[n] = -1;
            // Of all that post-dominate n, the nearest is post-dominated by all the others.
            int most = -1;
            for (int p = 0; p < count; p++)
            {
                if (p == n || (sets[n][p >> 6] >> p & 1) == 0) continue;
                if (sizes[p] > most) (most, nearest[n]) = (sizes[p], p);
            }
        }
        return nearest;
    }
}
