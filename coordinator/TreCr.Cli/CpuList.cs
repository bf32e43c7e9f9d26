using System.Globalization;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>A list of processors as taskset(1) has it: <c>0-3,8</c>.</summary>
internal static unsafe class CpuList
{
    private const int MaxCpus = 8192;

    /// <returns>a bit for each processor; null: not such a list</returns>
    public static byte[]? Parse(string text)
    {
        byte[] mask = new byte[MaxCpus / 8];
        foreach (string range in text.Split(','))
        {
            string[] ends = range.Split('-');
            if (ends.Length > 2 || !int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out int first) || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out int last)
                || first > last || last >= MaxCpus) return null;
            for (int cpu = first; cpu <= last; cpu++) mask[cpu / 8] |= (byte)(1 << cpu % 8);
        }
        return mask;
    }

    private static string[] Tasks(int pid)
    {
        try { return Directory.GetDirectories($"/proc/{pid}/task"); }
        catch (DirectoryNotFoundException) { return []; }
    }

    private static string[] Children(string task)
    {
        try { return File.ReadAllText($"{task}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries); }
        catch (IOException) { return []; } // the thread has ended
    }

    /// <summary>Moves every thread of a job's processes there; the kernel leaves out processors that the cpuset forbids.</summary>
    /// <param name="init">pid 1 of the job's namespace, as this process sees it</param>
    /// <exception cref="TrecrException">RestoreRefused: none of them may be used</exception>
    public static void Apply(int init, byte[] mask, string text)
    {
        foreach (string task in Tasks(init))
        {
            int tid = int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture);
            fixed (byte* p = mask)
            {
                long result = Sys.Raw(SyscallNumber.SchedSetaffinity, tid, mask.Length, (long)p);
                if (result == -Errno.ESRCH) continue; // a thread of the engine that has ended
                if (result < 0) throw new TrecrException(TrecrError.RestoreRefused, $"--cpus {text}: {(result == -Errno.EINVAL ? "none of these processors may be used here" : Errno.Describe((int)-result))}");
            }
            foreach (string child in Children(task)) Apply(int.Parse(child, CultureInfo.InvariantCulture), mask, text);
        }
    }
}
