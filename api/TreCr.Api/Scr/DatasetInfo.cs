namespace TreCr.Api.Scr;

/// <summary>What all ranks know of a dataset.</summary>
/// <param name="Id">from 1, in the order in which they are taken</param>
/// <param name="Name">the program's, or scr.dataset.ID</param>
/// <param name="Flags"><see cref="Checkpoint"/>, <see cref="Output"/></param>
/// <param name="CheckpointId">counts checkpoints alone</param>
/// <param name="Ranks">that wrote it</param>
/// <param name="Created">microseconds since 1970, the same for all ranks: parts of two attempts at an id never go together</param>
/// <param name="FlushDue">whether it is to come to the prefix directory</param>
public sealed record DatasetInfo(int Id, string Name, int Flags, int CheckpointId, int Ranks, long Created, bool FlushDue)
{
    /// <summary>SCR_FLAG_CHECKPOINT, SCR_FLAG_OUTPUT.</summary>
    public const int Checkpoint = 1, Output = 2;

    public bool IsCheckpoint => (Flags & Checkpoint) != 0;

    public bool IsOutput => (Flags & Output) != 0;

    public override string ToString() => $"dataset {Id} '{Name}'";

    internal KvTree ToTree()
    {
        KvTree tree = new();
        tree.Set("ID", Id);
        tree.Set("NAME", Name);
        tree.Set("FLAGS", Flags);
        tree.Set("CKPT", CheckpointId);
        tree.Set("RANKS", Ranks);
        tree.Set("CREATED", Created);
        tree.Set("FLUSH", FlushDue ? 1 : 0);
        return tree;
    }

    internal static DatasetInfo? FromTree(KvTree? tree) => tree?.Number("ID") is { } id && tree.Value("NAME") is { } name && tree.Number("RANKS") is { } ranks && tree.Number("CREATED") is { } created
        ? new((int)id, name, (int)(tree.Number("FLAGS") ?? 0), (int)(tree.Number("CKPT") ?? 0), (int)ranks, created, tree.Number("FLUSH") == 1) : null;
}
