using System.Reflection;
using System.Reflection.Emit;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Memory access. <see cref="Address"/> is the only place where an address that a kernel computed becomes a pointer.</summary>
unsafe partial class ScalarEmitter
{
    /// <summary>The address at hand was checked by other means.</summary>
    private protected bool alreadyChecked;

    private protected static OpCode Load(PtxType type) => type switch
    {
        PtxType.B8 or PtxType.U8 => OpCodes.Ldind_U1, PtxType.S8 => OpCodes.Ldind_I1,
        PtxType.S16 => OpCodes.Ldind_I2,
        PtxType.F32 => OpCodes.Ldind_R4, PtxType.F64 => OpCodes.Ldind_R8,
        _ => type.Bits() switch { 16 => OpCodes.Ldind_U2, 64 => OpCodes.Ldind_I8, _ => OpCodes.Ldind_I4 },
    };

    private protected static OpCode Store(PtxType type) => type switch
    {
        PtxType.F32 => OpCodes.Stind_R4, PtxType.F64 => OpCodes.Stind_R8,
        _ => type.Bits() switch { 8 => OpCodes.Stind_I1, 16 => OpCodes.Stind_I2, 64 => OpCodes.Stind_I8, _ => OpCodes.Stind_I4 },
    };

    /// <summary>
    /// Checks an access of <paramref name="bytes"/> (a power of two, up to 32) and pushes its pointer. Rotating the distance from the window's start right by log2(bytes)
    /// moves the bits of a misaligned address to the top, so one unsigned compare checks bounds and alignment. What fails it is looked up in the page table
    /// out of line; what is not there either ends the launch with 700 or 716. The IL stack must be empty: the look-up's way joins here.
    /// </summary>
    private protected void Address(PtxSpace space, PtxOperand m, int bytes)
    {
        bool was = Arm(false);
        CheckedAddress(space, m, bytes);
        Arm(was);
    }

    private protected void CheckedAddress(PtxSpace space, PtxOperand m, int bytes)
    {
        int k = Log2(bytes);
        if (space == PtxSpace.Param)
        {
            if (m.Name is { } name)
            {
                if (!f.Locals.TryGetValue(name, out PtxVariable? p) || p.Space != PtxSpace.Param) throw Unsupported($"parameter {name}");
                if (m.Value < 0 || m.Value + bytes > Math.Max(8, p.SizeBytes)) throw new PtxException(PtxException.InvalidPtx, $"access outside parameter {name}", current.Line);
                ParameterAddress(p, m.Value);
                return;
            }
            space = PtxSpace.Generic;
        }
        LocalBuilder address = Temporary(Ptx.Passes.RegisterClass.I64);
        EffectiveAddress(m);
        il.Stloc(address);
        switch (space)
        {
            case PtxSpace.Shared:
                Check(address, k, null, sharedLimit[k], "SharedFault");
                il.Ldloc(sharedBase!);
                il.Ldloc(address);
                il.Add();
                break;
            case PtxSpace.Local:
                Check(address, k, null, localLimit[k], "LocalFault");
                // Offsets are from the start of the thread's local memory, not the function's.
                il.Ldloc(localBase!);
                il.Ldloc(address);
                il.Add();
                break;
            default:
                if (!groups.TryGetValue(current, out AccessGroup? group)) Check(address, k, windowBase, windowLimit[k], "AccessFault");
                else if (group.First == current) Check(address, k, windowBase, windowLimit[k], "AccessFault", group.LowOffset - m.Value, group.HighOffset - bytes - m.Value);
                il.Ldloc(address);
                break;
        }
    }

