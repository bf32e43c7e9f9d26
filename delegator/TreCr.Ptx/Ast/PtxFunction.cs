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
    public List<PtxRegister> Registers { get { Need(); return registers; } }
    public List<PtxInstruction> Body { get { Need(); return body; } }
    /// <summary>label name to index in <see cref="Body"/></summary>
    public Dictionary<string, int> Labels { get { Need(); return labels; } }
    /// <summary>variables declared inside: shared, local, and .param of call scopes; by unique name</summary>
    public Dictionary<string, PtxVariable> Locals { get { Need(); return locals; } }
    public Dictionary<string, string[]> BranchTargets { get { Need(); return branchTargets; } }
    public Dictionary<string, PtxSignature> Prototypes { get { Need(); return prototypes; } }
    /// <summary>threads; 0 where not given</summary>
    public int MaxThreadsX, MaxThreadsY, MaxThreadsZ;
    public bool RequiredThreads;
    public int Line;

    readonly List<PtxRegister> registers = [];
    readonly List<PtxInstruction> body = [];
    readonly Dictionary<string, int> labels = [];
    readonly Dictionary<string, PtxVariable> locals = [];
    readonly Dictionary<string, string[]> branchTargets = [];
    readonly Dictionary<string, PtxSignature> prototypes = [];
    volatile Action? pending;
    object gate = null!;
    bool isReading;
    PtxException? failure;

    /// <summary>Its text has not been looked at yet: that comes when one of the members above is first asked for, on any thread.</summary>
    public bool IsPending => pending is not null;

    /// <summary>Has the body read when it is first needed.</summary>
    /// <param name="reader">fills this function; throws <see cref="PtxException"/> where the text makes no sense, which is thrown each time then</param>
    /// <param name="lockedBy">held meanwhile: one text, one reader at a time</param>
    internal void ReadLater(object lockedBy, Action reader)
    {
        gate = lockedBy;
        pending = reader;
    }

    void Need()
    {
        if (pending is null) return;
        lock (gate)
        {
            // The reader itself comes by here.
            if (isReading || pending is not { } read) return;
            if (failure is not null) throw failure;
            isReading = true;
            try
            {
                read();
                pending = null;
            }
            catch (PtxException e)
            {
                failure = e;
                throw;
            }
            finally
            {
                isReading = false;
            }
        }
    }

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
