using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>eventfd(2).</summary>
internal sealed class EventfdKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.Eventfd;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:[eventfd]";

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => (to.Count, to.Semaphore) = (d.EventCount, d.EventSemaphore);

    public override unsafe void Open(OpenFileImage image, OpenFileRestore files)
    {
        int fd = (int)Sys.Check(Sys.Raw(SyscallNumber.Eventfd2, 0, Sys.O_CLOEXEC | ((int)image.Flags & Sys.O_NONBLOCK) | (image.Semaphore ? 1 : 0)), "eventfd2");
        files.Set(image, fd);
        ulong count = image.Count; // written, because eventfd2 takes only 32 bits of it
        if (count != 0) Sys.Check(Sys.Write(fd, &count, 8), "write", "eventfd");
    }
}
