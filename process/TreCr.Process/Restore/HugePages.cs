using TreCr.Linux;

namespace TreCr.Process.Restore;

/// <summary>Transparent huge pages for memory of a process being made that is about to be filled whole. Source: Documentation/admin-guide/mm/transhuge.rst, madvise(2) MADV_COLLAPSE (Linux 6.1).</summary>
internal sealed class HugePages(RemoteBatch batch, int pid)
{
    /// <summary>Of one.</summary>
    public const ulong Bytes = 2 << 20;

    /// <summary>What <see cref="Make"/> is given at most.</summary>
    public const ulong PieceBytes = 8 * Bytes;

    /// <summary>What the faults of as many small pages take; how much longer it may take in all.</summary>
    private const long NsEach = 600_000, NsMore = 5_000_000;

    private long _budgetNs = NsMore;

    private const int MADV_POPULATE_WRITE = 23, MADV_COLLAPSE = 25, SmallPageBytes = 4096;

    private const string Setting = "/sys/kernel/mm/transparent_hugepage/enabled";

    private static readonly string s_setting = File.Exists(Setting) ? File.ReadAllText(Setting) : "[never]";

    /// <summary>The administrator has not turned them off.</summary>
    public static bool Allowed => !s_setting.Contains("[never]", StringComparison.Ordinal);

    /// <summary>Any memory may have them, not only what asks for them (MADV_HUGEPAGE).</summary>
    public static bool Always => s_setting.Contains("[always]", StringComparison.Ordinal);

    /// <summary>Makes huge pages in untouched private memory.</summary>
    /// <returns>false: better no more of them, because the kernel has none or has to make them out of scattered memory</returns>
    public bool Make(ulong start, ulong lengthBytes)
    {
        // The kernel collapses only what has a page table: one page in each.
        for (ulong at = start; at < start + lengthBytes; at += Bytes) batch.AddOptional("madvise(MADV_POPULATE_WRITE)", SyscallNumber.Madvise, (long)at, SmallPageBytes, MADV_POPULATE_WRITE);
        batch.AddOptional("madvise(MADV_COLLAPSE)", SyscallNumber.Madvise, (long)start, (long)lengthBytes, MADV_COLLAPSE);
        long began = Sys.ClockNs(1);
        bool made = batch.Run(pid)[^1] == 0;
        _budgetNs += NsEach * (long)(lengthBytes / Bytes) - (Sys.ClockNs(1) - began);
        return made && _budgetNs >= 0;
    }
}
