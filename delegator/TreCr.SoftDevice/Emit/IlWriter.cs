using System.Reflection;
using System.Reflection.Emit;

namespace TreCr.SoftDevice.Emit;

/// <summary>ILGenerator with helpers named like opcodes. Counts what RyuJIT's limits are about, so that no method falls back to MinOpts.</summary>
/// <param name="recording">where everything is written down too; null: nowhere</param>
sealed class IlWriter(ILGenerator il, Mutation? mutation = null, IlRecording? recording = null)
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
    public void Mark(Label label) { recording?.Mark(label); il.MarkLabel(label); }
    public LocalBuilder NewLocal(Type type) { Locals++; recording?.NewLocal(type); return il.DeclareLocal(type); }

    public void Op(OpCode code) { Instructions++; Put(mutation?.Change(code) ?? code); }
    public void Op(OpCode code, Label label) { Instructions++; Put(mutation?.Change(code) ?? code, label); }
    public void Switch(Label[] labels) { Instructions++; Put(OpCodes.Switch, labels); }
    public void Ldloc(LocalBuilder local) { Instructions++; LocalRefs++; Put(OpCodes.Ldloc, local); }
    public void Stloc(LocalBuilder local) { Instructions++; LocalRefs++; Put(OpCodes.Stloc, local); }
    public void Ldarg(int n) { Instructions++; LocalRefs++; Put(n switch { 0 => OpCodes.Ldarg_0, 1 => OpCodes.Ldarg_1, 2 => OpCodes.Ldarg_2, _ => OpCodes.Ldarg_3 }); }
    public void LdcI4(int v) { Instructions++; Put(OpCodes.Ldc_I4, mutation is null ? v : (int)mutation.Change((long)v)); }
    public void LdcI8(long v) { Instructions++; Put(OpCodes.Ldc_I8, mutation?.Change(v) ?? v); }
    public void LdcR4(float v) { Instructions++; Put(OpCodes.Ldc_R4, (float)(mutation?.Change((double)v) ?? v)); }
    public void LdcR8(double v) { Instructions++; Put(OpCodes.Ldc_R8, mutation?.Change(v) ?? v); }
    public void Call(MethodInfo method) { Instructions++; Put(OpCodes.Call, mutation?.Change(method) ?? method); }
    public void Ldfld(FieldInfo field) { Instructions++; Put(OpCodes.Ldfld, field); }
    public void Ldflda(FieldInfo field) { Instructions++; Put(OpCodes.Ldflda, field); }
    public void Stfld(FieldInfo field) { Instructions++; Put(OpCodes.Stfld, field); }
    public void Br(Label label) => Op(OpCodes.Br, label);
    public void Brtrue(Label label) => Op(OpCodes.Brtrue, label);
    public void Brfalse(Label label) => Op(OpCodes.Brfalse, label);
    public void Add() => Op(OpCodes.Add);
    public void Ret() => Op(OpCodes.Ret);

    void Put(OpCode code) { recording?.Step(code); il.Emit(code); }
    void Put(OpCode code, Label to) { recording?.Step(code, to); il.Emit(code, to); }
    void Put(OpCode code, Label[] to) { recording?.Step(code, to); il.Emit(code, to); }
    void Put(OpCode code, LocalBuilder local) { recording?.Step(code, local); il.Emit(code, local); }
    void Put(OpCode code, int value) { recording?.Step(code, value); il.Emit(code, value); }
    void Put(OpCode code, long value) { recording?.Step(code, value); il.Emit(code, value); }
    void Put(OpCode code, float value) { recording?.Step(code, value); il.Emit(code, value); }
    void Put(OpCode code, double value) { recording?.Step(code, value); il.Emit(code, value); }
    void Put(OpCode code, MethodInfo method) { recording?.Step(code, method); il.Emit(code, method); }
    void Put(OpCode code, FieldInfo field) { recording?.Step(code, field); il.Emit(code, field); }
}
