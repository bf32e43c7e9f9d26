using System.Globalization;
using TreCr.Linux;

namespace TreCr.Store;

/// <summary>Memory that this process may still take before somebody has to give way: the program, another one, or the kernel's OOM killer.</summary>
/// <param name="Bytes">0 or more</param>
/// <param name="Bound">what allows no more, in words</param>
public readonly record struct MemoryHeadroom(long Bytes, string Bound)
{
    /// <summary>Less than this is too little for a checkpoint: a writer's smallest buffers, and what the engine itself needs.</summary>
    public const long LeastBytes = 32L << 20;

    private const long MostForCopies = 4L << 30;

    /// <summary>Why no checkpoint can be taken; null: one can.</summary>
    public string? WhyTooLittle => Bytes >= LeastBytes ? null : $"{Bytes >> 20} MiB of memory may be taken here ({Bound}), a checkpoint needs {LeastBytes >> 20} MiB beside the program's";

    /// <summary>How much of it copies may take that are not stored yet: half of it at the most, so that the program can grow meanwhile.</summary>
    /// <param name="wantedBytes">what was allowed; 0: nothing was said, then a quarter and at most 4 GiB</param>
    public long ForCopies(long wantedBytes) => wantedBytes > 0 ? Math.Min(wantedBytes, Bytes / 2) : Math.Min(Bytes / 4, MostForCopies);

    /// <summary>The least of: MemAvailable; what the control groups (version 1 and 2, each up to its root) have left, page cache that is not in use included; with vm.overcommit_memory=2 what may still
    /// be committed; the rest of RLIMIT_DATA and RLIMIT_AS.</summary>
    /// <param name="root">where proc and sys are; for tests</param>
    /// <remarks>Reads some ten files. Source: proc_meminfo(5), cgroups(7), the kernel's cgroup-v2.rst and cgroup-v1/memory.rst, getrlimit(2).</remarks>
    public static MemoryHeadroom Read(string root = "")
    {
        Dictionary<string, long> memory = Table($"{root}/proc/meminfo");
        MemoryHeadroom least = new(memory.TryGetValue("MemAvailable", out long available) ? available << 10 : 0, "MemAvailable of the machine");
        if (StrictOvercommit.RestBytes(root) is { } rest) Bound(rest, "vm.overcommit_memory=2");
        foreach (string line in Lines($"{root}/proc/self/cgroup"))
        {
            string[] parts = line.Split(':', 3);
            if (parts.Length != 3) continue;
            if (parts[0] == "0")
                foreach (string mount in (string[])[$"{root}/sys/fs/cgroup", $"{root}/sys/fs/cgroup/unified"]) Groups(mount, parts[2], "memory.max", "memory.current", "inactive_file");
            else if (parts[1].Split(',').Contains("memory")) Groups($"{root}/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
        }
        Dictionary<string, long> own = Table($"{root}/proc/self/status");
        foreach (string line in Lines($"{root}/proc/self/limits"))
            foreach ((string name, string field, string what) in (ReadOnlySpan<(string, string, string)>)[("Max data size", "VmData", "RLIMIT_DATA"), ("Max address space", "VmSize", "RLIMIT_AS")])
                if (line.StartsWith(name, StringComparison.Ordinal) && Number(line[name.Length..].TrimStart().Split(' ')[0]) is { } most && own.TryGetValue(field, out long used)) Bound(most - (used << 10), what);
        return least;

        void Bound(long bytes, string what)
        {
            if (bytes < least.Bytes) least = new(Math.Max(0, bytes), what);
        }

        void Groups(string mount, string path, string limit, string used, string reclaimable)
        {
            // In a container the path may be one of outside: then its own group is what is mounted.
            if (!Directory.Exists(mount + path)) path = "/";
            for (string group = (mount + path).TrimEnd('/'); group.Length >= mount.Length; group = group[..group.LastIndexOf('/')])
                if (Number(Line($"{group}/{limit}")) is { } most && Number(Line($"{group}/{used}")) is { } current)
                    Bound(most - current + Table($"{group}/memory.stat").GetValueOrDefault(reclaimable), $"{limit} of a control group");
        }
    }

    /// <summary>Lines "name: value unit" or "name value".</summary>
    private static Dictionary<string, long> Table(string file)
    {
        Dictionary<string, long> table = [];
        foreach (string line in Lines(file))
            if (line.Split((char[])[' ', '\t', ':'], StringSplitOptions.RemoveEmptyEntries) is [string name, string value, ..] && Number(value) is { } number) table.TryAdd(name, number);
        return table;
    }

    private static long? Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;

    private static string Line(string file) => Lines(file) is [string first, ..] ? first : "";

    private static string[] Lines(string file)
    {
        try { return File.ReadAllLines(file); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }
}
