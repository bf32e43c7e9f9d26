using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Readouts;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// Pseudo terminals that the program made itself (pty(7)), both ends, with settings, window size and what nobody has read; and <c>/dev/tty</c>, the controlling terminal,
/// also where that is one that trecr run gave. Numbers stay (<see cref="OwnTerminals"/>). Sessions and foreground groups belong to the tree.
/// </summary>
internal sealed unsafe class TerminalKind : OpenFileKind
{
    private const long TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431, TIOCGDEV = 0x80045432, TIOCGPKT = 0x80045438, TIOCGPTLCK = 0x80045439, TIOCGEXCL = 0x80045440;
    private const long TIOCPKT = 0x5420, TIOCEXCL = 0x540C, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414;
    private const int O_NOCTTY = 0x100;
    private const string Slaves = OwnTerminals.Slaves, Own = "/dev/tty";

    public override DescriptorKind Kind => DescriptorKind.Terminal;

    private static bool IsMaster(string link) => link is "/dev/ptmx" or "/dev/pts/ptmx";

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => !d.IsPath && (IsMaster(d.Link) || d.Link.StartsWith(Slaves, StringComparison.Ordinal) || d.Link == Own);

    /// <summary>N of /dev/pts/N; -1: a hung up or other terminal.</summary>
    private static int NumberOf(OpenDescriptor d)
    {
        if (d.Link.StartsWith(Slaves, StringComparison.Ordinal) && int.TryParse(d.Link.AsSpan(Slaves.Length), out int known)) return known;
        int fd = d.TryBorrow(), number = -1;
        if (fd < 0) return -1;
        uint device = 0;
        if (IsMaster(d.Link) && Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGPTN, (long)&number) < 0) number = -1;
        // Majors 136 to 143 are those of /dev/pts.
        if (d.Link == Own && Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGDEV, (long)&device) >= 0 && (device >> 8 & 0xfff) is >= 136 and <= 143) number = (int)(device & 0xff | device >> 12 & 0xfff00);
        Sys.Close(fd);
        return number;
    }

    private static int StreamOf(int number, ExternalObjects externals) => externals.Streams.FindIndex(s => s.Link == Slaves + number);

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        HashSet<int> masters = [.. uses.Where(d => IsMaster(d.Link)).Select(NumberOf)];
        foreach (OpenDescriptor d in uses.Where(d => !IsMaster(d.Link)))
        {
            int number = NumberOf(d);
            if (number >= 0 && (masters.Contains(number) || d.Link == Own && StreamOf(number, check.Externals) >= 0)) continue;
            check.Add($"{check.Where(d)} is a terminal ({(number >= 0 ? Slaves + number : d.Link)}) that trecr run did not give to the program");
        }
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        int fd = d.Borrow();
        try
        {
            int number = NumberOf(d);
            TerminalImage terminal = to.Part().Terminal = new TerminalImage { Number = number, Master = IsMaster(d.Link), Stream = d.Link == Own ? StreamOf(number, table.Externals) + 1 : 0 };
            if (!terminal.Master) return;
            int value = 0;
            terminal.Settings = ByteString.CopyFrom(Sys.GetTerminalSettings(fd) ?? throw new ProcessException($"{Slaves}{number}: no settings"));
            byte* size = stackalloc byte[8];
            if (Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGWINSZ, (long)size) >= 0) terminal.Window = ByteString.CopyFrom(new ReadOnlySpan<byte>(size, 8));
            terminal.PacketMode = Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGPKT, (long)&value) >= 0 && value != 0;
            terminal.Locked = Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGPTLCK, (long)&value) >= 0 && value != 0;
            terminal.Exclusive = Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGEXCL, (long)&value) >= 0 && value != 0;
            Span<PollEntry> state = [new PollEntry { Fd = fd }];
            terminal.HungUp = Sys.Poll(state, 0) > 0 && (state[0].Returned & Sys.POLLHUP) != 0;
            if (Sys.TryStatus(Slaves + number) is { } slave) (terminal.Mode, terminal.User, terminal.Group) = (slave.Mode & 0xfff, slave.User, slave.Group);
            // A slave that is closed everywhere must not be opened, which would end the hang-up; what the master has not read then cannot be put back, so it is left alone.
            if (!terminal.Locked && !terminal.Exclusive && !terminal.HungUp) table.Later(() => CaptureQueues(d, terminal, table.Readouts));
        }
        finally { Sys.Close(fd); }
    }

    private static void CaptureQueues(OpenDescriptor d, TerminalImage terminal, ReadoutClient readouts)
    {
        int fd = d.Borrow();
        try
        {
            byte[] read = readouts.Ask(ReadoutProtocol.Terminal, [.. BitConverter.GetBytes(terminal.Number), (byte)(terminal.PacketMode ? 1 : 0), .. terminal.Settings.Span], fd);
            if (read.Length < 4) return;
            int output = BitConverter.ToInt32(read);
            (terminal.Output, terminal.Input) = (ByteString.CopyFrom(read, 4, output), ByteString.CopyFrom(read, 4 + output, read.Length - 4 - output));
        }
        finally { Sys.Close(fd); }
    }

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree)
    {
        TerminalImage terminal = image.Object.Terminal;
        if (terminal.Master && tree.Given is { } streams && OwnTerminals.WhyNot(terminal.Number, tree.Tree, streams) is { } why) yield return why;
        if (terminal.Stream > 0 && tree.Given is { } given && !given.Streams.ContainsKey(terminal.Stream - 1)) yield return $"the image needs standard stream {terminal.Stream - 1} and none was given";
    }

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        TerminalImage terminal = image.Object.Terminal;
        int flags = OpenFileRestore.OpenFlags(image.Flags) | O_NOCTTY;
        if (terminal.Master) files.Set(image, OpenMaster(terminal, flags));
        else if (terminal.Stream > 0) files.Set(image, Sys.Open($"/proc/self/fd/{files.Given.Streams[terminal.Stream - 1]}", flags));
        else
        {
            OpenFileImage master = files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Terminal is { Master: true } m && m.Number == terminal.Number) ?? throw new ImageException($"the other end of {image.Link} is not in the image");
            files.Get(master);
            files.Set(image, Sys.Open(Slaves + terminal.Number, flags));
        }
    }

    private static int OpenMaster(TerminalImage terminal, int flags)
    {
        int fd = OwnTerminals.TryOpen(terminal.Number, flags), locked = 0;
        if (fd < 0) throw new RefusedException([$"the program's terminal {Slaves}{terminal.Number} was just taken by another program"]);
        Sys.Raw(SyscallNumber.Ioctl, fd, TIOCSPTLCK, (long)&locked);
        Sys.SetTerminalSettings(fd, terminal.Settings.Span);
        fixed (byte* size = terminal.Window.Span)
            if (terminal.Window.Length == 8) Sys.Raw(SyscallNumber.Ioctl, fd, TIOCSWINSZ, (long)size);
        return fd;
    }

    public override void Finish(OpenFileImage image, OpenFileRestore files)
    {
        TerminalImage terminal = image.Object.Terminal;
        if (!terminal.Master) return;
        int fd = files.Get(image);
        int on = 1;
        if (terminal.Input.Length + terminal.Output.Length > 0 || terminal.HungUp) TerminalReadout.Restore(fd, terminal.Number, terminal.Settings.ToByteArray(), terminal.Input.ToByteArray(), terminal.Output.ToByteArray());
        int slave = (int)Sys.TryOpen(Slaves + terminal.Number, Sys.O_PATH | Sys.O_CLOEXEC);
        if (slave >= 0 && terminal.Mode != 0)
        {
            fixed (byte* path = Sys.CString(Slaves + terminal.Number)) Sys.Raw(SyscallNumber.Chown, (long)path, terminal.User, terminal.Group);
            File.SetUnixFileMode(Slaves + terminal.Number, (UnixFileMode)terminal.Mode);
        }
        Sys.Close(slave);
        if (terminal.PacketMode) Sys.Raw(SyscallNumber.Ioctl, fd, TIOCPKT, (long)&on);
        if (terminal.Locked) Sys.Raw(SyscallNumber.Ioctl, fd, TIOCSPTLCK, (long)&on);
        if (terminal.Exclusive) Sys.Raw(SyscallNumber.Ioctl, fd, TIOCEXCL, 0);
    }
}
