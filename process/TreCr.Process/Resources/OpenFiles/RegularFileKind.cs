using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>Regular files, directories, and the character devices without state: null, zero, full, random.</summary>
internal sealed class RegularFileKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.File;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => UnsupportedKind.Reason(d) is null;

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Index = table.Files.Note(d.Link, d.CanWrite, (d.Flags & Sys.O_APPEND) != 0, mapped: false);

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree) => image.Index == 0 && !Path.Exists(image.Link) ? [$"{image.Link} is gone"] : [];

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        int fd = Sys.Open(image.Link, OpenFileRestore.OpenFlags(image.Flags));
        files.Set(image, fd);
        OpenFileRestore.Seek(fd, image);
    }
}
