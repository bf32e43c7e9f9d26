using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>A saved tree, read and found complete. Images of format 1, with one process, are brought into today's form.</summary>
internal sealed class SavedTree
{
    private SavedTree(ISnapshotReader reader, TreeImage tree, List<ProcessImage> processes) => (Reader, Tree, Processes) = (reader, tree, processes);

    public ISnapshotReader Reader { get; }
    public TreeImage Tree { get; }

    /// <summary>Those that live, in the order of <see cref="TreeImage.Processes"/>.</summary>
    public IReadOnlyList<ProcessImage> Processes { get; }

    public ProcessImage Root => Processes.First(p => p.Pid == Tree.Root);

    /// <summary>What the caller has for the restore; null in a check without it.</summary>
    public GivenDescriptors? Given { get; init; }

    public TreeProcess Place(ProcessImage process) => Tree.Processes.First(p => p.Pid == process.Pid);

    /// <exception cref="ImageException">damaged, or of a newer format</exception>
    public static SavedTree Load(ISnapshotReader reader, GivenDescriptors? given = null)
    {
        try
        {
            if (!reader.Records.Contains(ProcessImageFormat.TreeRecord)) return Upgrade(reader, LoadProcess(reader, ProcessImageFormat.Record), given);
            TreeImage tree = TreeImage.Parser.ParseFrom(reader.GetRecord(ProcessImageFormat.TreeRecord));
            if (tree.FormatVersion is 0 or > ProcessImageFormat.Current) throw NewerFormat(tree.FormatVersion);
            List<ProcessImage> processes = [.. tree.Processes.Where(p => !p.Zombie).Select(p => LoadProcess(reader, ProcessImageFormat.RecordOf(p.Pid, tree.Root)))];
            if (processes.All(p => p.Pid != tree.Root) || processes.Any(p => p.Descriptors.Any(d => d.OpenFile == 0 || d.OpenFile > tree.OpenFiles.Count)))
                throw new ImageException("the saved process tree is damaged: parts of it are missing");
            return new SavedTree(reader, tree, processes) { Given = given };
        }
        catch (Google.Protobuf.InvalidProtocolBufferException e) { throw new ImageException("the saved process is damaged: " + e.Message, e); }
    }

    private static ProcessImage LoadProcess(ISnapshotReader reader, string record)
    {
        ProcessImage image = ProcessImage.Parser.ParseFrom(reader.GetRecord(record));
        if (image.FormatVersion is 0 or > ProcessImageFormat.Current) throw NewerFormat(image.FormatVersion);
        if (image.Threads.Count == 0 || image.Threads[0].Tid != image.Pid || image.MmFields.Count != 11 || image.ResourceLimits.Count != 32 || image.SignalActions.Length != 2048 || image.IntervalTimers.Length != 96)
            throw new ImageException("the saved process is damaged: parts of it are missing");
        return image;
    }

    private static ImageException NewerFormat(uint format) => new($"the saved process has format {format}; this build reads up to {ProcessImageFormat.Current}");

    /// <summary>Format 1: the process held what it alone could share with itself.</summary>
    private static SavedTree Upgrade(ISnapshotReader reader, ProcessImage image, GivenDescriptors? given)
    {
        TreeImage tree = new() { FormatVersion = ProcessImageFormat.Current, Root = image.Pid };
        TreeProcess place = new() { Pid = image.Pid, Parent = 1, ProcessGroup = image.ProcessGroup, Session = image.Session, ExitSignal = Sys.SIGCHLD };
        tree.Processes.Add(place);
        tree.SharedMemory.AddRange(image.SharedMemory);
        tree.Files.AddRange(image.Files);
        Dictionary<int, uint> byNumber = [];
        foreach (DescriptorImage d in image.Descriptors)
        {
            if (d.SameAs >= 0 && byNumber.TryGetValue(d.SameAs, out uint same)) d.OpenFile = same;
            else
            {
                OpenFileImage file = new()
                {
                    Kind = d.Kind, Link = d.Link, Flags = d.Flags & ~(uint)Sys.O_CLOEXEC, Position = d.Position, Count = d.Count, Semaphore = d.Semaphore, Data = d.Data, Capacity = d.Capacity, Index = d.Index,
                    Pid = image.Pid, Number = d.Number,
                };
                file.EpollTargets.AddRange(d.EpollTargets);
                tree.OpenFiles.Add(file);
                d.OpenFile = (uint)tree.OpenFiles.Count;
            }
            byNumber[d.Number] = d.OpenFile;
        }
        if (image.ControllingTerminal && image.Session == image.Pid)
            place.Terminal = 1 + (uint)Math.Max(-1, tree.OpenFiles.ToList().FindIndex(o => (DescriptorKind)o.Kind == DescriptorKind.ExternalStream));
        return new SavedTree(reader, tree, [image]) { Given = given };
    }
}
