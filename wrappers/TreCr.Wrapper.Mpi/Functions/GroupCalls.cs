using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §6.3: groups.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class GroupCalls
{
    private static nint Make(IEnumerable<int> ranks)
    {
        int[] all = [.. ranks];
        return all.Length == 0 ? Group.Empty.Handle : Handles.Add(new Group(all));
    }

    private static int Member(Group group, int rank) => (uint)rank < (uint)group.Size ? group.Ranks[rank] : throw new MpiException(ErrorClass.Rank, $"rank {rank} of a group of {group.Size}");

    private static int[] Members(Group group, int count, int* ranks)
    {
        if (count < 0) throw new MpiException(ErrorClass.Arg, $"count {count}");
        int[] chosen = new int[count];
        for (int i = 0; i < count; i++) chosen[i] = Member(group, ranks[i]);
        return chosen.Distinct().Count() == count ? chosen : throw new MpiException(ErrorClass.Rank, "a rank is named twice");
    }

    private static int[] Ranges(Group group, int count, int* ranges)
    {
        List<int> chosen = [];
        for (int i = 0; i < count; i++)
        {
            (int first, int last, int step) = (ranges[3 * i], ranges[3 * i + 1], ranges[3 * i + 2]);
            if (step == 0) throw new MpiException(ErrorClass.Arg, "a stride of 0");
            for (int r = first; step > 0 ? r <= last : r >= last; r += step) chosen.Add(Member(group, r));
        }
        return chosen.Distinct().Count() == chosen.Count ? [.. chosen] : throw new MpiException(ErrorClass.Rank, "a rank is named twice");
    }

    public static void MPI_Group_size(Group group, int* size) => *size = group.Size;

    public static void MPI_Group_rank(Group group, int* rank) => *rank = group.OwnRank;

    public static void MPI_Group_translate_ranks(Group a, int count, int* ranks, Group b, int* result)
    {
        for (int i = 0; i < count; i++)
        {
            int rank = MpiAbi.Rank(ranks[i]);
            result[i] = rank == MpiAbi.ProcNull ? MpiAbi.RankOut(rank) : b.RankOf(Member(a, rank));
        }
    }

    public static void MPI_Group_compare(Group a, Group b, int* result) => *result = Group.Compare(a, b);

    public static void MPI_Group_incl(Group group, int count, int* ranks, HandlePointer result) => result.Value = Make(Members(group, count, ranks));

    public static void MPI_Group_excl(Group group, int count, int* ranks, HandlePointer result) => result.Value = Make(group.Ranks.Except(Members(group, count, ranks)));

    public static void MPI_Group_range_incl(Group group, int count, int* ranges, HandlePointer result) => result.Value = Make(Ranges(group, count, ranges));

    public static void MPI_Group_range_excl(Group group, int count, int* ranges, HandlePointer result) => result.Value = Make(group.Ranks.Except(Ranges(group, count, ranges)));

    public static void MPI_Group_union(Group a, Group b, HandlePointer result) => result.Value = Make(a.Ranks.Union(b.Ranks));

    public static void MPI_Group_intersection(Group a, Group b, HandlePointer result) => result.Value = Make(a.Ranks.Intersect(b.Ranks));

    public static void MPI_Group_difference(Group a, Group b, HandlePointer result) => result.Value = Make(a.Ranks.Except(b.Ranks));

    public static void MPI_Group_free(HandlePointer group)
    {
        Group freed = Group.From(group.Value);
        if (freed != Group.Empty) Handles.Remove(freed);
        group.Value = Handles.Null<Group>();
    }
}
