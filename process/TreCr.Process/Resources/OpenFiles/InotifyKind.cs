using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>inotify(7): watches with their numbers. Events that nobody had read come back as one IN_Q_OVERFLOW, which tells the program to look for itself.</summary>
internal sealed unsafe class InotifyKind : OpenFileKind
{
    private const int MaxNumber = 1_000_000, IN_ATTRIB = 4, IN_MASK_CREATE = 0x10000000, EventBytes = 16;

    public override DescriptorKind Kind => DescriptorKind.Inotify;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:inotify";

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
            foreach (InotifyWatch watch in InotifyWatch.Of(d))
            {
                if (InotifyPaths.Find([.. check.Processes.SelectMany(p => p.Descriptors)], watch) is null) check.Add($"{check.Where(d)} is an inotify instance that watches inode {watch.Inode}, whose path cannot be found");
                if (watch.Number > MaxNumber) check.Add($"{check.Where(d)} is an inotify instance whose watch numbers have come to {watch.Number}");
            }
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        int fd = d.Borrow();
        InotifyImage image = to.Part().Inotify = new InotifyImage { HadEvents = Sys.BytesToRead(fd) > 0 };
        Sys.Close(fd);
        List<OpenDescriptor> near = OpenDescriptor.ReadAll(d.Pid);
        foreach (InotifyWatch watch in InotifyWatch.Of(d).OrderBy(w => w.Number))
            image.Watches.Add(new WatchImage
            {
                Number = watch.Number, Mask = watch.Mask, Path = InotifyPaths.Find(near, watch) ?? throw new ProcessException($"descriptor {d.Number}: the path of a watch cannot be found any more"),
            });
    }

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree)
        => image.Object.Inotify.Watches.Where(w => !Path.Exists(w.Path)).Select(w => $"{w.Path}, which the program watches, is gone");

    public override void Open(OpenFileImage image, OpenFileRestore files)
        => files.Set(image, (int)Sys.Check(Sys.Raw(SyscallNumber.InotifyInit1, Sys.O_CLOEXEC | image.Flags & (uint)Sys.O_NONBLOCK), "inotify_init1"));

    /// <summary>The kernel counts watch numbers up and never gives one again: those in between are used up first.</summary>
    public override void Finish(OpenFileImage image, OpenFileRestore files)
    {
        int fd = files.Get(image);
        int next = 1;
        foreach (WatchImage watch in image.Object.Inotify.Watches)
        {
            for (; next < watch.Number; next++)
            {
                Forget(fd, Add(fd, "/", IN_ATTRIB));
                if (next % 4096 == 0) Drain(fd);
            }
            int number = Add(fd, watch.Path, watch.Mask | IN_MASK_CREATE);
            if (number != watch.Number) throw new ProcessException($"the watch on {watch.Path} got number {number} instead of {watch.Number}");
            next++;
        }
        Drain(fd);
        if (image.Object.Inotify.HadEvents) Overflow(fd);
    }

    private static int Add(int fd, string path, uint mask)
    {
        fixed (byte* p = Sys.CString(path))
            return (int)Sys.Check(Sys.Raw(SyscallNumber.InotifyAddWatch, fd, (long)p, mask), "inotify_add_watch", path);
    }

    private static void Forget(int fd, int number) => Sys.Raw(SyscallNumber.InotifyRmWatch, fd, number);

    private static void Drain(int fd)
    {
        byte* buffer = stackalloc byte[8192];
        while (Sys.BytesToRead(fd) > 0 && Sys.Read(fd, buffer, 8192) > 0) { }
    }

    /// <summary>Fills the queue until the kernel says that it overflows, and reads all but that last event.</summary>
    private static void Overflow(int fd)
    {
        string[] files = [Path.GetTempFileName(), Path.GetTempFileName()];
        try
        {
            int first = Add(fd, files[0], IN_ATTRIB), second = Add(fd, files[1], IN_ATTRIB);
            int a = Sys.Open(files[0], Sys.O_RDONLY | Sys.O_CLOEXEC), b = Sys.Open(files[1], Sys.O_RDONLY | Sys.O_CLOEXEC);
            // Two files in turn: the same event twice in a row counts once.
            for (int before = -1, now; (now = Sys.BytesToRead(fd)) > before;)
            {
                before = now;
                for (int i = 0; i < 512; i++) { Sys.Fchmod(a, 0x180); Sys.Fchmod(b, 0x180); }
            }
            Sys.Close(a);
            Sys.Close(b);
            Forget(fd, first); // the queue is full: these leave no event
            Forget(fd, second);
            byte* buffer = stackalloc byte[4096];
            for (int left = Sys.BytesToRead(fd) - EventBytes; left > 0;)
            {
                long n = Sys.Read(fd, buffer, Math.Min(left, 4096));
                if (n <= 0) break;
                left -= (int)n;
            }
        }
        finally { foreach (string file in files) File.Delete(file); }
    }
}
