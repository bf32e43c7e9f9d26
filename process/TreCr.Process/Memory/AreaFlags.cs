using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>
/// VmFlags of areas, read from smaps while the program runs: smaps counts all pages (4 to 17 ms a GiB), which a stop has no time for. In the stop the areas are
/// read from maps, and take the flags of an area that is in every other respect the same.
/// </summary>
/// <remarks>
/// Not seen: a change of nothing but flags, of a whole area (madvise, mlock), in the milliseconds between the two readings. Where any area is new or changed, smaps
/// is read after all.
/// </remarks>
internal sealed class AreaFlags
{
    private readonly Dictionary<(ulong, ulong, string, ulong, ulong, string), string> _flags = [];

    public static AreaFlags Read(int pid)
    {
        AreaFlags read = new();
        foreach (Vma area in Vma.ReadAll(pid)) read._flags[KeyOf(area)] = area.Flags;
        return read;
    }

    /// <summary>Areas of a frozen process with flags.</summary>
    /// <param name="before">read shortly before; null: smaps is read</param>
    public static List<Vma> Of(int pid, AreaFlags? before)
    {
        if (before is null) return Vma.ReadAll(pid);
        List<Vma> areas = Vma.ReadAll(pid, withFlags: false);
        foreach (Vma area in areas)
        {
            if (!before._flags.TryGetValue(KeyOf(area), out string? flags)) return Vma.ReadAll(pid);
            area.Flags = flags;
        }
        return areas;
    }

    private static (ulong, ulong, string, ulong, ulong, string) KeyOf(Vma area) => (area.Start, area.End, area.Permissions, area.Offset, area.Inode, area.Path);
}
