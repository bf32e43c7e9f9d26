namespace TreCr.Calls;

/// <summary>Kinds of virtual handles. Numbers are part of the image format.</summary>
public enum HandleKind : byte
{
    None = 0, Context = 0x11, Module = 0x12, Function = 0x13, Stream = 0x14, Event = 0x15, MemoryPool = 0x16, Graph = 0x17, GraphExec = 0x18,
    Array = 0x19, Texture = 0x1a, Surface = 0x1b, Link = 0x1c, Library = 0x1d, Kernel = 0x1e, MemoryAllocation = 0x1f,
    GraphNode = 0x20, Communicator = 0x21,
}

/// <summary>
/// What the program sees instead of a driver's pointer: <c>kind &lt;&lt; 48 | serial</c>, never reused, the same after every restart.
/// The result is a non-canonical address, so that a program that looked behind it would fault at once instead of reading rubbish
/// (cuda-trace.md: none of NVIDIA's components does).
/// </summary>
public static class VirtualHandle
{
    /// <summary>Serials below this are given by rule, not by counting (primary contexts: ordinal + 1).</summary>
    public const ulong FirstSerial = 0x1000;

    private const ulong SerialMask = (1UL << 48) - 1;

    /// <summary>Handle of a kind and serial (1 .. 2^48-1).</summary>
    public static ulong Make(HandleKind kind, ulong serial) => ((ulong)kind << 48) | (serial & SerialMask);

    /// <summary>Kind that a value claims to be; <see cref="HandleKind.None"/> for anything that is no virtual handle.</summary>
    public static HandleKind KindOf(ulong handle) => handle >> 48 is >= 0x11 and <= 0x21 ? (HandleKind)(handle >> 48) : HandleKind.None;

    /// <summary>Serial part.</summary>
    public static ulong SerialOf(ulong handle) => handle & SerialMask;

    /// <summary>The primary context of a device; known without asking (CUDART_INTERFACE slot 2 must answer it before it is retained).</summary>
    public static ulong PrimaryContext(int ordinal) => Make(HandleKind.Context, (ulong)ordinal + 1);
}
