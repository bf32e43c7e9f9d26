using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Accesses whose lanes lie anywhere (gathers, bytes at a stride, shared-memory atomics): the addresses are checked together, as vectors, and each lane's access follows without a loop. Where an address does not pass,
/// the loop over lanes (SimdEmitter.Lanes) does the same with its own checks, and names the lane.
/// </summary>
sealed unsafe partial class SimdEmitter
{
    /// <summary>Such accesses of a kernel at most: each is about two hundred IL instructions.</summary>
    const int MostUnrolled = 12;
    /// <summary>Instructions of a kernel in which they are worth it outside of loops too.</summary>
    const int SmallKernel = 100;
    int unrolled, mostUnrolled = MostUnrolled;

    bool CanUnroll(PtxInstruction i, List<int> targets)
    {
        PtxOpcode op = i.Opcode;
        if (mask is not null || inMasked || unrolled >= mostUnrolled || blockWeight <= 1 && f.Body.Count > SmallKernel || i.Name is not ("ld" or "ldu" or "st" or "atom" or "red") || op.Vector != 1 || op.Type is PtxType.None or PtxType.B128
            || op.Space is not (PtxSpace.Global or PtxSpace.Generic or PtxSpace.Const or PtxSpace.Shared) || targets.Exists(r => g.Classes[r] == RegisterClass.Pred)) return false;
        foreach (PtxOperand o in i.Operands)
        {
            if (o.Kind is OperandKind.Special or OperandKind.Vector or OperandKind.List || o.Register2 >= 0) return false;
            if (o.Register >= 0 && g.Classes[o.Register] == RegisterClass.Pred) return false;
            if (o.Kind != OperandKind.Memory) continue;
            if (o.Name is not null || o.Register < 0 || f.Registers[o.Register].Type.Bits() is not 64 && !(op.Space == PtxSpace.Shared && f.Registers[o.Register].Type.Bits() == 32)) return false;
            long stride = shapes.Stride[o.Register];
            if (stride == 0 || stride != Shapes.Varying && stride % op.Type.Bytes() != 0) return false;
        }
        return true;
    }

    /// <summary>Goes to <paramref name="slow"/> where some lane's address does not pass.</summary>
    void EmitLaneChecks(PtxInstruction i, Label slow)
    {
        if (!program.Checked || program.Proven.Contains(i)) return;
        PtxOperand m = i.Operands.First(o => o.Kind == OperandKind.Memory);
        int bytes = i.Opcode.Type.Bytes(), k = Log2(bytes);
        bool shared = i.Opcode.Space == PtxSpace.Shared;
        long low = 0;
        if (!shared && groups.TryGetValue(i, out AccessGroup? accesses))
        {
            // The first of a group has looked for all of them. The window ends a group's width early, so the lowest address of each lane is enough.
            if (accesses.First != i) return;
            low = accesses.LowOffset - m.Value;
        }
        LocalBuilder limit = shared ? sharedLimit[k]! : windowLimit[k]!;
        long stride = shapes.Stride[m.Register];
        if (stride != Shapes.Varying)
        {
            LocalBuilder address = Temporary(RegisterClass.I64);
            EffectiveAddress(m);
            il.Stloc(address);
            // Both ends inside, and less than the address space apart: all between them are.
            foreach (long at in (long[])[low, low + stride * (lanes - 1)])
            {
                il.Ldloc(address);
                il.LdcI8(at);
                il.Add();
                if (!shared)
                {
                    il.Ldloc(windowBase!);
                    il.Op(OpCodes.Sub);
                }
                il.LdcI4(k);
                il.Call(RotateRight64);
                il.Ldloc(limit);
                il.Op(OpCodes.Bge_Un, slow);
            }
            return;
        }
        bool narrow = f.Registers[m.Register].Type.Bits() == 32;
        Type t = narrow ? typeof(int) : typeof(long);
        string suffix = narrow ? "S32" : "S64";
        // Distances from the window's start, less 2^63 (2^31), so that signed comparison is unsigned; inside: all below the limit; low bits: all of them zero.
        LocalBuilder distance = TemporaryVectors(t, 1)[0], inside = TemporaryVectors(t, 1)[0], aligned = TemporaryVectors(t, 1)[0], origin = Temporary(RegisterClass.I64);
        il.LdcI8(m.Value + low);
        if (!shared)
        {
            il.Ldloc(windowBase!);
            il.Op(OpCodes.Sub);
        }
        il.Stloc(origin);
        for (int p = 0; p < Parts(t); p++)
        {
            PushVector(PtxOperand.Reg(m.Register), narrow ? PtxType.B32 : PtxType.B64, p);
            il.Ldloc(origin);
            Math("Distance" + suffix);
            il.Stloc(distance);
            il.Ldloc(distance);
            il.Ldloc(limit);
            il.LdcI4(k);
            Math("Below" + suffix);
            if (p > 0) { il.Ldloc(inside); Math("And" + suffix); }
            il.Stloc(inside);
            il.Ldloc(distance);
            if (p > 0) { il.Ldloc(aligned); Math("Or" + suffix); }
            il.Stloc(aligned);
        }
        il.Ldloc(inside);
        il.Ldloc(aligned);
        il.LdcI8(bytes - 1);
        Math("IsInside" + suffix);
        il.Brfalse(slow);
    }

