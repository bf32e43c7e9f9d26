using TreCr.Linux;

namespace TreCr.Delegator;

/// <summary>The program's own memory (not the shared parts), by process_vm_readv and process_vm_writev.</summary>
/// <param name="pid">of the program, as this process sees it; 0: there is none yet</param>
internal sealed unsafe class ProgramMemory(int pid)
{
    public int Pid => pid;

    /// <summary>Copies from the program. False: a page is not readable, or the program is gone.</summary>
    public bool Read(ulong address, byte* into, nuint bytes)
    {
        for (nuint done = 0; done < bytes;)
        {
            long n = Sys.ProcessVmRead(pid, address + done, into + done, (long)Math.Min(bytes - done, 1u << 30));
            if (n <= 0) return false;
            done += (nuint)n;
        }
        return true;
    }

    /// <summary>Copies into the program. False: a page is not writable, or the program is gone.</summary>
    public bool Write(ulong address, byte* from, nuint bytes)
    {
        for (nuint done = 0; done < bytes;)
        {
            long n = Sys.ProcessVmWrite(pid, address + done, from + done, (long)Math.Min(bytes - done, 1u << 30));
            if (n <= 0) return false;
            done += (nuint)n;
        }
        return true;
    }
}
