namespace TreCr.Api.Gpi;

/// <summary>What a rank brings to a restore.</summary>
/// <param name="Code">other than 0: it cannot take part</param>
/// <param name="Name">of the checkpoint; empty: it comes new</param>
/// <param name="Committed">generation that it knows to be committed</param>
internal sealed record RestoreOffer(int Code, ulong Bytes, int Policy, string Name, uint Era, ulong Committed, ushort[] Places, ushort[] Mirrors)
{
    public static RestoreOffer Read(BinaryReader reader)
        => new(reader.ReadInt32(), reader.ReadUInt64(), reader.ReadInt32(), reader.ReadString(), reader.ReadUInt32(), reader.ReadUInt64(), Frame.ReadRanks(reader), Frame.ReadRanks(reader));
}
