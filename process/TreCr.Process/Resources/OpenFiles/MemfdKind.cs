using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>memfd_create(2). The memory itself is in the tree's list of shared memory, because mappings refer to it too.</summary>
internal sealed class MemfdKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.SharedMemory;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link.StartsWith("/memfd:", StringComparison.Ordinal);

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Index = table.Memory.NoteDescriptor(d);

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        int fd = Sys.Open($"/proc/self/fd/{files.SharedMemory((int)image.Index - 1)}", OpenFileRestore.OpenFlags(image.Flags) & ~Sys.O_NOFOLLOW);
        files.Set(image, fd);
        OpenFileRestore.Seek(fd, image);
    }
}
