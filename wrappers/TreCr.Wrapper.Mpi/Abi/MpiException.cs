namespace TreCr.Wrapper.Mpi;

/// <summary>What an MPI call answers with an error class; the communicator's error handler hears of it.</summary>
internal sealed class MpiException(ErrorClass error, string message) : Exception(message)
{
    public ErrorClass Error => error;
}
