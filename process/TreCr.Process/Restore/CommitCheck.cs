using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Whether a saved tree's memory can be committed on a machine with strict overcommit.</summary>
internal static class CommitCheck
{
    /// <summary>What the kernel will count: private memory that can be written or could be, also what was mapped with MAP_NORESERVE, which is not heeded there.</summary>
    /// <remarks>Shared memory counts page by page, since it is restored as files in memory.</remarks>
    public static long ChargeBytes(IEnumerable<VmaImage> areas)
    {
        ulong bytes = 0;
        foreach (VmaImage v in areas)
            if ((VmaKind)v.Kind != VmaKind.Kernel && v.Permissions.Length == 4 && v.Permissions[3] == 'p' && (v.Permissions[1] == 'w' || (" " + v.Flags + " ").Contains(" ac ", StringComparison.Ordinal))) bytes += v.End - v.Start;
        return (long)bytes;
    }

    /// <param name="restBytes">of <see cref="StrictOvercommit.RestBytes"/></param>
    /// <returns>null: it fits</returns>
    public static string? Finding(IEnumerable<VmaImage> areas, long? restBytes)
        => restBytes is { } rest && ChargeBytes(areas) + (long)RemoteBatch.WorkBytes is var needed && needed > rest
            ? $"the program's memory takes {needed >> 20} MiB of what may be committed, and {rest >> 20} MiB are left (vm.overcommit_memory=2)" : null;
}
