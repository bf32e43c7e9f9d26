using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>Reads memory of another process: many pieces with one call. Any thread.</summary>
/// <remarks>Source: process_vm_readv(2), at most 1024 pieces a call; it stops at the first page that cannot be read.</remarks>
internal sealed unsafe class PageReader(int pid) : IDisposable
{
    private readonly int _memory = Sys.Open($"/proc/{pid}/mem", Sys.O_RDONLY | Sys.O_CLOEXEC);

    /// <summary>Pieces that one call takes (IOV_MAX).</summary>
    public const int MaxPieces = 1024;

    /// <summary>Reads pieces; each has a place of the same length here.</summary>
    /// <param name="strict">false while the program runs: what cannot be read, because it has gone meanwhile, is zero here</param>
    /// <exception cref="Engine.ProcessException">strict, and a page cannot be read</exception>
    public void Read(IoVector* here, IoVector* there, int count, bool strict)
    {
        while (count > 0)
        {
            int batch = Math.Min(count, MaxPieces);
            long got = Math.Max(0, Sys.Raw(SyscallNumber.ProcessVmReadv, pid, (long)here, batch, (long)there, batch));
            int whole = 0;
            while (whole < batch && got >= (long)there[whole].LengthBytes) got -= (long)there[whole++].LengthBytes;
            if (whole < batch)
            {
                ReadSlowly(there[whole].Base + (ulong)got, (byte*)here[whole].Base + got, (long)there[whole].LengthBytes - got, strict);
                whole++;
            }
            here += whole;
            there += whole;
            count -= whole;
        }
    }

    /// <summary>Reads one frame, or what there is of it up to <paramref name="end"/>; the rest is zero.</summary>
    /// <returns>false: nothing can be read there</returns>
    public static bool TrySample(int pid, ulong address, ulong end, nint frame)
    {
        long wanted = (long)Math.Min(Images.ISnapshotWriter.FrameSizeBytes, end - address), got = Sys.ProcessVmRead(pid, address, (void*)frame, wanted);
        if (got <= 0) return false;
        new Span<byte>((byte*)frame + got, Images.ISnapshotWriter.FrameSizeBytes - (int)got).Clear();
        return true;
    }

    /// <summary>Page by page, through /proc/PID/mem where the protection forbids the other way (PROT_NONE).</summary>
    private void ReadSlowly(ulong address, byte* into, long lengthBytes, bool strict)
    {
        for (long done = 0; done < lengthBytes;)
        {
            long n = Sys.ProcessVmRead(pid, address + (ulong)done, into + done, lengthBytes - done);
            if (n <= 0) n = Sys.Raw(SyscallNumber.Pread64, _memory, (long)(into + done), Math.Min(lengthBytes - done, 4096), (long)address + done);
            if (n <= 0)
            {
                if (strict) throw new Engine.ProcessException($"cannot read memory at {address + (ulong)done:x} ({n})");
                n = Math.Min(lengthBytes - done, 4096);
                new Span<byte>(into + done, (int)n).Clear();
            }
            done += n;
        }
    }

    public void Dispose() => Sys.Close(_memory);
}
