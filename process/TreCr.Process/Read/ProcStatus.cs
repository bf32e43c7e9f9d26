using System.Globalization;

namespace TreCr.Process.Read;

/// <summary>/proc/PID/stat and status of a process or thread.</summary>
internal sealed class ProcStatus
{
    private readonly Dictionary<string, string> _lines = [];
    private readonly string[] _stat;

    private ProcStatus(string stat, IEnumerable<string> status)
    {
        Pid = int.Parse(stat.AsSpan(0, stat.IndexOf(' ')));
        _stat = stat[(stat.LastIndexOf(')') + 2)..].Trim().Split(' ');
        foreach (string line in status)
        {
            int colon = line.IndexOf(':');
            if (colon > 0) _lines[line[..colon]] = line[(colon + 1)..].Trim();
        }
    }

    /// <exception cref="IOException">no such process</exception>
    public static ProcStatus Read(int pid, int tid = 0)
    {
        string directory = tid == 0 ? $"/proc/{pid}" : $"/proc/{pid}/task/{tid}";
        return new ProcStatus(File.ReadAllText(directory + "/stat"), File.ReadLines(directory + "/status"));
    }

    /// <summary>Field of proc(5)'s stat, numbered from 1; from 3 on.</summary>
    public long Stat(int field) => _stat.Length <= field - 3 ? 0
        : long.TryParse(_stat[field - 3], out long value) ? value
        : ulong.TryParse(_stat[field - 3], out ulong large) ? (long)large : 0;

    public int Pid { get; }

    /// <summary>0: outside the namespace.</summary>
    public int Parent => (int)Stat(4);

    /// <summary>Ended, not yet waited for, and no thread of it lives.</summary>
    public bool IsZombie => State is 'Z' or 'X' && Stat(20) <= 1;

    /// <summary>One-letter state: R S D T t Z X.</summary>
    public char State => _stat[0][0];

    public string this[string name] => _lines.GetValueOrDefault(name, "");

    public ulong Hex(string name) => ulong.TryParse(this[name], NumberStyles.HexNumber, null, out ulong value) ? value : 0;

    public IEnumerable<string> Lines => _lines.Select(l => $"{l.Key}:\t{l.Value}");

    /// <summary>Thread ids of a process, ascending.</summary>
    public static List<int> Threads(int pid)
    {
        List<int> tids = [];
        foreach (string directory in Directory.EnumerateDirectories($"/proc/{pid}/task")) tids.Add(int.Parse(System.IO.Path.GetFileName(directory.AsSpan())));
        tids.Sort();
        return tids;
    }
}
