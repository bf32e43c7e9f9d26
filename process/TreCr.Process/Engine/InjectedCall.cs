using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>A system call that a thread of the program is to make for us, and what came of it.</summary>
/// <param name="Number">of the call</param><param name="A">first argument</param><param name="B">second</param><param name="C">third; or <see cref="Memory"/>, as the others</param>
/// <param name="Bytes">length of the memory that the kernel writes to, at the argument that is <see cref="Memory"/></param>
internal sealed record InjectedCall(SyscallNumber Number, long A = 0, long B = 0, long C = 0, int Bytes = 0)
{
    /// <summary>Stands for the address of <see cref="Bytes"/> of memory on the program's stack.</summary>
    public const long Memory = long.MinValue + 1;

    /// <summary>The kernel's result, or -errno.</summary>
    public long Result { get; set; } = -Errno.ENOSYS;

    /// <summary>What the kernel wrote.</summary>
    public byte[] Data { get; set; } = [];

    /// <summary><see cref="Data"/> of a call that may not fail.</summary>
    /// <exception cref="ProcessException">it did</exception>
    public byte[] Required => Result >= 0 ? Data : throw new ProcessException($"{Number} in the program: {Errno.Describe((int)-Result)}");
}
