using System.Runtime.InteropServices;

namespace TreCr.Api.Tests;

/// <summary>Memory of a program, with bytes that follow from a seed.</summary>
internal sealed unsafe class Memory(int bytes) : IDisposable
{
    private readonly byte* _at = (byte*)NativeMemory.AllocZeroed((nuint)Math.Max(bytes, 1));

    public nint Address => (nint)_at;

    public Span<byte> Span => new(_at, bytes);

    public void Fill(int seed) => new Random(seed).NextBytes(Span);

    /// <summary>What <see cref="Fill"/> would leave.</summary>
    public bool Holds(int seed)
    {
        byte[] expected = new byte[bytes];
        new Random(seed).NextBytes(expected);
        return Span.SequenceEqual(expected);
    }

    public void Dispose() => NativeMemory.Free(_at);
}
