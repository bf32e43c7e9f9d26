using TreCr.Images;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>What no other kind takes: refused by name.</summary>
internal sealed class UnsupportedKind : OpenFileKind
{
    private const uint S_IFMT = 0xF000, S_IFIFO = 0x1000;

    public override DescriptorKind Kind => DescriptorKind.Refused;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => true;

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses) check.Add($"{check.Where(d)} {Reason(d)}");
    }

    public override void Open(OpenFileImage image, OpenFileRestore files) => throw new ImageException($"{image.Link} was saved although it cannot be restored");

    /// <summary>Why it cannot be saved, as the end of a sentence; null: it is an ordinary file.</summary>
    public static string? Reason(OpenDescriptor d)
    {
        string link = d.Link;
        bool Starts(string prefix) => link.StartsWith(prefix, StringComparison.Ordinal);
        if (Starts("socket:")) return $"is {SocketNames.Describe(d)}: close it before the checkpoint";
        switch (link)
        {
            case "anon_inode:[io_uring]": return "is an io_uring";
            case "anon_inode:[timerfd]": return "is a timerfd";
            case "anon_inode:[signalfd]": return "is a signalfd";
            case "anon_inode:inotify": return "is an inotify instance";
        }
        if (Starts("anon_inode:")) return $"is {link[11..].Trim('[', ']')}";
        if (Starts("/secretmem")) return "is secret memory (memfd_secret)";
        if (Starts("/dev/pts/") || Starts("/dev/tty") || link == "/dev/console") return $"is a terminal ({link}) that trecr run did not give to the program";
        if (link.EndsWith(" (deleted)", StringComparison.Ordinal)) return $"is {link[..^10]}, which is deleted";
        if (Starts("/dev/") && !Starts("/dev/shm/") && link is not ("/dev/null" or "/dev/zero" or "/dev/full" or "/dev/urandom" or "/dev/random")) return $"is the device {link}";
        if (Starts("/proc/")) return $"is open in /proc ({link})";
        if (!link.StartsWith('/')) return $"is {link}";
        return (d.Facts.Mode & S_IFMT) == S_IFIFO ? $"is the FIFO {link}" : null;
    }
}
