using System.Globalization;

namespace TreCr.Api.Scr;

/// <summary>A redundancy set, as each of its members knows it: who is in it, what files they have, and what this member keeps of it.</summary>
/// <param name="Number">of the set, from 0, and of how many</param>
/// <param name="Parity">units of parity in a stripe</param>
/// <param name="ChunkBytes">length of a unit</param>
/// <param name="Encoded">microseconds since 1970, the same for all members</param>
/// <param name="Members">ranks</param>
/// <param name="MemberFiles">[members]</param>
/// <param name="Kept">this member's parity, a file; null: not known (of another member)</param>
public sealed record SetRecord(CopyType Type, int Number, int Sets, int Parity, long ChunkBytes, long Encoded, int[] Members, IReadOnlyList<IReadOnlyList<SavedFile>> MemberFiles, SavedFile? Kept)
{
    /// <summary>Which unit lies where.</summary>
    public StripeLayout Layout => new(Type, Members.Length, Parity);

    /// <summary>Name of a member's file of parity.</summary>
    public string ParityName(int rank) => $"{rank}.{Type.ToString().ToLowerInvariant()}.grp_{Number + 1}_of_{Sets}.mem_{Array.IndexOf(Members, rank) + 1}_of_{Members.Length}.redset";

    /// <summary>Whether both have been made together.</summary>
    public bool IsSameAs(SetRecord other) => Encoded == other.Encoded && Members.SequenceEqual(other.Members);

    internal KvTree ToTree()
    {
        KvTree tree = new();
        tree.Set("TYPE", Type.ToString().ToUpperInvariant());
        tree.Set("NUMBER", Number);
        tree.Set("SETS", Sets);
        tree.Set("PARITY", Parity);
        tree.Set("CHUNK", ChunkBytes);
        tree.Set("ENCODED", Encoded);
        for (int i = 0; i < Members.Length; i++)
        {
            KvTree member = tree["MEMBER"][i];
            member.Set("RANK", Members[i]);
            member.Set("FILE", SavedFile.ToTree(MemberFiles[i]));
        }
        if (Kept is not null) tree.Set("KEPT", SavedFile.ToTree([Kept]));
        return tree;
    }

    /// <returns>null: not one, or it contradicts itself</returns>
    internal static SetRecord? FromTree(KvTree? tree)
    {
        if (tree is null || !Enum.TryParse(tree.Value("TYPE"), ignoreCase: true, out CopyType type)) return null;
        KvTree[] listed = [.. tree["MEMBER"].Numbers.Select(n => tree["MEMBER"][n])];
        int[] members = [.. listed.Select(m => (int)(m.Number("RANK") ?? -1))];
        List<SavedFile>?[] files = [.. listed.Select(m => SavedFile.FromTree(m.Find("FILE")))];
        List<SavedFile>? kept = SavedFile.FromTree(tree.Find("KEPT"));
        int parity = (int)(tree.Number("PARITY") ?? 0);
        long chunk = tree.Number("CHUNK") ?? -1;
        bool isOne = type is CopyType.Partner or CopyType.Xor or CopyType.Rs && members.Length >= 2 && members.All(m => m >= 0) && members.Distinct().Count() == members.Length
            && parity > 0 && parity < members.Length && kept is not null && files.All(f => f is not null && chunk >= 0 && f.Sum(x => (decimal)x.Bytes) <= (decimal)chunk * (type == CopyType.Partner ? 1 : members.Length - parity));
        return isOne ? new(type, (int)(tree.Number("NUMBER") ?? 0), (int)(tree.Number("SETS") ?? 1), parity, chunk, tree.Number("ENCODED") ?? 0, members, files!, kept!.FirstOrDefault()) : null;
    }
}
