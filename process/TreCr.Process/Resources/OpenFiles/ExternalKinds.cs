using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>A standard stream that ends in the supervisor: given again at a restart.</summary>
internal sealed class ExternalStreamKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.ExternalStream;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => externals.Streams.Any(s => s.Link == d.Link);

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Index = (uint)table.Externals.Streams.First(s => s.Link == d.Link).Number;

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree)
        => tree.Given is null || tree.Given.Streams.ContainsKey((int)image.Index) ? [] : [$"the image needs standard stream {image.Index} and none was given"];

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        // The supervisor's other end stays what it is; status flags are the description's, so a second one of the same stream shares them.
        int fd = Sys.Duplicate(files.Given.Streams[(int)image.Index]);
        files.Set(image, fd);
        OpenFileRestore.SetStatusFlags(fd, image.Flags);
    }
}

/// <summary>A connection to a delegator: given again at a restart.</summary>
internal sealed class ExternalConnectionKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.ExternalConnection;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => externals.Sessions.Any(s => s.ConnectionLink == d.Link);

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Index = (uint)table.Externals.Sessions.First(s => s.ConnectionLink == d.Link).Number;

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree)
        => tree.Given is null || tree.Given.Sessions.ContainsKey((int)image.Index) ? [] : [$"the image needs delegator {image.Index} and none was given"];

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        int given = files.Given.Sessions[(int)image.Index].Connection;
        if (given < 0) throw new ProcessException($"nothing was given for {image.Link}, the connection to delegator {image.Index}");
        int fd = Sys.Duplicate(given);
        files.Set(image, fd);
        OpenFileRestore.SetStatusFlags(fd, image.Flags);
    }
}
