using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>Memory that all ranks of a shared window map, each at an address of its own. It is saved once with each rank, the same bytes, and shared again after a restart (<see cref="WindowFile"/>).</summary>
/// <remarks>Source: MPI-3.1 §11.2.3.</remarks>
internal sealed unsafe class SharedMemory : IDisposable
{
    private const int PageBytes = 4096;

    private readonly nint _start;
    private readonly long _bytes;
    private readonly long[] _offsets;

    private SharedMemory(nint start, long bytes, long[] offsets) => (_start, _bytes, _offsets) = (start, bytes, offsets);

    /// <summary>Address, here, of a rank's part.</summary>
    public nint StartOf(int rank) => _start + (nint)_offsets[rank];

    /// <summary>Collective.</summary>
    /// <param name="sizes">bytes, of each rank</param><param name="isApart">each rank's part begins at a page</param>
    /// <exception cref="MpiException">MPI_ERR_NO_MEM, MPI_ERR_RMA_SHARED (ranks on several hosts), at all ranks</exception>
    public static SharedMemory Make(Comm comm, long[] sizes, bool isApart)
    {
        long[] offsets = new long[sizes.Length];
        long bytes = 0;
        for (int i = 0; i < sizes.Length; i++)
        {
            offsets[i] = bytes;
            bytes += isApart ? (sizes[i] + PageBytes - 1) & -PageBytes : sizes[i];
        }
        bytes = Math.Max(PageBytes, (bytes + PageBytes - 1) & -PageBytes);
        ulong* numbers = stackalloc ulong[2];
        if (comm.Rank == 0) Sys.Check(Sys.Raw(SyscallNumber.Getrandom, (long)numbers, 16), "getrandom");
        nint at = (nint)numbers;
        Schedule.Run(comm, s => Algorithms.Bcast(s, at, 16, PredefinedTypes.Byte, 0));
        string window = WindowFile.Window(numbers[1], comm.Size);
        nint start = 0;
        int file = -1;
        ErrorClass error = ErrorClass.Success;
        string why = "";
        try
        {
            file = WindowFile.Join(numbers[0], window, bytes, null);
            start = (nint)Sys.Check(Sys.Mmap(0, (ulong)bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, file), "mmap", "a shared window");
        }
        catch (LinuxException e) { (error, why) = (ErrorClass.NoMem, e.Message); }
        ErrorClass worst = comm.WorstOf(error);
        if (worst == ErrorClass.Success && !WindowFile.IsComplete(file)) (worst, why) = (ErrorClass.RmaShared, "the ranks are not all on one host"); // all of them see it
        if (file >= 0) Sys.Close(file);
        if (worst == ErrorClass.Success) return new SharedMemory(start, bytes, offsets);
        if (start != 0) Sys.Munmap((ulong)start, (ulong)bytes);
        WindowFile.Remove(numbers[0]);
        throw new MpiException(worst, why.Length > 0 ? why : $"another rank could not map {bytes} bytes of shared memory");
    }

    public void Dispose() => Sys.Munmap((ulong)_start, (ulong)_bytes);
}
