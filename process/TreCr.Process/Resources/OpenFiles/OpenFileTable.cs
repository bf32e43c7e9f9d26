using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>The open file descriptions of a frozen tree, each once, whoever shares it. Source: kcmp(2).</summary>
internal sealed class OpenFileTable(TreeImage tree, ExternalObjects externals, FileCapture files, SharedMemoryCapture memory, ISnapshotWriter writer, ReadoutClient readouts) : IDisposable
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

    /// <summary>The Unix sockets of this network namespace, as the capture found them.</summary>
    public UnixSockets UnixSockets => _unixSockets ??= UnixSockets.Read();

    private UnixSockets? _unixSockets;

    /// <summary>The TCP connections of this network namespace.</summary>
    public TcpTable Tcp => _tcp ??= TcpTable.Read(_all);

    private TcpTable? _tcp;

    /// <summary>A copy of a socket of the tree, by inode; the caller closes it.</summary>
    /// <returns>a descriptor, or -1: the tree does not have it</returns>
    public int BorrowSocket(ulong inode)
    {
        string link = $"socket:[{inode}]";
        foreach (OpenDescriptor d in _all)
            if (d.Link == link && d.TryBorrow() is var fd and >= 0) return fd;
        return -1;
    }

    /// <summary>TCP sockets of the tree.</summary>
    public List<(int Pid, int Number)> TcpSockets => [.. tree.OpenFiles.Where(o => o.Kind == (uint)DescriptorKind.InternetSocket && o.Pid > 0 && o.Object.Socket is { Type: Sys.SOCK_STREAM, Listening: false }).Select(o => (o.Pid, o.Number))];

    /// <summary>Keeps a copy open until the capture ends, because later descriptors are compared with it.</summary>
    public void Keep(int fd) => _copies.Add(fd);

    public void Dispose()
    {
        foreach (int fd in _copies) Sys.Close(fd);
        _copies.Clear();
    }

    /// <summary>Pid of a description that only a message under way holds.</summary>
    private const int Outside = -1;

    private readonly List<int> _copies = [];
    private readonly List<OpenDescriptor> _all = [];

    /// <summary>Says which descriptors there are, before the first is added.</summary>
    public void Know(IEnumerable<OpenDescriptor> descriptors) => _all.AddRange(descriptors);

    /// <summary>What init does for kinds whose contents cannot be looked at without changing them; in <see cref="Later"/> only.</summary>
    public ReadoutClient Readouts => readouts;

    private readonly List<Action> _later = [];

    /// <summary>Has something done when the threads' state is read and no thread could disturb it, even if this engine were killed.</summary>
    public void Later(Action readout) => _later.Add(readout);

    /// <summary>Whether <see cref="DoLater"/> has anything to do.</summary>
    public bool HasLater => _later.Count > 0;

    public void DoLater()
    {
        foreach (Action readout in _later) readout();
        _later.Clear();
    }

    /// <summary>For kinds that save contents of their own.</summary>
    public ISnapshotWriter Writer => writer;

    /// <summary>Index + 1 of a description of the deleted file that an area maps; 0: nobody has it open.</summary>
    public uint DeletedFile(Vma area)
    {
        for (int i = 0; i < tree.OpenFiles.Count; i++)
            if (tree.OpenFiles[i].Object?.File is { } file && file.Inode == area.Inode && tree.OpenFiles[i].Link == area.Path) return (uint)i + 1;
        return 0;
    }

    /// <summary>Adds the descriptors of one process.</summary>
    public void Add(List<OpenDescriptor> descriptors, ProcessImage process)
    {
        foreach (OpenDescriptor d in descriptors)
        {
            DescriptorImage to = new() { Number = d.Number, Flags = d.Flags & Sys.O_CLOEXEC, OpenFile = Note(d), SameAs = -1 };
            to.Locks.AddRange(FileLocks.OfProcess(d));
            process.Descriptors.Add(to);
        }
    }

    /// <summary>Index + 1 of the description that this descriptor refers to; it is captured at its first use. A descriptor of this engine's own will do too (taken out of a message).</summary>
    public uint Note(OpenDescriptor d)
    {
        uint flags = d.Flags & ~(uint)Sys.O_CLOEXEC;
        if (!_byLink.TryGetValue((d.Link, flags), out List<int>? candidates)) _byLink[(d.Link, flags)] = candidates = [];
        foreach (int index in candidates)
        {
            OpenDescriptor holder = _holders[index];
            if (holder.Pid == d.Pid && holder.Number == d.Number || Sys.Kcmp(holder.Pid, d.Pid, KCMP_FILE, holder.Number, d.Number) == 0)
            {
                OpenFileImage known = tree.OpenFiles[index];
                if (known.Pid == Outside) (known.Pid, known.Number) = (d.Pid, d.Number);
                return (uint)index + 1;
            }
        }
        OpenFileKind kind = OpenFileKinds.Of(d, externals);
        OpenFileImage image = new() { Kind = (uint)kind.Kind, Link = d.Link, Flags = flags, Position = d.Position, Pid = d.Pid == Environment.ProcessId ? Outside : d.Pid, Number = d.Number };
        candidates.Add(tree.OpenFiles.Count);
        uint id = (uint)tree.OpenFiles.Count + 1;
        tree.OpenFiles.Add(image);
        _holders.Add(d);
        FileLocks.Capture(d, image);
        FileOwner.Capture(d, image);
        kind.Capture(d, image, this);
        return id;
    }
}
