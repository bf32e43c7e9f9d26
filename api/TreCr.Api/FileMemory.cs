using Microsoft.Win32.SafeHandles;

namespace TreCr.Api;

/// <summary>A file whose offsets are the addresses: regions that were saved already.</summary>
internal sealed class FileMemory(SafeFileHandle file, string path) : IRegionMemory
{
    /// <inheritdoc/>
    public void Read(nint address, Span<byte> into)
    {
        for (int done = 0; done < into.Length;)
        {
            int n = RandomAccess.Read(file, into[done..], address + done);
            if (n == 0) throw new CheckpointException($"{path}: ends at {address + done}, in the middle of a region");
            done += n;
        }
    }

    /// <inheritdoc/>
    public void Write(nint address, ReadOnlySpan<byte> bytes) => throw new NotSupportedException("saved regions are not written");
}
