using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Backend.Mpi;

/// <summary>
/// The real MPI library: the dozen functions that move bytes between ranks. Handles are words that hold the library's own (Open MPI: addresses of objects, MPICH and
/// its relatives: 32-bit numbers), which differ only where they are stored.
/// </summary>
/// <remarks>One thread. Source: MPI-3.1; representation: facts/mpi.md §1.1 and §1.2.</remarks>
internal sealed unsafe class MpiLibrary : IPacketNetwork
{
    private const int AnyTag = -1, StatusBytes = 64;

    private readonly delegate* unmanaged[Cdecl]<void*, void*, int, int*, int> _initThread;
    private readonly delegate* unmanaged[Cdecl]<nint, nint*, int> _commDup;
    private readonly delegate* unmanaged[Cdecl]<nint, int*, int> _commRank, _commSize;
    private readonly delegate* unmanaged[Cdecl]<nint, nint, int> _setErrhandler;
    private readonly delegate* unmanaged[Cdecl]<void*, int, nint, int, int, nint, nint*, int> _isend;
    private readonly delegate* unmanaged[Cdecl]<int, int, nint, int*, nint*, void*, int> _improbe;
    private readonly delegate* unmanaged[Cdecl]<void*, int, nint, nint*, nint*, int> _imrecv;
    private readonly delegate* unmanaged[Cdecl]<nint*, int*, void*, int> _test;
    private readonly delegate* unmanaged[Cdecl]<void*, nint, int*, int> _getCount;
    private readonly delegate* unmanaged[Cdecl]<int> _finalize;
    private readonly delegate* unmanaged[Cdecl]<nint, int, int> _abort;
    private readonly delegate* unmanaged[Cdecl]<byte*, int*, int> _version;
    private readonly nint _byte, _world, _errorsReturn;
    private readonly int _statusSource, _statusTag;
    private readonly void* _status;
    private nint _comm;

