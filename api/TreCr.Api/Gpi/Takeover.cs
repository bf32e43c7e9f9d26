namespace TreCr.Api.Gpi;

/// <summary>Survivors of one group that have asked for spares in place of the dead.</summary>
internal sealed class Takeover(ushort[] places)
{
    /// <summary>Members of the old group, by place.</summary>
    public ushort[] Places => places;

    public List<(AgentPeer Peer, uint Id)> Survivors { get; } = [];

    /// <summary>The new members by place: living ones stay, spares take the places of the others, both in ascending order.</summary>
    /// <param name="lives">whether a member is there</param>
    /// <param name="spares">ranks that may take a place, any order</param>
    /// <returns>null: there are too few of them</returns>
    public static ushort[]? Fill(ushort[] places, Predicate<ushort> lives, IEnumerable<ushort> spares)
    {
        Queue<ushort> free = new(spares.Except(places).Order());
        ushort[] filled = [.. places];
        for (int place = 0; place < filled.Length; place++)
        {
            if (lives(filled[place])) continue;
            if (!free.TryDequeue(out filled[place])) return null;
        }
        return filled;
    }
}
