using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Short sides of branches: where lanes part for one block each at most and meet behind it (edges of a stencil, a step of a reduction), that block is repeated under masks at the end of the code for whole groups.
/// Registers stay where they are; to go to the masked method and come back took longer than the block.
/// </summary>
sealed unsafe partial class SimdEmitter
{
    /// <summary>Instructions of a side at most, and of all sides of a kernel.</summary>
    const int LongestSide = 32, MostInSides = 64;
    /// <summary>Where the lanes of a side go that ends the kernel.</summary>
    const int End = -1;

    int inSides, mostInSides = MostInSides;
    /// <summary>while a side is emitted: the block at which the lanes that are not on will go on</summary>
    int elsewhere;
    LocalBuilder? parted, sideLanes;

    /// <summary>The one block that follows, <see cref="End"/>, or null where it depends.</summary>
    static int? Following(FlowBlock b) => b.End switch
    {
        BlockEnd.Fall => b.Next,
        BlockEnd.Branch when b.Last!.Guard < 0 => b.Target,
        BlockEnd.Exit when b.Last!.Guard < 0 => End,
        _ => null,
    };

    /// <summary>Has the lanes that part at the end of a block run its short sides and go on together.</summary>
    /// <param name="taken">those that go to the branch's target, or end</param>
    /// <returns>false: a side is more than one short block</returns>
    bool TryShortSides(FlowBlock b, LocalBuilder taken)
    {
        FlowBlock other = g.Blocks[b.Next];
        FlowBlock? target = b.End == BlockEnd.Branch ? g.Blocks[b.Target] : null;
        int atTarget = target?.Index ?? End, join;
        if (b.IsSpinEdge) return false;
        if (Following(other) == atTarget) (target, join) = (null, atTarget);
        else if (target is null || Following(target) is not { } behind) return false;
        else if (behind == other.Index) (other, join) = (target, behind);
        else if (Following(other) == behind) join = behind;
        else return false;
        bool onlyTarget = other == target;
        int instructions = other.Body.Count + (onlyTarget ? 0 : target?.Body.Count ?? 0);
        if (instructions > LongestSide || inSides + instructions > mostInSides) return false;
        inSides += instructions;
        parted ??= il.NewLocal(typeof(int));
        sideLanes ??= il.NewLocal(typeof(int));
        Label parting = il.NewLabel();
        il.Ldloc(taken);
        il.Stloc(parted);
        il.Br(parting);
        outOfLine.Add(() =>
        {
            il.Mark(parting);
            if (onlyTarget) EmitSide(other, true, join);
            else
            {
                EmitSide(other, false, target?.Index ?? join);
                if (target is not null) EmitSide(target, true, join);
            }
            if (join == End) EmitGroupExit();
            else il.Br(blockLabels[join]);
        });
        return true;
    }

    void EmitSide(FlowBlock side, bool isTaken, int others)
    {
        if (isTaken) il.Ldloc(parted!);
        else Others(parted!);
        il.Stloc(sideLanes!);
        int known = outOfLine.Count;
        (due, elsewhere) = (sideLanes, others);
        EmitBody(side);
        ReleaseLocals();
        due = mask = null;
        for (int n = known; n < outOfLine.Count; n++)
        {
            Action emit = outOfLine[n];
            outOfLine[n] = () =>
            {
                (failedMasked, due) = (true, sideLanes);
                emit();
                (failedMasked, due) = (false, null);
            };
        }
    }
}
