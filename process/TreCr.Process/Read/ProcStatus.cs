using System.Globalization;

namespace TreCr.Process.Read;

/// <summary>/proc/PID/stat and status of a process or thread.</summary>
internal sealed class ProcStatus
{
    private readonly string _status;
    private readonly string[] _stat;

    private ProcStatus(string stat, string status)
    {
        int open = stat.IndexOf('('), close = stat.LastIndexOf(')');
        Pid = int.Parse(stat.AsSpan(0, open - 1));
        Name = stat[(open + 1)..close];
        _stat = stat[(close + 2)..].Trim().Split(' ');
        _status = "\n" + status;
    }

    /// <exception cref="IOException">no such process</exception>
    public static ProcStatus Read(int pid, int tid = 0)
    {
        string directory = tid == 0 ? $"/proc/{pid}" : $"/proc/{pid}/task/{tid}";
        return new ProcStatus(ProcText.Read(directory + "/stat"), ProcText.Read(directory + "/status"));
    }

    /// <summary>Field of proc(5)'s stat, numbered from 1; from 3 on.</summary>
    public long Stat(int field) => _stat.Length <= field - 3 ? 0
        : long.TryParse(_stat[field - 3], out long value) ? value
        : ulong.TryParse(_stat[field - 3], out ulong large) ? (long)large : 0;

    /// <summary>Of the process, or of the thread.</summary>
    public int Pid { get; }

    /// <summary>PR_SET_NAME, as it is.</summary>
    public string Name { get; }

    /// <summary>0: outside the namespace.</summary>
    public int Parent => (int)Stat(4);

    /// <summary>Ended, not yet waited for, and no thread of it lives.</summary>
    public bool IsZombie => State is 'Z' or 'X' && Stat(20) <= 1;

    /// <summary>One-letter state: R S D T t Z X.</summary>
    public char State => _stat[0][0];

    /// <summary>A line of status; empty: there is none.</summary>
    public string this[string name]
    {
        get
        {
            int at = _status.IndexOf($"\n{name}:", StringComparison.Ordinal);
            if (at < 0) return "";
            at += name.Length + 2;
            int end = _status.IndexOf('\n', at);
            return _status.AsSpan(at, (end < 0 ? _status.Length : end) - at).Trim().ToString();
        }
    }

    public ulong Hex(string name) => ulong.TryParse(this[name], NumberStyles.HexNumber, null, out ulong value) ? value : 0;

    public IEnumerable<string> Lines => _status.Split('\n');

    /// <summary>Thread ids of a process, ascending.</summary>
    public static List<int> Threads(int pid)
    {
        List<int> tids = [];
        foreach (string directory in Directory.EnumerateDirectories($"/proc/{pid}/task")) tids.Add(int.Parse(System.IO.Path.GetFileName(directory.AsSpan())));
        tids.Sort();
        return tids;
    }
}
