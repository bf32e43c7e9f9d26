namespace TreCr.Api;

/// <summary>The program's own memory. An address that is not mapped ends the program, as any access of its own would.</summary>
public sealed unsafe class HostMemory : IRegionMemory
{
    /// <summary>The only one.</summary>
    public static HostMemory Instance { get; } = new();

    private HostMemory() { }

    /// <inheritdoc/>
    public void Read(nint address, Span<byte> into) => new ReadOnlySpan<byte>((void*)address, into.Length).CopyTo(into);

    /// <inheritdoc/>
    public void Write(nint address, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>((void*)address, bytes.Length));
}
