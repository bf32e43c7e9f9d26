using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>One instruction that does not end a block.</summary>
unsafe partial class ScalarEmitter
{
    private protected void EmitInstruction(PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        switch (op.Name)
        {
            case InstructionFacts.Collect: EmitCollect(); break;
            case "ld" or "ldu": EmitLoad(); break;
            case "st": EmitStore(); break;
            case "mov": EmitMove(); break;
            case "cvta": EmitAddressConversion(); break;
            case "isspacep": EmitIsSpace(); break;
            case "atom": EmitAtomic(true); break;
            case "red": EmitAtomic(false); break;
            case "cvt": EmitConvert(); break;
            case "setp": EmitSetp(); break;
            case "set": EmitSet(); break;
            case "selp": EmitSelp(); break;
            case "slct": EmitSlct(); break;
            case "add" or "sub" when op.Has("cc"): EmitCarry(); break;
            case "addc" or "subc": EmitCarry(); break;
            case "mad" when op.Has("cc"): EmitCarry(); break;
            case "madc": EmitCarry(); break;
            case "add" or "sub" or "mul" or "mad" or "fma" or "div" or "rem" or "min" or "max" or "abs" or "neg" or "copysign"
                or "sqrt" or "rsqrt" or "rcp" or "sin" or "cos" or "ex2" or "lg2" or "tanh" or "testp" or "sad" or "mul24" or "mad24":
                EmitArithmetic();
                break;
            case "and" or "or" or "xor" or "not" or "cnot": EmitLogic(); break;
            case "shl" or "shr" or "shf": EmitShift(); break;
            case "lop3" or "bfe" or "bfi" or "bfind" or "popc" or "clz" or "brev" or "prmt" or "bmsk" or "fns" or "dp4a" or "dp2a": EmitBits(); break;
            case "bar" or "barrier": // arrive: the only form that does not stop the thread
                il.Ldarg(0);
                PushI(0, PtxType.U32);
                Call("Arrive");
                break;
            case "vadd" or "vsub" or "vabsdiff" or "vmin" or "vmax" or "vshl" or "vshr": EmitVideo(); break;
            case "vadd2" or "vsub2" or "vavrg2" or "vabsdiff2" or "vmin2" or "vmax2" or "vset2" or "vadd4" or "vsub4" or "vavrg4" or "vabsdiff4" or "vmin4" or "vmax4" or "vset4": EmitVideoLanes(); break;
            case "membar" or "fence": EmitFence(); break;
            case "prefetch" or "prefetchu" or "discard" or "applypriority" or "pmevent" or "brkpt" or "griddepcontrol" or "setmaxnreg": break;
            case "nanosleep": break; // the loop around it gives way, see SpinPass
            case "cp" when IsBarrierAccess(i): EmitAsyncArrival(); break;
            case "cp": EmitAsyncCopy(); break;
            case "mbarrier": EmitBarrierObject(); break;
            case "tex" or "tld4": EmitTexture(); break;
            case "suld": EmitSurfaceLoad(); break;
            case "sust": EmitSurfaceStore(); break;
            case "txq" or "suq": EmitTextureQuery(); break;
            default: throw Unsupported();
        }
    }

