using System.Reflection.Emit;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Values on the IL stack: 8, 16 and 32-bit integers and predicates are int32 (extended as their type says), 64-bit ones int64, f16 kinds are
/// bits in an int32. Registers of 16 bits are kept zero-extended.
/// </summary>
unsafe partial class ScalarEmitter
{
    private protected void PushI(int operand, PtxType want) => Push(Operand(operand), want);

    private protected PtxOperand Operand(int n) => n < current.Operands.Length ? current.Operands[n] : throw new PtxException(PtxException.InvalidPtx, $"'{current.Opcode.Text}' has too few operands", current.Line);

    /// <summary>Pushes an operand as a value of type <paramref name="want"/>.</summary>
    /// <param name="part">the instruction takes parts of registers itself</param>
    private protected void Push(PtxOperand o, PtxType want, bool part = false)
    {
        if (o.Part != 0 && !part) throw Unsupported("part of a register");
        switch (o.Kind)
        {
            case OperandKind.Register:
                il.Ldloc(Local(o.Register));
                FromRegister(g.Classes[o.Register], f.Registers[o.Register].Type, want);
                if (want == PtxType.Pred && o.Negated) Not();
                break;
            case OperandKind.Integer:
                if (want == PtxType.F32) il.LdcR4(o.Value);
                else if (want == PtxType.F64) il.LdcR8(o.Value);
                else Constant(o.Value, want);
                if (want == PtxType.Pred && o.Negated) Not();
                break;
            case OperandKind.Float32:
                float single = BitConverter.Int32BitsToSingle((int)o.Value);
                if (want == PtxType.F32) il.LdcR4(single);
                else if (want == PtxType.F64) il.LdcR8(single);
                else if (want.Bits() == 16) Constant(want == PtxType.BF16 ? PtxMath.F32ToBF16(single) : PtxMath.F32ToF16(single), want);
                else Constant(o.Value, want);
                break;
            case OperandKind.Float64:
                double d = BitConverter.Int64BitsToDouble(o.Value);
                if (want == PtxType.F32) il.LdcR4((float)d);
                else if (want == PtxType.F64) il.LdcR8(d);
                else Constant(o.Value, want);
                break;
            case OperandKind.Symbol:
                SymbolAddress(o.Name!, o.Value);
                if (want.Bits() == 32) il.Op(OpCodes.Conv_U4);
                break;
            case OperandKind.Special:
                bool wide = PushSpecial(o.Special);
                if (want.Bits() == 64 && !wide) il.Op(OpCodes.Conv_U8);
                else if (want.Bits() < 64 && wide) il.Op(OpCodes.Conv_U4);
                if (want.Bits() == 16) il.Op(OpCodes.Conv_U2);
                if (want == PtxType.F32) Bits("Int32BitsToSingle", typeof(int));
                break;
            case OperandKind.Vector when o.Elements.Length == 1:
                Push(o.Elements[0], want);
                break;
            case OperandKind.Sink:
                Constant(0, want);
                break;
            default:
                throw Unsupported($"operand {o}");
        }
    }

    private protected void Constant(long value, PtxType want)
    {
        switch (want.Bits())
        {
            case 64: il.LdcI8(value); break;
            case 1: il.LdcI4(value != 0 ? 1 : 0); break;
            case 8: il.LdcI4(want.IsSigned() ? (sbyte)value : (byte)value); break;
            case 16: il.LdcI4(want.IsSigned() ? (short)value : (ushort)value); break;
            default: il.LdcI4((int)value); break;
        }
    }

    private protected void Not()
    {
        il.LdcI4(0);
        il.Op(OpCodes.Ceq);
    }

    private protected void Bits(string converter, Type from) => il.Call(typeof(BitConverter).GetMethod(converter, [from])!);

