using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>What a check looks at, and what it found.</summary>
/// <param name="processes">all processes of the tree that live, with their descriptors</param>
internal sealed class TreeCheck(ExternalObjects externals, IReadOnlyList<(int Pid, List<OpenDescriptor> Descriptors)> processes, List<string> findings)
{
    public ExternalObjects Externals => externals;
    public IReadOnlyList<(int Pid, List<OpenDescriptor> Descriptors)> Processes => processes;

    /// <summary>"descriptor 5", with the process before it where there are several.</summary>
    public string Where(OpenDescriptor d) => $"{Of(d.Pid)}descriptor {d.Number}";

    /// <summary>"process 12 (bash): ", or nothing where there is one only.</summary>
    public string Of(int pid)
    {
        if (processes.Count < 2) return "";
        try { return $"process {pid} ({File.ReadAllText($"/proc/{pid}/comm").Trim()}): "; } catch (IOException) { return $"process {pid}: "; }
    }

    public void Add(string finding) => findings.Add(finding);

    /// <summary>Has every kind look at its descriptors.</summary>
    public void Run()
    {
        List<OpenDescriptor> all = [.. processes.SelectMany(p => p.Descriptors).Where(d => !d.IsLeftover)];
        foreach (OpenDescriptor d in all)
            if (d.HasLock) Add($"{Where(d)} holds a file lock or lease on {d.Link}");
        foreach (var group in all.GroupBy(d => OpenFileKinds.Of(d, externals))) group.Key.Check([.. group], this);
    }
}
