using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>Instructions that have a vector form: the method of <see cref="VectorMath"/> that is named like the operation and its type.</summary>
sealed unsafe partial class SimdEmitter
{
    static Type ElementFor(PtxType type) => type == PtxType.F32 ? typeof(float) : type == PtxType.F64 ? typeof(double) : type.Bits() == 64 ? typeof(long) : typeof(int);

    /// <summary>32 or 64 bits, and not a pair of halves.</summary>
    static bool IsLane(PtxType type) => type.Bits() is 32 or 64 && !type.IsHalf() && type != PtxType.TF32;

    /// <summary>The operand can be pushed as vectors of the type.</summary>
    bool Fits(PtxOperand o, PtxType type) => o.Part == 0 && o.Kind switch
    {
        OperandKind.Register => o.Register2 < 0 && !o.Negated && f.Registers[o.Register].Type.Bits() == type.Bits() && g.Classes[o.Register] != RegisterClass.Pred,
        OperandKind.Integer or OperandKind.Float32 or OperandKind.Float64 or OperandKind.Symbol => true,
        OperandKind.Special => ShapePass.Of(f, o, shapes.Stride, layout.TidIsAffine) != Shapes.Varying,
        _ => false,
    };

    bool FitAll(PtxInstruction i, PtxType target, params ReadOnlySpan<PtxType> sources)
    {
        if (i.Operands.Length != sources.Length + 1 || i.Operands[0].Kind != OperandKind.Register || !Fits(i.Operands[0], target) || !shapes.IsVarying(i.Operands[0].Register)) return false;
        for (int n = 0; n < sources.Length; n++)
            if (!Fits(i.Operands[n + 1], sources[n])) return false;
        return true;
    }

    /// <summary>Pushes part <paramref name="p"/> of an operand as a vector of the type's elements.</summary>
    void PushVector(PtxOperand o, PtxType type, int p)
    {
        Type t = ElementFor(type);
        long stride = ShapePass.Of(f, o, shapes.Stride, layout.TidIsAffine);
        if (stride == Shapes.Varying)
        {
            il.Ldloc(Vector(o.Register)[p]);
            Reinterpret(ElementOf(g.Classes[o.Register]), t);
            return;
        }
        if (stride == 0)
        {
            if (o.Kind == OperandKind.Register && broadcasts.TryGetValue(o.Register, out LocalBuilder? known))
            {
                il.Ldloc(known);
                Reinterpret(ElementOf(g.Classes[o.Register]), t);
                return;
            }
            Push(o, type);
            Broadcast(t);
            return;
        }
        // Lanes count in whole numbers, whatever the bits are read as.
        Type wanted = t;
        t = SizeOf(t) == 8 ? typeof(long) : typeof(int);
        Push(o, SizeOf(t) == 8 ? PtxType.B64 : PtxType.B32);
        Broadcast(t);
        il.LdcI8((long)program.AddressOf(ConstantTables.Multiples(stride, SizeOf(t))) + p * width.Bytes);
        il.Op(OpCodes.Conv_I);
        LoadVector(t);
        il.Call(width.Method("Add", t, width.Of(t), width.Of(t)));
        Reinterpret(t, wanted);
    }

    /// <summary>Values of this block that are the same in all lanes, as vectors.</summary>
    readonly Dictionary<int, LocalBuilder> broadcasts = [];
    /// <summary>Instructions between the load of such a value and its last use at most: a vector that lives long costs more than to make it again.</summary>
    const int BroadcastReach = 24;

