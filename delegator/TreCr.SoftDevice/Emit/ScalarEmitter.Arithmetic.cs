using System.Reflection.Emit;
using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Emit;

/// <summary>Integer and floating-point arithmetic, and conversions.</summary>
unsafe partial class ScalarEmitter
{
    private protected string? Rounding => current.Opcode.First("rn", "rz", "rm", "rp");
    /// <summary>For the helpers with directed rounding: 0 nearest, 1 to zero, 2 down, 3 up.</summary>
    private protected int RoundingMode => Rounding switch { "rz" => 1, "rm" => 2, "rp" => 3, _ => 0 };

    private protected void EmitArithmetic()
    {
        PtxType type = current.Opcode.Type;
        if (type.IsHalf()) EmitHalf();
        else if (type.IsFloat()) EmitFloat();
        else if (type is PtxType.None or PtxType.Pred or PtxType.B128) throw Unsupported();
        else EmitInteger();
    }

    private protected void EmitInteger()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        int bits = type.Bits();
        bool signed = type.IsSigned();
        if (bits == 8) throw Unsupported();
        switch (op.Name)
        {
            case "add" or "sub":
                PushI(1, type);
                PushI(2, type);
                if (op.Sat) { if (type != PtxType.S32) throw Unsupported(); Call(op.Name == "add" ? "AddSatS32" : "SubSatS32"); }
                else il.Op(op.Name == "add" ? OpCodes.Add : OpCodes.Sub);
                break;
            case "mul" or "mad":
                PtxType wide = op.Has("wide") ? bits == 16 ? signed ? PtxType.S32 : PtxType.U32 : signed ? PtxType.S64 : PtxType.U64 : type;
                PushI(1, type);
                if (op.Has("wide"))
                {
                    if (bits == 32) il.Op(signed ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
                    else if (bits != 16) throw Unsupported();
                    PushI(2, type);
                    if (bits == 32) il.Op(signed ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
                    il.Op(OpCodes.Mul);
                }
                else
                {
                    PushI(2, type);
                    if (op.Has("hi")) Call("MulHi" + Suffix(type));
                    else il.Op(OpCodes.Mul);
                }
                if (op.Name == "mad")
                {
                    PushI(3, wide);
                    if (op.Sat) { if (type != PtxType.S32) throw Unsupported(); Call("AddSatS32"); }
                    else il.Op(OpCodes.Add);
                }
                Pop(Operand(0), wide);
                return;
            case "mul24" or "mad24":
                PushI(1, type);
                PushI(2, type);
                Call("Mul24" + (op.Has("hi") ? "Hi" : "Lo") + Suffix(type));
                if (op.Name == "mad24") { PushI(3, type); if (op.Sat) Call("AddSatS32"); else il.Op(OpCodes.Add); }
                break;
            case "div" or "rem":
                PushI(1, type);
                PushI(2, type);
                Call((op.Name == "div" ? "Div" : "Rem") + (bits == 16 ? signed ? "S32" : "U32" : Suffix(type)));
                break;
            case "min" or "max":
                if (op.Has("relu")) throw Unsupported();
                PushI(1, type);
                PushI(2, type);
                Type t = bits == 64 ? signed ? typeof(long) : typeof(ulong) : signed ? typeof(int) : typeof(uint);
                il.Call(typeof(Math).GetMethod(op.Name == "min" ? "Min" : "Max", [t, t])!);
                break;
            case "abs":
                PushI(1, type);
                Call(bits == 64 ? "AbsS64" : "AbsS32");
                break;
            case "neg":
                PushI(1, type);
                il.Op(OpCodes.Neg);
                break;
            case "sad":
                PushI(1, type);
                PushI(2, type);
                Call("AbsDifference" + (bits == 16 ? signed ? "S32" : "U32" : Suffix(type)));
                PushI(3, type);
                il.Op(OpCodes.Add);
                break;
            default: throw Unsupported();
        }
        Pop(Operand(0), type);
    }

    private protected void EmitFloat()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        string t = type.ToString();
        Type real = type == PtxType.F32 ? typeof(float) : typeof(double), math = type == PtxType.F32 ? typeof(MathF) : typeof(Math);
        bool directed = RoundingMode != 0;
        switch (op.Name)
        {
            case "add" or "sub" or "mul" or "div":
                Source(1, type);
                Source(2, type);
                if (directed)
                {
                    il.LdcI4(RoundingMode);
                    Call(char.ToUpperInvariant(op.Name[0]) + op.Name[1..] + "Directed" + t);
                }
                else if (op.Name == "div" && op.Has("approx") && type == PtxType.F32) Call("DivApproxF32");
                else il.Op(op.Name switch { "add" => OpCodes.Add, "sub" => OpCodes.Sub, "mul" => OpCodes.Mul, _ => OpCodes.Div });
                break;
            case "fma" or "mad":
                Source(1, type);
                Source(2, type);
                Source(3, type);
                if (directed) { il.LdcI4(RoundingMode); Call("FmaDirected" + t); }
                else il.Call(math.GetMethod("FusedMultiplyAdd", [real, real, real])!);
                break;
            case "min" or "max":
                if (op.Has("xorsign") && type != PtxType.F32 || current.Operands.Length != 3) throw Unsupported();
                Source(1, type);
                Source(2, type);
                bool nan = op.Has("NaN");
                if (op.Has("xorsign")) Call((op.Name == "min" ? "Min" : "Max") + (nan ? "NaN" : "") + "XorSignF32");
                else if (nan) il.Call(math.GetMethod(op.Name == "min" ? "Min" : "Max", [real, real])!);
                else Call((op.Name == "min" ? "MinNumber" : "MaxNumber") + t);
                break;
            case "abs":
                Source(1, type);
                il.Call(typeof(Math).GetMethod("Abs", [real])!);
                break;
            case "neg":
                Source(1, type);
                il.Op(OpCodes.Neg);
                break;
            case "copysign": // copysign d, a, b: the sign of a, the magnitude of b
                PushI(2, type);
                PushI(1, type);
                il.Call(math.GetMethod("CopySign", [real, real])!);
                break;
            case "sqrt":
                Source(1, type);
                if (directed) { il.LdcI4(RoundingMode); Call("SqrtDirected" + t); }
                else il.Call(math.GetMethod("Sqrt", [real])!);
                break;
            case "rcp" when type == PtxType.F64 && op.Has("approx"):
                Source(1, type);
                Call("RcpApproxF64");
                break;
            case "rcp":
                if (type == PtxType.F32) il.LdcR4(1); else il.LdcR8(1);
                Source(1, type);
                if (directed) { il.LdcI4(RoundingMode); Call("DivDirected" + t); }
                else il.Op(OpCodes.Div);
                break;
            case "rsqrt":
                Source(1, type);
                Call(type == PtxType.F64 && op.Ftz ? "RsqrtApproxF64" : "Rsqrt" + t);
                break;
            case "sin" or "cos" or "ex2" or "lg2" or "tanh":
                if (type != PtxType.F32) throw Unsupported();
                Source(1, type);
                Call(op.Name switch { "sin" => "SinF32", "cos" => "CosF32", "ex2" => "Ex2F32", "lg2" => "Lg2F32", _ => "TanhF32" });
                break;
            case "testp":
                PushI(1, type);
                Call("Testp" + op.First("finite", "infinite", "number", "notanumber", "normal", "subnormal") switch
                {
                    "finite" => "Finite", "infinite" => "Infinite", "number" => "Number", "notanumber" => "NotANumber", "normal" => "Normal", "subnormal" => "Subnormal", _ => throw Unsupported(),
                } + t);
                Pop(Operand(0), PtxType.Pred);
                return;
            default: throw Unsupported();
        }
        Result(type);
    }

