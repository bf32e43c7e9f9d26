using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>The list of kinds. A new kind is a file with its class and a line here.</summary>
internal static class OpenFileKinds
{
    /// <summary>In the order in which they are asked; the last takes what nobody wants, and refuses it.</summary>
    public static IReadOnlyList<OpenFileKind> All { get; } =
    [
        new ExternalStreamKind(), new ExternalConnectionKind(),
        new PipeKind(), new EventfdKind(), new EpollKind(), new MemfdKind(),
        new TimerfdKind(), new SignalfdKind(), new PidfdKind(), new InotifyKind(), new FifoKind(), new MessageQueueKind(), new DeletedFileKind(), new UnixSocketKind(), new InternetSocketKind(), new TerminalKind(),
        new RegularFileKind(), new UnsupportedKind(),
    ];

    public static OpenFileKind Of(OpenDescriptor descriptor, ExternalObjects externals) => All.First(k => k.Owns(descriptor, externals));

    /// <exception cref="Images.ImageException">a kind that this build does not know</exception>
    public static OpenFileKind Of(Images.OpenFileImage image)
        => All.FirstOrDefault(k => (uint)k.Kind == image.Kind && k.Kind != DescriptorKind.Refused) ?? throw new Images.ImageException($"{image.Link}: saved open file of unknown kind {image.Kind}");
}
