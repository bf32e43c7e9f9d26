using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Loads and stores whose lanes lie side by side. What lies otherwise goes lane by lane.</summary>
sealed unsafe partial class SimdEmitter
{
    /// <summary>While code for a failed check of a whole group is emitted: the accesses that it stands for, as distances from the first lane's address.</summary>
    (long Low, long High, bool Writes)? failed;

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
        if (shared)
        {
            Check(address, k, null, sharedLimit[k], "SharedFault");
            Check(address, k, null, sharedLimit[k], "SharedFault", span);
            il.Ldloc(sharedBase!);
            il.Ldloc(address);
            il.Add();
        }
        else
        {
            bool grouped = groups.TryGetValue(current, out AccessGroup? accesses);
            if (grouped) (low, high, writes) = (accesses!.LowOffset - m.Value, accesses.HighOffset - bytes - m.Value, accesses.Writes);
            if (!grouped || accesses!.First == current) Check(address, k, windowBase, windowLimit[k], "AccessFault", low, high + span);
            il.Ldloc(address);
        }
        for (int n = known; n < outOfLine.Count; n++)
        {
            Action emit = outOfLine[n];
            outOfLine[n] = () =>
            {
                failed = (low, high, writes);
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
        if (failed is not { } group) { base.ThrowFault(address, offset, bytes, helper); return; }
        il.Ldarg(0);
        il.Ldloc(thread);
        il.Ldloc(address);
        il.LdcI4(bytes);
        il.LdcI4(lanes);
        il.LdcI8(group.Low);
        il.LdcI8(group.High);
        il.LdcI4((helper == "SharedFault" ? 1 : 0) | (group.Writes ? 2 : 0));
        Call("GroupFault");
        il.Op(OpCodes.Ldnull);
        il.Op(OpCodes.Throw);
    }

    void Pointer(LocalBuilder pointer, int p)
    {
        il.Ldloc(pointer);
        if (p > 0)
        {
            il.LdcI8(p * VectorBytes);
            il.Add();
        }
        il.Op(OpCodes.Conv_I);
    }

    bool TryLoad(PtxInstruction i)
    {
        PtxOperand m = i.Operands[1], d = i.Operands[0];
        if (d.Kind != OperandKind.Register || !shapes.IsVarying(d.Register) || mask is not null || !IsSideBySide(i, m, d)) return false;
        LocalBuilder pointer = PointerOfGroup(m, i.Opcode.Type);
        Type t = ElementFor(i.Opcode.Type);
        Result(d.Register, t, p =>
        {
            Pointer(pointer, p);
            LoadVector(t);
        });
        return true;
    }

    bool TryStore(PtxInstruction i)
    {
        PtxOperand m = i.Operands[0], s = i.Operands[1];
        if (mask is not null || !IsSideBySide(i, m, s)) return false;
        LocalBuilder pointer = PointerOfGroup(m, i.Opcode.Type);
        Type t = ElementFor(i.Opcode.Type);
        for (int p = 0; p < Parts(t); p++)
        {
            PushVector(s, i.Opcode.Type, p);
            Pointer(pointer, p);
            StoreVector(t);
        }
        return true;
    }
}