    /// <summary>
    /// Addresses that no rule of <see cref="ShapePass"/> covers may lie side by side all the same (a counter behind a loop that its lanes left at different times): then one access does for all lanes, and
    /// <paramref name="done"/> is next. Any alignment and bounds were seen to before.
    /// </summary>
    void EmitSideBySide(PtxInstruction i, Dictionary<int, int> place, Label done)
    {
        PtxType type = i.Opcode.Type;
        bool loads = i.Name is "ld" or "ldu";
        if (!loads && i.Name != "st" || i.Opcode.Space == PtxSpace.Shared || !IsLane(type)) return;
        PtxOperand m = i.Operands[loads ? 1 : 0], v = i.Operands[loads ? 0 : 1];
        if (!shapes.IsVarying(m.Register) || !Fits(v, type) || loads && (v.Kind != OperandKind.Register || !shapes.IsVarying(v.Register))) return;
        LocalBuilder first = Temporary(RegisterClass.I64), same = TemporaryVectors(typeof(long), 1)[0];
        ScratchAddress(place[m.Register], 0);
        il.Op(OpCodes.Ldind_I8);
        il.Stloc(first);
        for (int p = 0; p < Parts(typeof(long)); p++)
        {
            PushVector(PtxOperand.Reg(m.Register), PtxType.B64, p);
            il.Ldloc(first);
            il.LdcI8((long)program.AddressOf(ConstantTables.Multiples(type.Bytes(), 8)) + p * width.Bytes);
            il.Op(OpCodes.Conv_I);
            LoadVector(typeof(long));
            Math("IsAtS64");
            if (p > 0) { il.Ldloc(same); Math("AndS64"); }
            il.Stloc(same);
        }
        Label apart = il.NewLabel();
        il.Ldloc(same);
        Math("AllS64");
        il.Brfalse(apart);
        il.Ldloc(first);
        il.LdcI8(m.Value);
        il.Add();
        il.Stloc(first);
        Type t = ElementFor(type);
        if (loads) Result(v.Register, t, p => { Pointer(first, p); LoadVector(t); });
        else
            for (int p = 0; p < Parts(t); p++)
            {
                PushVector(v, type, p);
                Pointer(first, p);
                StoreVector(t);
            }
        il.Br(done);
        il.Mark(apart);
    }

    /// <summary>
    /// Bytes or halves that lie one word apart: the words that hold them are loaded as one access, and shifted. A word of which one byte is there is in memory as a whole. Any alignment and bounds were seen to before.
    /// </summary>
    /// <returns>false: they do not lie so</returns>
    bool TryWords(PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        if (i.Name != "ld" || op.Type.Bits() >= 32 || op.Space == PtxSpace.Shared || i.Operands[0].Kind != OperandKind.Register) return false;
        PtxOperand m = i.Operands[1];
        int register = i.Operands[0].Register, bits = op.Type.Bits();
        if (shapes.Stride[m.Register] != sizeof(int) || g.Classes[register] != RegisterClass.I32 || f.Registers[register].Type.Bits() != 32) return false;
        LocalBuilder pointer = Temporary(RegisterClass.I64), shift = Temporary(RegisterClass.I32);
        EffectiveAddress(m);
        il.Stloc(pointer);
        il.Ldloc(pointer);
        il.Op(OpCodes.Conv_I4);
        il.LdcI4(sizeof(int) - 1);
        il.Op(OpCodes.And);
        il.LdcI4(8);
        il.Op(OpCodes.Mul);
        il.Stloc(shift);
        il.Ldloc(pointer);
        il.LdcI8(-sizeof(int));
        il.Op(OpCodes.And);
        il.Stloc(pointer);
        EmitPrefetch(m, pointer, sizeof(int));
        void Shift(int by, string how)
        {
            il.LdcI4(by);
            Broadcast(typeof(int));
            Math(how);
        }
        Result(register, typeof(int), p =>
        {
            Pointer(pointer, p);
            LoadVector(typeof(int));
            il.Ldloc(shift);
            Broadcast(typeof(int));
            Math("ShrU32");
            Shift(32 - bits, "Shl32");
            Shift(32 - bits, op.Type.IsSigned() ? "ShrS32" : "ShrU32");
        });
        return true;
    }