    /// <param name="path">of the library; its kind is found out</param>
    /// <exception cref="MpiBackendException">it cannot be loaded, or is no MPI library that is known</exception>
    private MpiLibrary(string path)
    {
        nint library;
        // Global: its components are loaded later and refer to it.
        try { library = Sys.LoadGlobally(path); }
        catch (DllNotFoundException e) { throw new MpiBackendException($"the MPI library {path} cannot be loaded: {e.Message}", e); }
        _initThread = (delegate* unmanaged[Cdecl]<void*, void*, int, int*, int>)Find("MPI_Init_thread");
        _commDup = (delegate* unmanaged[Cdecl]<nint, nint*, int>)Find("MPI_Comm_dup");
        _commRank = (delegate* unmanaged[Cdecl]<nint, int*, int>)Find("MPI_Comm_rank");
        _commSize = (delegate* unmanaged[Cdecl]<nint, int*, int>)Find("MPI_Comm_size");
        _setErrhandler = (delegate* unmanaged[Cdecl]<nint, nint, int>)Find("MPI_Comm_set_errhandler");
        _isend = (delegate* unmanaged[Cdecl]<void*, int, nint, int, int, nint, nint*, int>)Find("MPI_Isend");
        _improbe = (delegate* unmanaged[Cdecl]<int, int, nint, int*, nint*, void*, int>)Find("MPI_Improbe");
        _imrecv = (delegate* unmanaged[Cdecl]<void*, int, nint, nint*, nint*, int>)Find("MPI_Imrecv");
        _test = (delegate* unmanaged[Cdecl]<nint*, int*, void*, int>)Find("MPI_Test");
        _getCount = (delegate* unmanaged[Cdecl]<void*, nint, int*, int>)Find("MPI_Get_count");
        _finalize = (delegate* unmanaged[Cdecl]<int>)Find("MPI_Finalize");
        _abort = (delegate* unmanaged[Cdecl]<nint, int, int>)Find("MPI_Abort");
        _version = (delegate* unmanaged[Cdecl]<byte*, int*, int>)Find("MPI_Get_library_version");
        _status = NativeMemory.AllocZeroed(StatusBytes);
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _world))
        {
            (_byte, _errorsReturn) = (Find("ompi_mpi_byte"), Find("ompi_mpi_errors_return"));
            (AnySource, _statusSource, _statusTag) = (-1, 0, 4);
        }
        else if (NativeLibrary.TryGetExport(library, "MPIR_Dup_fn", out _))
        {
            (_world, _byte, _errorsReturn) = (0x44000000, 0x4c00010d, 0x54000001);
            (AnySource, _statusSource, _statusTag) = (-2, 8, 12);
        }
        else throw new MpiBackendException($"{path} is neither Open MPI nor of MPICH's family");

        nint Find(string name) => NativeLibrary.TryGetExport(library, name, out nint address) ? address : throw new MpiBackendException($"{path} has no {name}");
    }

    public int Rank { get; private set; }

    public int Size { get; private set; }

    public int AnySource { get; }

    /// <summary>What the library says it is, its first line.</summary>
    public string Version
    {
        get
        {
            const int Longest = 8192;
            byte* text = stackalloc byte[Longest];
            int length = 0;
            _version(text, &length);
            return System.Text.Encoding.UTF8.GetString(text, Math.Clamp(length, 0, Longest)).Split('\n', '\0')[0];
        }
    }

    /// <summary>Loads the library that the launcher belongs to, or the one of TRECR_MPI_LIBRARY.</summary>
    /// <remarks>Open MPI's launcher sets PMIX_RANK and OMPI_COMM_WORLD_RANK, Hydra PMI_RANK; without a launcher the first that is there.</remarks>
    public static MpiLibrary Load()
    {
        if (Environment.GetEnvironmentVariable("TRECR_MPI_LIBRARY") is { Length: > 0 } given) return new MpiLibrary(given);
        bool open = Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_RANK") is not null, mpich = !open && Environment.GetEnvironmentVariable("PMI_RANK") is not null;
        List<string> names = [];
        if (!mpich) names.Add("libmpi.so.40");
        if (!open) names.AddRange(["libmpich.so.12", "libmpi.so.12"]);
        List<string> reasons = [];
        foreach (string name in names)
        {
            try { return new MpiLibrary(name); }
            catch (MpiBackendException e) { reasons.Add(e.Message); }
        }
        throw new MpiBackendException($"no MPI library of this launcher: {string.Join("; ", reasons)}");
    }

    /// <summary>MPI_Init_thread; packets go over a communicator of our own.</summary>
    public void Init()
    {
        int provided;
        Check(_initThread(null, null, 0, &provided), "MPI_Init_thread");
        _setErrhandler(_world, _errorsReturn);
        nint comm = 0;
        Check(_commDup(_world, &comm), "MPI_Comm_dup");
        _comm = comm;
        _setErrhandler(_comm, _errorsReturn);
        int rank, size;
        Check(_commRank(_comm, &rank), "MPI_Comm_rank");
        Check(_commSize(_comm, &size), "MPI_Comm_size");
        (Rank, Size) = (rank, size);
    }

    public nint Send(void* bytes, int count, int to, int tag)
    {
        nint request = 0;
        Check(_isend(bytes, count, _byte, to, tag, _comm, &request), "MPI_Isend");
        return request;
    }

    public bool TryProbe(int from, out nint message, out int source, out int tag, out int count)
    {
        int flag = 0, bytes = 0;
        nint found = 0;
        Check(_improbe(from, AnyTag, _comm, &flag, &found, _status), "MPI_Improbe");
        (message, source, tag, count) = (found, 0, 0, 0);
        if (flag == 0) return false;
        Check(_getCount(_status, _byte, &bytes), "MPI_Get_count");
        (source, tag, count) = (*(int*)((byte*)_status + _statusSource), *(int*)((byte*)_status + _statusTag), bytes);
        return true;
    }

    public nint Receive(void* into, int count, nint message)
    {
        nint request = 0;
        Check(_imrecv(into, count, _byte, &message, &request), "MPI_Imrecv");
        return request;
    }

    public bool Test(ref nint request)
    {
        int flag = 0;
        nint word = request;
        Check(_test(&word, &flag, _status), "MPI_Test");
        request = word;
        return flag != 0;
    }

    public void Complete() => Check(_finalize(), "MPI_Finalize");

    public void Abort(int code) => _abort(_world, code);

    private static void Check(int result, string call)
    {
        if (result != 0) throw new MpiBackendException($"{call}: the MPI library answers error {result}");
    }
}
