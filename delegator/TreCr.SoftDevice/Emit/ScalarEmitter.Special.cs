using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>What is the same for all threads of a block is read once per method call: parameters, sizes, limits.</summary>
unsafe partial class ScalarEmitter
{
    private protected const int MaxHoistedParameters = 24;
    private protected bool usesTid, usesLocal;
    private protected readonly Dictionary<SpecialRegister, LocalBuilder> hoistedSpecials = [];
    private protected readonly Dictionary<(long Offset, PtxType Type), LocalBuilder> hoistedParameters = [];
    private protected LocalBuilder? windowBase, sharedBase;
    private protected readonly LocalBuilder?[] windowLimit = new LocalBuilder?[6], sharedLimit = new LocalBuilder?[6], localLimit = new LocalBuilder?[6];

    private protected static string? FieldOf(SpecialRegister s) => s switch
    {
        SpecialRegister.NtidX => "NtidX", SpecialRegister.NtidY => "NtidY", SpecialRegister.NtidZ => "NtidZ",
        SpecialRegister.CtaidX => "CtaidX", SpecialRegister.CtaidY => "CtaidY", SpecialRegister.CtaidZ => "CtaidZ",
        SpecialRegister.NctaidX => "NctaidX", SpecialRegister.NctaidY => "NctaidY", SpecialRegister.NctaidZ => "NctaidZ",
        SpecialRegister.GridWorkspaceHi => "GridWorkspaceHi", SpecialRegister.GridWorkspaceLo => "GridWorkspaceLo",
        SpecialRegister.SmId => "SmId", SpecialRegister.NSmId => "NSmId", SpecialRegister.DynamicSharedSize => "DynamicSharedBytes", SpecialRegister.TotalSharedSize => "SharedBytes",
        _ => null,
    };

    private protected void EmitHoists()
    {
        foreach (FlowBlock b in Blocks)
            foreach (PtxInstruction i in b.Body)
            {
                foreach (PtxOperand o in i.Operands)
                {
                    if (o.Kind == OperandKind.Special) HoistSpecial(o.Special);
                    if (o.Name is { } name && f.Locals.TryGetValue(name, out PtxVariable? v) && v.Space == PtxSpace.Local) usesLocal = true;
                }
                if (i.Name is "ld" or "st" or "atom" or "red" or "cvta" || IsBarrierAccess(i)) HoistMemory(i);
            }
    }

    private protected void HoistSpecial(SpecialRegister s)
    {
        if (s is SpecialRegister.TidX or SpecialRegister.TidY or SpecialRegister.TidZ) { usesTid = true; return; }
        if (FieldOf(s) is not { } field || hoistedSpecials.ContainsKey(s)) return;
        LocalBuilder local = hoistedSpecials[s] = il.NewLocal(typeof(int));
        Context(field);
        il.Stloc(local);
    }

    private protected void HoistMemory(PtxInstruction i)
    {
        PtxSpace space = i.Opcode.Space;
        if (i.Name == "cvta")
        {
            if (space == PtxSpace.Shared) HoistShared(-1);
            usesLocal |= space == PtxSpace.Local;
            return;
        }
        int k = Log2(IsBarrierAccess(i) ? 8 : i.Opcode.Type.Bytes() * i.Opcode.Vector);
        usesLocal |= space == PtxSpace.Local;
        if (space == PtxSpace.Shared) HoistShared(program.Checked ? k : -1);
        else if (space == PtxSpace.Local)
        {
            if (program.Checked && localLimit[k] is null) HoistLimit(localLimit, k, "LocalStride");
        }
        // A parameter whose address was taken into a register (a structure by value, say) is reached like a generic address.
        else if (space == PtxSpace.Param && i.Operands.FirstOrDefault(o => o.Kind == OperandKind.Memory) is { Name: not null } m)
        {
            if (IsHoistable(i, m, out PtxVariable? v) && hoistedParameters.Count < MaxHoistedParameters && !hoistedParameters.ContainsKey((v!.Offset + m.Value, i.Opcode.Type)))
            {
                LocalBuilder local = il.NewLocal(LocalTypes[(int)ClassOf(i.Opcode.Type)]);
                ParameterAddress(v, m.Value);
                il.Op(Load(i.Opcode.Type));
                il.Stloc(local);
                hoistedParameters[(v.Offset + m.Value, i.Opcode.Type)] = local;
            }
        }
        else if (space is PtxSpace.Global or PtxSpace.Generic or PtxSpace.Const or PtxSpace.Param && program.Checked)
        {
            if (windowBase is null)
            {
                windowBase = il.NewLocal(typeof(ulong));
                Context("WindowBase");
                il.Stloc(windowBase);
            }
            if (windowLimit[k] is not null) return;
            LocalBuilder limit = windowLimit[k] = il.NewLocal(typeof(ulong));
            // A group's check looks at its first byte: the window ends a group's width earlier, the rest goes through the page table.
            Context("WindowBytes");
            il.LdcI4(k);
            il.Op(OpCodes.Shr_Un);
            il.Stloc(limit);
        }
    }

