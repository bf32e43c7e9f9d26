using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>What of the machine a saved process depends on.</summary>
internal static unsafe class HostFacts
{
    private static string? s_flags;

    public static HostImage Of(int pid, List<Vma> areas, int xstateBytes) => new()
    {
        KernelRelease = File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        VdsoHash = HashOfVdso(pid, areas),
        CpuFlags = s_flags ??= Flags(),
        XstateBytes = (uint)xstateBytes,
    };

    private static string Flags()
    {
        foreach (string line in File.ReadLines("/proc/cpuinfo"))
            if (line.StartsWith("flags", StringComparison.Ordinal)) return string.Join(' ', line[(line.IndexOf(':') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
        return "";
    }

    /// <summary>FNV-1a 64 of the vdso's bytes; 0: none.</summary>
    public static ulong HashOfVdso(int pid, List<Vma> areas)
    {
        if (areas.Find(a => a.Path == "[vdso]") is not { } vdso) return 0;
        byte[] bytes = new byte[vdso.LengthBytes];
        fixed (byte* p = bytes)
            if (Sys.ProcessVmRead(pid, vdso.Start, p, bytes.Length) != bytes.Length) return 0;
        ulong hash = 14695981039346656037;
        foreach (byte b in bytes) hash = (hash ^ b) * 1099511628211;
        return hash;
    }

    /// <summary>Why an image cannot run on this machine.</summary>
    public static IEnumerable<string> Differences(HostImage saved, HostImage here)
    {
        if (saved.VdsoHash != here.VdsoHash) yield return $"the kernel is another one ({saved.KernelRelease} then, {here.KernelRelease} now): its vdso differs";
        string[] missing = [.. saved.CpuFlags.Split(' ').Except(here.CpuFlags.Split(' '))];
        if (missing.Length > 0) yield return $"this CPU lacks {string.Join(", ", missing)}";
        if (here.XstateBytes != 0 && saved.XstateBytes != here.XstateBytes) yield return $"this CPU's register state has {here.XstateBytes} bytes, the saved one {saved.XstateBytes}";
    }
}