    private protected void EmitMove()
    {
        PtxType type = current.Opcode.Type;
        PtxOperand d = Operand(0), s = Operand(1);
        if (d.Kind == OperandKind.Vector || s.Kind == OperandKind.Vector && s.Elements.Length > 1)
        {
            PtxOperand[] parts = d.Kind == OperandKind.Vector ? d.Elements : s.Elements;
            int bits = type.Bits() / parts.Length;
            if (bits is not (8 or 16 or 32) || type.Bits() > 64) throw Unsupported();
            PtxType part = bits switch { 8 => PtxType.B8, 16 => PtxType.B16, _ => PtxType.B32 };
            if (d.Kind == OperandKind.Vector)
            {
                LocalBuilder whole = Temporary(RegisterClass.I64);
                Push(s, type.Bits() == 64 ? PtxType.B64 : PtxType.B32);
                if (type.Bits() < 64) il.Op(OpCodes.Conv_U8);
                il.Stloc(whole);
                for (int n = 0; n < parts.Length; n++)
                {
                    if (parts[n].Kind == OperandKind.Sink) continue;
                    il.Ldloc(whole);
                    if (n > 0)
                    {
                        il.LdcI4(n * bits);
                        il.Op(OpCodes.Shr_Un);
                    }
                    il.Op(bits == 8 ? OpCodes.Conv_U1 : bits == 16 ? OpCodes.Conv_U2 : OpCodes.Conv_I4);
                    Pop(parts[n], part);
                }
                return;
            }
            for (int n = 0; n < parts.Length; n++)
            {
                Push(parts[n], part);
                il.Op(OpCodes.Conv_U8);
                if (n == 0) continue;
                il.LdcI4(n * bits);
                il.Op(OpCodes.Shl);
                il.Op(OpCodes.Or);
            }
            if (type.Bits() < 64) il.Op(OpCodes.Conv_I4);
            Pop(d, type.Bits() == 64 ? PtxType.B64 : type.Bits() == 16 ? PtxType.B16 : PtxType.B32);
            return;
        }
        Push(s, type);
        Pop(d, type);
    }

    /// <summary>Pushes operand <paramref name="n"/>, flushed where the instruction says .ftz.</summary>
    private protected void Source(int n, PtxType type)
    {
        PushI(n, type);
        if (current.Opcode.Ftz && type == PtxType.F32) Call("FlushF32");
    }

    /// <summary>.ftz and .sat on a result, then into operand 0.</summary>
    private protected void Result(PtxType type)
    {
        if (type == PtxType.F32)
        {
            if (current.Opcode.Ftz) Call("FlushF32");
            if (current.Opcode.Sat) Call("SatF32");
        }
        else if (type == PtxType.F64 && current.Opcode.Sat) Call("SatF64");
        Pop(Operand(0), type);
    }

    private protected static string Suffix(PtxType type) => type switch
    {
        PtxType.B16 => "U16", PtxType.B32 => "U32", PtxType.B64 => "U64", _ => type.ToString(),
    };