    /// <summary>Makes vectors of what was just loaded for all lanes: the processor's load does both at once, where it came through a scalar register first that took a step of its own.</summary>
    void EmitBroadcasts(PtxInstruction load)
    {
        List<int> loaded = [], mentioned = [];
        Collector collect = new(loaded), mention = new(mentioned);
        InstructionFacts.ForDefs(load, ref collect);
        int at = block.Body.IndexOf(load);
        foreach (int r in loaded)
        {
            if (g.Classes[r] is not (RegisterClass.F32 or RegisterClass.F64) || g.OnlyBlock[r] < 0) continue;
            int last = -1;
            bool isOnce = true;
            for (int n = 0; n < block.Body.Count; n++)
            {
                PtxInstruction i = block.Body[n];
                mentioned.Clear();
                if (n != at) InstructionFacts.ForDefs(i, ref mention);
                isOnce &= !mentioned.Contains(r);
                mentioned.Clear();
                InstructionFacts.ForUses(i, ref mention);
                if (mentioned.Contains(r) && i.Operands[0].Kind == OperandKind.Register && shapes.IsVarying(i.Operands[0].Register)) last = n;
            }
            if (!isOnce || last < at || last - at > BroadcastReach) continue;
            Type t = ElementOf(g.Classes[r]);
            LocalBuilder v = TemporaryVectors(t, 1)[0];
            il.Ldloc(Local(r));
            Broadcast(t);
            il.Stloc(v);
            broadcasts[r] = v;
        }
    }

    /// <summary>As <see cref="PushVector"/>, flushed where the instruction says .ftz.</summary>
    void PushSource(int n, PtxType type, int p)
    {
        PushVector(Operand(n), type, p);
        if (current.Opcode.Ftz && type == PtxType.F32) Math("FlushF32");
    }

    /// <summary>Puts what <paramref name="part"/> pushes into a varying register, in the lanes that are on.</summary>
    void Result(int register, Type t, Action<int> part)
    {
        Type own = ElementOf(g.Classes[register]);
        LocalBuilder[] to = Vector(register);
        bool blend = MustBlend(register);
        for (int p = 0; p < to.Length; p++)
        {
            if (blend) PushMask(mask!, SizeOf(t), p);
            part(p);
            Reinterpret(t, own);
            if (blend)
            {
                // ConditionalSelect(mask, new, old)
                il.Ldloc(to[p]);
                Math("Select" + own.Name);
            }
            il.Stloc(to[p]);
        }
    }

    /// <summary>Lanes that are not on may need what the register held. Not where it lives in one block only: all lanes of that block are due together.</summary>
    bool MustBlend(int register) => mask is not null && (guarded || g.OnlyBlock[register] < 0);

    /// <summary>Expands bits of a mask to lanes.</summary>
    void PushMask(LocalBuilder m, int size, int p)
    {
        int each = width.Bytes / size;
        il.Ldloc(m);
        if (p > 0)
        {
            il.LdcI4(p * each);
            il.Op(OpCodes.Shr_Un);
        }
        Math(size == 8 ? "Mask64" : "Mask32");
    }

    /// <summary>Pushes a predicate as one bit a lane.</summary>
    void PushBits(PtxOperand o, bool negated)
    {
        negated ^= o.Negated;
        if (o.Kind == OperandKind.Register && shapes.IsVarying(o.Register))
        {
            il.Ldloc(base.Local(o.Register));
            if (negated)
            {
                il.LdcI4(Full);
                il.Op(OpCodes.Xor);
            }
            return;
        }
        if (o.Kind == OperandKind.Register) il.Ldloc(base.Local(o.Register));
        else il.LdcI4(o.Value != 0 ? 1 : 0);
        if (negated) Not();
        il.Op(OpCodes.Neg);
        il.LdcI4(Full);
        il.Op(OpCodes.And);
    }

    /// <summary>Pops bits into a varying predicate.</summary>
    void PopBits(int register)
    {
        LocalBuilder to = base.Local(register);
        if (MustBlend(register))
        {
            il.Ldloc(mask!);
            il.Op(OpCodes.And);
            il.Ldloc(to);
            il.Ldloc(mask!);
            il.Op(OpCodes.Not);
            il.Op(OpCodes.And);
            il.Op(OpCodes.Or);
        }
        il.Stloc(to);
    }

