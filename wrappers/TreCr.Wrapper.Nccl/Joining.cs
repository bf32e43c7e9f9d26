using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Nccl;

/// <summary>A communicator that is being made: all members have to come.</summary>
internal sealed class Joining(Communicator communicator) : IPending
{
    private CommunicatorState _state;

    public string WaitsFor => $"{_state.Missing} of {communicator.Size} ranks, of which the first is rank {_state.FirstMissing}";

    public bool Step()
    {
        _state = communicator.State;
        if (_state.IsComplete == 0) return false;
        communicator.Pending = null;
        return true;
    }
}

/// <summary>
/// A communicator that is made out of one by colours and keys: each member tells its own, learns those of all, and knows by them who is in its part and as whom. Words are kept for two rounds, so that who is ahead does not take
/// away what another has not read.
/// </summary>
internal sealed unsafe class Splitting : IPending
{
    public const int NoColor = -1;

    private readonly Communicator _parent;
    private readonly int _color;
    private readonly bool _isBlocking;
    private readonly uint _round;
    private readonly nint* _result;
    private Communicator? _made;
    private uint _late;

    public Splitting(Communicator parent, int color, int key, bool isBlocking, nint* result)
    {
        (_parent, _color, _isBlocking) = (parent, color, isBlocking);
        _result = result;
        _round = ++parent.Told;
        parent.Children++;
        uint first = _round % 2 * 2;
        parent.Tell(first, (uint)color | (ulong)(uint)key << 32);
        parent.Tell(first + 1, _round);
    }

    public string WaitsFor => _made is not null ? _made.Pending?.WaitsFor ?? "" : $"rank {_late}";

    public bool Step()
    {
        if (_made is { } made) return made.Pending?.Step() ?? true;
        uint first = _round % 2 * 2;
        for (uint n = 0; n < _parent.Size; n++)
            if (_parent.Ask(n, first + 1) != _round)
            {
                _late = n;
                CommunicatorState state = _parent.State;
                if (state.Error != 0) throw new NcclException((NcclResult)state.Error, $"rank {state.ErrorRank} cannot take part");
                return false;
            }
        if (_color == NoColor) return true;
        List<(int Key, uint Rank)> part = [];
        for (uint n = 0; n < _parent.Size; n++)
        {
            ulong word = _parent.Ask(n, first);
            if ((int)word == _color) part.Add(((int)(word >> 32), n));
        }
        part.Sort();
        uint rank = (uint)part.FindIndex(p => p.Rank == _parent.Rank);
        _made = new Communicator(Tokens.Child(_parent.Token, _round, (uint)_color), rank, (uint)part.Count, _parent.Context, _isBlocking);
        _made.Pending = new Joining(_made);
        *_result = _made.Handle;
        _made.Join();
        return _made.Pending.Step();
    }
}
