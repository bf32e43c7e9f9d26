namespace TreCr.Calls.Generator.Model;

/// <summary>One call of a spec.</summary>
/// <param name="Class">member of CallClass</param>
/// <param name="Creates">index of the parameter that receives the new object; -1 none</param>
/// <param name="Destroys">index of the parameter that names the object; -1 none</param>
public sealed record CallModel(string Name, string ReturnType, ushort Id, string Class, bool Internal, bool Logged, bool NoContext, bool Manual, bool ManualDispatch,
    int Creates, int Destroys, EquatableArray<ParameterModel> Parameters)
{
    public bool HasRecord => Class != "Local";

    /// <summary>Index of the stream whose order the call keeps; -1 none.</summary>
    public int Stream
    {
        get
        {
            for (int i = 0; i < Parameters.Count; i++) if (Parameters[i].IsStream) return i;
            return -1;
        }
    }

    /// <summary>The driver has a variant of the name for per-thread default streams.</summary>
    public bool HasPerThreadVariant => !Internal && Stream >= 0 && Destroys != Stream;

    /// <summary><c>type @name, type @name</c></summary>
    public string ParameterList => string.Join(", ", Parameters.Select(p => p.Type + " " + p.Identifier));

    /// <summary><c>@name, @name</c></summary>
    public string ArgumentList => string.Join(", ", Parameters.Select(p => p.Identifier));

    /// <summary>Function pointer type of the C function.</summary>
    public string FunctionPointerType => "delegate* unmanaged<" + string.Concat(Parameters.Select(p => p.Type + ", ")) + ReturnType + ">";
}
