using System.Reflection;
using System.Runtime.Loader;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Mpi.Tests;

/// <summary>
/// Ranks, their delegators and the network between them, whose steps are taken one by one: a program's turn, a delegator's turn, a message transmitted, a gate closed. In every run a checkpoint falls
/// somewhere; at the cut the ranks go on, or delegators and network are made anew as at a restart.
/// </summary>
/// <remarks>
/// Runs differ from a round in which all take turns by delays: a step that would have moved something is left out once. All runs with up to so many delays are tried (M. Emmi, S. Qadeer, Z. Rakamarić,
/// "Delay-bounded scheduling", 2011). Ranks are used for one run after the other, since each ends with nothing under way; a violation ends them.
/// </remarks>
internal sealed class Explorer : IDisposable
{
    private const int MostTurns = 200_000;

    private readonly int _size;
    private readonly Rank[] _ranks;
    private ModelNetwork _network;
    private long _epoch;

    /// <summary>Runs so far.</summary>
    public int Runs { get; private set; }

    /// <summary>Checkpoints at which something had been under way when the gates closed.</summary>
    public int BusyCuts { get; private set; }

    public Explorer(int size, ProtocolBug bug = ProtocolBug.None)
    {
        _size = size;
        _network = new ModelNetwork(size);
        _ranks = [.. Enumerable.Range(0, size).Select(r => new Rank(r, size, bug))];
        foreach (Rank rank in _ranks) rank.Attach(_network);
    }

    /// <summary>Tries all schedules with up to so many delays, with the checkpoint beginning at every <paramref name="stride"/>th step.</summary>
    /// <exception cref="ProtocolViolation">with what was done</exception>
    public void Explore(int what, int delays, int stride)
    {
        List<int> steps = Run(what, [], long.MaxValue, restart: false);
        for (int gate = 0; gate < steps.Count; gate += stride)
            foreach (bool restart in new[] { true, false }) Explore(what, [], delays, steps[gate], restart, stride);
    }

    private void Explore(int what, List<int> delayed, int delays, int gate, bool restart, int stride)
    {
        List<int> steps = Run(what, delayed, gate, restart);
        if (delays == 0) return;
        int after = delayed.Count == 0 ? -1 : delayed[^1], count = 0;
        foreach (int step in steps)
            if (step > after && count++ % stride == 0) Explore(what, [.. delayed, step], delays - 1, gate, restart, stride);
    }

    /// <summary>One run in which steps are taken at random, of a random program, with a checkpoint at a random moment.</summary>
    public void RunRandomly(int seed)
    {
        Random random = new(seed);
        int what = random.Next(4);
        // Some steps are rare in a run, so that queues fill up.
        double[] weights = [.. Enumerable.Range(0, 64).Select(_ => random.Next(3) == 0 ? 0.02 : 1.0)];
        Run(what, [], random.Next(400), random.Next(2) == 0, random, weights);
    }

    /// <returns>numbers of the turns that moved something</returns>
    private List<int> Run(int what, List<int> delayed, long gate, bool restart, Random? random = null, double[]? weights = null)
    {
        Runs++;
        List<Func<bool>> actions = [];
        bool[] gated = new bool[_size];
        bool gateBegins = false, cut = false, begun = false;
        _epoch++;
        for (int i = 0; i < _size; i++)
        {
            int r = i;
            actions.Add(() => gateBegins && !cut && !gated[r] && Close(r, gated));
            actions.Add(_ranks[r].ProgramTurn);
            actions.Add(_ranks[r].PumpTurn);
            for (int j = 1; j < _size; j++)
            {
                int to = (r + j) % _size;
                actions.Add(() => _network.Transmit(r, to));
            }
        }
        List<int> moved = [];
        long[]?[] drained = new long[_size][];
        int idle = 0, nextDelay = 0;
        for (int turn = 0; ; turn++)
        {
            if (turn > MostTurns) throw new ProtocolViolation($"not done after {turn} turns: {Describe(what, delayed, gate, restart)}");
            gateBegins |= turn >= gate;
            int index = random?.Next(actions.Count) ?? turn % actions.Count;
            bool leftOut = nextDelay < delayed.Count && delayed[nextDelay] == turn || weights is not null && random!.NextDouble() > weights[index];
            if (nextDelay < delayed.Count && delayed[nextDelay] == turn) nextDelay++;
            if (leftOut) continue;
            try
            {
                for (int r = 0; r < _size && !begun; r++) _ranks[r].Begin(what, Runs);
                begun = true;
                // Nothing has moved for a while: nothing can, or what can was left out.
                if (idle > 2 * actions.Count && !actions.Exists(static act => act()))
                    throw new ProtocolViolation($"nothing moves; not done: {string.Join(", ", _ranks.Index().Where(r => !r.Item.IsDone()).Select(r => r.Index))}; gated: {string.Join(", ", gated)}");
                if (idle > 2 * actions.Count) idle = 0;
                if (actions[index]())
                {
                    moved.Add(turn);
                    idle = 0;
                }
                else idle++;
                if (gateBegins && !cut && AreDrained(gated, drained))
                {
                    Cut(restart, drained);
                    (cut, idle) = (true, 0);
                }
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                throw new ProtocolViolation($"{e.Message}: turn {turn}, {Describe(what, delayed, gate, restart)}");
            }
            if ((cut || gate == long.MaxValue) && Array.TrueForAll(_ranks, r => r.IsDone()) && _network.IsEmpty) return moved;
            if (!gateBegins && Array.TrueForAll(_ranks, r => r.IsDone())) gate = turn; // a checkpoint after the end
        }
    }

