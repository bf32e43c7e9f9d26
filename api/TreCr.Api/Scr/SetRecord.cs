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

    internal static SetRecord? FromTree(KvTree? tree)
    {
        if (tree is null || !Enum.TryParse(tree.Value("TYPE"), ignoreCase: true, out CopyType type)) return null;
        KvTree[] members = [.. tree["MEMBER"].Numbers.Select(n => tree["MEMBER"][n])];
        return new(type, (int)(tree.Number("NUMBER") ?? 0), (int)(tree.Number("SETS") ?? 1), (int)(tree.Number("PARITY") ?? 0), tree.Number("CHUNK") ?? 0, tree.Number("ENCODED") ?? 0,
            [.. members.Select(m => (int)(m.Number("RANK") ?? -1))], [.. members.Select(m => SavedFile.FromTree(m.Find("FILE")))], SavedFile.FromTree(tree.Find("KEPT")).FirstOrDefault());
    }
}
