using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>What Open MPI 4.1 and MPICH 4.0 export and this version does not have: data representations of the program, dynamic processes, MPI_T, and MPICH's extensions for ranks that fail.</summary>
[RefusedExports("mpi-unsupported.txt", typeof(Library), "P")]
internal static partial class UnsupportedCalls;
