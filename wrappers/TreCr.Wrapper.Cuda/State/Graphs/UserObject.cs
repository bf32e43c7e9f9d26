namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>Something of the program's that lives as long as references to it: the destructor runs when the last one goes.</summary>
internal sealed unsafe class UserObject
{
    public ulong Handle { get; init; }
    public ulong Data { get; init; }

    /// <summary>void (*)(void*).</summary>
    public ulong Destructor { get; init; }

    /// <summary>References of the program and of graphs.</summary>
    public ulong References { get; set; }
}
