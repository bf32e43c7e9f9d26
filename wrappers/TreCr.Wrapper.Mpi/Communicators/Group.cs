namespace TreCr.Wrapper.Mpi;

/// <summary>A group: world ranks in order.</summary>
internal sealed class Group(int[] ranks) : MpiObject
{
    /// <summary>World ranks.</summary>
    public int[] Ranks => ranks;

    public int Size => ranks.Length;

    /// <summary>This process's rank in it, or MPI_UNDEFINED.</summary>
    public int OwnRank => RankOf(Rankings.World);

    public static Group Empty { get; } = new([]);

    public static Group From(nint raw) => Handles.Get<Group>(raw, ErrorClass.Group);

    public static void Define()
    {
        Handles.PredefineNull<Group>("ompi_mpi_group_null", 0x08000000);
        Handles.Predefine(Empty, "ompi_mpi_group_empty", 0x48000000);
    }

    public int RankOf(int worldRank)
    {
        int index = Array.IndexOf(ranks, worldRank);
        return index < 0 ? MpiAbi.Undefined : index;
    }

    public static int Compare(Group a, Group b)
        => a.Ranks.AsSpan().SequenceEqual(b.Ranks) ? MpiAbi.Ident : a.Size == b.Size && a.Ranks.Order().SequenceEqual(b.Ranks.Order()) ? MpiAbi.Similar : MpiAbi.Unequal;
}

/// <summary>This process's place in the job.</summary>
internal static class Rankings
{
    /// <summary>Rank in MPI_COMM_WORLD.</summary>
    public static int World { get; set; }

    public static int Size { get; set; } = 1;
}
