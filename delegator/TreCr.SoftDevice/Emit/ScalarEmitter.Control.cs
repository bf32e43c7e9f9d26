using System.Reflection;
using System.Reflection.Emit;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Backend;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Ends of blocks: branches, exits, calls, barriers and warp collectives.</summary>
unsafe partial class ScalarEmitter
{
    private protected void EmitEnd(FlowBlock b)
    {
        int following = b.Index + 1;
        switch (b.End)
        {
            case BlockEnd.Branch:
                EmitBranch(b, following);
                break;
            case BlockEnd.Indexed:
                Guarded(b.Next, following, () =>
                {
                    // Targets in other methods and the default go through stubs after the switch.
                    Label[] stubs = [.. b.Targets.Select(_ => il.NewLabel())];
                    PushI(0, PtxType.U32);
                    il.Switch(stubs);
                    Fault(717 + 1, "brx.idx out of range");
                    for (int n = 0; n < stubs.Length; n++)
                    {
                        il.Mark(stubs[n]);
                        GoTo(b.Targets[n], -1);
                    }
                });
                break;
            case BlockEnd.Exit:
                Guarded(b.Next, following, EmitExit);
                break;
            case BlockEnd.Return:
                Guarded(b.Next, following, () =>
                {
                    il.Ldloc(slot!);
                    il.Ldloc(frame!);
                    Call("Return");
                    il.Br(next);
                });
                break;
            case BlockEnd.Trap:
                Guarded(b.Next, following, () => Fault(719, "trap"));
                break;
            case BlockEnd.Suspend:
                Guarded(b.Target, -1, () => EmitSuspend(b));
                break;
            case BlockEnd.Call:
                Guarded(b.Target, -1, () => EmitCall(b));
                break;
        }
    }

    /// <summary>Does <paramref name="body"/>, or goes to <paramref name="otherwise"/> where the guard is false.</summary>
    private protected void Guarded(int otherwise, int following, Action body)
    {
        if (current.Guard < 0) { body(); return; }
        Label skip = il.NewLabel();
        EmitGuard(skip);
        body();
        il.Mark(skip);
        GoTo(otherwise, following);
    }

    private protected void EmitBranch(FlowBlock b, int following)
    {
        bool near = b.Target >= firstBlock && b.Target < endBlock && !b.IsSpinEdge;
        if (current.Guard < 0)
        {
            if (b.IsSpinEdge) EmitSpinEdge(b);
            GoTo(b.Target, following);
        }
        else if (near)
        {
            il.Ldloc(Local(current.Guard));
            il.Op(current.GuardNegated ? OpCodes.Brfalse : OpCodes.Brtrue, blockLabels[b.Target - firstBlock]);
            GoTo(b.Next, following);
        }
        else
        {
            Label stay = il.NewLabel();
            EmitGuard(stay);
            if (b.IsSpinEdge) EmitSpinEdge(b);
            GoTo(b.Target, -1);
            il.Mark(stay);
            GoTo(b.Next, following);
        }
    }

    /// <summary>After many rounds the thread gives way: another one may have to run before this loop can end.</summary>
    private protected void EmitSpinEdge(FlowBlock b)
    {
        Label go = il.NewLabel();
        il.Ldloc(spin!);
        il.LdcI4(1);
        il.Op(OpCodes.Sub);
        il.Stloc(spin!);
        il.Ldloc(spin!);
        il.LdcI4(0);
        il.Op(OpCodes.Bge, go);
        EmitYield(b);
        il.Mark(go);
    }

    private protected virtual void EmitYield(FlowBlock b)
    {
        SaveFor(b.Target);
        SetSlot("Status", () => il.LdcI4((int)ThreadStatus.Yielded));
        il.Br(next);
    }

    private protected void EmitExit()
    {
        if (program.UsesSlots) SetSlot("Status", () => il.LdcI4((int)ThreadStatus.Done));
        il.Br(next);
    }

    private protected void Fault(int error, string what)
    {
        il.Ldarg(0);
        il.Ldloc(thread);
        il.LdcI4(error);
        Call(what == "trap" ? "TrapFault" : "BranchFault");
        il.Op(OpCodes.Ldnull);
        il.Op(OpCodes.Throw);
    }

