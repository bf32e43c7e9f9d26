using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// The code for groups whose lanes have parted, a method of its own that RyuJIT compiles when it happens first: each block has a mask of the lanes that are due there, blocks run in layout order, and loops go back at
/// their last block. The masks stand in scratch memory, registers come and go in the group's frame. Where lanes that parted are together again, the code without masks goes on. What would need more than that (waiting
/// loops, barriers and collectives of some lanes) is left to single threads.
/// </summary>
/// <remarks>In one method with the code without masks it pushed that code's values out of the processor's registers, and doubled the time to compile kernels whose lanes never part.</remarks>
sealed unsafe partial class SimdEmitter
{
    const int MostBlocks = 1000;
    /// <summary>Times that a group goes back out of a loop to the code without masks; one whose lanes part again and again stays with the masks until the loop has ended.</summary>
    const int MostReturns = 4;

    readonly bool inMasked;
    LocalBuilder? due, entry;
    LocalBuilder? waitState, waitKind, waitMembers, waiting;
    Label[] maskedLabels = [];
    Label leaveMasked, enterMasked;

    void PrepareMasks()
    {
        if (divergence is null) return;
        if (g.Blocks.Count > MostBlocks) throw new NotVectorException("too many blocks");
        entry = il.NewLocal(typeof(int));
        if (!inMasked) { enterMasked = il.NewLabel(); return; }
        due = il.NewLocal(typeof(int));
        waitState = il.NewLocal(typeof(int));
        waitKind = il.NewLocal(typeof(int));
        waitMembers = il.NewLocal(typeof(int));
        waiting = il.NewLocal(typeof(int));
        maskedLabels = [.. g.Blocks.Select(_ => il.NewLabel())];
        leaveMasked = il.NewLabel();
    }

    /// <summary>The place of a block's mask in scratch memory; all are 0 outside of masked code.</summary>
    void DueAddress(int block) => ScratchByte(SimdVariant.MasksOffset + block * sizeof(int));

    void ScratchByte(int offset)
    {
        il.Ldloc(scratch!);
        il.LdcI4(offset);
        il.Op(OpCodes.Conv_I);
        il.Add();
    }

    void LoadDue(int block)
    {
        DueAddress(block);
        il.Op(OpCodes.Ldind_I4);
    }

    void SetDue(int block, Action lanesDue)
    {
        DueAddress(block);
        lanesDue();
        il.Op(OpCodes.Stind_I4);
    }

    /// <summary>Registers that are needed where lanes go on that part at the end of a block, and the first of these blocks.</summary>
    (ulong[] Live, int First) Parting(FlowBlock b)
    {
        ulong[] live = [.. g.Blocks[b.Next].LiveIn];
        if (b.End != BlockEnd.Branch) return (live, b.Next);
        for (int w = 0; w < live.Length; w++) live[w] |= g.Blocks[b.Target].LiveIn[w];
        return (live, System.Math.Min(b.Next, b.Target));
    }

    /// <summary>Lanes part at the end of a block.</summary>
    void Part(FlowBlock b, (int Block, Action Mask) one, (int Block, Action Mask)? two)
    {
        SetDue(one.Block, one.Mask);
        if (two is { } other) SetDue(other.Block, other.Mask);
        Label parting = il.NewLabel();
        il.Br(parting);
        // At the end of the method: it makes loops long.
        outOfLine.Add(() =>
        {
            il.Mark(parting);
            ForRegisters(Parting(b).Live, mentioned, Save);
            GoMasked(b.Index);
        });
    }

    /// <summary>From the code without masks: lanes are due at one block or two; no others are. What they need lies in the group's frame.</summary>
    /// <param name="way">the block at whose end they part; from the number of blocks on: all that there are go on at that block</param>
    void EnterMasked(int way, (int Block, Action Mask) one, (int Block, Action Mask)? two)
    {
        SetDue(one.Block, one.Mask);
        if (two is { } other) SetDue(other.Block, other.Mask);
        GoMasked(way);
    }

    void GoMasked(int way)
    {
        il.LdcI4(way);
        il.Stloc(entry!);
        il.Br(enterMasked);
    }

    /// <summary>Calls the masked code, and goes on where all lanes have met.</summary>
    void EmitMaskedCall()
    {
        if (divergence is null) return;
        il.Mark(enterMasked);
        il.Ldarg(0);
        il.Ldloc(group);
        il.Ldloc(entry!);
        Call("RunMasked");
        if (!divergence.Joins.Contains(true)) { il.Op(OpCodes.Pop); il.Br(next); return; }
        il.Stloc(entry!);
        // All that any of them needs: a list for each of them was as long as the masked code itself.
        ulong[] needed = new ulong[mentioned.Length];
        foreach (FlowBlock b in Blocks)
            for (int w = 0; divergence.Joins[b.Index] && w < needed.Length; w++) needed[w] |= b.LiveIn[w];
        ForRegisters(needed, mentioned, Restore);
        il.Ldloc(entry!);
        il.Switch([.. g.Blocks.Select(b => divergence.Joins[b.Index] ? blockLabels[b.Index] : next)]);
        il.Br(next);
    }

    void Due(int target, Action lanesDue)
    {
        DueAddress(target);
        LoadDue(target);
        lanesDue();
        il.Op(OpCodes.Or);
        il.Op(OpCodes.Stind_I4);
    }

