using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Api.C;

/// <summary>The ranks of the program's communicator, reached through the program's own MPI library: Open MPI or one of MPICH's family, whichever it was linked with. This library is linked with none.</summary>
/// <remarks>Handles and constants as in mpi.h of Open MPI 4.1 (addresses) and MPICH 4.0 (numbers); facts/mpi.md §1. A communicator of our own keeps our messages apart from the program's.</remarks>
internal sealed unsafe class MpiGroup : IRankMessages
{
    private const nint MpichInt = 0x4c000405, MpichByte = 0x4c00010d, MpichMinimum = 0x58000002, MpichWorld = 0x44000000, MpichIgnored = 1;
    private const int Tag = 1;

    private readonly delegate* unmanaged<void*, void*, int, nint, nint, nint, int> _allreduce;
    private readonly delegate* unmanaged<void*, int, nint, void*, int, nint, nint, int> _allgather;
    private readonly delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int> _isend;
    private readonly delegate* unmanaged<nint, int, nint, int, int, nint, nint, int> _receive;
    private readonly delegate* unmanaged<nint*, nint, int> _wait;
    private readonly nint _integer, _byte, _minimum, _ignored;
    private readonly List<nint> _requests = [];
    private nint _communicator;

    /// <param name="communicator">MPI_Comm as it came: an address, or a number in the lower 32 bits; null: MPI_COMM_WORLD</param>
    /// <param name="call">that was made</param>
    /// <exception cref="CheckpointException">there is no MPI library, it has not been initialised, or a call failed</exception>
    public MpiGroup(nint? communicator, string call)
    {
        bool mpich = IsMpich;
        if (mpich && Sys.FindSymbol("MPIR_Dup_fn") == 0) throw new CheckpointException($"{call}: the program is linked neither with Open MPI nor with MPICH");
        int initialized;
        Check(((delegate* unmanaged<int*, int>)Symbol("MPI_Initialized"))(&initialized), "MPI_Initialized");
        if (initialized == 0) throw new CheckpointException($"{call}: MPI_Init comes first");
        _integer = mpich ? MpichInt : Symbol("ompi_mpi_int");
        _byte = mpich ? MpichByte : Symbol("ompi_mpi_byte");
        _minimum = mpich ? MpichMinimum : Symbol("ompi_mpi_op_min");
        _ignored = mpich ? MpichIgnored : 0; // MPI_STATUS_IGNORE
        _allreduce = (delegate* unmanaged<void*, void*, int, nint, nint, nint, int>)Symbol("MPI_Allreduce");
        _allgather = (delegate* unmanaged<void*, int, nint, void*, int, nint, nint, int>)Symbol("MPI_Allgather");
        _isend = (delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)Symbol("MPI_Isend");
        _receive = (delegate* unmanaged<nint, int, nint, int, int, nint, nint, int>)Symbol("MPI_Recv");
        _wait = (delegate* unmanaged<nint*, nint, int>)Symbol("MPI_Wait");
        nint own = 0, of = communicator is not { } given ? mpich ? MpichWorld : Symbol("ompi_mpi_comm_world") : mpich ? (nint)(uint)given : given;
        Check(((delegate* unmanaged<nint, nint*, int>)Symbol("MPI_Comm_dup"))(of, &own), "MPI_Comm_dup");
        _communicator = own;
        int rank, count;
        Check(((delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_rank"))(own, &rank), "MPI_Comm_rank");
        Check(((delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_size"))(own, &count), "MPI_Comm_size");
        (Rank, Count) = (rank, count);
    }

    /// <summary>Whether the program has an MPI library at all.</summary>
    public static bool IsThere => Sys.FindSymbol("MPI_Init") != 0;

    private static bool IsMpich => Sys.FindSymbol("ompi_mpi_comm_world") == 0;

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

    /// <inheritdoc/>
    public byte[][] Gather(ReadOnlySpan<byte> own)
    {
        int[] lengths = new int[Count];
        int length = own.Length;
        fixed (int* p = lengths) Check(_allgather(&length, 1, _integer, p, 1, _integer, _communicator), "MPI_Allgather");
        int longest = Math.Max(1, lengths.Max());
        byte* padded = (byte*)NativeMemory.AllocZeroed((nuint)longest), all = (byte*)NativeMemory.Alloc((nuint)longest * (nuint)Count);
        try
        {
            own.CopyTo(new Span<byte>(padded, longest));
            Check(_allgather(padded, longest, _byte, all, longest, _byte, _communicator), "MPI_Allgather");
            byte[][] each = new byte[Count][];
            for (int i = 0; i < Count; i++) each[i] = new ReadOnlySpan<byte>(all + (long)longest * i, lengths[i]).ToArray();
            return each;
        }
        finally
        {
            NativeMemory.Free(padded);
            NativeMemory.Free(all);
        }
    }

    /// <inheritdoc/>
    public void StartSend(int to, nint address, int bytes)
    {
        nint request = 0;
        Check(_isend(address, bytes, _byte, to, Tag, _communicator, &request), "MPI_Isend");
        _requests.Add(request);
    }

    /// <inheritdoc/>
    public void Receive(int from, nint address, int bytes) => Check(_receive(address, bytes, _byte, from, Tag, _communicator, _ignored), "MPI_Recv");

    /// <inheritdoc/>
    public void WaitSent()
    {
        foreach (nint sent in _requests)
        {
            nint request = sent;
            Check(_wait(&request, _ignored), "MPI_Wait");
        }
        _requests.Clear();
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
