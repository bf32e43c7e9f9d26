namespace TreCr.Wrapper.Mpi;

/// <summary>What an MPI call answers with an error class; the communicator's error handler hears of it.</summary>
/// <param name="owner">whose handler hears of it, where that is not an argument of the call: a request's communicator</param>
internal class MpiException(ErrorClass error, string message, ErrorOwner? owner = null) : Exception(message)
{
    public ErrorClass Error => error;

    /// <summary>Whose error handler hears of it, where that is not an argument of the call.</summary>
    public virtual ErrorOwner? Owner => owner;
}