    private protected void FromRegister(RegisterClass kind, PtxType declared, PtxType want)
    {
        int have = declared.Bits(), bits = want.Bits();
        switch (kind)
        {
            case RegisterClass.Pred:
                if (want != PtxType.Pred) throw Unsupported("predicate as a value");
                return;
            case RegisterClass.F32:
                if (want == PtxType.F32) return;
                Bits("SingleToInt32Bits", typeof(float));
                break;
            case RegisterClass.F64:
                if (want == PtxType.F64) return;
                Bits("DoubleToInt64Bits", typeof(double));
                break;
        }
        if (want == PtxType.Pred) throw Unsupported("a value as predicate");
        if (have == 64)
        {
            if (want == PtxType.F64) Bits("Int64BitsToDouble", typeof(long));
            else if (bits == 32) il.Op(OpCodes.Conv_I4);
            else if (bits < 32) il.Op(Narrow(want));
            if (want == PtxType.F32) Bits("Int32BitsToSingle", typeof(int));
            return;
        }
        if (want == PtxType.F32) { Bits("Int32BitsToSingle", typeof(int)); return; }
        if (bits == 64)
        {
            if (have == 16 && want.IsSigned()) il.Op(OpCodes.Conv_I2);
            il.Op(want.IsSigned() ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
            if (want == PtxType.F64) throw Unsupported("32-bit register as f64");
            return;
        }
        if (bits < 32 && !(bits == 16 && have == 16 && !want.IsSigned())) il.Op(Narrow(want));
        else if (bits == 32 && have == 16 && want.IsSigned()) il.Op(OpCodes.Conv_I2);
    }

    private protected static OpCode Narrow(PtxType type) => type.Bits() == 8 ? type.IsSigned() ? OpCodes.Conv_I1 : OpCodes.Conv_U1 : type.IsSigned() ? OpCodes.Conv_I2 : OpCodes.Conv_U2;

    /// <summary>Pops the stack's value, of type <paramref name="have"/>, into a register.</summary>
    private protected void Pop(PtxOperand o, PtxType have)
    {
        if (o.Kind == OperandKind.Sink) { il.Op(OpCodes.Pop); return; }
        if (o.Kind != OperandKind.Register) throw new PtxException(PtxException.InvalidPtx, $"'{current.Opcode.Text}' cannot write {o}", current.Line);
        PopRegister(o.Register, have);
    }

    private protected void PopRegister(int register, PtxType have)
    {
        RegisterClass kind = g.Classes[register];
        int width = f.Registers[register].Type.Bits(), bits = have.Bits();
        switch (kind)
        {
            case RegisterClass.Pred:
                if (have != PtxType.Pred) throw Unsupported("a value into a predicate");
                break;
            case RegisterClass.F32:
                if (have == PtxType.F32) break;
                if (bits == 64) il.Op(OpCodes.Conv_I4);
                Bits("Int32BitsToSingle", typeof(int));
                break;
            case RegisterClass.F64:
                if (have == PtxType.F64) break;
                if (bits != 64) throw Unsupported("a narrow value into an f64 register");
                Bits("Int64BitsToDouble", typeof(long));
                break;
            case RegisterClass.I64:
                if (have == PtxType.F64) Bits("DoubleToInt64Bits", typeof(double));
                else if (have == PtxType.F32) { Bits("SingleToInt32Bits", typeof(float)); il.Op(OpCodes.Conv_U8); }
                else if (bits < 64)
                {
                    if (bits < 32 && bits > 1) il.Op(Narrow(have));
                    il.Op(have.IsSigned() ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
                }
                break;
            default:
                if (have == PtxType.F32) Bits("SingleToInt32Bits", typeof(float));
                else if (have == PtxType.Pred) throw Unsupported("a predicate into a value");
                else if (bits == 64) il.Op(OpCodes.Conv_I4);
                else if (bits < 32 && !(width == 16 && bits == 16)) il.Op(Narrow(have));
                if (width == 16 && !(bits == 8 && !have.IsSigned())) il.Op(OpCodes.Conv_U2);
                break;
        }
        il.Stloc(Local(register));
    }

    /// <summary>Pushes the address of a symbol in its own space, as int64.</summary>
    private protected void SymbolAddress(string name, long offset)
    {
        if (f.Locals.TryGetValue(name, out PtxVariable? v) || program.Module.VariablesByName.TryGetValue(name, out v))
        {
            switch (v.Space)
            {
                case PtxSpace.Shared:
                    il.LdcI8(program.SharedOffset(v) + offset);
                    return;
                case PtxSpace.Local:
                    if (!g.LocalOffset.TryGetValue(name, out int at)) throw Unsupported($"module-scope .local {name}");
                    if (f.IsEntry) { il.LdcI8(at + offset); return; }
                    // Offsets in local memory are from the start of the thread's, so that callees can use a caller's.
                    il.Ldloc(frame!);
                    il.LdcI4(8);
                    il.Add();
                    il.Op(OpCodes.Ldind_I4);
                    il.LdcI4(at + (int)offset);
                    il.Add();
                    il.Op(OpCodes.Conv_I8);
                    return;
                case PtxSpace.Param:
                    ParameterAddress(v, offset);
                    return;
                default:
                    il.LdcI8((long)program.AddressOf(v.Name) + offset);
                    return;
            }
        }
        if (program.Module.FunctionsByName.ContainsKey(name))
        {
            program.NeedsIndirect = true;
            il.LdcI8((long)program.AddressOf(name));
            return;
        }
        throw new PtxException(PtxException.InvalidPtx, $"unknown symbol {name}", current.Line);
    }

    /// <summary>Pushes the real address of a parameter, a returned value or a value of a call scope.</summary>
    private protected void ParameterAddress(PtxVariable v, long offset)
    {
        if (g.CallParameterOffset.TryGetValue(v.Name, out int at)) FrameAddress(at + (int)offset);
        else if (f.IsEntry)
        {
            bool was = Arm(false);
            Context("Parameters");
            il.LdcI4((int)(v.Offset + offset));
            il.Op(OpCodes.Conv_I);
            il.Add();
            Arm(was);
        }
        else FrameAddress((f.Signature.Returns.Contains(v) ? g.ReturnsOffset : g.ParametersOffset) + (int)(v.Offset + offset));
        il.Op(OpCodes.Conv_I8);
    }
}
