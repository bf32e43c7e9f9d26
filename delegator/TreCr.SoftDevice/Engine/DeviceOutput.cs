using System.Text;

namespace TreCr.SoftDevice.Engine;

/// <summary>What kernels print, until somebody takes it. Holds 1 MiB like CUDA's FIFO; what does not fit is dropped, oldest text stays.</summary>
public sealed class DeviceOutput
{
    const int Capacity = 1 << 20;
    readonly byte[] buffer = new byte[Capacity];
    int used;

    public bool HasText => Volatile.Read(ref used) > 0;

    public void Write(string text) => Write(Encoding.Latin1.GetBytes(text));

    public void Write(ReadOnlySpan<byte> text)
    {
        lock (buffer)
        {
            int n = Math.Min(text.Length, Capacity - used);
            text[..n].CopyTo(buffer.AsSpan(used));
            used += n;
        }
    }

    /// <summary>Moves the oldest text to <paramref name="target"/>.</summary>
    /// <returns>bytes written</returns>
    public int Take(Span<byte> target)
    {
        lock (buffer)
        {
            int n = Math.Min(used, target.Length);
            buffer.AsSpan(0, n).CopyTo(target);
            buffer.AsSpan(n, used - n).CopyTo(buffer);
            used -= n;
            return n;
        }
    }
}