    /// <summary>Pushes a 16-bit float operand as float32, which holds all its values.</summary>
    private protected void PushHalf(int n, PtxType type, int shift = 0)
    {
        PushI(n, type);
        if (shift != 0) { il.LdcI4(shift); il.Op(OpCodes.Shr_Un); }
        else if (type.Bits() == 32) il.Op(OpCodes.Conv_U2);
        if (current.Opcode.Ftz && current.Name is "set" or "setp" && type is PtxType.F16 or PtxType.F16x2) Call("FlushF16");
        Call(type is PtxType.BF16 or PtxType.BF16x2 ? "BF16ToF32" : "F16ToF32");
    }

    private protected void EmitHalf()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        string? name = op.Name switch { "add" => "Add", "sub" => "Sub", "mul" => "Mul", "fma" => "Fma", "min" => "Min", "max" => "Max", "neg" => "Neg", "abs" => "Abs", "ex2" => "Ex2", "tanh" => "Tanh", _ => null };
        bool minMax = name is "Min" or "Max";
        if (name is null || op.Has("xorsign") && !minMax || op.Has("relu") && name != "Fma" || current.Operands.Length > (minMax ? 3 : 4) || RoundingMode != 0) throw Unsupported();
        int sources = name switch { "Fma" => 3, "Neg" or "Abs" or "Ex2" or "Tanh" => 1, _ => 2 };
        if (name is "Min" or "Max" && op.Has("NaN")) name += "NaN";
        for (int n = 1; n <= 3; n++)
            PushI(n <= sources ? n : 1, type); // what it does not take may be anything
        il.LdcI4((int)Enum.Parse<HalfOperation>(name) | (op.Sat ? PtxMath.HalfSat : 0) | (op.Ftz ? PtxMath.HalfFtz : 0) | (op.Has("relu") ? PtxMath.HalfRelu : 0) | (op.Has("xorsign") ? PtxMath.HalfXorSign : 0));
        Call(type switch { PtxType.F16 => "HalfF16", PtxType.F16x2 => "HalfF16x2", PtxType.BF16 => "HalfBF16", _ => "HalfBF16x2" });
        Pop(Operand(0), type);
    }

    private protected void EmitConvert()
    {
        PtxOpcode op = current.Opcode;
        PtxType to = op.Type, from = op.Type2;
        if (current.Operands.Length != 2)
        {
            // cvt.rn.f16x2.f32 d, a, b: a goes to the high half
            if (to is not (PtxType.F16x2 or PtxType.BF16x2) || from != PtxType.F32 || RoundingMode > 1 || op.Has("satfinite") || op.Has("rs")) throw Unsupported();
            PtxType half = to == PtxType.F16x2 ? PtxType.F16 : PtxType.BF16;
            Source(2, PtxType.F32);
            ToHalf(half, PtxType.F32);
            Source(1, PtxType.F32);
            ToHalf(half, PtxType.F32);
            il.LdcI4(16);
            il.Op(OpCodes.Shl);
            il.Op(OpCodes.Or);
            Pop(Operand(0), PtxType.B32);
            return;
        }
        if (to == PtxType.TF32 && from == PtxType.F32 && op.First("satfinite", "relu") is null && RoundingMode <= 1)
        {
            Source(1, PtxType.F32);
            il.LdcI4(op.Has("rna") ? 4 : RoundingMode);
            Call("F32ToTF32");
            Pop(Operand(0), PtxType.B32);
            return;
        }
        if (to is PtxType.None or PtxType.TF32 or PtxType.F16x2 or PtxType.BF16x2 || from is PtxType.None or PtxType.F16x2 or PtxType.BF16x2 || op.First("satfinite", "rna", "rs") is not null || op.Has("relu") && !to.IsHalf()) throw Unsupported();
        bool fromReal = from.IsFloat() || from.IsHalf(), toReal = to.IsFloat() || to.IsHalf();
        if (fromReal && toReal) RealToReal(to, from);
        else if (fromReal) RealToInteger(to, from);
        else if (toReal) IntegerToReal(to, from);
        else IntegerToInteger(to, from);
    }

    /// <summary>Turns the stack's f32 or f64 into 16 bits, rounded as the instruction says.</summary>
    /// <param name="exact">the value fits: no rounding to do</param>
    private protected void ToHalf(PtxType to, PtxType from, bool exact = false)
    {
        bool wide = from == PtxType.F64;
        if (RoundingMode != 0 && !exact || wide && to == PtxType.BF16)
        {
            if (!wide) il.Op(OpCodes.Conv_R8);
            il.LdcI4(exact ? 0 : RoundingMode);
            Call(to == PtxType.BF16 ? "F64ToBF16Rounded" : "F64ToF16Rounded");
        }
        else Call(wide ? "F64ToF16" : to == PtxType.BF16 ? "F32ToBF16" : "F32ToF16");
        if (current.Opcode.Has("relu")) Call("HalfReluBits");
    }

    private protected void IntegerToInteger(PtxType to, PtxType from)
    {
        PushI(1, from);
        bool fits = to.IsSigned() == from.IsSigned() ? to.Bits() >= from.Bits() : to.IsSigned() && to.Bits() > from.Bits();
        if (current.Opcode.Sat && !fits)
        {
            if (from.Bits() < 64) il.Op(from.IsSigned() ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
            il.LdcI4(to.Bits());
            Call("Sat" + (from.IsSigned() ? "S" : "U") + "To" + (to.IsSigned() ? "S" : "U"));
            if (to.Bits() < 64) il.Op(OpCodes.Conv_I4);
        }
        else if (to.Bits() == 64 && from.Bits() < 64) il.Op(from.IsSigned() ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
        else if (to.Bits() < 64 && from.Bits() == 64) il.Op(OpCodes.Conv_I4);
        if (to.Bits() < 32) il.Op(Narrow(to));
        Pop(Operand(0), to);
    }

    private protected void IntegerToReal(PtxType to, PtxType from)
    {
        PushI(1, from);
        bool signed = from.IsSigned();
        if (to.IsHalf())
        {
            // Through f64, to odd where 64 bits do not fit, so that it is rounded once.
            if (from.Bits() == 64) Call(signed ? "OddS64" : "OddU64");
            else { if (from == PtxType.U32 || from == PtxType.B32) il.Op(OpCodes.Conv_U8); il.Op(OpCodes.Conv_R8); }
            if (current.Opcode.Sat) Call("SatF64");
            ToHalf(to, PtxType.F64, from.Bits() - (signed ? 1 : 0) <= (to == PtxType.F16 ? 11 : 8));
            Pop(Operand(0), to);
            return;
        }
        if (RoundingMode != 0 && from.Bits() - (signed ? 1 : 0) > (to == PtxType.F64 ? 53 : 24))
        {
            if (from.Bits() < 64) il.Op(signed ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
            il.LdcI4(RoundingMode);
            Call((signed ? "S64" : "U64") + "To" + to + "Directed");
        }
        else if (signed || from.Bits() < 32) il.Op(to == PtxType.F64 ? OpCodes.Conv_R8 : OpCodes.Conv_R4);
        else
        {
            if (from.Bits() < 64) { il.Op(OpCodes.Conv_U8); il.Op(to == PtxType.F64 ? OpCodes.Conv_R8 : OpCodes.Conv_R4); }
            else Call(to == PtxType.F64 ? "U64ToF64" : "U64ToF32");
        }
        Result(to);
    }

    private protected void RealToInteger(PtxType to, PtxType from)
    {
        string mode = current.Opcode.First("rni", "rzi", "rmi", "rpi") ?? "rzi";
        if (from.IsHalf()) PushHalf(1, from);
        else Source(1, from);
        bool wide = from == PtxType.F64;
        if (mode != "rzi")
            Call((mode switch { "rni" => "Nearest", "rmi" => "Floor", _ => "Ceiling" }) + (wide ? "F64" : "F32"));
        Call((wide ? "F64" : "F32") + "To" + (to.IsSigned() ? "S" : "U") + to.Bits());
        Pop(Operand(0), to);
    }

    private protected void RealToReal(PtxType to, PtxType from)
    {
        PtxOpcode op = current.Opcode;
        if (from.IsHalf()) PushHalf(1, from);
        else Source(1, from);
        if (op.First("rni", "rzi", "rmi", "rpi") is { } integral)
            Call((integral switch { "rni" => "Nearest", "rzi" => "Truncate", "rmi" => "Floor", _ => "Ceiling" }) + (from == PtxType.F64 ? "F64" : "F32"));
        if (to.IsHalf())
        {
            if (op.Sat) Call(from == PtxType.F64 ? "SatF64" : "SatF32");
            ToHalf(to, from);
            Pop(Operand(0), to);
            return;
        }
        if (to == PtxType.F32 && from == PtxType.F64)
        {
            if (RoundingMode != 0) { il.LdcI4(RoundingMode); Call("F64ToF32Directed"); }
            else il.Op(OpCodes.Conv_R4);
        }
        else if (to == PtxType.F64 && from != PtxType.F64) il.Op(OpCodes.Conv_R8);
        Result(to);
    }
}
