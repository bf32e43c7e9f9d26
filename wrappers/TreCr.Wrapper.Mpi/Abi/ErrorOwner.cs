namespace TreCr.Wrapper.Mpi;

/// <summary>An object whose error handler hears of calls that fail: communicators, windows, files.</summary>
internal abstract class ErrorOwner : MpiObject
{
    public Errhandler Errhandler { get; set; } = Errhandler.Fatal;
}