    private protected void EffectiveAddress(PtxOperand m)
    {
        if (m.Kind != OperandKind.Memory) throw new PtxException(PtxException.InvalidPtx, $"'{current.Opcode.Text}' needs an address in brackets", current.Line);
        if (m.Name is { } name) { SymbolAddress(name, m.Value); return; }
        if (m.Register < 0) { il.LdcI8(m.Value); return; }
        il.Ldloc(Local(m.Register));
        if (f.Registers[m.Register].Type.Bits() == 32 && m.Value != 0)
        {
            // Addresses of 32 bits (shared memory) wrap at 2^32, a negative register with a positive offset among them. Sign-extended, so that of a group whose first lane lies below 0, and is off, the others lie where they should.
            FromRegister(g.Classes[m.Register], f.Registers[m.Register].Type, PtxType.U32);
            il.LdcI4((int)m.Value);
            il.Add();
            il.Op(OpCodes.Conv_I8);
            return;
        }
        FromRegister(g.Classes[m.Register], f.Registers[m.Register].Type, PtxType.S64);
        if (m.Value == 0) return;
        il.LdcI8(m.Value);
        il.Add();
    }

    /// <param name="low">distance from the address to the first access that this check stands for</param><param name="high">and to the last</param>
    private protected void Check(LocalBuilder address, int k, LocalBuilder? start, LocalBuilder? limit, string faultHelper, long low = 0, long high = 0)
    {
        if (!program.Checked || alreadyChecked || program.Proven.Contains(current)) return;
        Label slow = il.NewLabel(), good = il.NewLabel();
        il.Ldloc(address);
        if (low != 0)
        {
            il.LdcI8(low);
            il.Add();
        }
        if (start is not null)
        {
            il.Ldloc(start);
            il.Op(OpCodes.Sub);
        }
        if (k > 0)
        {
            il.LdcI4(k);
            il.Call(RotateRight64);
        }
        il.Ldloc(limit!);
        il.Op(OpCodes.Bge_Un, slow);
        il.Mark(good);
        int bytes = 1 << k;
        bool writes = groups.TryGetValue(current, out AccessGroup? group) ? group.Writes : current.Name is "st" or "atom" or "red" or "mbarrier" or "cp";
        outOfLine.Add(() =>
        {
            il.Mark(slow);
            if (start is null)
            {
                ThrowFault(address, 0, bytes, faultHelper);
                return;
            }
            // Not in the window: aligned and below 2^47, then the page table decides. No call here may return, or RyuJIT keeps all values in memory.
            Label lowFault = il.NewLabel(), highFault = il.NewLabel();
            Lookup(address, low, k, writes, lowFault);
            if (high != low) Lookup(address, high, k, writes, highFault);
            il.Br(good);
            il.Mark(lowFault);
            ThrowFault(address, low, bytes, faultHelper);
            if (high == low) return;
            il.Mark(highFault);
            ThrowFault(address, high, bytes, faultHelper);
        });
    }

    private protected void Lookup(LocalBuilder address, long offset, int k, bool writes, Label fault)
    {
        void At()
        {
            il.Ldloc(address);
            if (offset == 0) return;
            il.LdcI8(offset);
            il.Add();
        }
        At();
        if (k > 0)
        {
            il.LdcI4(k);
            il.Call(RotateRight64);
        }
        il.LdcI8(1L << PageTable.AddressBits - k);
        il.Op(OpCodes.Bge_Un, fault);
        il.LdcI8((long)program.AddressOf(ConstantTables.Pages));
        At();
        il.LdcI4(PageTable.PageShift);
        il.Op(OpCodes.Shr_Un);
        il.Add();
        il.Op(OpCodes.Ldind_U1);
        if (writes)
        {
            il.LdcI4(PageTable.Writable);
            il.Op(OpCodes.And);
        }
        il.Brfalse(fault);
    }

    private protected virtual void ThrowFault(LocalBuilder address, long offset, int bytes, string helper)
    {
        il.Ldarg(0);
        il.Ldloc(thread);
        il.Ldloc(address);
        il.LdcI8(offset);
        il.Add();
        il.LdcI4(bytes);
        Call(helper);
        il.Op(OpCodes.Ldnull);
        il.Op(OpCodes.Throw);
    }

