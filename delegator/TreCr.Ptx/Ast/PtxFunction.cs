namespace TreCr.Ptx.Ast;

/// <summary>A signature: of a function, or of a .callprototype.</summary>
public sealed class PtxSignature
{
    public List<PtxVariable> Returns = [];
    public List<PtxVariable> Parameters = [];
}

/// <summary>A declared virtual register.</summary>
public readonly record struct PtxRegister(string Name, PtxType Type);

/// <summary>A kernel (.entry) or device function (.func).</summary>
public sealed class PtxFunction
{
    public required string Name;
    public bool IsEntry, IsExtern, Weak, Visible;
    public required PtxSignature Signature;
    public List<PtxRegister> Registers = [];
    public List<PtxInstruction> Body = [];
    /// <summary>label name to index in <see cref="Body"/></summary>
    public Dictionary<string, int> Labels = [];
    /// <summary>variables declared inside: shared, local, and .param of call scopes; by unique name</summary>
    public Dictionary<string, PtxVariable> Locals = [];
    public Dictionary<string, string[]> BranchTargets = [];
    public Dictionary<string, PtxSignature> Prototypes = [];
    /// <summary>threads; 0 where not given</summary>
    public int MaxThreadsX, MaxThreadsY, MaxThreadsZ;
    public bool RequiredThreads;
    public int Line;

    /// <summary>Bytes of the parameter block of an entry.</summary>
    public int ParameterBytes
    {
        get
        {
            long end = 0;
            foreach (PtxVariable p in Signature.Parameters) end = Math.Max(end, p.Offset + p.SizeBytes);
            return (int)end;
        }
    }
}
