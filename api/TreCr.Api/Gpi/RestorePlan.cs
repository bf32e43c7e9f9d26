namespace TreCr.Api.Gpi;

/// <summary>Who restores what: made by each rank from the same offers, so that all make the same.</summary>
/// <param name="Places">ranks by place</param>
internal sealed record RestorePlan(string Name, ulong Generation, uint Era, ushort[] Places, ushort[] Mirrors)
{
    /// <param name="members">of the new group, by place where spares were placed by the agent</param>
    /// <param name="offers">[members]</param>
    /// <exception cref="GpiException">there is nothing that these ranks can restore together</exception>
    public static RestorePlan Make(ushort[] members, RestoreOffer[] offers, ulong bytes, MirrorPolicy policy)
    {
        for (int i = 0; i < offers.Length; i++)
        {
            if (offers[i].Code != 0) throw new GpiException(GpiCode.Error, $"rank {members[i]} cannot take part ({(GpiCode)offers[i].Code})");
            if (offers[i].Bytes != bytes || offers[i].Policy != (int)policy) throw new GpiException(GpiCode.Error, $"rank {members[i]} gives another size ({offers[i].Bytes}, not {bytes}) or policy");
        }
        RestoreOffer survivor = offers.FirstOrDefault(o => o.Name.Length > 0) ?? throw new GpiException(GpiCode.Error, "no member of the group has the checkpoint");
        foreach (RestoreOffer offer in offers)
            if (offer.Name.Length > 0 && (offer.Name != survivor.Name || !offer.Places.AsSpan().SequenceEqual(survivor.Places))) throw new GpiException(GpiCode.Error, "the members of the group bring different checkpoints");
        if (members.Length != survivor.Places.Length) throw new GpiException(GpiCode.BadGroup, $"the checkpoint has {survivor.Places.Length} ranks, the group {members.Length}");
        ulong generation = offers.Max(o => o.Committed);
        if (generation == 0) throw new GpiException(GpiCode.Error, "nothing is committed");
        return new RestorePlan(survivor.Name, generation, offers.Max(o => o.Era) + 1, Place(members, survivor.Places), survivor.Mirrors);
    }

    /// <summary>A group that the agent made has its members by place; in one that the program made new members take the free places in ascending order.</summary>
    private static ushort[] Place(ushort[] members, ushort[] old)
    {
        bool isPlaced = true;
        for (int i = 0; i < old.Length; i++) isPlaced &= members[i] == old[i] || !members.Contains(old[i]);
        return isPlaced ? members : Takeover.Fill(old, members.Contains, members)!;
    }
}
