using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>
/// Several modules become one, as by nvlink: a name that is not visible stays its module's own, a declaration is met by a definition elsewhere, of weak definitions the first stands. PTX ISA,
/// "Linking Directives".
/// </summary>
public static class LinkPass
{
    /// <exception cref="PtxException">218: a name with two definitions.</exception>
    public static PtxModule Run(IReadOnlyList<PtxModule> modules)
    {
        if (modules.Count == 1) return modules[0];
        HashSet<string> taken = [];
        PtxModule whole = new();
        for (int n = 0; n < modules.Count; n++)
        {
            PtxModule m = modules[n];
            if ((m.VersionMajor, m.VersionMinor).CompareTo((whole.VersionMajor, whole.VersionMinor)) > 0) (whole.VersionMajor, whole.VersionMinor) = (m.VersionMajor, m.VersionMinor);
            if (m.TargetSm > whole.TargetSm) (whole.TargetSm, whole.TargetSuffix) = (m.TargetSm, m.TargetSuffix);
            Rename(m, n, taken);
            foreach (PtxVariable v in m.Variables) Add(whole, v);
            foreach (PtxFunction f in m.Functions) Add(whole, f);
            foreach ((string alias, PtxFunction f) in m.FunctionsByName) whole.FunctionsByName.TryAdd(alias, f);
        }
        return whole;
    }

    /// <summary>Own names that another module has too get its number.</summary>
    static void Rename(PtxModule m, int number, HashSet<string> taken)
    {
        Dictionary<string, string> renamed = [];
        foreach (PtxVariable v in m.Variables)
            if (!taken.Add(v.Name) && IsOwn(v)) renamed[v.Name] = $"{v.Name}@{number}";
        foreach (PtxFunction f in m.Functions)
            if (!taken.Add(f.Name) && IsOwn(f)) renamed[f.Name] = $"{f.Name}@{number}";
        if (renamed.Count == 0) return;
        foreach (PtxVariable v in m.Variables)
        {
            if (renamed.TryGetValue(v.Name, out string? name)) v.Name = name;
            for (int n = 0; n < v.Fixups.Count; n++)
                if (renamed.TryGetValue(v.Fixups[n].Symbol, out string? to)) v.Fixups[n] = v.Fixups[n] with { Symbol = to };
        }
        foreach (PtxFunction f in m.Functions)
        {
            if (renamed.TryGetValue(f.Name, out string? name)) f.Name = name;
            foreach (PtxInstruction i in f.Body)
                foreach (PtxOperand o in i.Operands) Rename(f, o, renamed);
            foreach (string[] targets in f.BranchTargets.Values)
                for (int n = 0; n < targets.Length; n++) targets[n] = renamed.GetValueOrDefault(targets[n], targets[n]);
        }
        foreach ((string from, string to) in renamed)
        {
            if (m.VariablesByName.Remove(from, out PtxVariable? v)) m.VariablesByName[to] = v;
            if (m.FunctionsByName.Remove(from, out PtxFunction? f)) m.FunctionsByName[to] = f;
        }
    }

    static void Rename(PtxFunction f, PtxOperand o, Dictionary<string, string> renamed)
    {
        foreach (PtxOperand e in o.Elements) Rename(f, e, renamed);
        if (o.Name is { } name && o.Kind is OperandKind.Symbol or OperandKind.Memory && !f.Locals.ContainsKey(o.Name) && renamed.TryGetValue(o.Name, out string? to)) o.Name = to;
    }

    static bool IsOwn(PtxVariable v) => !v.Visible && !v.Extern && !v.Weak;

    static bool IsOwn(PtxFunction f) => !f.Visible && !f.IsExtern && !f.Weak;

    static void Add(PtxModule whole, PtxVariable v)
    {
        if (whole.VariablesByName.TryGetValue(v.Name, out PtxVariable? known))
        {
            if (v.Extern || !known.Extern && v.Weak) return;
            if (!known.Extern && !known.Weak) throw new PtxException(PtxException.InvalidPtx, $"{v.Name} is defined in two of the linked modules");
            whole.Variables.Remove(known);
        }
        whole.Variables.Add(v);
        whole.VariablesByName[v.Name] = v;
    }

    static void Add(PtxModule whole, PtxFunction f)
    {
        if (whole.FunctionsByName.TryGetValue(f.Name, out PtxFunction? known))
        {
            if (f.IsExtern || !known.IsExtern && f.Weak) return;
            if (!known.IsExtern && !known.Weak) throw new PtxException(PtxException.InvalidPtx, $"function {f.Name} is defined in two of the linked modules");
            whole.Functions.Remove(known);
        }
        whole.Functions.Add(f);
        whole.FunctionsByName[f.Name] = f;
    }
}
