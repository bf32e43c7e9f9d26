using System.Globalization;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>signalfd(2): its mask; the signals themselves are pending in the process.</summary>
internal sealed unsafe class SignalfdKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.Signalfd;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:[signalfd]";

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Part().SignalMask = ulong.Parse(d.Value("sigmask"), NumberStyles.HexNumber);

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        ulong mask = image.Object.SignalMask;
        files.Set(image, (int)Sys.Check(Sys.Raw(SyscallNumber.Signalfd4, -1, (long)&mask, 8, Sys.O_CLOEXEC | image.Flags & (uint)Sys.O_NONBLOCK), "signalfd4"));
    }
}
