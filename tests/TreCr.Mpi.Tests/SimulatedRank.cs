using TreCr.Backend.Mpi;
using TreCr.Ring;
using TreCr.Wrapper.Mpi;

namespace TreCr.Mpi.Tests;

/// <summary>
/// One rank: the wrapper's code as the program has it, and the delegator's pump behind the same segment. Lives in a copy of this assembly of its own, since the wrapper is one of a process: all that
/// goes in and out is of the base library.
/// </summary>
internal sealed unsafe class SimulatedRank
{
    private readonly int _rank, _size, _segment;
    private readonly Script _script;
    private PacketPump _pump = null!;
    private MpiSegmentHeader* _header;

    public SimulatedRank(int rank, int size, int segment, int bug)
    {
        (_rank, _size, _segment) = (rank, size, segment);
        Mistake.Active = (ProtocolBug)bug;
        MpiSegment own = MpiSegment.Map(segment, size, dontFork: false);
        _header = own.Header;
        (_header->Magic, _header->Version, _header->Rank, _header->Size) = (MpiSegmentLayout.Magic, MpiSegmentLayout.ProtocolVersion, rank, size);
        Lifetime.Begin(own, rank, size);
        Comm.World.Errhandler = Errhandler.Return;
        _script = new Script();
    }

    /// <summary>A delegator begins, at first or after a restart.</summary>
    public void Attach(Func<nint, int, int, int, nint> send, Func<int, long[]?> probe, Action<nint, int, nint> receive, Func<nint, bool> isComplete)
        => _pump = new PacketPump(new Network(_rank, _size, send, probe, receive, isComplete), MpiSegment.Map(_segment, _size, dontFork: false));

    private sealed class Network(int rank, int size, Func<nint, int, int, int, nint> send, Func<int, long[]?> probe, Action<nint, int, nint> receive, Func<nint, bool> isComplete) : IPacketNetwork
    {
        public int Rank => rank;
        public int Size => size;
        public int AnySource => -1;
        public nint Send(void* bytes, int count, int to, int tag) => send((nint)bytes, count, to, tag);

        public bool TryProbe(int from, out nint message, out int source, out int tag, out int count)
        {
            long[]? found = probe(from);
            (message, source, tag, count) = found is null ? (0, 0, 0, 0) : ((nint)found[0], (int)found[1], (int)found[2], (int)found[3]);
            return found is not null;
        }

        public nint Receive(void* into, int count, nint message)
        {
            receive((nint)into, count, message);
            return 0;
        }

        public bool Test(ref nint request)
        {
            if (request != 0 && !isComplete(request)) return false;
            request = 0;
            return true;
        }
    }

    public bool PumpTurn() => _pump.Turn();

    public void Gate(long epoch) => _pump.Close((ulong)epoch);

    public void Open(long epoch) => _pump.Open((ulong)epoch);

    public bool IsDrained() => _pump.IsDrained;

    /// <summary>What only the delegator writes, and not once it is drained.</summary>
    public long[] Written() => [(long)_header->OutTail, (long)_header->InHead];

    /// <summary>The program begins to do something.</summary>
    public void Begin(int what, int seed) => _script.Begin(what, seed);

    public bool IsDone() => _script.IsDone;

    /// <summary>One turn of a program that waits.</summary>
    /// <returns>whether anything moved</returns>
    public bool ProgramTurn() => Messages.Progress() | _script.Advance();
}