    private protected void EmitLoad()
    {
        PtxOpcode op = current.Opcode;
        PtxOperand d = Operand(0), m = Operand(1);
        PtxType type = op.Type;
        if (type is PtxType.None or PtxType.B128) throw Unsupported();
        if (op.Space == PtxSpace.Param && IsHoistable(current, m, out PtxVariable? v) && hoistedParameters.TryGetValue((v!.Offset + m.Value, type), out LocalBuilder? hoisted))
        {
            il.Ldloc(hoisted);
            Pop(d, type);
            return;
        }
        Address(op.Space, m, type.Bytes() * op.Vector);
        if (op.Vector == 1)
        {
            if (op.Strong) il.Op(OpCodes.Volatile);
            il.Op(Load(type));
            Pop(d.Kind == OperandKind.Vector ? d.Elements[0] : d, type);
            return;
        }
        if (d.Elements.Length != op.Vector) throw new PtxException(PtxException.InvalidPtx, $"'{op.Text}' needs {op.Vector} registers", current.Line);
        LocalBuilder pointer = Temporary(Ptx.Passes.RegisterClass.I64);
        il.Stloc(pointer);
        for (int n = 0; n < op.Vector; n++)
        {
            if (d.Elements[n].Kind == OperandKind.Sink) continue;
            Element(pointer, n * type.Bytes());
            if (op.Strong) il.Op(OpCodes.Volatile);
            il.Op(Load(type));
            Pop(d.Elements[n], type);
        }
    }

    private protected void Element(LocalBuilder pointer, int offset)
    {
        il.Ldloc(pointer);
        if (offset == 0) return;
        il.LdcI8(offset);
        bool was = Arm(false);
        il.Add();
        Arm(was);
    }

    private protected void EmitStore()
    {
        PtxOpcode op = current.Opcode;
        PtxOperand m = Operand(0), s = Operand(1);
        PtxType type = op.Type;
        if (type is PtxType.None or PtxType.B128) throw Unsupported();
        Address(op.Space, m, type.Bytes() * op.Vector);
        if (op.Vector == 1)
        {
            Push(s.Kind == OperandKind.Vector ? s.Elements[0] : s, type);
            if (op.Strong) il.Op(OpCodes.Volatile);
            il.Op(Store(type));
            return;
        }
        if (s.Elements.Length != op.Vector) throw new PtxException(PtxException.InvalidPtx, $"'{op.Text}' needs {op.Vector} registers", current.Line);
        LocalBuilder pointer = Temporary(Ptx.Passes.RegisterClass.I64);
        il.Stloc(pointer);
        for (int n = 0; n < op.Vector; n++)
        {
            Element(pointer, n * type.Bytes());
            Push(s.Elements[n], type);
            if (op.Strong) il.Op(OpCodes.Volatile);
            il.Op(Store(type));
        }
    }

    /// <summary>cvta: windows are real addresses, so global and const are the identity; shared and local add or take away the window's start.</summary>
    private protected void EmitAddressConversion()
    {
        PtxOpcode op = current.Opcode;
        PushI(1, PtxType.U64);
        if (op.Space is PtxSpace.Shared or PtxSpace.Local)
        {
            il.Ldloc(op.Space == PtxSpace.Shared ? sharedBase! : localBase!);
            il.Op(op.Has("to") ? OpCodes.Sub : OpCodes.Add);
        }
        Pop(Operand(0), PtxType.U64);
    }

    private protected void EmitIsSpace()
    {
        il.Ldarg(0);
        il.Ldloc(thread);
        PushI(1, PtxType.U64);
        il.LdcI4((int)current.Opcode.Space);
        Call("IsSpace");
        Pop(Operand(0), PtxType.Pred);
    }

    private protected void EmitAtomic(bool returns)
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        if (op.Vector != 1 || op.Space is not (PtxSpace.Global or PtxSpace.Shared or PtxSpace.Generic)) throw Unsupported();
        string kind = op.First("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec") ?? throw Unsupported();
        // A block never leaves its worker, so shared memory needs no locked instruction.
        MethodInfo method = PtxAtomics.Method(kind, type, op.Space == PtxSpace.Shared) ?? throw Unsupported();
        int at = returns ? 1 : 0;
        Address(op.Space, Operand(at), type.Bytes());
        PushI(at + 1, type);
        if (kind == "cas") PushI(at + 2, type);
        il.Call(method);
        if (returns) Pop(Operand(0), type);
        else il.Op(OpCodes.Pop);
    }
}
