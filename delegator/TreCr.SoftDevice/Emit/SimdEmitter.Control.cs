using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Ends of blocks for a group in lockstep: where its lanes part, it goes on under masks or as threads.</summary>
sealed unsafe partial class SimdEmitter
{
    static bool IsBarrier(PtxInstruction i) => i.Name is "bar" or "barrier" && !i.Opcode.Has("warp");

    bool IsUniformGuard => current.Guard < 0 || shapes.IsUniform(current.Guard);

    void EmitGroupEnd(FlowBlock b)
    {
        int following = b.Index + 1;
        switch (b.End)
        {
            case BlockEnd.Branch when IsUniformGuard:
                EmitBranch(b, following);
                break;
            case BlockEnd.Branch:
            {
                LocalBuilder taken = Taken();
                Label all = il.NewLabel(), none = il.NewLabel();
                il.Ldloc(taken);
                il.Brfalse(none);
                il.Ldloc(taken);
                il.LdcI4(Full);
                il.Op(OpCodes.Beq, all);
                if (divergence is { } d && d.Masked[b.Index])
                {
                    if (!TryShortSides(b, taken)) Part(b, (b.Target, () => il.Ldloc(taken)), (b.Next, () => Others(taken)));
                }
                else Leave(() => (b.Target, () => il.Ldloc(taken)), (b.Next, () => Others(taken)));
                il.Mark(all);
                if (b.IsSpinEdge) EmitSpinEdge(b);
                GoTo(b.Target, -1);
                il.Mark(none);
                GoTo(b.Next, following);
                break;
            }
            case BlockEnd.Exit when IsUniformGuard:
                Guarded(b.Next, following, EmitGroupExit);
                break;
            case BlockEnd.Exit:
            {
                LocalBuilder gone = Taken();
                Label all = il.NewLabel(), none = il.NewLabel();
                il.Ldloc(gone);
                il.Brfalse(none);
                il.Ldloc(gone);
                il.LdcI4(Full);
                il.Op(OpCodes.Beq, all);
                if (divergence is not null)
                {
                    if (!TryShortSides(b, gone)) Part(b, (b.Next, () => Others(gone)), null);
                }
                else Leave(() => (b.Next, () => Others(gone)), null);
                il.Mark(all);
                EmitGroupExit();
                il.Mark(none);
                GoTo(b.Next, following);
                break;
            }
            case BlockEnd.Trap when IsUniformGuard:
                Guarded(b.Next, following, () => Fault(719, "trap"));
                break;
            case BlockEnd.Suspend when IsUniformGuard && IsBarrier(current):
                int barrier = BarrierNumber();
                Guarded(b.Target, -1, () =>
                {
                    SetGroup("Barrier", () => il.LdcI4(barrier));
                    SetGroup("Mask", () => il.LdcI4(Full));
                    SaveFor(b.Next);
                    SetGroup("Status", () => il.LdcI4((int)ThreadStatus.Barrier));
                    il.Br(next);
                });
                break;
            case BlockEnd.Suspend when IsUniformGuard:
                Guarded(b.Target, -1, () => EmitCollective(b));
                break;
            default: throw new NotVectorException(current.Opcode.Text);
        }
    }

    int BarrierNumber()
    {
        if (current.Opcode.Has("red") || current.Opcode.Has("cluster") || current.Operands.Length > 1 || current.Operands is [{ Kind: not OperandKind.Integer }]) throw new NotVectorException(current.Opcode.Text);
        return current.Operands.Length == 0 ? 0 : (int)current.Operands[0].Value & 15;
    }

    void EmitGroupExit()
    {
        if (usesGroups) SetGroup("Status", () => il.LdcI4((int)ThreadStatus.Done));
        il.Br(next);
    }

    private protected override void EmitYield(FlowBlock b)
    {
        // Lanes that go round a loop that may wait for others of the group: threads will do it.
        if (inMasked) { LeaveMasked(null); return; }
        SaveFor(b.Target);
        SetGroup("Status", () => il.LdcI4((int)ThreadStatus.Yielded));
        il.Br(next);
    }

    /// <summary>The lanes whose guard holds.</summary>
    LocalBuilder Taken()
    {
        LocalBuilder taken = Temporary(RegisterClass.I32);
        PushBits(PtxOperand.Reg(current.Guard), current.GuardNegated);
        il.Stloc(taken);
        return taken;
    }

    void Others(LocalBuilder lanesGone)
    {
        il.Ldloc(lanesGone);
        il.LdcI4(Full);
        il.Op(OpCodes.Xor);
    }

