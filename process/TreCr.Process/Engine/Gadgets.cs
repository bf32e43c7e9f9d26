using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>Instruction sequences of the program's own code through which a thread can be given system calls (process.md §5a). 0: the program's code has none.</summary>
/// <param name="Syscall"><c>syscall; ret</c></param>
/// <param name="SignalReturn"><c>mov rax, 15; syscall</c>: rt_sigreturn, in every libc as the signal restorer</param>
/// <param name="PopRdi"><c>pop rdi; ret</c></param><param name="PopRsi"><c>pop rsi; ret</c></param><param name="PopRdx"><c>pop rdx; ret</c></param><param name="PopRax"><c>pop rax; ret</c></param>
/// <param name="Store"><c>mov [rbx], rax; pop rbx; ret</c></param>
internal readonly record struct Gadgets(ulong Syscall, ulong SignalReturn, ulong PopRdi, ulong PopRsi, ulong PopRdx, ulong PopRax, ulong Store)
{
    private static readonly byte[][] s_codes =
        [[0x0f, 0x05, 0xc3], [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05], [0x5f, 0xc3], [0x5e, 0xc3], [0x5a, 0xc3], [0x58, 0xc3], [0x48, 0x89, 0x03, 0x5b, 0xc3]];

    /// <summary>A thread can make several calls in a row (<see cref="CallChain"/>).</summary>
    public bool CanChain => PopRdi != 0 && PopRsi != 0 && PopRdx != 0 && PopRax != 0 && Store != 0;

    private ulong[] Addresses => [Syscall, SignalReturn, PopRdi, PopRsi, PopRdx, PopRax, Store];

    /// <summary>Whether a process has them at these addresses, in code.</summary>
    public unsafe bool AreIn(int pid, IReadOnlyList<Vma> areas)
    {
        Span<byte> code = stackalloc byte[16];
        foreach (var (address, expected) in Addresses.Zip(s_codes))
        {
            if (address == 0) continue;
            if (!areas.Any(a => a.Start <= address && address < a.End && a.Permissions[2] == 'x')) return false;
            fixed (byte* p = code)
                if (Sys.ProcessVmRead(pid, address, p, expected.Length) != expected.Length) return false;
            if (!code[..expected.Length].SequenceEqual(expected)) return false;
        }
        return true;
    }

    /// <exception cref="ProcessException">the code of the program has not even the first two (no known libc)</exception>
    public static unsafe Gadgets Find(int pid, IReadOnlyList<Vma> areas)
    {
        ulong[] found = new ulong[s_codes.Length];
        byte[] buffer = new byte[1 << 20];
        foreach (Vma area in areas)
        {
            if (area.Permissions[0] != 'r' || area.Permissions[2] != 'x' || !area.IsFile) continue;
            for (ulong at = area.Start; at < area.End && Array.IndexOf(found, 0UL) >= 0; at += (ulong)buffer.Length - 16)
            {
                long length = (long)Math.Min((ulong)buffer.Length, area.End - at), got;
                fixed (byte* p = buffer) got = Sys.ProcessVmRead(pid, at, p, length);
                if (got <= 0) break;
                ReadOnlySpan<byte> code = buffer.AsSpan(0, (int)got);
                for (int i = 0; i < found.Length; i++)
                    if (found[i] == 0 && code.IndexOf(s_codes[i]) is >= 0 and int index) found[i] = at + (ulong)index;
                if ((ulong)length == area.End - at) break;
            }
            if (Array.IndexOf(found, 0UL) < 0) break;
        }
        if (found[0] == 0 || found[1] == 0) throw new ProcessException($"process {pid} has no code through which it can be given system calls (no libc with a signal restorer is mapped)");
        return new Gadgets(found[0], found[1], found[2], found[3], found[4], found[5], found[6]);
    }
}