    bool TryVector(PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        PtxType type = op.Type;
        switch (i.Name)
        {
            case "ld" or "ldu": return TryLoad(i);
            case "st": return TryStore(i);
            case "setp": return TrySetp(i);
            case "selp": return TrySelp(i);
            case "cvt": return TryConvert(i);
            case "and" or "or" or "xor" or "not" or "mov" when type == PtxType.Pred: return TryPredicate(i);
            case "mov" or "cvta" when IsLane(type) && op.Space != PtxSpace.Local && FitAll(i, type, type):
                if (i.Name == "cvta" && op.Space == PtxSpace.Shared) return false;
                Result(i.Operands[0].Register, ElementFor(type), p => PushVector(i.Operands[1], type, p));
                return true;
            case "shl" or "shr": return TryShift(i);
            case "mul" or "mad" when op.Has("wide"):
            {
                if (type.Bits() != 32 || op.Sat) return false;
                PtxType wide = type.IsSigned() ? PtxType.S64 : PtxType.U64;
                if (!(i.Name == "mul" ? FitAll(i, wide, type, type) : FitAll(i, wide, type, type, wide))) return false;
                Result(i.Operands[0].Register, typeof(long), p =>
                {
                    for (int n = 1; n <= 2; n++) PushWidened(i.Operands[n], type, p);
                    Math(type.IsSigned() ? "MulWideS32" : "MulWideU32");
                    if (i.Name == "mad") { PushVector(i.Operands[3], wide, p); Math("AddS64"); }
                });
                return true;
            }
        }
        if (!IsLane(type) || type == PtxType.None) return false;
        string? name = VectorName(i);
        if (name is null || width.Helper(name) is null) return false;
        int sources = width.Helper(name)!.GetParameters().Length;
        PtxType[] types = [type, type, type];
        if (!FitAll(i, type, types.AsSpan(0, i.Operands.Length - 1)) || sources != i.Operands.Length - 1 && !(i.Name == "mad" && !type.IsFloat() && sources == 2 && i.Operands.Length == 4)) return false;
        bool real = type.IsFloat();
        Result(i.Operands[0].Register, ElementFor(type), p =>
        {
            for (int n = 1; n <= sources; n++)
                if (real) PushSource(n, type, p);
                else PushVector(i.Operands[n], type, p);
            Math(name);
            if (i.Name == "mad" && !real) { PushVector(i.Operands[3], type, p); Math(type.Bits() == 64 ? "AddS64" : "AddS32"); }
            if (type == PtxType.F32 && op.Ftz) Math("FlushF32");
            if (real && op.Sat) Math(type == PtxType.F32 ? "SatF32" : "SatF64");
        });
        return true;
    }

    /// <summary>Pushes 64-bit part <paramref name="p"/> of a 32-bit operand.</summary>
    void PushWidened(PtxOperand o, PtxType type, int p)
    {
        PushVector(o, type, p / 2);
        Math("Widen" + (type.IsSigned() ? "S32" : "U32") + (p % 2 == 0 ? "Lower" : "Upper"));
    }

    string? VectorName(PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        PtxType type = op.Type;
        string t = type.ToString();
        if (type.IsFloat())
        {
            if (RoundingMode != 0 || op.First("NaN", "xorsign", "relu", "full") is not null && i.Name != "div" || type == PtxType.F64 && op.Ftz) return null;
            return i.Name switch
            {
                "add" => "Add" + t, "sub" => "Sub" + t, "mul" => "Mul" + t, "fma" or "mad" => "Fma" + t, "min" => "Min" + t, "max" => "Max" + t, "abs" => "Abs" + t, "neg" => "Neg" + t, "sqrt" => "Sqrt" + t,
                "div" => op.Has("approx") && type == PtxType.F32 ? "DivApproxF32" : "Div" + t, "rcp" => type == PtxType.F64 && op.Has("approx") ? null : "Rcp" + t, "rsqrt" => "Rsqrt" + t,
                "ex2" => "Ex2" + t, "lg2" => "Lg2" + t, _ => null,
            };
        }
        if (op.Sat || op.Has("cc") || op.First("hi") is not null && i.Name != "mul") return null;
        string plain = type.Bits() == 64 ? "S64" : "S32";
        return i.Name switch
        {
            "add" => "Add" + plain, "sub" => "Sub" + plain, "mul" => op.Has("hi") ? "MulHi" + Suffix(type) : "MulLo" + plain, "mad" => "MulLo" + plain, "neg" => "Neg" + plain, "abs" => "Abs" + plain,
            "min" or "max" => op.Has("relu") ? null : (i.Name == "min" ? "Min" : "Max") + Suffix(type), "and" => "And" + plain, "or" => "Or" + plain, "xor" => "Xor" + plain, "not" => "Not" + plain, _ => null,
        };
    }