    /// <summary>A warp collective: the group is the warp and all its lanes are here. With a mask of fewer lanes they go on as threads, which wait for the others the mask names.</summary>
    void EmitCollective(FlowBlock b)
    {
        if (lanes != 32) throw new NotVectorException(current.Opcode.Text);
        PtxOpcode op = current.Opcode;
        (CollectiveKind kind, int maskAt) = Collective(op) ?? throw new NotVectorException(op.Text);
        bool hasResult = g.Blocks[b.Next].Body[0].Name == InstructionFacts.Collect;
        int after = hasResult ? g.Blocks[b.Next].Next : b.Next;
        if (maskAt >= 0)
        {
            PtxOperand members = Operand(maskAt);
            if (members.Kind == OperandKind.Register && !shapes.IsUniform(members.Register)) throw new NotVectorException(op.Text);
            Label some = il.NewLabel();
            Push(members, PtxType.U32);
            il.LdcI4(-1);
            il.Op(OpCodes.Bne_Un, some);
            PtxInstruction i = current;
            outOfLine.Add(() =>
            {
                il.Mark(some);
                current = i;
                LeaveWaiting(b, kind, members);
            });
        }
        switch (kind)
        {
            case CollectiveKind.WarpSync when InstructionFacts.IsDeviceFence(current):
                EmitFence(); // all lanes have stored
                break;
            case CollectiveKind.ShflUp or CollectiveKind.ShflDown or CollectiveKind.ShflBfly or CollectiveKind.ShflIdx:
                EmitShuffle(kind);
                break;
            case CollectiveKind.ActiveMask:
                il.LdcI4(-1);
                PopSame(Operand(0), PtxType.B32);
                break;
            case CollectiveKind.Ballot:
                PushBits(Operand(1), false);
                PopSame(Operand(0), PtxType.B32);
                break;
            case CollectiveKind.VoteAll or CollectiveKind.VoteAny or CollectiveKind.VoteUni:
                PushBits(Operand(1), false);
                Math(kind.ToString());
                PopSame(Operand(0), PtxType.Pred);
                break;
        }
        GoTo(after, -1);
    }

    /// <summary>Pops a result that is the same for all lanes, into a register that may have to be varying for another reason.</summary>
    void PopSame(PtxOperand d, PtxType type)
    {
        if (d.Kind != OperandKind.Register || !shapes.IsVarying(d.Register)) { Pop(d, type); return; }
        if (type == PtxType.Pred)
        {
            il.Op(OpCodes.Neg);
            il.LdcI4(Full);
            il.Op(OpCodes.And);
            PopBits(d.Register);
            return;
        }
        if (!Fits(d, type)) throw new NotVectorException(current.Opcode.Text);
        LocalBuilder one = Temporary(RegisterClass.I32);
        il.Stloc(one);
        Result(d.Register, typeof(int), _ =>
        {
            il.Ldloc(one);
            Broadcast(typeof(int));
        });
    }

    void LeaveWaiting(FlowBlock b, CollectiveKind kind, PtxOperand members)
    {
        LocalBuilder m = Bring(kind, members);
        ForRegisters(g.Blocks[b.Next].LiveIn, mentioned, Save);
        il.Ldarg(0);
        il.Ldloc(group);
        il.LdcI4(b.Next);
        il.LdcI4((int)kind);
        il.Ldloc(m);
        Call("LeaveGroupWaiting");
        il.Br(next);
    }

    /// <summary>Puts what the lanes bring to a collective into scratch memory, and the mask of its members into a local.</summary>
    LocalBuilder Bring(CollectiveKind kind, PtxOperand? members)
    {
        int values = kind switch { CollectiveKind.WarpSync or CollectiveKind.ActiveMask => 0, CollectiveKind.ShflUp or CollectiveKind.ShflDown or CollectiveKind.ShflBfly or CollectiveKind.ShflIdx => 3, _ => 1 };
        for (int n = 0; n < values; n++)
            if (values == 1) { ScratchAddress(0, 0); PushBits(Operand(1), false); il.Op(OpCodes.Stind_I4); }
            else
                for (int p = 0; p < Parts(typeof(int)); p++)
                {
                    PushVector(Operand(n + 1), PtxType.B32, p);
                    ScratchAddress(n, p * width.Bytes);
                    StoreVector(typeof(int));
                }
        LocalBuilder m = il.NewLocal(typeof(int));
        if (members is null) il.LdcI4(-1);
        else Push(members, PtxType.U32);
        il.Stloc(m);
        return m;
    }

    void EmitShuffle(CollectiveKind kind)
    {
        PtxOperand d = Operand(0);
        for (int p = 0; p < Parts(typeof(int)); p++)
        {
            PushVector(Operand(1), PtxType.B32, p);
            ScratchAddress(0, p * width.Bytes);
            StoreVector(typeof(int));
        }
        LocalBuilder valid = Temporary(RegisterClass.I32), table = Temporary(RegisterClass.I64);
        if (Operand(2).Kind == OperandKind.Integer && Operand(3).Kind == OperandKind.Integer)
        {
            (uint b, uint c) = ((uint)Operand(2).Value, (uint)Operand(3).Value);
            il.LdcI8((long)program.AddressOf(ConstantTables.Shuffle(kind, b, c)));
            il.Stloc(table);
            il.LdcI4((int)ConstantTables.ValidLanes(kind, b, c));
            il.Stloc(valid);
        }
        else
        {
            for (int n = 1; n <= 2; n++)
                for (int p = 0; p < Parts(typeof(int)); p++)
                {
                    PushVector(Operand(n + 1), PtxType.B32, p);
                    ScratchAddress(n, p * width.Bytes);
                    StoreVector(typeof(int));
                }
            il.Ldloc(scratch!);
            il.LdcI4((int)kind);
            Call("ShuffleIndices");
            il.Stloc(valid);
            ScratchAddress(3, 0);
            il.Op(OpCodes.Conv_I8);
            il.Stloc(table);
        }
        if (d.Kind != OperandKind.Sink)
            Result(d.Register, typeof(int), p =>
            {
                il.Ldloc(scratch!);
                il.Ldloc(table);
                il.LdcI8(p * width.Bytes);
                il.Add();
                il.Op(OpCodes.Conv_I);
                Math("GatherWords");
            });
        if (d.Register2 < 0) return;
        il.Ldloc(valid);
        il.Stloc(base.Local(d.Register2));
    }
}
