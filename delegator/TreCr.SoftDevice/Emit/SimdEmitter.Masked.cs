using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// The second copy of a kernel, for groups whose lanes have parted: each block has a mask of the lanes that are due there, blocks run in layout order, and loops go back at their last block. Where all lanes
/// are due at one block, the first copy goes on. What would need more than that (waiting loops, barriers and collectives of some lanes) is left to single threads.
/// </summary>
sealed unsafe partial class SimdEmitter
{
    /// <summary>Offset in scratch memory of the masks of a group that leaves.</summary>
    const int MasksOffset = 48 * ScratchSlotBytes, MostBlocks = 1000;

    bool inMasked;
    LocalBuilder? due;
    LocalBuilder[] dueAt = [];
    LocalBuilder? waitState, waitKind, waitMembers, waiting;
    Label[] maskedLabels = [];
    Label leaveMasked;

    void PrepareMasks()
    {
        if (divergence is null) return;
        if (g.Blocks.Count > MostBlocks) throw new NotVectorException("too many blocks");
        due = il.NewLocal(typeof(int));
        waitState = il.NewLocal(typeof(int));
        waitKind = il.NewLocal(typeof(int));
        waitMembers = il.NewLocal(typeof(int));
        waiting = il.NewLocal(typeof(int));
        dueAt = [.. g.Blocks.Select(_ => il.NewLocal(typeof(int)))];
        maskedLabels = [.. g.Blocks.Select(_ => il.NewLabel())];
        leaveMasked = il.NewLabel();
        ClearMasks();
    }

    void ClearMasks()
    {
        foreach (LocalBuilder m in dueAt)
        {
            il.LdcI4(0);
            il.Stloc(m);
        }
    }

    /// <summary>From the first copy, or the start of a group: lanes are due at one block or two; no others are.</summary>
    void EnterMasked((int Block, Action Mask) one, (int Block, Action Mask)? two)
    {
        one.Mask();
        il.Stloc(dueAt[one.Block]);
        int first = one.Block;
        if (two is { } other)
        {
            other.Mask();
            il.Stloc(dueAt[other.Block]);
            first = other.Block < first ? other.Block : first;
        }
        il.Br(maskedLabels[first]);
    }

    void Due(int target, Action lanesDue)
    {
        il.Ldloc(dueAt[target]);
        lanesDue();
        il.Op(OpCodes.Or);
        il.Stloc(dueAt[target]);
    }

    void AllDue(int target) => Due(target, () => il.Ldloc(due!));

    void EmitMaskedCopy()
    {
        if (divergence is null) return;
        inMasked = true;
        foreach (FlowBlock b in Blocks)
        {
            Label after = il.NewLabel();
            il.Mark(maskedLabels[b.Index]);
            il.Ldloc(dueAt[b.Index]);
            il.Stloc(due!);
            il.Ldloc(due!);
            il.Brfalse(after);
            il.LdcI4(0);
            il.Stloc(dueAt[b.Index]);
            il.Ldloc(due!);
            il.LdcI4(Full);
            il.Op(OpCodes.Beq, blockLabels[b.Index]);
            int known = outOfLine.Count;
            EmitBody(b);
            current = b.Body[^1];
            EmitMaskedEnd(b);
            for (int n = known; n < outOfLine.Count; n++)
            {
                Action emit = outOfLine[n];
                outOfLine[n] = () =>
                {
                    failedMasked = true;
                    emit();
                    failedMasked = false;
                };
            }
            ReleaseLocals();
            il.Mark(after);
            foreach (int header in divergence.LoopsEndingAt[b.Index])
            {
                il.Ldloc(dueAt[header]);
                il.Brtrue(maskedLabels[header]);
            }
        }
        mask = null;
        inMasked = false;
        EmitGroupExit();
        EmitLeaveMasked();
    }

