using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>Two instruction sequences of the program's own code through which a thread can be given system calls (process.md §5a).</summary>
/// <param name="Syscall"><c>syscall; ret</c></param>
/// <param name="SignalReturn"><c>mov rax, 15; syscall</c>: rt_sigreturn, in every libc as the signal restorer</param>
internal readonly record struct Gadgets(ulong Syscall, ulong SignalReturn)
{
    private static readonly byte[] s_call = [0x0f, 0x05, 0xc3], s_return = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

    /// <summary>Whether a process has them at these addresses, in code.</summary>
    public unsafe bool AreIn(int pid, IReadOnlyList<Vma> areas)
    {
        Span<byte> code = stackalloc byte[9];
        foreach (var (address, expected) in ((ulong, byte[])[])[(Syscall, s_call), (SignalReturn, s_return)])
        {
            if (!areas.Any(a => a.Start <= address && address < a.End && a.Permissions[2] == 'x')) return false;
            fixed (byte* p = code)
                if (Sys.ProcessVmRead(pid, address, p, expected.Length) != expected.Length) return false;
            if (!code[..expected.Length].SequenceEqual(expected)) return false;
        }
        return true;
    }

    /// <exception cref="ProcessException">the code of the program has neither (no known libc)</exception>
    public static unsafe Gadgets Find(int pid, IReadOnlyList<Vma> areas)
    {
        ulong call = 0, signalReturn = 0;
        byte[] buffer = new byte[1 << 20];
        foreach (Vma area in areas)
        {
            if (area.Permissions[0] != 'r' || area.Permissions[2] != 'x' || !area.IsFile) continue;
            for (ulong at = area.Start; at < area.End && (call == 0 || signalReturn == 0); at += (ulong)buffer.Length - 16)
            {
                long length = (long)Math.Min((ulong)buffer.Length, area.End - at), got;
                fixed (byte* p = buffer) got = Sys.ProcessVmRead(pid, at, p, length);
                if (got <= 0) break;
                ReadOnlySpan<byte> code = buffer.AsSpan(0, (int)got);
                int index;
                if (call == 0 && (index = code.IndexOf(s_call)) >= 0) call = at + (ulong)index;
                if (signalReturn == 0 && (index = code.IndexOf(s_return)) >= 0) signalReturn = at + (ulong)index;
                if ((ulong)length == area.End - at) break;
            }
            if (call != 0 && signalReturn != 0) return new Gadgets(call, signalReturn);
        }
        throw new ProcessException($"process {pid} has no code through which it can be given system calls (no libc with a signal restorer is mapped)");
    }
}
