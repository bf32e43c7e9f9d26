namespace TreCr.Api.Scr;

/// <summary>What a rank has of a dataset: the file .scr/filemap_RANK. It is written when everything else is there.</summary>
public sealed record RankFiles(DatasetInfo Dataset, int Rank, IReadOnlyList<SavedFile> Files, SetRecord? Set)
{
    private const int Version = 1;

    public static string FileName(int rank) => $"filemap_{rank}";

    public long Bytes => Files.Sum(f => f.Bytes);

    /// <summary>What another member of the set has, as far as this one knows it.</summary>
    public RankFiles OfMember(int rank) => new(Dataset, rank, Set!.MemberFiles[Array.IndexOf(Set.Members, rank)], Set with { Kept = null });

    public KvTree ToTree()
    {
        KvTree tree = new();
        tree.Set("VERSION", Version);
        tree.Set("DSETDESC", Dataset.ToTree());
        tree.Set("RANK", Rank);
        tree.Set("FILE", SavedFile.ToTree(Files));
        if (Set is not null) tree.Set("REDDESC", Set.ToTree());
        return tree;
    }

    /// <returns>null: not one, of a version that is not known here, or it contradicts itself</returns>
    public static RankFiles? FromTree(KvTree? tree)
    {
        if (tree?.Number("VERSION") != Version || DatasetInfo.FromTree(tree.Find("DSETDESC")) is not { } dataset || tree.Number("RANK") is not (>= 0 and var rank) || rank >= dataset.Ranks || SavedFile.FromTree(tree.Find("FILE")) is not { } files) return null;
        SetRecord? set = SetRecord.FromTree(tree.Find("REDDESC"));
        return set is null == tree.Find("REDDESC") is null && set?.Members.Contains((int)rank) != false ? new(dataset, (int)rank, files, set) : null;
    }
}