    private protected static readonly string[] Comparisons = ["eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

    /// <summary>Pushes 0 or 1 for operands a and b compared as the opcode says.</summary>
    /// <param name="shift">16: of packed operands, the high halves</param>
    private protected void Compare(int a, int b, PtxType type, int shift = 0)
    {
        string how = current.Opcode.First(Comparisons) ?? throw Unsupported();
        if (type.IsHalf())
        {
            PushHalf(a, type, shift);
            PushHalf(b, type, shift);
        }
        else
        {
            Source(a, type);
            Source(b, type);
        }
        if (type == PtxType.Pred) throw Unsupported();
        bool real = type.IsFloat() || type.IsHalf();
        bool unsigned = !real && !type.IsSigned() || how is "lo" or "ls" or "hi" or "hs";
        // For floats, cgt/clt are ordered, their .un forms are unordered-true; for integers .un means unsigned.
        switch (how)
        {
            case "eq": il.Op(OpCodes.Ceq); break;
            case "neu" or "ne" when !real || how == "neu": il.Op(OpCodes.Ceq); Not(); break;
            case "ne": Call(type == PtxType.F64 ? "NotEqualF64" : "NotEqualF32"); break;
            case "lt" or "lo": il.Op(unsigned ? OpCodes.Clt_Un : OpCodes.Clt); break;
            case "gt" or "hi": il.Op(unsigned ? OpCodes.Cgt_Un : OpCodes.Cgt); break;
            case "le" or "ls": il.Op(unsigned != real ? OpCodes.Cgt_Un : OpCodes.Cgt); Not(); break;
            case "ge" or "hs": il.Op(unsigned != real ? OpCodes.Clt_Un : OpCodes.Clt); Not(); break;
            case "equ": Call(type == PtxType.F64 ? "EqualUnorderedF64" : "EqualUnorderedF32"); break;
            case "ltu": il.Op(OpCodes.Clt_Un); break;
            case "gtu": il.Op(OpCodes.Cgt_Un); break;
            case "leu": il.Op(OpCodes.Cgt); Not(); break;
            case "geu": il.Op(OpCodes.Clt); Not(); break;
            case "num": Call(type == PtxType.F64 ? "BothNumbersF64" : "BothNumbersF32"); break;
            default: Call(type == PtxType.F64 ? "BothNumbersF64" : "BothNumbersF32"); Not(); break;
        }
    }

    private protected void EmitSetp()
    {
        PtxOpcode op = current.Opcode;
        string? boolean = op.First("and", "or", "xor");
        PtxOperand d = Operand(0);
        if (op.Type is PtxType.F16x2 or PtxType.BF16x2)
        {
            // p|q: each half's own answer.
            if (boolean is not null) throw Unsupported();
            Compare(1, 2, op.Type);
            Pop(PtxOperand.Reg(d.Register), PtxType.Pred);
            if (d.Register2 < 0) return;
            Compare(1, 2, op.Type, 16);
            PopRegister(d.Register2, PtxType.Pred);
            return;
        }
        Compare(1, 2, op.Type);
        if (boolean is null && d.Register2 < 0) { Pop(d, PtxType.Pred); return; }
        LocalBuilder result = Temporary(RegisterClass.Pred), second = Temporary(RegisterClass.Pred);
        il.Stloc(result);
        OpCode code = boolean switch { "and" => OpCodes.And, "or" => OpCodes.Or, _ => OpCodes.Xor };
        if (boolean is not null)
        {
            PushI(3, PtxType.Pred);
            il.Stloc(second);
        }
        if (d.Register2 >= 0)
        {
            il.Ldloc(result);
            Not();
            if (boolean is not null) { il.Ldloc(second); il.Op(code); }
            PopRegister(d.Register2, PtxType.Pred);
        }
        il.Ldloc(result);
        if (boolean is not null) { il.Ldloc(second); il.Op(code); }
        if (d.Kind == OperandKind.Sink) il.Op(OpCodes.Pop);
        else PopRegister(d.Register, PtxType.Pred);
    }

    private protected void EmitSet()
    {
        PtxOpcode op = current.Opcode;
        Compare(1, 2, op.Type2);
        if (op.First("and", "or", "xor") is { } boolean)
        {
            PushI(3, PtxType.Pred);
            il.Op(boolean switch { "and" => OpCodes.And, "or" => OpCodes.Or, _ => OpCodes.Xor });
        }
        if (op.Type == PtxType.F32) il.Op(OpCodes.Conv_R4);
        else if (op.Type.Bits() == 32 && !op.Type.IsHalf()) il.Op(OpCodes.Neg);
        else throw Unsupported();
        Pop(Operand(0), op.Type);
    }

    private protected void EmitSelp() => Choose(no =>
    {
        PushI(3, PtxType.Pred);
        il.Brfalse(no);
    });

    private protected void EmitSlct() => Choose(no =>
    {
        PtxType test = current.Opcode.Type2;
        Source(3, test);
        if (test == PtxType.F32) { il.LdcR4(0); il.Op(OpCodes.Blt_Un, no); }
        else { il.LdcI4(0); il.Op(OpCodes.Blt, no); }
    });

    /// <summary>Operand 1 into operand 0, or operand 2 where <paramref name="test"/> jumps.</summary>
    private protected void Choose(Action<Label> test)
    {
        PtxType type = current.Opcode.Type;
        Label no = il.NewLabel(), end = il.NewLabel();
        LocalBuilder result = Temporary(ClassOf(type));
        test(no);
        PushI(1, type);
        il.Stloc(result);
        il.Br(end);
        il.Mark(no);
        PushI(2, type);
        il.Stloc(result);
        il.Mark(end);
        il.Ldloc(result);
        Pop(Operand(0), type);
    }

    private protected void EmitLogic()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        PushI(1, type);
        switch (op.Name)
        {
            case "not":
                if (type == PtxType.Pred) Not();
                else il.Op(OpCodes.Not);
                break;
            case "cnot":
                if (type.Bits() == 64) { il.LdcI8(0); il.Op(OpCodes.Ceq); il.Op(OpCodes.Conv_U8); }
                else Not();
                break;
            default:
                PushI(2, type);
                il.Op(op.Name == "and" ? OpCodes.And : op.Name == "or" ? OpCodes.Or : OpCodes.Xor);
                break;
        }
        Pop(Operand(0), type);
    }