    void AllDue(int target) => Due(target, () => il.Ldloc(due!));

    /// <summary>Registers out of the group's frame, the blocks, and -1 at the end: nothing is left to do for the group now.</summary>
    void EmitMaskedMethod()
    {
        EmitHoists();
        DeclareLocals();
        il.Ldarg(1);
        il.Stloc(group);
        EmitThreadStart();
        // How often the group has been here.
        ScratchByte(SimdVariant.EntriesOffset);
        il.Op(OpCodes.Ldind_I4);
        il.LdcI4(1);
        il.Add();
        il.Stloc(entry!);
        ScratchByte(SimdVariant.EntriesOffset);
        il.Ldloc(entry!);
        il.Op(OpCodes.Stind_I4);
        int count = g.Blocks.Count;
        Label[] ways = new Label[2 * count];
        Array.Fill(ways, next);
        ulong[] needed = new ulong[mentioned.Length];
        void Way(int number, ulong[] live, int first)
        {
            for (int w = 0; w < live.Length; w++) needed[w] |= live[w];
            ways[number] = maskedLabels[first];
        }
        Way(count, g.Blocks[0].LiveIn, 0);
        foreach (FlowBlock b in Blocks)
        {
            if (b.Last is { Guard: >= 0 } last && !shapes.IsUniform(last.Guard) && (b.End == BlockEnd.Exit || b.End == BlockEnd.Branch && divergence!.Masked[b.Index]))
            {
                (ulong[] live, int first) = Parting(b);
                Way(b.Index, live, first);
            }
            if (b.End == BlockEnd.Suspend && IsBarrier(b.Body[^1])) Way(count + b.Next, g.Blocks[b.Next].LiveIn, b.Next);
        }
        ForRegisters(needed, mentioned, Restore);
        il.Ldarg(2);
        il.Switch(ways);
        il.Br(next);
        EmitMaskedBlocks();
        failedMasked = true;
        for (int n = 0; n < outOfLine.Count; n++) outOfLine[n]();
        il.Mark(next);
        il.LdcI4(-1);
        il.Ret();
    }

    void EmitMaskedBlocks()
    {
        bool[] inLoop = InLoops();
        foreach (FlowBlock b in Blocks)
        {
            Label after = il.NewLabel();
            il.Mark(maskedLabels[b.Index]);
            LoadDue(b.Index);
            il.Stloc(due!);
            il.Ldloc(due!);
            il.Brfalse(after);
            SetDue(b.Index, () => il.LdcI4(0));
            if (divergence!.Joins[b.Index]) EmitTogether(b.Index, inLoop[b.Index]);
            EmitBody(b);
            current = b.Body[^1];
            EmitMaskedEnd(b);
            ReleaseLocals();
            il.Mark(after);
            foreach (int header in divergence.LoopsEndingAt[b.Index])
            {
                LoadDue(header);
                il.Brtrue(maskedLabels[header]);
            }
        }
        EmitGroupExit();
        EmitLeaveMasked();
    }

    bool[] InLoops()
    {
        bool[] inLoop = new bool[g.Blocks.Count];
        foreach (FlowBlock b in Blocks)
            foreach (int header in divergence!.LoopsEndingAt[b.Index]) Array.Fill(inLoop, true, header, b.Index - header + 1);
        return inLoop;
    }

    /// <summary>A group begins, or goes on behind a barrier: it may leave loops of masked code so many times again.</summary>
    void EmitNoEntries()
    {
        if (divergence is not { } d || !InLoops().Zip(d.Joins).Contains((true, true))) return;
        ScratchByte(SimdVariant.EntriesOffset);
        il.LdcI4(0);
        il.Op(OpCodes.Stind_I4);
    }

    /// <summary>Where all lanes are here, the code without masks goes on.</summary>
    void EmitTogether(int at, bool isInLoop)
    {
        Label stay = il.NewLabel(), together = il.NewLabel();
        il.Ldloc(due!);
        il.LdcI4(Full);
        il.Op(OpCodes.Bne_Un, stay);
        if (isInLoop)
        {
            il.Ldloc(entry!);
            il.LdcI4(MostReturns);
            il.Op(OpCodes.Bgt, stay);
        }
        il.Br(together);
        il.Mark(stay);
        outOfLine.Add(() =>
        {
            il.Mark(together);
            ForRegisters(g.Blocks[at].LiveIn, mentioned, Save);
            il.LdcI4(at);
            il.Ret();
        });
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
        for (int n = 0; n < g.Blocks.Count; n++)
        {
            LoadDue(n);
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
        if (more is { } one) SetDue(one.Block, one.Mask);
        il.LdcI4(0);
        il.Stloc(waiting!);
        il.Br(leaveMasked);
    }

    void EmitLeaveMasked()
    {
        il.Mark(leaveMasked);
        for (int r = 0; r < layout.Offset.Length; r++)
            if (layout.Offset[r] >= 0 && (mentioned[r >> 6] >> r & 1) != 0) Save(r);
        il.Ldarg(0);
        il.Ldloc(group);
        il.Ldloc(waitState!);
        il.Ldloc(waitKind!);
        il.Ldloc(waitMembers!);
        il.Ldloc(waiting!);
        Call("LeaveMasked");
        il.Br(next);
    }
}
