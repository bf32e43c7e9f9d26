using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>What a check looks at, and what it found.</summary>
/// <param name="frozen">nothing of the tree runs</param>
/// <param name="processes">all processes of the tree that live, with their descriptors</param>
internal sealed class TreeCheck(ExternalObjects externals, IReadOnlyList<(int Pid, List<OpenDescriptor> Descriptors)> processes, List<string> findings, bool frozen = false)
{
    public ExternalObjects Externals => externals;
    public IReadOnlyList<(int Pid, List<OpenDescriptor> Descriptors)> Processes => processes;

    /// <summary>"descriptor 5", with the process before it where there are several.</summary>
    public string Where(OpenDescriptor d) => d.Pid == Environment.ProcessId ? "a descriptor that is under way in a Unix socket" : $"{Of(d.Pid)}descriptor {d.Number}";

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
        List<int> copies = [];
        try
        {
            // What is under way in sockets belongs to the job too; a descriptor of this process stands for it.
            for (int i = 0; i < all.Count; i++)
                foreach (int copy in SocketMessages.Passed(all[i], frozen))
                {
                    copies.Add(copy);
                    OpenDescriptor passed = OpenDescriptor.Read(Environment.ProcessId, copy);
                    if (passed.SocketDomain != Sys.AF_UNIX || !all.Any(d => d.Link == passed.Link)) all.Add(passed);
                }
            foreach (OpenDescriptor d in all)
                if (d.HasLock) FileLocks.Check(d, this);
            foreach (var group in all.GroupBy(d => OpenFileKinds.Of(d, externals))) group.Key.Check([.. group], this);
        }
        finally { foreach (int copy in copies) Sys.Close(copy); }
    }
}