    private protected void EmitSuspend(FlowBlock b)
    {
        PtxOpcode op = current.Opcode;
        int status = (int)ThreadStatus.Warp;
        switch (op.Name)
        {
            case "bar" when op.Has("warp"):
                Kind(Collective(op));
                break;
            case "bar" or "barrier":
                if (op.Has("cluster")) throw Unsupported("clusters");
                status = (int)ThreadStatus.Barrier;
                EmitBarrier(op);
                break;
            case "shfl":
                Kind(Collective(op));
                SetSlot("Value", () => { PushI(1, PtxType.B32); Widen(); });
                SetSlot("A", () => PushI(2, PtxType.B32));
                SetSlot("B", () => PushI(3, PtxType.B32));
                break;
            case "vote":
                Kind(Collective(op));
                SetSlot("Value", () => { PushI(1, PtxType.Pred); Widen(); });
                break;
            case "match":
                Kind(op.Has("any") ? CollectiveKind.MatchAny : CollectiveKind.MatchAll, 2);
                SetSlot("Value", () => { PushI(1, op.Type); if (op.Type.Bits() < 64) Widen(); });
                break;
            case "redux":
                if (op.Type.IsFloat()) throw Unsupported();
                Kind(op.First("add", "min", "max", "and", "or", "xor") switch
                {
                    "add" => CollectiveKind.ReduxAdd, "and" => CollectiveKind.ReduxAnd, "or" => CollectiveKind.ReduxOr, "xor" => CollectiveKind.ReduxXor,
                    "min" => op.Type == PtxType.S32 ? CollectiveKind.ReduxMinS : CollectiveKind.ReduxMinU,
                    "max" => op.Type == PtxType.S32 ? CollectiveKind.ReduxMaxS : CollectiveKind.ReduxMaxU,
                    _ => throw Unsupported(),
                }, 2);
                SetSlot("Value", () => { PushI(1, PtxType.U32); Widen(); });
                break;
            case "activemask":
                Kind(Collective(op));
                break;
            case "membar" or "fence":
                EmitFence();
                Kind(Collective(op));
                break;
            case "mma" or "wmma" or "ldmatrix" or "stmatrix" or "movmatrix":
                EmitMatrix();
                break;
            default: throw Unsupported();
        }
        SaveFor(b.Next);
        SetSlot("Status", () => il.LdcI4(status));
        il.Br(next);
    }

    /// <summary>Collectives that lanes of a group can take part in as well, and the operand that names the members.</summary>
    /// <returns>operand -1: without a mask; null: another instruction</returns>
    private protected static (CollectiveKind Kind, int MaskOperand)? Collective(PtxOpcode op) => op.Name switch
    {
        "bar" => (CollectiveKind.WarpSync, 0),
        "membar" or "fence" => (CollectiveKind.WarpSync, -1),
        "shfl" => (op.First("up", "down", "bfly", "idx") switch { "up" => CollectiveKind.ShflUp, "down" => CollectiveKind.ShflDown, "bfly" => CollectiveKind.ShflBfly, _ => CollectiveKind.ShflIdx }, op.Has("sync") ? 4 : -1),
        "vote" => (op.First("all", "any", "uni", "ballot") switch { "all" => CollectiveKind.VoteAll, "any" => CollectiveKind.VoteAny, "uni" => CollectiveKind.VoteUni, _ => CollectiveKind.Ballot }, op.Has("sync") ? 2 : -1),
        "activemask" => (CollectiveKind.ActiveMask, -1),
        _ => null,
    };

    private protected void EmitFence() => il.Call(typeof(Interlocked).GetMethod("MemoryBarrier")!);

    private protected void Kind((CollectiveKind Kind, int MaskOperand)? collective) => Kind(collective!.Value.Kind, collective.Value.MaskOperand);

    /// <param name="maskOperand">-1: without a mask; whoever of the warp is there takes part</param>
    private protected void Kind(CollectiveKind kind, int maskOperand)
    {
        SetSlot("Kind", () => il.LdcI4((int)kind | (maskOperand < 0 ? BlockRunner.Opportunistic : 0)));
        // Nothing says what a mask without the lane itself does, so no test can see it changed.
        bool was = Arm(false);
        SetSlot("Mask", () => { if (maskOperand < 0) il.LdcI4(-1); else PushI(maskOperand, PtxType.U32); });
        Arm(was);
    }

    /// <summary>32 bits into a field of 64, the upper half of which nobody reads.</summary>
    private protected void Widen()
    {
        bool was = Arm(false);
        il.Op(OpCodes.Conv_U8);
        Arm(was);
    }

    private protected void EmitBarrier(PtxOpcode op)
    {
        int reduction = !op.Has("red") ? 0 : op.First("and", "or", "popc") switch { "and" => BlockRunner.ReduceAnd, "or" => BlockRunner.ReduceOr, "popc" => BlockRunner.ReducePopc, _ => throw Unsupported() };
        int at = reduction == 0 ? 0 : 1, count = current.Operands.Length - at - (reduction == 0 ? 0 : 1);
        SetSlot("Kind", () =>
        {
            // Any number serves as long as all threads use the same.
            bool was = Arm(false);
            if (count <= 0) il.LdcI4(0);
            else
            {
                PushI(at, PtxType.U32);
                il.LdcI4(15);
                il.Op(OpCodes.And);
            }
            Arm(was);
            il.LdcI4(reduction);
            il.Op(OpCodes.Or);
        });
        SetSlot("Mask", () => { if (count > 1) PushI(at + 1, PtxType.U32); else il.LdcI4(0); });
        if (reduction != 0) SetSlot("Value", () => { Push(current.Operands[^1], PtxType.Pred); Widen(); });
    }