    void EmitMaskedEnd(FlowBlock b)
    {
        bool uniform = current.Guard < 0 || b.End == BlockEnd.Fall || shapes.IsUniform(current.Guard);
        switch (b.End)
        {
            case BlockEnd.Fall:
                AllDue(b.Next);
                break;
            case BlockEnd.Branch when uniform:
                UnlessGuarded(b.Next, () => AllDue(b.Target));
                break;
            case BlockEnd.Branch:
            {
                LocalBuilder taken = Taken();
                Due(b.Target, () => Both(taken, false));
                Due(b.Next, () => Both(taken, true));
                if (!divergence!.Masked[b.Index] && b.Target != b.Next)
                {
                    Label together = il.NewLabel();
                    Both(taken, false);
                    il.Brfalse(together);
                    Both(taken, true);
                    il.Brfalse(together);
                    LeaveMasked(null);
                    il.Mark(together);
                }
                break;
            }
            case BlockEnd.Exit when uniform:
                UnlessGuarded(b.Next, () => { });
                break;
            case BlockEnd.Exit:
            {
                LocalBuilder gone = Taken();
                Due(b.Next, () => Both(gone, true));
                break;
            }
            case BlockEnd.Trap when uniform:
                UnlessGuarded(b.Next, () =>
                {
                    il.Ldloc(firstThread);
                    il.Ldloc(due!);
                    il.Call(TrailingZeros);
                    il.Add();
                    il.Stloc(thread);
                    Fault(719, "trap");
                });
                break;
            case BlockEnd.Suspend when uniform && IsBarrier(current):
                UnlessGuarded(b.Target, () => MaskedBarrier(b));
                break;
            case BlockEnd.Suspend when uniform:
                UnlessGuarded(b.Target, () =>
                {
                    (CollectiveKind kind, int at) = Collective(current.Opcode) ?? throw new NotVectorException(current.Opcode.Text);
                    // Without members named, whoever is there takes part: threads decide.
                    LocalBuilder members = Bring(kind, at < 0 ? null : Operand(at));
                    Wait(b.Next, at < 0 ? (int)kind | BlockRunner.Opportunistic : (int)kind, () => il.Ldloc(members));
                });
                break;
            default: throw new NotVectorException(current.Opcode.Text);
        }
        if (b.IsSpinEdge) EmitSpinEdge(b);
    }

    /// <summary>The lanes due here whose bit is set in <paramref name="taken"/>, or is not.</summary>
    void Both(LocalBuilder taken, bool inverted)
    {
        il.Ldloc(taken);
        if (inverted) il.Op(OpCodes.Not);
        il.Ldloc(due!);
        il.Op(OpCodes.And);
    }

    void UnlessGuarded(int otherwise, Action body)
    {
        if (current.Guard < 0) { body(); return; }
        Label skip = il.NewLabel(), end = il.NewLabel();
        EmitGuard(skip);
        body();
        il.Br(end);
        il.Mark(skip);
        AllDue(otherwise);
        il.Mark(end);
    }

    void MaskedBarrier(FlowBlock b)
    {
        int barrier = BarrierNumber();
        // Are the others of the group elsewhere, they will come, or not, as threads.
        Label alone = il.NewLabel();
        il.LdcI4(0);
        foreach (LocalBuilder m in dueAt)
        {
            il.Ldloc(m);
            il.Op(OpCodes.Or);
        }
        il.Brfalse(alone);
        Wait(b.Next, BlockRunner.AtBarrier | barrier, () => il.LdcI4(0));
        il.Mark(alone);
        SetGroup("Barrier", () => il.LdcI4(barrier));
        SetGroup("Mask", () => il.Ldloc(due!));
        SaveFor(b.Next);
        SetGroup("State", () => il.LdcI4(b.Next + g.Blocks.Count));
        SetGroup("Status", () => il.LdcI4((int)ThreadStatus.Barrier));
        il.Br(next);
    }

    /// <summary>The group is given up; the lanes due at this block wait as threads.</summary>
    void Wait(int state, int kind, Action members)
    {
        il.LdcI4(state);
        il.Stloc(waitState!);
        il.LdcI4(kind);
        il.Stloc(waitKind!);
        members();
        il.Stloc(waitMembers!);
        il.Ldloc(due!);
        il.Stloc(waiting!);
        il.Br(leaveMasked);
    }

    /// <summary>The group is given up; lanes may be due at one more block.</summary>
    void LeaveMasked((int Block, Action Mask)? more)
    {
        if (more is { } one)
        {
            one.Mask();
            il.Stloc(dueAt[one.Block]);
        }
        il.LdcI4(0);
        il.Stloc(waiting!);
        il.Br(leaveMasked);
    }

    void EmitLeaveMasked()
    {
        il.Mark(leaveMasked);
        for (int n = 0; n < dueAt.Length; n++)
        {
            il.Ldloc(scratch!);
            il.LdcI4(MasksOffset + n * 4);
            il.Op(OpCodes.Conv_I);
            il.Add();
            il.Ldloc(dueAt[n]);
            il.Op(OpCodes.Stind_I4);
        }
        for (int r = 0; r < layout.Offset.Length; r++)
            if (layout.Offset[r] >= 0 && (mentioned[r >> 6] >> r & 1) != 0) Save(r);
        il.Ldarg(0);
        il.Ldloc(group);
        il.Ldloc(scratch!);
        il.LdcI4(MasksOffset);
        il.Op(OpCodes.Conv_I);
        il.Add();
        il.Ldloc(waitState!);
        il.Ldloc(waitKind!);
        il.Ldloc(waitMembers!);
        il.Ldloc(waiting!);
        Call("LeaveMasked");
        ClearMasks();
        il.Br(next);
    }
}
