using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>What Open MPI 4.1 and MPICH 4.0 export and this version does not have: shared windows, large counts of windows and files, external packing, dynamic processes, sessions, MPI_T.</summary>
[RefusedExports("mpi-unsupported.txt", typeof(Library), "P")]
internal static partial class UnsupportedCalls;
