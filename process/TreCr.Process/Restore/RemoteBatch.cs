using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Restore;

/// <summary>
/// Collects system calls and runs them in a thread of the process being made, many at once: table and data are written into its work area, the
/// runner works the table off and ends in int3. Tracer thread only.
/// </summary>
/// <remarks>Work area: code at +0, scratch page at +0x1000, table at +0x10000, data at +0x200000, 8 MiB in all.</remarks>
internal sealed unsafe class RemoteBatch(ulong workArea)
{
    public const ulong WorkBytes = 8 << 20;
    private const ulong TableOffset = 0x10000, DataOffset = 0x200000;
    private const int DataBytes = 5 << 20, MaxCalls = 30000;

    private readonly List<(string What, long[] Words, bool MayFail, long? Expected)> _calls = [];
    private readonly byte[] _data = new byte[DataBytes];
    private int _used;

    public ulong WorkArea => workArea;
    public ulong Scratch => workArea + 0x1000;
    public int Count => _calls.Count;

    /// <summary>True when there is no room for another call with <paramref name="dataBytes"/> of data: run first.</summary>
    public bool IsFull(int dataBytes = 8192) => _calls.Count >= MaxCalls || _used + dataBytes + 64 > DataBytes;

    /// <summary>Address that the bytes will have there.</summary>
    public long Put(ReadOnlySpan<byte> bytes)
    {
        _used = _used + 15 & ~15;
        if (_used + bytes.Length > DataBytes) throw new ProcessException("too much data for one batch of calls");
        bytes.CopyTo(_data.AsSpan(_used));
        long at = (long)(workArea + DataOffset) + _used;
        _used += bytes.Length;
        return at;
    }

    public long Put(ReadOnlySpan<ulong> words) => Put(System.Runtime.InteropServices.MemoryMarshal.AsBytes(words));

    public long Text(string text) => Put(Sys.CString(text));

    /// <summary>Adds a call that must succeed.</summary>
    public void Add(string what, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
        => _calls.Add((what, [(long)number, a, b, c, d, e, f], false, null));

    /// <summary>Adds a call whose failure is ignored.</summary>
    public void AddOptional(string what, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
        => _calls.Add((what, [(long)number, a, b, c, d, e, f], true, null));

    /// <summary>Adds a call whose result is known: descriptors are the lowest free numbers.</summary>
    public void AddExpecting(long expected, string what, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
        => _calls.Add((what, [(long)number, a, b, c, d, e, f], false, expected));

    /// <summary>Runs everything added since the last run.</summary>
    /// <returns>results in order</returns>
    /// <exception cref="ProcessException">names the call that failed, with its errno</exception>
    public long[] Run(int tid)
    {
        int count = _calls.Count;
        long[] table = new long[count * 8];
        for (int i = 0; i < count; i++) _calls[i].Words.CopyTo(table, i * 8);
        UserRegisters registers = Sys.GetRegisters(tid);
        (registers.Rip, registers.Rbx, registers.R12, registers.OrigRax) = (workArea + StubCode.Runner, workArea + TableOffset, (ulong)count, ulong.MaxValue);
        fixed (long* t = table) fixed (byte* d = _data)
        {
            Transfer(Sys.ProcessVmWrite(tid, workArea + TableOffset, t, count * 64L), count * 64L);
            Transfer(Sys.ProcessVmWrite(tid, workArea + DataOffset, d, _used), _used);
            Sys.SetRegisters(tid, registers);
            Sys.Check(Sys.Ptrace(Sys.PTRACE_CONT, tid), "ptrace(CONT)");
            RestoreStops.WaitForTrap(tid);
            Transfer(Sys.ProcessVmRead(tid, workArea + TableOffset, t, count * 64L), count * 64L);
        }
        long[] results = new long[count];
        for (int i = 0; i < count; i++)
        {
            results[i] = table[i * 8 + 7];
            var (what, words, mayFail, expected) = _calls[i];
            if (results[i] is < 0 and > -4096 && !mayFail) throw new ProcessException($"{what} (system call {words[0]}, {words[1]:x} {words[2]:x} {words[3]:x}): {Errno.Describe((int)-results[i])}");
            if (expected is { } wanted && results[i] != wanted) throw new ProcessException($"{what}: {results[i]} instead of {wanted}");
        }
        _calls.Clear();
        _used = 0;
        return results;
    }

    private static void Transfer(long done, long wanted)
    {
        if (wanted != 0 && done != wanted) throw new ProcessException($"work area of the new process: {done} of {wanted} bytes");
    }
}
