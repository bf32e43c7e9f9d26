namespace TreCr.Ptx.Ast;

/// <summary>One PTX text, parsed.</summary>
public sealed class PtxModule
{
    public int VersionMajor, VersionMinor;
    /// <summary>e.g. 70 for sm_70; a suffix (a, f) is in <see cref="TargetSuffix"/></summary>
    public int TargetSm;
    public string TargetSuffix = "";
    public int AddressBits = 64;
    /// <summary>module-scope variables in order of declaration</summary>
    public List<PtxVariable> Variables = [];
    public Dictionary<string, PtxVariable> VariablesByName = [];
    /// <summary>definitions and declarations, in order; a definition replaces its declaration</summary>
    public List<PtxFunction> Functions = [];
    public Dictionary<string, PtxFunction> FunctionsByName = [];
}
