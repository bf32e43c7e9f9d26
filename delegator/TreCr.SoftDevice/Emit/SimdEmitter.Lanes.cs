using System.Numerics;
using System.Reflection;
using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>What has no vector form is done one lane after the other, by the scalar emitter's code: vectors go to scratch memory and come back.</summary>
sealed unsafe partial class SimdEmitter
{
    static readonly MethodInfo TrailingZeros = typeof(BitOperations).GetMethod("TrailingZeroCount", [typeof(uint)])!;

    readonly struct Collector(List<int> list) : IRegisterVisitor
    {
        public void Visit(int register)
        {
            if (!list.Contains(register)) list.Add(register);
        }
    }

    void EmitPerLane(PtxInstruction i, bool special)
    {
        List<int> sources = [], targets = [];
        Collector d = new(targets);
        foreach (PtxOperand o in i.Operands.Skip(InstructionFacts.WritesFirst(i) ? 1 : 0)) Mention(o, sources);
        InstructionFacts.ForDefs(i, ref d);
        if (targets.Exists(r => !shapes.IsVarying(r))) throw new NotVectorException(i.Opcode.Text);
        bool isUnrolled = CanUnroll(i, targets);
        if (due is null && !isUnrolled) laneWeight += blockWeight;
        // Compilers write atom where nobody reads the old value.
        HashSet<int> unread = [.. targets.Where(r => (read[r >> 6] >> r & 1) == 0)];
        Dictionary<int, int> place = [];
        foreach (int r in sources.Concat(targets).Distinct())
        {
            if (!shapes.IsVarying(r) || g.Classes[r] == RegisterClass.Pred || unread.Contains(r) && !sources.Contains(r)) continue;
            place[r] = place.Count;
            if (sources.Contains(r) || mask is not null) ToScratch(r, place[r]);
        }
        Label end = il.NewLabel();
        if (isUnrolled)
        {
            Label slow = il.NewLabel();
            EmitLaneChecks(i, slow);
            EmitSideBySide(i, place, end);
            if (!TryWords(i)) EmitLanes(i, sources, [.. targets.Where(r => !unread.Contains(r))], place);
            // Needless where nothing was checked; the compiler drops what nobody reaches.
            il.Br(end);
            il.Mark(slow);
        }
        LocalBuilder left = Temporary(RegisterClass.I32);
        Dictionary<int, LocalBuilder> results = [];
        foreach (int r in targets.Where(r => g.Classes[r] == RegisterClass.Pred))
        {
            results[r] = Temporary(RegisterClass.I32);
            if (mask is null) il.LdcI4(0);
            else
            {
                il.Ldloc(base.Local(r));
                il.Ldloc(mask);
                il.Op(OpCodes.Not);
                il.Op(OpCodes.And);
            }
            il.Stloc(results[r]);
        }
        if (mask is null) il.LdcI4(Full); else il.Ldloc(mask);
        il.Stloc(left);
        Label again = il.NewLabel();
        il.Mark(again);
        il.Ldloc(left);
        il.Call(TrailingZeros);
        il.Stloc(lane!);
        il.Ldloc(left);
        il.Ldloc(left);
        il.LdcI4(1);
        il.Op(OpCodes.Sub);
        il.Op(OpCodes.And);
        il.Stloc(left);
        il.Ldloc(firstThread);
        il.Ldloc(lane!);
        il.Add();
        il.Stloc(thread);
        bool tid = special && usesTid, local = usesLocal;
        if (tid) LoadTid();
        if (local) LoadLocalBase();
        laneLocals.Clear();
        foreach (int r in sources.Concat(targets).Distinct())
        {
            if (shapes.IsUniform(r)) continue;
            LocalBuilder one = laneLocals[r] = Temporary(g.Classes[r]);
            if (!sources.Contains(r)) continue;
            if (g.Classes[r] == RegisterClass.Pred)
            {
                il.Ldloc(base.Local(r));
                il.Ldloc(lane!);
                il.Op(OpCodes.Shr_Un);
                il.LdcI4(1);
                il.Op(OpCodes.And);
            }
            else if (shapes.IsVarying(r))
            {
                LaneAddress(place[r], g.Classes[r]);
                il.Op(g.Classes[r] switch { RegisterClass.I64 => OpCodes.Ldind_I8, RegisterClass.F32 => OpCodes.Ldind_R4, RegisterClass.F64 => OpCodes.Ldind_R8, _ => OpCodes.Ldind_I4 });
            }
            else
            {
                il.Ldloc(base.Local(r));
                il.Ldloc(lane!);
                il.LdcI4((int)shapes.Stride[r]);
                il.Op(OpCodes.Mul);
                if (g.Classes[r] == RegisterClass.I64) il.Op(OpCodes.Conv_I8);
                il.Add();
            }
            il.Stloc(one);
        }
        inLane = true;
        EmitInstruction(i);
        inLane = false;
        targets.RemoveAll(unread.Contains);
        foreach (int r in targets)
        {
            if (g.Classes[r] == RegisterClass.Pred)
            {
                il.Ldloc(results[r]);
                il.Ldloc(laneLocals[r]);
                il.Ldloc(lane!);
                il.Op(OpCodes.Shl);
                il.Op(OpCodes.Or);
                il.Stloc(results[r]);
                continue;
            }
            LaneAddress(place[r], g.Classes[r]);
            il.Ldloc(laneLocals[r]);
            il.Op(g.Classes[r] switch { RegisterClass.I64 => OpCodes.Stind_I8, RegisterClass.F32 => OpCodes.Stind_R4, RegisterClass.F64 => OpCodes.Stind_R8, _ => OpCodes.Stind_I4 });
        }
        il.Ldloc(left);
        il.Brtrue(again);
        il.Ldloc(firstThread);
        il.Stloc(thread);
        if (tid) LoadTid();
        if (local) LoadLocalBase();
        foreach (int r in targets)
        {
            if (g.Classes[r] == RegisterClass.Pred)
            {
                il.Ldloc(results[r]);
                il.Stloc(base.Local(r));
                continue;
            }
            Type t = ElementOf(g.Classes[r]);
            LocalBuilder[] parts = Vector(r);
            for (int p = 0; p < parts.Length; p++)
            {
                ScratchAddress(place[r], p * width.Bytes);
                LoadVector(t);
                il.Stloc(parts[p]);
            }
        }
        il.Mark(end);
    }

    static void Mention(PtxOperand o, List<int> list)
    {
        Collector c = new(list);
        if (o.Register >= 0) c.Visit(o.Register);
        if (o.Register2 >= 0) c.Visit(o.Register2);
        foreach (PtxOperand e in o.Elements) if (e.Register >= 0) c.Visit(e.Register);
    }

    void ToScratch(int register, int place)
    {
        LocalBuilder[] parts = Vector(register);
        for (int p = 0; p < parts.Length; p++)
        {
            il.Ldloc(parts[p]);
            ScratchAddress(place, p * width.Bytes);
            StoreVector(ElementOf(g.Classes[register]));
        }
    }

    void ScratchAddress(int place, int offset)
    {
        il.Ldloc(scratch!);
        il.LdcI4(place * ScratchSlotBytes + offset);
        il.Op(OpCodes.Conv_I);
        il.Add();
    }

    void LaneAddress(int place, RegisterClass c)
    {
        ScratchAddress(place, 0);
        il.Ldloc(lane!);
        il.LdcI4(c is RegisterClass.I64 or RegisterClass.F64 ? 8 : 4);
        il.Op(OpCodes.Mul);
        il.Op(OpCodes.Conv_I);
        il.Add();
    }
}
