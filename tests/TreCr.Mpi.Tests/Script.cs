using System.Runtime.InteropServices;
using TreCr.Wrapper.Mpi;

namespace TreCr.Mpi.Tests;

/// <summary>What a simulated rank's program does: begins operations, waits until they are done, and looks at every byte that came.</summary>
internal sealed unsafe class Script
{
    private readonly List<(Request Request, Action Check)> _pending = [];
    private readonly List<nint> _memory = [];
    private readonly nint* _handle = (nint*)NativeMemory.AllocZeroed(8);
    private IEnumerator<bool>? _steps;
    private int _seed;

    private static int Rank => Comm.World.Rank;
    private static int Size => Comm.World.Size;

    public bool IsDone => _steps is null;

    public void Begin(int what, int seed)
    {
        _seed = seed;
        _steps = what switch
        {
            0 => EverybodyToEverybody(40_000), 1 => Collectives(), 2 => EverybodyToEverybody(700_000), 3 => Flood(), _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
    }

    /// <returns>whether a step was taken</returns>
    public bool Advance()
    {
        if (_steps is null) return false;
        foreach ((Request request, _) in _pending)
            if (!request.IsDone) return false;
        foreach ((Request request, Action check) in _pending)
        {
            if (request.Status.Error != ErrorClass.Success) throw new ProtocolViolation($"rank {Rank}: an operation ended with {request.Status.Error}");
            check();
            request.Free();
        }
        _pending.Clear();
        if (_steps.MoveNext()) return true;
        foreach (nint memory in _memory) NativeMemory.Free((void*)memory);
        _memory.Clear();
        _steps = null;
        return true;
    }

    /// <summary>Short messages to all, received from anybody in any order of the senders; long ones round the ring, of which two of one tag must not overtake each other.</summary>
    private IEnumerator<bool> EverybodyToEverybody(int longBytes)
    {
        int right = (Rank + 1) % Size, left = (Rank + Size - 1) % Size;
        for (int i = 1; i < Size; i++) ReceiveAny(tag: 1, bytes: 100);
        for (int i = 1; i < Size; i++) Send((Rank + i) % Size, tag: 1, bytes: 100);
        Send(right, tag: 2, longBytes);
        Send(right, tag: 2, bytes: 50);
        Receive(left, tag: 2, longBytes);
        Receive(left, tag: 2, bytes: 50);
        yield return true;
    }

    /// <summary>Three collective calls at once, of which none may take another's messages.</summary>
    private IEnumerator<bool> Collectives()
    {
        BeginCollectives();
        yield return true;
        Begin(Schedule.Begin(Comm.World, Algorithms.Barrier), () => { });
        yield return true;
    }

    private void BeginCollectives()
    {
        long* words = (long*)Allocate(64);
        nint one = (nint)words, two = (nint)(words + 1), sum = (nint)(words + 2), scan = (nint)(words + 3), root = (nint)(words + 4);
        (words[0], words[1], words[4]) = (_seed + Rank, 1000 * (_seed + Rank), Rank == 1 ? _seed : -1);
        Begin(Schedule.Begin(Comm.World, s => Algorithms.Allreduce(s, one, sum, 1, PredefinedTypes.Int64, s_sum)), () => Is(words[2], Enumerable.Range(0, Size).Sum(r => (long)_seed + r)));
        Begin(Schedule.Begin(Comm.World, s => Algorithms.Bcast(s, root, 1, PredefinedTypes.Int64, 1 % Size)), () => Is(words[4], _seed));
        Begin(Schedule.Begin(Comm.World, s => Algorithms.Scan(s, two, scan, 1, PredefinedTypes.Int64, s_sum, exclusive: false)), () => Is(words[3], Enumerable.Range(0, Rank + 1).Sum(r => 1000L * (_seed + r))));
    }

    private static readonly Op s_sum = new() { Kind = OpKind.Sum };

    /// <summary>More than what any rank may have under way, in both directions, long and short in one order.</summary>
    private IEnumerator<bool> Flood()
    {
        int other = (Rank + 1) % Size, from = (Rank + Size - 1) % Size;
        for (int i = 0; i < 260; i++) Send(other, tag: 3, Length(i));
        for (int i = 0; i < 260; i++) Receive(from, tag: 3, Length(i));
        yield return true;

        static int Length(int i) => i % 9 == 4 ? 90_000 : i % 2 == 0 ? 16_000 : 40 + i;
    }

    private static void Is(long value, long expected)
    {
        if (value != expected) throw new ProtocolViolation($"rank {Rank}: {value} where {expected} was expected");
    }

    private nint Allocate(int bytes)
    {
        nint memory = (nint)NativeMemory.AllocZeroed((nuint)bytes);
        _memory.Add(memory);
        return memory;
    }

    private byte Expected(int source, int to, int tag, int bytes, int i) => (byte)(source * 31 + to * 7 + tag * 3 + bytes + _seed + i * 5 + i / 256);

    /// <summary>The request that was begun last.</summary>
    private Request Take() => Request.Of((nint)(uint)*_handle)!;

    private void Send(int to, int tag, int bytes)
    {
        byte* memory = (byte*)Allocate(bytes);
        for (int i = 0; i < bytes; i++) memory[i] = Expected(Rank, to, tag, bytes, i);
        PointToPointCalls.MPI_Isend((nint)memory, Count.From(bytes), PredefinedTypes.Byte, new Wrapper.Mpi.Rank(to), tag, Comm.World, HandlePointer.From((nint)_handle));
        Begin(Take(), () => { });
    }

    private void Receive(int from, int tag, int bytes) => Receive(from, tag, bytes, () => from);

    private void ReceiveAny(int tag, int bytes) => Receive(MpiAbi.RankOut(MpiAbi.AnySource), tag, bytes, null);

    private void Receive(int from, int tag, int bytes, Func<int>? source)
    {
        byte* memory = (byte*)Allocate(bytes);
        PointToPointCalls.MPI_Irecv((nint)memory, Count.From(bytes), PredefinedTypes.Byte, Wrapper.Mpi.Rank.From(from), tag, Comm.World, HandlePointer.From((nint)_handle));
        Request request = Take();
        Begin(request, () =>
        {
            int sender = source is null ? request.Status.Source : source();
            if (request.Status.LengthBytes != bytes || request.Status.Source != sender) throw new ProtocolViolation($"rank {Rank}: {request.Status.LengthBytes} bytes of rank {request.Status.Source} where {bytes} of {sender} were expected");
            for (int i = 0; i < bytes; i++)
                if (memory[i] != Expected(sender, Rank, tag, bytes, i)) throw new ProtocolViolation($"rank {Rank}: byte {i} of {bytes} from rank {sender}");
        });
    }

    private void Begin(Request request, Action check) => _pending.Add((request, check));
}