    private protected void EmitShift()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        if (op.Name == "shf")
        {
            PushI(1, PtxType.U32);
            PushI(2, PtxType.U32);
            PushI(3, PtxType.U32);
            Call((op.Has("l") ? "ShfL" : "ShfR") + (op.Has("wrap") ? "Wrap" : "Clamp"));
            Pop(Operand(0), PtxType.B32);
            return;
        }
        PtxOperand amount = Operand(2);
        bool left = op.Name == "shl", signed = type.IsSigned();
        int width = type.Bits();
        if (amount.Kind == OperandKind.Integer)
        {
            uint n = (uint)amount.Value;
            if (n < width || signed && !left)
            {
                PushI(1, type);
                il.LdcI4((int)Math.Min(n, (uint)width - 1));
                il.Op(left ? OpCodes.Shl : signed ? OpCodes.Shr : OpCodes.Shr_Un);
            }
            else Constant(0, type);
            Pop(Operand(0), type);
            return;
        }
        PushI(1, type);
        PushI(2, PtxType.U32);
        // .NET masks the amount, PTX clamps it.
        Call((left ? "Shl" : signed ? "ShrS" : "ShrU") + width);
        Pop(Operand(0), type);
    }

    private protected void EmitBits()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        bool wide = type.Bits() == 64;
        switch (op.Name)
        {
            case "lop3":
                PushI(1, PtxType.B32);
                PushI(2, PtxType.B32);
                PushI(3, PtxType.B32);
                PushI(4, PtxType.B32);
                Call("Lop3");
                if (op.First("and", "or") is { } boolean)
                {
                    // d|p: the predicate is (d != 0) and/or the last operand.
                    LocalBuilder whole = Temporary(RegisterClass.I32);
                    il.Stloc(whole);
                    il.Ldloc(whole);
                    Not();
                    Not();
                    PushI(5, PtxType.Pred);
                    il.Op(boolean == "and" ? OpCodes.And : OpCodes.Or);
                    if (Operand(0).Register2 < 0) il.Op(OpCodes.Pop);
                    else PopRegister(Operand(0).Register2, PtxType.Pred);
                    il.Ldloc(whole);
                }
                Pop(Operand(0), PtxType.B32);
                return;
            case "bfe":
                PushI(1, type);
                PushI(2, PtxType.U32);
                PushI(3, PtxType.U32);
                Call("Bfe" + Suffix(type));
                break;
            case "bfi":
                PushI(1, type);
                PushI(2, type);
                PushI(3, PtxType.U32);
                PushI(4, PtxType.U32);
                Call(wide ? "Bfi64" : "Bfi32");
                break;
            case "bfind":
                PushI(1, type);
                il.LdcI4(op.Has("shiftamt") ? 1 : 0);
                Call("Bfind" + Suffix(type));
                Pop(Operand(0), PtxType.U32);
                return;
            case "popc" or "clz":
                PushI(1, type);
                Call((op.Name == "popc" ? "Popc" : "Clz") + (wide ? "64" : "32"));
                Pop(Operand(0), PtxType.U32);
                return;
            case "brev":
                PushI(1, type);
                Call(wide ? "Brev64" : "Brev32");
                break;
            case "prmt":
                PushI(1, PtxType.B32);
                PushI(2, PtxType.B32);
                PushI(3, PtxType.B32);
                Call("Prmt" + (op.First("f4e", "b4e", "rc8", "ecl", "ecr", "rc16") is { } mode ? "_" + mode : ""));
                break;
            case "bmsk":
                PushI(1, PtxType.U32);
                PushI(2, PtxType.U32);
                Call(op.Has("wrap") ? "BmskWrap" : "BmskClamp");
                break;
            case "fns":
                PushI(1, PtxType.U32);
                PushI(2, PtxType.U32);
                PushI(3, PtxType.S32);
                Call("Fns");
                break;
            case "dp4a" or "dp2a":
                PushI(1, PtxType.B32);
                PushI(2, PtxType.B32);
                PushI(3, PtxType.B32);
                il.LdcI4((type.IsSigned() ? 1 : 0) | (op.Type2.IsSigned() ? 2 : 0) | (op.Has("hi") ? 4 : 0));
                Call(op.Name == "dp4a" ? "Dp4a" : "Dp2a");
                Pop(Operand(0), PtxType.B32);
                return;
        }
        Pop(Operand(0), type);
    }

    /// <summary>The carry flag is a local of the thread's run: the chain may not cross a block, as compilers never let it.</summary>
    private protected LocalBuilder? carry;

    private protected void EmitCarry()
    {
        PtxOpcode op = current.Opcode;
        PtxType type = op.Type;
        if (type.Bits() is not (32 or 64)) throw Unsupported();
        carry ??= il.NewLocal(typeof(int));
        bool wide = type.Bits() == 64, mad = op.Name is "mad" or "madc";
        LocalBuilder a = Temporary(wide ? RegisterClass.I64 : RegisterClass.I32);
        if (mad)
        {
            PushI(1, type);
            PushI(2, type);
            if (op.Has("hi")) Call("MulHi" + Suffix(type));
            else il.Op(OpCodes.Mul);
            il.Stloc(a);
        }
        bool subtract = op.Name is "sub" or "subc", takes = op.Name is "addc" or "subc" or "madc";
        if (mad) il.Ldloc(a);
        else PushI(1, type);
        PushI(mad ? 3 : 2, type);
        if (takes) il.Ldloc(carry);
        else il.LdcI4(0);
        LocalBuilder result = Temporary(wide ? RegisterClass.I64 : RegisterClass.I32), x = Temporary(wide ? RegisterClass.I64 : RegisterClass.I32), y = Temporary(wide ? RegisterClass.I64 : RegisterClass.I32);
        LocalBuilder c = Temporary(RegisterClass.I32);
        il.Stloc(c);
        il.Stloc(y);
        il.Stloc(x);
        il.Ldloc(x);
        il.Ldloc(y);
        il.Ldloc(c);
        Call((subtract ? "SubCarry" : "AddCarry") + (wide ? "64" : "32"));
        il.Stloc(result);
        if (op.Has("cc"))
        {
            il.Ldloc(x);
            il.Ldloc(y);
            il.Ldloc(c);
            Call((subtract ? "SubBorrowOut" : "AddCarryOut") + (wide ? "64" : "32"));
            il.Stloc(carry);
        }
        il.Ldloc(result);
        Pop(Operand(0), type);
    }

    private protected static readonly string[] VideoOperations = ["vadd", "vsub", "vabsdiff", "vmin", "vmax", "vshl", "vshr"];

    /// <summary>vadd.dtype.atype.btype{.sat}{.op2} d, a{.part}, b{.part}{, c}; forms that merge into a part of d are refused.</summary>
    private protected void EmitVideo()
    {
        PtxOpcode op = current.Opcode;
        PtxType[] types = [.. op.Modifiers.Select(PtxTypes.Parse).Where(t => t != PtxType.None)];
        if (types.Length != 3 || Array.Exists(types, t => t is not (PtxType.U32 or PtxType.S32)) || Operand(0).Part != 0) throw Unsupported();
        string? second = op.First("add", "min", "max");
        if (current.Operands.Length != (second is null ? 3 : 4)) throw Unsupported();
        for (int n = 1; n <= 2; n++)
        {
            PtxOperand o = Operand(n);
            if (o.Part == PtxOperand.ManyParts) throw Unsupported();
            Push(o, PtxType.U32, part: true);
            il.LdcI4(o.Part);
            il.LdcI4(types[n].IsSigned() ? 1 : 0);
            Call("VideoPart");
        }
        if (second is null) Push(Operand(1), PtxType.U32, part: true); // not looked at
        else PushI(3, PtxType.U32);
        il.LdcI4(Array.IndexOf(VideoOperations, op.Name) | (op.Has("wrap") ? 8 : 0) | (op.Sat ? 16 : 0) | (types[0].IsSigned() ? 32 : 0) | (second switch { "add" => 64, "min" => 128, "max" => 192, _ => 0 }));
        Call("Video");
        Pop(Operand(0), PtxType.U32);
    }

    private protected static readonly string[] VideoLaneOperations = ["vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax", "vset"];
    private protected static readonly string[] VideoComparisons = ["eq", "ne", "lt", "le", "gt", "ge"];

    /// <summary>vadd4.dtype.atype.btype{.sat} d{.mask}, a{.selection}, b{.selection}, c and with .add; vset4.atype.btype.cmp likewise; two halves with 2.</summary>
    private protected void EmitVideoLanes()
    {
        PtxOpcode op = current.Opcode;
        int lanes = op.Name[^1] - '0', operation = Array.IndexOf(VideoLaneOperations, op.Name[..^1]);
        bool isSet = op.Name.StartsWith("vset", StringComparison.Ordinal);
        PtxType[] types = [.. op.Modifiers.Select(PtxTypes.Parse).Where(t => t != PtxType.None)];
        int comparison = isSet ? Array.IndexOf(VideoComparisons, op.First(VideoComparisons)) : 0;
        if (types.Length != (isSet ? 2 : 3) || Array.Exists(types, t => t is not (PtxType.U32 or PtxType.S32)) || comparison < 0 || current.Operands.Length != 4) throw Unsupported();
        Push(Operand(1), PtxType.U32, part: true);
        Push(Operand(2), PtxType.U32, part: true);
        PushI(3, PtxType.U32);
        int mask = Mask(Operand(0).Lanes, lanes);
        il.LdcI4(Selection(Operand(1).Lanes, lanes, 0, mask));
        il.LdcI4(Selection(Operand(2).Lanes, lanes, lanes, mask));
        il.LdcI4(mask | operation << 4 | (op.Sat ? 1 << 8 : 0) | (types[0].IsSigned() ? 1 << 9 : 0) | (op.Has("add") ? 1 << 10 : 0) | (lanes == 4 ? 1 << 11 : 0) | comparison << 12
            | (types[^2].IsSigned() ? 1 << 16 : 0) | (types[^1].IsSigned() ? 1 << 17 : 0));
        Call("VideoLanes");
        Pop(Operand(0), PtxType.U32);
    }

    /// <summary>Which lane of the pair {a, b} goes into each lane that is written, four bits each, lowest first; without a suffix the operand's own lanes.</summary>
    private int Selection(string? suffix, int lanes, int first, int mask)
    {
        int result = 0, shift = 0;
        if (suffix is not null && (suffix.Length != lanes + 1 || suffix[0] != (lanes == 4 ? 'b' : 'h'))) throw Unsupported();
        for (int n = 0; n < lanes; n++)
        {
            int lane = suffix is null ? first + n : suffix[lanes - n] - '0';
            if (lane < 0 || lane >= 2 * lanes) throw Unsupported();
            if ((mask >> n & 1) == 0) continue;
            result |= lane << shift;
            shift += 4;
        }
        return result;
    }

    /// <summary>Lanes that are written, or added up: a bit each.</summary>
    private int Mask(string? suffix, int lanes)
    {
        if (suffix is null) return (1 << lanes) - 1;
        int result = 0;
        if (suffix.Length < 2 || suffix[0] != (lanes == 4 ? 'b' : 'h')) throw Unsupported();
        foreach (char c in suffix[1..])
        {
            if (c - '0' < 0 || c - '0' >= lanes) throw Unsupported();
            result |= 1 << c - '0';
        }
        return result;
    }

    /// <summary>cp.async.{ca,cg}.shared.global [dst], [src], size{, srcSize}: done at once, which the ISA allows; commit and wait have nothing left to do.</summary>
    private protected void EmitAsyncCopy()
    {
        PtxOpcode op = current.Opcode;
        if (!op.Has("async") || op.Has("bulk") || op.Has("mbarrier")) throw Unsupported();
        if (op.First("commit_group", "wait_group", "wait_all") is not null) return;
        if (current.Operands.Length is < 3 or > 4) throw Unsupported();
        il.Ldarg(0);
        il.Ldloc(thread);
        EffectiveAddress(Operand(0));
        EffectiveAddress(Operand(1));
        PushI(2, PtxType.U32);
        if (current.Operands.Length > 3) PushI(3, PtxType.U32);
        else PushI(2, PtxType.U32);
        Call("AsyncCopy");
    }
}
