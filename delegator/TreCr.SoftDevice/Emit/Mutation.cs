using System.Reflection;
using System.Reflection.Emit;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// For the tests of the tests: while the instruction named is emitted, the Target-th thing that can be changed is changed: an opcode for a related one, the lowest bit of a constant, a helper for
/// another of the same signature. Null everywhere else.
/// </summary>
sealed class Mutation(string instruction, int target)
{
    static readonly Dictionary<OpCode, OpCode> Others = new()
    {
        [OpCodes.Add] = OpCodes.Sub, [OpCodes.Sub] = OpCodes.Add, [OpCodes.Mul] = OpCodes.Add, [OpCodes.Div] = OpCodes.Mul, [OpCodes.And] = OpCodes.Or, [OpCodes.Or] = OpCodes.And, [OpCodes.Xor] = OpCodes.And,
        [OpCodes.Shl] = OpCodes.Shr_Un, [OpCodes.Shr] = OpCodes.Shr_Un, [OpCodes.Shr_Un] = OpCodes.Shl, [OpCodes.Not] = OpCodes.Neg, [OpCodes.Neg] = OpCodes.Nop, [OpCodes.Ceq] = OpCodes.Cgt,
        [OpCodes.Clt] = OpCodes.Cgt, [OpCodes.Cgt] = OpCodes.Clt, [OpCodes.Clt_Un] = OpCodes.Cgt_Un, [OpCodes.Cgt_Un] = OpCodes.Clt_Un, [OpCodes.Conv_I8] = OpCodes.Conv_U8, [OpCodes.Conv_U8] = OpCodes.Conv_I8,
        // Not a sign for another: values are extended again where they go into a register.
        [OpCodes.Conv_I2] = OpCodes.Conv_I1, [OpCodes.Conv_U2] = OpCodes.Conv_U1, [OpCodes.Ldind_I2] = OpCodes.Ldind_I1, [OpCodes.Ldind_U2] = OpCodes.Ldind_U1, [OpCodes.Ldind_I4] = OpCodes.Ldind_U2,
        [OpCodes.Stind_I2] = OpCodes.Stind_I1, [OpCodes.Stind_I4] = OpCodes.Stind_I2, [OpCodes.Brtrue] = OpCodes.Brfalse, [OpCodes.Brfalse] = OpCodes.Brtrue,
    };

    static readonly Dictionary<string, MethodInfo[]> Siblings = typeof(PtxMath).GetMethods(BindingFlags.Static | BindingFlags.Public).Where(m => m.DeclaringType == typeof(PtxMath)).OrderBy(m => m.Name, StringComparer.Ordinal)
        .GroupBy(Signature).ToDictionary(g => g.Key, g => g.ToArray());

    public string Instruction => instruction;
    /// <summary>things that could be changed, so far</summary>
    public int Seen { get; private set; }
    /// <summary>what was changed; null when the target was not reached</summary>
    public string? What { get; private set; }
    /// <summary>The instruction is being emitted, and not its address check or its way back into the scheduler.</summary>
    public bool IsArmed { get; set; }

    static string Signature(MethodInfo m) => m.ReturnType.Name + "(" + string.Join(",", m.GetParameters().Select(p => p.ParameterType.Name)) + ")";

    bool Hit(string what)
    {
        if (!IsArmed || Seen++ != target) return false;
        What = what;
        return true;
    }

    public OpCode Change(OpCode code) => IsArmed && Others.TryGetValue(code, out OpCode other) && Hit($"{code} to {other}") ? other : code;
    public long Change(long constant) => Hit($"{constant} to {constant ^ 1}") ? constant ^ 1 : constant;
    public double Change(double constant) => Hit($"{constant} to {constant + 1}") ? constant + 1 : constant;

    public MethodInfo Change(MethodInfo method)
    {
        if (!IsArmed || method.DeclaringType != typeof(PtxMath) || Siblings[Signature(method)] is not { Length: > 1 } all) return method;
        // The next one that is not the same operation on pairs.
        MethodInfo? other = Enumerable.Range(1, all.Length - 1).Select(n => all[(Array.IndexOf(all, method) + n) % all.Length])
            .FirstOrDefault(m => !m.Name.StartsWith(method.Name, StringComparison.Ordinal) && !method.Name.StartsWith(m.Name, StringComparison.Ordinal));
        return other is not null && Hit($"{method.Name} to {other.Name}") ? other : method;
    }
}
