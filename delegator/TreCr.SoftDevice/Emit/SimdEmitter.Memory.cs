using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Loads and stores whose lanes lie side by side. What lies otherwise goes lane by lane.</summary>
sealed unsafe partial class SimdEmitter
{
    /// <summary>While code for a failed check of a whole group is emitted: the accesses that it stands for, as distances from the first lane's address.</summary>
    (LocalBuilder Address, long Low, long High, bool Writes, LocalBuilder? Mask)? failed;
    /// <summary>While code for a failed check of one access of masked lanes is emitted.</summary>
    bool failedMasked;

    bool IsSideBySide(PtxInstruction i, PtxOperand m, PtxOperand value)
    {
        PtxOpcode op = i.Opcode;
        return op.Vector == 1 && IsLane(op.Type) && op.Space is PtxSpace.Global or PtxSpace.Generic or PtxSpace.Shared or PtxSpace.Const && m.Kind == OperandKind.Memory && m.Register >= 0
            && shapes.Stride[m.Register] == op.Type.Bytes() && (f.Registers[m.Register].Type.Bits() == 64 || op.Space == PtxSpace.Shared) && Fits(value, op.Type);
    }

    /// <summary>Pushes the pointer to the first lane's place, after both ends were checked.</summary>
    LocalBuilder PointerOfGroup(PtxOperand m, PtxType type)
    {
        LocalBuilder pointer = Temporary(RegisterClass.I64);
        int bytes = type.Bytes(), k = Log2(bytes);
        LocalBuilder address = Temporary(RegisterClass.I64);
        EffectiveAddress(m);
        il.Stloc(address);
        long span = (lanes - 1) * bytes, low = 0, high = 0;
        bool writes = current.Name == "st", shared = current.Opcode.Space == PtxSpace.Shared;
        int known = outOfLine.Count;
        // Under a mask, the first and the last lane that are on stand for those between them.
        LocalBuilder first = address, last = address;
        if (mask is not null && program.Checked && !program.Proven.Contains(current))
        {
            (first, last) = (EndOf(address, bytes, false), EndOf(address, bytes, true));
            span = 0;
        }
        if (shared)
        {
            Check(first, k, null, sharedLimit[k], "SharedFault");
            Check(last, k, null, sharedLimit[k], "SharedFault", span);
            il.Ldloc(sharedBase!);
            il.Ldloc(address);
            il.Add();
        }
        else
        {
            bool grouped = groups.TryGetValue(current, out AccessGroup? accesses);
            if (grouped) (low, high, writes) = (accesses!.LowOffset - m.Value, accesses.HighOffset - bytes - m.Value, accesses.Writes);
            if (!grouped || accesses!.First == current)
            {
                Check(first, k, windowBase, windowLimit[k], "AccessFault", low, high + span);
                if (last != first) Check(last, k, windowBase, windowLimit[k], "AccessFault", low, high);
            }
            il.Ldloc(address);
        }
        LocalBuilder? on = mask;
        for (int n = known; n < outOfLine.Count; n++)
        {
            Action emit = outOfLine[n];
            outOfLine[n] = () =>
            {
                failed = (address, low, high, writes, on);
                emit();
                failed = null;
            };
        }
        il.Stloc(pointer);
        return pointer;
    }

    /// <summary>The lowest lane that cannot reach its place is named, as if it had come first.</summary>
    private protected override void ThrowFault(LocalBuilder address, long offset, int bytes, string helper)
    {
        if (failed is not { } group)
        {
            if (!failedMasked) { base.ThrowFault(address, offset, bytes, helper); return; }
            // One access for all lanes that are on: the first of them makes it.
            il.Ldloc(firstThread);
            il.Ldloc(due!);
            il.Call(TrailingZeros);
            il.Add();
            il.Stloc(thread);
            base.ThrowFault(address, offset, bytes, helper);
            return;
        }
        il.Ldarg(0);
        il.Ldloc(thread);
        il.Ldloc(group.Address);
        il.LdcI4(bytes);
        if (group.Mask is null) il.LdcI4(Full);
        else il.Ldloc(group.Mask);
        il.LdcI8(group.Low);
        il.LdcI8(group.High);
        il.LdcI4((helper == "SharedFault" ? 1 : 0) | (group.Writes ? 2 : 0));
        Call("GroupFault");
        il.Op(OpCodes.Ldnull);
        il.Op(OpCodes.Throw);
    }

    /// <summary>The address of the first or last lane that is on.</summary>
    LocalBuilder EndOf(LocalBuilder address, int bytes, bool last)
    {
        LocalBuilder end = Temporary(RegisterClass.I64);
        il.Ldloc(mask!);
        if (last) Math("HighestLane");
        else il.Call(TrailingZeros);
        il.LdcI4(bytes);
        il.Op(OpCodes.Mul);
        il.Op(OpCodes.Conv_I8);
        il.Ldloc(address);
        il.Add();
        il.Stloc(end);
        return end;
    }

    void Pointer(LocalBuilder pointer, int p)
    {
        il.Ldloc(pointer);
        if (p > 0)
        {
            il.LdcI8(p * width.Bytes);
            il.Add();
        }
        il.Op(OpCodes.Conv_I);
    }

    /// <summary>
    /// Asks for what the next group will load here. In a loop whose threads go through memory at the stride of the grid, no two of a group's loads lie near each other, so that the processor does not read ahead: the next group's,
    /// a whole loop later, lie beside them.
    /// </summary>
    void EmitPrefetch(PtxOperand m, LocalBuilder pointer, int bytes)
    {
        if (blockWeight <= 1 || due is not null || !block.Body.Exists(i => InstructionFacts.WritesFirst(i) && i.Operands.Length > 0 && i.Operands[0].Register == m.Register)) return;
        for (int line = 0; line < lanes * bytes; line += 64)
        {
            il.Ldloc(pointer);
            il.LdcI8(lanes * bytes + line);
            il.Add();
            il.Op(OpCodes.Conv_I);
            il.Call(Prefetch);
        }
    }

    static readonly MethodInfo Prefetch = typeof(Sse).GetMethod("Prefetch0")!;

    bool TryLoad(PtxInstruction i)
    {
        PtxOperand m = i.Operands[1], d = i.Operands[0];
        if (d.Kind != OperandKind.Register || !shapes.IsVarying(d.Register) || !IsSideBySide(i, m, d)) return false;
        LocalBuilder pointer = PointerOfGroup(m, i.Opcode.Type);
        Type t = ElementFor(i.Opcode.Type);
        LocalBuilder? on = mask;
        if (i.Opcode.Space != PtxSpace.Shared) EmitPrefetch(m, pointer, SizeOf(t));
        Result(d.Register, t, p =>
        {
            Pointer(pointer, p);
            if (on is null) { LoadVector(t); return; }
            PushMask(on, SizeOf(t), p);
            Math("MaskLoad" + t.Name);
        });
        return true;
    }

    bool TryStore(PtxInstruction i)
    {
        PtxOperand m = i.Operands[0], s = i.Operands[1];
        if (!IsSideBySide(i, m, s)) return false;
        LocalBuilder pointer = PointerOfGroup(m, i.Opcode.Type);
        Type t = ElementFor(i.Opcode.Type);
        for (int p = 0; p < Parts(t); p++)
        {
            PushVector(s, i.Opcode.Type, p);
            Pointer(pointer, p);
            if (mask is null) { StoreVector(t); continue; }
            PushMask(mask, SizeOf(t), p);
            Math("MaskStore" + t.Name);
        }
        return true;
    }
}
