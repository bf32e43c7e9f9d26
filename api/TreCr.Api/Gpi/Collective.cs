namespace TreCr.Api.Gpi;

/// <summary>What the members of a group give each other at one call that all of them make.</summary>
internal sealed class Collective(ushort[] members)
{
    private readonly byte[]?[] _given = new byte[members.Length][];
    private int _missing = members.Length;

    public ushort[] Members => members;

    /// <summary>Who waits for the answer, and the number of its request.</summary>
    public List<(AgentPeer Peer, uint Id)> Waiting { get; } = [];

    public bool IsComplete => _missing == 0;

    /// <returns>false: the rank is no member, or has given something before</returns>
    public bool Give(ushort rank, byte[] bytes)
    {
        int at = Array.IndexOf(members, rank);
        if (at < 0 || _given[at] is not null) return false;
        _given[at] = bytes;
        _missing--;
        return true;
    }

    /// <summary>Whether a rank is a member that has given nothing.</summary>
    public bool Lacks(ushort rank) => Array.IndexOf(members, rank) is >= 0 and var at && _given[at] is null;

    /// <summary>What all have given, in the order of the members.</summary>
    public byte[] Answer() => Frame.Pack(w =>
    {
        foreach (byte[]? bytes in _given)
        {
            w.Write(bytes!.Length);
            w.Write(bytes);
        }
    });
}
