using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>Memory of the program's for items laid out as their type says, zeroed.</summary>
internal readonly unsafe struct LaidOut : IDisposable
{
    private readonly void* _memory;

    public LaidOut(long count, Datatype type)
    {
        _memory = NativeMemory.AllocZeroed((nuint)Math.Max(16, type.SpanBytes(count)));
        First = (nint)_memory - (nint)type.LowestByte(count);
    }

    /// <summary>Address of the first item.</summary>
    public nint First { get; }

    public void Dispose() => NativeMemory.Free(_memory);
}