    bool TryShift(PtxInstruction i)
    {
        PtxType type = i.Opcode.Type;
        if (!IsLane(type)) return false;
        bool left = i.Name == "shl", signed = type.IsSigned();
        if (!FitAll(i, type, type, PtxType.U32) || !left && signed && type.Bits() == 64) return false;
        PtxOperand amount = i.Operands[2];
        if (type.Bits() == 64 && ShapePass.Of(f, amount, shapes.Stride, layout.TidIsAffine) != 0) return false;
        string name = (left ? "Shl" : signed ? "ShrS" : "ShrU") + type.Bits();
        Result(i.Operands[0].Register, ElementFor(type), p =>
        {
            PushVector(i.Operands[1], type, p);
            if (type.Bits() == 32) PushVector(amount, PtxType.U32, p);
            else
            {
                Push(amount, PtxType.U32);
                il.Op(OpCodes.Conv_U8);
                Broadcast(typeof(long));
            }
            Math(name);
        });
        return true;
    }

    bool TryPredicate(PtxInstruction i)
    {
        if (i.Operands[0].Kind != OperandKind.Register || !shapes.IsVarying(i.Operands[0].Register)) return false;
        PushBits(i.Operands[1], i.Name == "not");
        if (i.Name is not ("not" or "mov"))
        {
            PushBits(i.Operands[2], false);
            il.Op(i.Name == "and" ? OpCodes.And : i.Name == "or" ? OpCodes.Or : OpCodes.Xor);
        }
        PopBits(i.Operands[0].Register);
        return true;
    }

    bool TrySelp(PtxInstruction i)
    {
        PtxType type = i.Opcode.Type;
        if (!IsLane(type) || i.Operands.Length != 4 || i.Operands[0].Kind != OperandKind.Register || !shapes.IsVarying(i.Operands[0].Register) || !Fits(i.Operands[0], type) || !Fits(i.Operands[1], type) || !Fits(i.Operands[2], type)) return false;
        Type t = ElementFor(type);
        LocalBuilder chosen = Temporary(RegisterClass.I32);
        PushBits(i.Operands[3], false);
        il.Stloc(chosen);
        Result(i.Operands[0].Register, t, p =>
        {
            PushMask(chosen, SizeOf(t), p);
            PushVector(i.Operands[1], type, p);
            PushVector(i.Operands[2], type, p);
            Math("Select" + t.Name);
        });
        return true;
    }

