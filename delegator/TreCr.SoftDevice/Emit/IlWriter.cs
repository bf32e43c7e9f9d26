using System.Reflection;
using System.Reflection.Emit;

namespace TreCr.SoftDevice.Emit;

/// <summary>ILGenerator with helpers named like opcodes. Counts what RyuJIT's limits are about, so that no method falls back to MinOpts.</summary>
sealed class IlWriter(ILGenerator il, Mutation? mutation = null)
{
    /// <summary>RyuJIT compiles without optimising beyond 60,000 bytes, 20,000 instructions, 2,000 blocks or 8,000 references to locals: stay well below.</summary>
    public const int MaxBytes = 48_000, MaxInstructions = 16_000, MaxLabels = 1_700, MaxLocalRefs = 5_500, MaxLocals = 900;

    public int Instructions { get; private set; }
    public int LocalRefs { get; private set; }
    public int Labels { get; private set; }
    public int Locals { get; private set; }
    public bool TooBig => il.ILOffset > MaxBytes || Instructions > MaxInstructions || Labels > MaxLabels || LocalRefs > MaxLocalRefs || Locals > MaxLocals;
    public string Size => $"{il.ILOffset} bytes, {Instructions} instructions, {Labels} labels, {LocalRefs} references to {Locals} locals";

    public Label NewLabel() { Labels++; return il.DefineLabel(); }
    public void Mark(Label label) => il.MarkLabel(label);
    public LocalBuilder NewLocal(Type type) { Locals++; return il.DeclareLocal(type); }

    public void Op(OpCode code) { Instructions++; il.Emit(mutation?.Change(code) ?? code); }
    public void Op(OpCode code, Label label) { Instructions++; il.Emit(mutation?.Change(code) ?? code, label); }
    public void Switch(Label[] labels) { Instructions++; il.Emit(OpCodes.Switch, labels); }
    public void Ldloc(LocalBuilder local) { Instructions++; LocalRefs++; il.Emit(OpCodes.Ldloc, local); }
    public void Stloc(LocalBuilder local) { Instructions++; LocalRefs++; il.Emit(OpCodes.Stloc, local); }
    public void Ldarg(int n) { Instructions++; LocalRefs++; il.Emit(n switch { 0 => OpCodes.Ldarg_0, 1 => OpCodes.Ldarg_1, 2 => OpCodes.Ldarg_2, _ => OpCodes.Ldarg_3 }); }
    public void LdcI4(int v) { Instructions++; il.Emit(OpCodes.Ldc_I4, mutation is null ? v : (int)mutation.Change((long)v)); }
    public void LdcI8(long v) { Instructions++; il.Emit(OpCodes.Ldc_I8, mutation?.Change(v) ?? v); }
    public void LdcR4(float v) { Instructions++; il.Emit(OpCodes.Ldc_R4, (float)(mutation?.Change((double)v) ?? v)); }
    public void LdcR8(double v) { Instructions++; il.Emit(OpCodes.Ldc_R8, mutation?.Change(v) ?? v); }
    public void Call(MethodInfo method) { Instructions++; il.Emit(OpCodes.Call, mutation?.Change(method) ?? method); }
    public void Ldfld(FieldInfo field) { Instructions++; il.Emit(OpCodes.Ldfld, field); }
    public void Ldflda(FieldInfo field) { Instructions++; il.Emit(OpCodes.Ldflda, field); }
    public void Stfld(FieldInfo field) { Instructions++; il.Emit(OpCodes.Stfld, field); }
    public void Br(Label label) => Op(OpCodes.Br, label);
    public void Brtrue(Label label) => Op(OpCodes.Brtrue, label);
    public void Brfalse(Label label) => Op(OpCodes.Brfalse, label);
    public void Add() => Op(OpCodes.Add);
    public void Ret() => Op(OpCodes.Ret);
}
