using TreCr.Linux;

namespace TreCr.Api.Veloc;

/// <summary>The ranks of the program's communicator, asked through the program's own MPI library: Open MPI or one of MPICH's family, whichever it was linked with. This library is linked with none.</summary>
/// <remarks>Handles and constants as in mpi.h of Open MPI 4.1 (addresses) and MPICH 4.0 (numbers); facts/mpi.md §1. A communicator of our own keeps our messages apart from the program's.</remarks>
internal sealed unsafe class MpiGroup : IRankGroup
{
    private const nint MpichInt = 0x4c000405, MpichMinimum = 0x58000002;

    private readonly delegate* unmanaged<void*, void*, int, nint, nint, nint, int> _allreduce;
    private readonly nint _integer, _minimum;
    private nint _communicator;

    /// <param name="communicator">MPI_Comm as it came: an address, or a number in the lower 32 bits</param>
    /// <exception cref="CheckpointException">there is no MPI library, it has not been initialised, or a call failed</exception>
    public MpiGroup(nint communicator)
    {
        bool mpich = Sys.FindSymbol("ompi_mpi_comm_world") == 0;
        if (mpich && Sys.FindSymbol("MPIR_Dup_fn") == 0) throw new CheckpointException("VELOC_Init: the program is linked neither with Open MPI nor with MPICH; VELOC_Init_single needs no MPI");
        int initialized;
        Check(((delegate* unmanaged<int*, int>)Symbol("MPI_Initialized"))(&initialized), "MPI_Initialized");
        if (initialized == 0) throw new CheckpointException("VELOC_Init: MPI_Init comes first");
        _integer = mpich ? MpichInt : Symbol("ompi_mpi_int");
        _minimum = mpich ? MpichMinimum : Symbol("ompi_mpi_op_min");
        _allreduce = (delegate* unmanaged<void*, void*, int, nint, nint, nint, int>)Symbol("MPI_Allreduce");
        nint own = 0;
        Check(((delegate* unmanaged<nint, nint*, int>)Symbol("MPI_Comm_dup"))(mpich ? (nint)(uint)communicator : communicator, &own), "MPI_Comm_dup");
        _communicator = own;
        int rank, count;
        Check(((delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_rank"))(own, &rank), "MPI_Comm_rank");
        Check(((delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_size"))(own, &count), "MPI_Comm_size");
        (Rank, Count) = (rank, count);
    }

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public int Smallest(int value)
    {
        int smallest;
        Check(_allreduce(&value, &smallest, 1, _integer, _minimum, _communicator), "MPI_Allreduce");
        return smallest;
    }

    public void Dispose()
    {
        nint communicator = Interlocked.Exchange(ref _communicator, 0);
        int finalized = 0;
        ((delegate* unmanaged<int*, int>)Symbol("MPI_Finalized"))(&finalized);
        if (communicator != 0 && finalized == 0) ((delegate* unmanaged<nint*, int>)Symbol("MPI_Comm_free"))(&communicator);
    }

    private static nint Symbol(string name) => Sys.FindSymbol(name) is not 0 and var address ? address : throw new CheckpointException($"the program's MPI library has no {name}");

    private static void Check(int code, string call)
    {
        if (code != 0) throw new CheckpointException($"{call}: MPI error {code}");
    }
}