    private protected bool IsHoistable(PtxInstruction i, PtxOperand m, out PtxVariable? v)
    {
        v = null;
        return f.IsEntry && i.Name == "ld" && i.Opcode.Vector == 1 && m.Name is { } name && f.Locals.TryGetValue(name, out v) && v.Space == PtxSpace.Param
            && f.Signature.Parameters.Contains(v) && m.Value >= 0 && m.Value + i.Opcode.Type.Bytes() <= v.SizeBytes;
    }

    private protected void HoistShared(int k)
    {
        if (sharedBase is null)
        {
            sharedBase = il.NewLocal(typeof(byte*));
            Context("Shared");
            il.Stloc(sharedBase);
        }
        if (k >= 0 && sharedLimit[k] is null) HoistLimit(sharedLimit, k, "SharedBytes");
    }

    private protected void HoistLimit(LocalBuilder?[] limits, int k, string field)
    {
        LocalBuilder limit = limits[k] = il.NewLocal(typeof(ulong));
        Context(field);
        il.Op(OpCodes.Conv_U8);
        il.LdcI4(k);
        il.Op(OpCodes.Shr_Un);
        il.Stloc(limit);
    }

    private protected static RegisterClass ClassOf(PtxType type) => type switch
    {
        PtxType.Pred => RegisterClass.Pred, PtxType.F32 => RegisterClass.F32, PtxType.F64 => RegisterClass.F64, _ => type.Bits() == 64 ? RegisterClass.I64 : RegisterClass.I32,
    };

    private protected static int Log2(int bytes) => System.Numerics.BitOperations.Log2((uint)Math.Max(1, bytes));

    /// <summary>Pushes a special register; true when it is 64 bits wide.</summary>
    private protected bool PushSpecial(SpecialRegister s)
    {
        if (hoistedSpecials.TryGetValue(s, out LocalBuilder? hoisted)) { il.Ldloc(hoisted); return false; }
        switch (s)
        {
            case SpecialRegister.TidX:
                il.Ldloc(packedTid!);
                il.LdcI4(1023);
                il.Op(OpCodes.And);
                return false;
            case SpecialRegister.TidY or SpecialRegister.TidZ:
                il.Ldloc(packedTid!);
                il.LdcI4(s == SpecialRegister.TidY ? 10 : 20);
                il.Op(OpCodes.Shr_Un);
                if (s == SpecialRegister.TidZ) return false;
                il.LdcI4(1023);
                il.Op(OpCodes.And);
                return false;
            case SpecialRegister.LaneId:
                il.Ldloc(thread);
                il.LdcI4(31);
                il.Op(OpCodes.And);
                return false;
            case SpecialRegister.WarpId:
                il.Ldloc(thread);
                il.LdcI4(5);
                il.Op(OpCodes.Shr_Un);
                return false;
            case SpecialRegister.NWarpId: il.LdcI4(32); return false;
            case SpecialRegister.WarpSize: il.LdcI4(32); return false;
            case SpecialRegister.Zero: il.LdcI4(0); return false;
            case SpecialRegister.GridId: Context("GridId"); return true;
            case SpecialRegister.LaneMaskEq or SpecialRegister.LaneMaskLt or SpecialRegister.LaneMaskLe or SpecialRegister.LaneMaskGt or SpecialRegister.LaneMaskGe:
                il.Ldloc(thread);
                Call(s.ToString());
                return false;
            case SpecialRegister.Clock or SpecialRegister.Clock64 or SpecialRegister.GlobalTimer or SpecialRegister.GlobalTimerLo:
                Call(s is SpecialRegister.Clock or SpecialRegister.Clock64 ? "Clock64" : "GlobalTimer");
                if (s is SpecialRegister.Clock64 or SpecialRegister.GlobalTimer) return true;
                il.Op(OpCodes.Conv_U4);
                return false;
            case SpecialRegister.ClockHi or SpecialRegister.GlobalTimerHi:
                Call(s == SpecialRegister.ClockHi ? "Clock64" : "GlobalTimer");
                il.LdcI4(32);
                il.Op(OpCodes.Shr_Un);
                il.Op(OpCodes.Conv_U4);
                return false;
            default: throw Unsupported($"special register {s}");
        }
    }
}
