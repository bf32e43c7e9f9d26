namespace TreCr.Backend.Mpi;

/// <summary>The real MPI library is missing, of an unknown kind, or has failed.</summary>
public sealed class MpiBackendException(string message, Exception? inner = null) : Exception(message, inner);