    /// <summary>Takes the result of the collective or call that stopped the thread.</summary>
    private protected void EmitCollect()
    {
        PtxInstruction origin = current.Origin!;
        current = origin;
        if (origin.Name == "call") { EmitCallResults(); return; }
        if (origin.Name is "mma" or "wmma" or "ldmatrix" or "movmatrix") { CollectMatrix(); return; }
        PtxOperand d = origin.Operands[0];
        PtxType type = origin.Opcode.Type;
        if (type == PtxType.Pred)
        {
            Slot("Flag");
            Pop(d, PtxType.Pred);
            return;
        }
        if (d.Kind != OperandKind.Sink)
        {
            Slot("Result");
            il.Op(OpCodes.Conv_U4);
            PopRegister(d.Register, PtxType.B32);
        }
        if (d.Register2 < 0) return;
        Slot("Flag");
        PopRegister(d.Register2, PtxType.Pred);
    }

    private protected (PtxOperand? Returns, PtxOperand Target, PtxOperand? Arguments, PtxOperand? Prototype) CallParts()
    {
        PtxOperand[] o = current.Operands;
        int at = 0;
        PtxOperand? returns = o.Length > 0 && o[0].Kind == OperandKind.List ? o[at++] : null;
        if (at >= o.Length) throw new PtxException(PtxException.InvalidPtx, "call without a target", current.Line);
        PtxOperand target = o[at++];
        PtxOperand? arguments = at < o.Length && o[at].Kind == OperandKind.List ? o[at++] : null;
        return (returns, target, arguments, at < o.Length ? o[at] : null);
    }

    private protected PtxSignature SignatureOf(PtxOperand target, PtxOperand? prototype)
    {
        if (target.Kind == OperandKind.Symbol && program.Module.FunctionsByName.TryGetValue(target.Name!, out PtxFunction? callee)) return callee.Signature;
        if (prototype?.Name is { } name && f.Prototypes.TryGetValue(name, out PtxSignature? signature)) return signature;
        throw Unsupported("indirect call without a prototype");
    }

    private protected int ScopeOffset(PtxOperand o) => o.Name is { } name && g.CallParameterOffset.TryGetValue(name, out int at) ? at : throw Unsupported($"argument {o} of a call");

    private protected void EmitCall(FlowBlock b)
    {
        // A change in how frames are linked may run anything.
        Arm(false);
        (PtxOperand? returns, PtxOperand target, PtxOperand? arguments, PtxOperand? prototype) = CallParts();
        if (target.Kind == OperandKind.Symbol && program.Module.FunctionsByName.TryGetValue(target.Name!, out PtxFunction? callee) && callee.IsExtern)
        {
            EmitRuntimeCall(callee, returns, arguments);
            GoTo(b.Next, -1);
            return;
        }
        PtxSignature signature = SignatureOf(target, prototype);
        (_, int parameters, _) = FrameLayoutPass.Areas(signature);
        if ((arguments?.Elements.Length ?? 0) != signature.Parameters.Count) throw new PtxException(PtxException.InvalidPtx, "call with a wrong number of arguments", current.Line);
        LocalBuilder state = Temporary(RegisterClass.I32);
        if (target.Kind == OperandKind.Symbol) il.LdcI4(program.StateOf(target.Name!));
        else
        {
            program.NeedsIndirect = true;
            il.Ldarg(0);
            il.Ldloc(thread);
            Push(target, PtxType.U64);
            Call("ResolveFunction");
        }
        il.Stloc(state);
        il.Ldarg(0);
        il.Ldloc(thread);
        il.Ldloc(state);
        il.LdcI4(g.FrameBytes);
        il.LdcI4(g.LocalBytes);
        il.LdcI4(stateBase + b.Next);
        Call("PushFrame");
        for (int n = 0; n < signature.Parameters.Count; n++)
        {
            PtxVariable p = signature.Parameters[n];
            FrameAddress(g.FrameBytes + parameters + (int)p.Offset);
            FrameAddress(ScopeOffset(arguments!.Elements[n]));
            il.LdcI4((int)p.SizeBytes);
            il.Op(OpCodes.Cpblk);
        }
        SaveFor(b.Next);
        SetSlot("State", () => il.Ldloc(state));
        SetSlot("Frame", () => { Slot("Frame"); il.LdcI4(g.FrameBytes); il.Add(); });
        il.Br(next);
    }

    private protected void EmitCallResults()
    {
        Arm(false);
        (PtxOperand? returns, PtxOperand target, _, PtxOperand? prototype) = CallParts();
        if (returns is null || target.Kind == OperandKind.Symbol && program.Module.FunctionsByName.TryGetValue(target.Name!, out PtxFunction? callee) && callee.IsExtern) return;
        PtxSignature signature = SignatureOf(target, prototype);
        (int area, _, _) = FrameLayoutPass.Areas(signature);
        for (int n = 0; n < Math.Min(returns.Elements.Length, signature.Returns.Count); n++)
        {
            FrameAddress(ScopeOffset(returns.Elements[n]));
            FrameAddress(g.FrameBytes + area + (int)signature.Returns[n].Offset);
            il.LdcI4((int)signature.Returns[n].SizeBytes);
            il.Op(OpCodes.Cpblk);
        }
    }
}