    bool TrySetp(PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        PtxType type = op.Type;
        string? boolean = op.First("and", "or", "xor");
        if (!IsLane(type) || i.Operands.Length != (boolean is null ? 3 : 4) || !Fits(i.Operands[1], type) || !Fits(i.Operands[2], type)) return false;
        PtxOperand d = i.Operands[0];
        if (d.Register >= 0 && !shapes.IsVarying(d.Register) || d.Register2 >= 0 && !shapes.IsVarying(d.Register2)) return false;
        string how = op.First(Comparisons) ?? throw Unsupported();
        bool real = type.IsFloat(), unsigned = !real && (!type.IsSigned() || how is "lo" or "ls" or "hi" or "hs");
        if (!real) how = how switch { "lo" => "lt", "ls" => "le", "hi" => "gt", "hs" => "ge", _ => how };
        string name = char.ToUpperInvariant(how[0]) + how[1..] + (real ? type.ToString() : (unsigned && how is not ("eq" or "ne") ? "U" : "S") + type.Bits());
        if (width.Helper(name) is null) return false;
        int each = width.Bytes * 8 / type.Bits();
        LocalBuilder result = Temporary(RegisterClass.I32);
        for (int p = 0; p < lanes / each; p++)
        {
            if (real) { PushSource(1, type, p); PushSource(2, type, p); }
            else { PushVector(i.Operands[1], type, p); PushVector(i.Operands[2], type, p); }
            Math(name);
            if (p == 0) continue;
            il.LdcI4(p * each);
            il.Op(OpCodes.Shl);
            il.Op(OpCodes.Or);
        }
        il.Stloc(result);
        LocalBuilder? second = null;
        OpCode code = boolean switch { "and" => OpCodes.And, "or" => OpCodes.Or, _ => OpCodes.Xor };
        if (boolean is not null)
        {
            second = Temporary(RegisterClass.I32);
            PushBits(i.Operands[3], false);
            il.Stloc(second);
        }
        if (d.Register2 >= 0)
        {
            il.Ldloc(result);
            il.LdcI4(Full);
            il.Op(OpCodes.Xor);
            if (second is not null) { il.Ldloc(second); il.Op(code); }
            PopBits(d.Register2);
        }
        if (d.Kind == OperandKind.Sink) return true;
        il.Ldloc(result);
        if (second is not null) { il.Ldloc(second); il.Op(code); }
        PopBits(d.Register);
        return true;
    }

    bool TryConvert(PtxInstruction i)
    {
        PtxOpcode op = i.Opcode;
        PtxType to = op.Type, from = op.Type2;
        if (!IsLane(to) || !IsLane(from) || op.Sat || RoundingMode != 0 || op.First("relu", "satfinite", "rna") is not null || !FitAll(i, to, from)) return false;
        int register = i.Operands[0].Register;
        PtxOperand s = i.Operands[1];
        Type t = ElementFor(to);
        string? integral = op.First("rni", "rzi", "rmi", "rpi");
        if (!from.IsFloat() && !to.IsFloat())
        {
            if (from.Bits() == to.Bits()) Result(register, t, p => PushVector(s, from, p));
            else if (from.Bits() == 32) Result(register, t, p => PushWidened(s, from, p));
            else Result(register, t, p => { PushVector(s, from, 2 * p); PushVector(s, from, 2 * p + 1); Math("NarrowS64"); });
            return true;
        }
        if (from.IsFloat() && to.IsFloat())
        {
            if (integral is not null)
            {
                if (from != to || from != PtxType.F32) return false;
                Result(register, t, p => { PushSource(1, from, p); Math(integral switch { "rni" => "NearestF32", "rzi" => "TruncateF32", "rmi" => "FloorF32", _ => "CeilingF32" }); if (op.Ftz) Math("FlushF32"); });
            }
            else if (from == to) return false;
            else if (to == PtxType.F64) Result(register, t, p => { PushVector(s, from, p / 2); if (op.Ftz) Math("FlushF32"); Math(p % 2 == 0 ? "WidenF32Lower" : "WidenF32Upper"); });
            else Result(register, t, p => { PushVector(s, from, 2 * p); PushVector(s, from, 2 * p + 1); Math("NarrowF64"); if (op.Ftz) Math("FlushF32"); });
            return true;
        }
        string name = from + "To" + to;
        if (from.IsFloat() && integral is not (null or "rzi") || from.Bits() != 32 || width.Helper(name) is null) return false;
        if (to == PtxType.F64) Result(register, t, p => { PushVector(s, from, p / 2); if (p % 2 == 1) Math("UpperHalf"); Math(name); });
        else Result(register, t, p => { if (from.IsFloat()) PushSource(1, from, p); else PushVector(s, from, p); Math(name); });
        return true;
    }
}
