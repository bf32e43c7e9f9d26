namespace TreCr.Wrapper.Mpi;

/// <summary>Something that the program knows by a handle.</summary>
internal abstract class MpiObject
{
    /// <summary>As the program has it; 0: none.</summary>
    public nint Handle { get; set; }
}
