using TreCr.Linux;

namespace TreCr.Delegator;

/// <summary>The program's own memory (not the shared parts), by process_vm_readv and process_vm_writev.</summary>
/// <param name="pid">of the program, as this process sees it; 0: there is none yet</param>
internal sealed unsafe class ProgramMemory(int pid)
{
    public int Pid => pid;

    /// <summary>For messages: its number, as it knows it, and its name.</summary>
    public string Name
    {
        get
        {
            try
            {
                string own = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(l => l.StartsWith("NSpid:", StringComparison.Ordinal))?.Split('\t')[^1] ?? $"{pid}";
                return $"process {own} ({File.ReadAllText($"/proc/{pid}/comm").TrimEnd()})";
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return "a process that has ended"; }
        }
    }

    /// <summary>From here on a copy is cut into parts that threads carry out side by side: the kernel looks up each page of the other process, which takes longer than copying it.</summary>
    private const ulong PartedBytes = 8 << 20;

    private const int MostParts = 4;

    /// <summary>Copies from the program. False: a page is not readable, or the program is gone.</summary>
    public bool Read(ulong address, byte* into, nuint bytes) => Copy(address, into, bytes, &ReadSome);

    /// <summary>Copies into the program. False: a page is not writable, or the program is gone.</summary>
    public bool Write(ulong address, byte* from, nuint bytes) => Copy(address, from, bytes, &WriteSome);

    private bool Copy(ulong address, byte* ours, nuint bytes, delegate*<int, ulong, byte*, long, long> some)
    {
        int parts = bytes < PartedBytes ? 1 : Math.Min(MostParts, Environment.ProcessorCount);
        if (parts == 1) return Part(address, ours, bytes, some);
        nuint each = (bytes / (nuint)parts + 4095) & ~(nuint)4095;
        int failed = 0;
        Parallel.For(0, parts, i =>
        {
            nuint start = (nuint)i * each;
            if (!Part(address + start, ours + start, Math.Min(each, bytes - start), some)) Volatile.Write(ref failed, 1);
        });
        return failed == 0;
    }

    private bool Part(ulong address, byte* ours, nuint bytes, delegate*<int, ulong, byte*, long, long> some)
    {
        for (nuint done = 0; done < bytes;)
        {
            long n = some(pid, address + done, ours + done, (long)Math.Min(bytes - done, 1u << 30));
            if (n <= 0) return false;
            done += (nuint)n;
        }
        return true;
    }

    private static long ReadSome(int pid, ulong address, byte* into, long bytes) => Sys.ProcessVmRead(pid, address, into, bytes);

    private static long WriteSome(int pid, ulong address, byte* from, long bytes) => Sys.ProcessVmWrite(pid, address, from, bytes);
}
