using System.Globalization;
using System.Text;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// <c>restart --env NAME=VALUE</c>: a variable that the program was started with gets another value, in place, before the program runs. It is what getenv(3) and the programs
/// that it starts see; a copy that the program has made for itself stays.
/// </summary>
internal static unsafe class EnvironmentChange
{
    /// <param name="hostPid">a restored process that is still stopped</param>
    /// <param name="changes">NAME=VALUE</param>
    /// <exception cref="TrecrException">RestoreRefused: the program has no such variable, or the new value is longer than the old one</exception>
    public static void Apply(int hostPid, IReadOnlyList<string> changes)
    {
        (ulong start, ulong end) = Block(hostPid);
        byte[] block = new byte[end - start];
        fixed (byte* p = block)
            if (Sys.ProcessVmRead(hostPid, start, p, block.Length) != block.Length) throw new TrecrException(TrecrError.RestoreRefused, "--env: the program's environment cannot be read");
        foreach (string change in changes)
        {
            string name = change[..change.IndexOf('=')];
            byte[] text = Encoding.UTF8.GetBytes(change);
            int at = Find(block, Encoding.UTF8.GetBytes(name + "="));
            if (at < 0) throw new TrecrException(TrecrError.RestoreRefused, $"--env {name}: the program was started without this variable");
            int length = block.AsSpan(at).IndexOf((byte)0);
            if (text.Length > length) throw new TrecrException(TrecrError.RestoreRefused, $"--env {name}: the new value has {text.Length - name.Length - 1} bytes, the old one {length - name.Length - 1}: a longer one has no place in the program's memory");
            block.AsSpan(at, length).Clear();
            text.CopyTo(block.AsSpan(at));
        }
        fixed (byte* p = block)
            if (Sys.ProcessVmWrite(hostPid, start, p, block.Length) != block.Length) throw new TrecrException(TrecrError.RestoreRefused, "--env: the program's environment cannot be written");
    }

    /// <summary>Fields 50 and 51 of /proc/PID/stat: env_start, env_end.</summary>
    private static (ulong Start, ulong End) Block(int pid)
    {
        string stat = File.ReadAllText($"/proc/{pid}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (ulong.Parse(fields[47], CultureInfo.InvariantCulture), ulong.Parse(fields[48], CultureInfo.InvariantCulture));
    }

    private static int Find(ReadOnlySpan<byte> block, ReadOnlySpan<byte> name)
    {
        for (int at = 0; at < block.Length;)
        {
            if (block[at..].StartsWith(name)) return at;
            int end = block[at..].IndexOf((byte)0);
            if (end < 0) return -1;
            at += end + 1;
        }
        return -1;
    }
}
