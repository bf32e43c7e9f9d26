using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>The open file descriptions of a frozen tree, each once, whoever shares it. Source: kcmp(2).</summary>
internal sealed class OpenFileTable(TreeImage tree, ExternalObjects externals, FileCapture files, SharedMemoryCapture memory)
{
    private const int KCMP_FILE = 0;

    private readonly Dictionary<(string Link, uint Flags), List<int>> _byLink = [];
    private readonly List<OpenDescriptor> _holders = [];

    public TreeImage Tree => tree;
    public ExternalObjects Externals => externals;
    public FileCapture Files => files;
    public SharedMemoryCapture Memory => memory;

    /// <summary>Index + 1 of a description of this device file; 0: none is open.</summary>
    /// <param name="number">as in stat's tty_nr</param>
    public uint FindDevice(uint number) => 1 + (uint)_holders.FindIndex(d => (uint)d.Facts.DeviceNumber == number && !d.IsPath);

    /// <summary>Adds the descriptors of one process.</summary>
    public void Add(List<OpenDescriptor> descriptors, ProcessImage process)
    {
        foreach (OpenDescriptor d in descriptors)
            process.Descriptors.Add(new DescriptorImage { Number = d.Number, Flags = d.Flags & Sys.O_CLOEXEC, OpenFile = Note(d), SameAs = -1 });
    }

    /// <summary>Index + 1 of the description that this descriptor refers to; it is captured at its first use. A descriptor of this engine's own will do too (taken out of a message).</summary>
    public uint Note(OpenDescriptor d)
    {
        uint flags = d.Flags & ~(uint)Sys.O_CLOEXEC;
        if (!_byLink.TryGetValue((d.Link, flags), out List<int>? candidates)) _byLink[(d.Link, flags)] = candidates = [];
        foreach (int index in candidates)
        {
            OpenDescriptor holder = _holders[index];
            if (holder.Pid == d.Pid && holder.Number == d.Number || Sys.Kcmp(holder.Pid, d.Pid, KCMP_FILE, holder.Number, d.Number) == 0) return (uint)index + 1;
        }
        OpenFileKind kind = OpenFileKinds.Of(d, externals);
        OpenFileImage image = new() { Kind = (uint)kind.Kind, Link = d.Link, Flags = flags, Position = d.Position, Pid = d.Pid, Number = d.Number };
        candidates.Add(tree.OpenFiles.Count);
        uint id = (uint)tree.OpenFiles.Count + 1;
        tree.OpenFiles.Add(image);
        _holders.Add(d);
        kind.Capture(d, image, this);
        return id;
    }
}