    /// <summary>One lane's registers as scalars, from scratch memory.</summary>
    void LoadLane(IEnumerable<int> sources, Dictionary<int, int> place, int k)
    {
        foreach (int r in sources)
        {
            if (shapes.IsUniform(r)) continue;
            RegisterClass c = g.Classes[r];
            if (shapes.IsVarying(r))
            {
                ScratchAddress(place[r], k * SizeOf(ElementOf(c)));
                LoadScalar(c);
            }
            else
            {
                il.Ldloc(base.Local(r));
                if (c == RegisterClass.I64) il.LdcI8(shapes.Stride[r] * k);
                else il.LdcI4((int)(shapes.Stride[r] * k));
                il.Add();
            }
            il.Stloc(laneLocals[r]);
        }
    }

    void LoadScalar(RegisterClass c) => il.Op(c switch { RegisterClass.I64 => OpCodes.Ldind_I8, RegisterClass.F32 => OpCodes.Ldind_R4, RegisterClass.F64 => OpCodes.Ldind_R8, _ => OpCodes.Ldind_I4 });

    /// <summary>All lanes one after the other, without a check; what they read is in scratch memory, what they give goes to <paramref name="results"/>.</summary>
    void EmitLanes(PtxInstruction i, List<int> sources, List<int> results, Dictionary<int, int> place)
    {
        unrolled++;
        laneLocals.Clear();
        foreach (int r in sources)
            if (!shapes.IsUniform(r)) laneLocals[r] = Temporary(g.Classes[r]);
        int each = results.Count == 0 ? lanes : width.Bytes / SizeOf(ElementOf(g.Classes[results[0]]));
        LocalBuilder[] values = [.. Enumerable.Range(0, results.Count == 0 ? 0 : each).Select(_ => Temporary(g.Classes[results[0]]))];
        LocalBuilder? unread = null;
        if (results.Count == 0 && InstructionFacts.WritesFirst(i) && i.Operands[0].Register >= 0) unread = Temporary(g.Classes[i.Operands[0].Register]);
        for (int k = 0; k < lanes; k++)
        {
            int[] used = [.. poolUsed];
            LoadLane(sources, place, k);
            LocalBuilder? source = null;
            if (results.Count > 0)
            {
                laneLocals.TryGetValue(results[0], out source);
                laneLocals[results[0]] = values[k % each];
            }
            else if (unread is not null) laneLocals[i.Operands[0].Register] = unread;
            inLane = alreadyChecked = true;
            EmitLaneInstruction(i, source);
            inLane = alreadyChecked = false;
            used.CopyTo(poolUsed, 0);
            if (results.Count > 0 && source is not null) laneLocals[results[0]] = source;
            if (results.Count == 0 || k % each != each - 1) continue;
            Type t = ElementOf(g.Classes[results[0]]);
            foreach (LocalBuilder v in values) il.Ldloc(v);
            il.Call(width.Method("Create", null, [.. Enumerable.Repeat(t, each)]));
            il.Stloc(Vector(results[0])[k / each]);
        }
    }

    /// <param name="source">the value that the result's register had, where the instruction reads it too</param>
    void EmitLaneInstruction(PtxInstruction i, LocalBuilder? source)
    {
        if (source is not null)
        {
            il.Ldloc(source);
            il.Stloc(laneLocals[i.Operands[0].Register]);
        }
        EmitInstruction(i);
    }
}
