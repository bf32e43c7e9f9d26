namespace TreCr.Api;

/// <summary>Memory in which protected regions lie: the program's own, a device's, or a file that stands for it.</summary>
/// <remarks>Every failure is a <see cref="CheckpointException"/>.</remarks>
public interface IRegionMemory
{
    /// <summary>Copies out of the memory; returns when the copy is complete.</summary>
    void Read(nint address, Span<byte> into);

    /// <summary>Copies into the memory; returns when the copy is complete.</summary>
    void Write(nint address, ReadOnlySpan<byte> bytes);

    /// <summary>Room for a copy in the same memory, which is made without the bytes leaving it.</summary>
    /// <returns>null: there is none, the copy lies in the program's memory</returns>
    IRegionSnapshot? TrySnapshot(long bytes) => null;
}