    private static string Describe(int what, List<int> delayed, long gate, bool restart) => $"program {what}, gate at {gate}, {(restart ? "restarted" : "resumed")}, delayed {string.Join(" ", delayed)}";

    private bool Close(int rank, bool[] gated)
    {
        if (Array.TrueForAll(gated, g => !g) && !_network.IsEmpty) BusyCuts++;
        _ranks[rank].Gate(_epoch);
        return gated[rank] = true;
    }

    private bool AreDrained(bool[] gated, long[]?[] drained)
    {
        bool all = true;
        for (int r = 0; r < _size; r++)
        {
            if (!gated[r] || !_ranks[r].IsDrained()) all = false;
            else drained[r] ??= _ranks[r].Written();
        }
        return all;
    }

    /// <summary>All are drained: nothing is under way, and the segments are as they were when each rank was.</summary>
    private void Cut(bool restart, long[]?[] drained)
    {
        if (!_network.IsEmpty) throw new ProtocolViolation("all ranks are drained, and messages are under way");
        for (int r = 0; r < _size; r++)
            if (!_ranks[r].Written().SequenceEqual(drained[r]!)) throw new ProtocolViolation($"the segment of rank {r} was written after it was drained");
        if (restart)
        {
            _network = new ModelNetwork(_size);
            foreach (Rank rank in _ranks) rank.Attach(_network);
        }
        foreach (Rank rank in _ranks) rank.Open(_epoch);
    }

    public void Dispose()
    {
        foreach (Rank rank in _ranks) rank.Dispose();
    }

    /// <summary>A simulated rank in a copy of this assembly of its own.</summary>
    private sealed class Rank : IDisposable
    {
        private readonly AssemblyLoadContext _context;
        private readonly object _simulated;
        private readonly int _number, _segment;

        public Rank(int number, int size, ProtocolBug bug)
        {
            _number = number;
            _context = new AssemblyLoadContext($"rank {number}", isCollectible: true);
            _segment = Sys.MemfdCreate(MpiSegmentLayout.SegmentName);
            Sys.Ftruncate(_segment, MpiSegmentLayout.SegmentBytes(size));
            Type type = _context.LoadFromAssemblyPath(typeof(Rank).Assembly.Location).GetType(typeof(SimulatedRank).FullName!)!;
            _simulated = Activator.CreateInstance(type, number, size, _segment, (int)bug)!;
            (ProgramTurn, PumpTurn, IsDone, IsDrained) = (Method<Func<bool>>(nameof(SimulatedRank.ProgramTurn)), Method<Func<bool>>(nameof(SimulatedRank.PumpTurn)), Method<Func<bool>>(nameof(SimulatedRank.IsDone)), Method<Func<bool>>(nameof(SimulatedRank.IsDrained)));
            (Gate, Open) = (Method<Action<long>>(nameof(SimulatedRank.Gate)), Method<Action<long>>(nameof(SimulatedRank.Open)));
            (Begin, Written) = (Method<Action<int, int>>(nameof(SimulatedRank.Begin)), Method<Func<long[]>>(nameof(SimulatedRank.Written)));
        }

        public Func<bool> ProgramTurn { get; }
        public Func<bool> PumpTurn { get; }
        public Func<bool> IsDone { get; }
        public Func<bool> IsDrained { get; }
        public Action<long> Gate { get; }
        public Action<long> Open { get; }
        public Action<int, int> Begin { get; }
        public Func<long[]> Written { get; }

        public void Attach(ModelNetwork network) => Method<Action<Func<nint, int, int, int, nint>, Func<int, long[]?>, Action<nint, int, nint>, Func<nint, bool>>>(nameof(SimulatedRank.Attach))(
            (bytes, count, to, tag) => network.Send(_number, bytes, count, to, tag), from => network.Probe(_number, from), network.Receive, network.IsComplete);

        private T Method<T>(string name) where T : Delegate => _simulated.GetType().GetMethod(name, BindingFlags.Public | BindingFlags.Instance)!.CreateDelegate<T>(_simulated);

        public void Dispose()
        {
            Sys.Close(_segment);
            _context.Unload();
        }
    }
}
