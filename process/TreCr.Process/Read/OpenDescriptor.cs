using System.Globalization;
using TreCr.Linux;

namespace TreCr.Process.Read;

/// <summary>One entry of /proc/PID/fd with its fdinfo.</summary>
internal sealed class OpenDescriptor
{
    public int Pid;
    public int Number;
    public string Link = "";
    public long Position;
    public uint Flags;
    public bool HasLock;
    public ulong EventCount;
    public bool EventSemaphore;
    public List<(int Number, uint Events, ulong Data)> EpollTargets = [];
    public string UserfaultApi = "";

    public bool IsPath => (Flags & Sys.O_PATH) != 0;
    /// <summary>A userfaultfd without the API handshake (no features): made by an engine that died, not by the program.</summary>
    public bool IsLeftover => Link == "anon_inode:[userfaultfd]" && UserfaultApi.Split(':') is [_, "0", ..];

    /// <summary>Kind, inode and device of the file; zeroes where it cannot be looked at.</summary>
    public FileFacts Facts;

    public bool CloseOnExec => (Flags & Sys.O_CLOEXEC) != 0;

    public bool CanWrite => !IsPath && (Flags & 3) != 0;

    /// <summary>All descriptors, ascending.</summary>
    public static List<OpenDescriptor> ReadAll(int pid)
    {
        List<OpenDescriptor> all = [];
        foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
        {
            int number = int.Parse(System.IO.Path.GetFileName(entry.AsSpan()));
            if (Sys.ReadLink(entry) is not { } link) continue; // closed since
            OpenDescriptor d = new() { Pid = pid, Number = number, Link = link };
            try { foreach (string line in File.ReadLines($"/proc/{pid}/fdinfo/{number}")) d.ParseLine(line); }
            catch (IOException) { continue; }
            Sys.TryStat(entry, out d.Facts);
            all.Add(d);
        }
        all.Sort((a, b) => a.Number.CompareTo(b.Number));
        return all;
    }

    internal void ParseLine(string line)
    {
        int colon = line.IndexOf(':');
        if (colon < 0) return;
        string value = line[(colon + 1)..].Trim();
        switch (line[..colon].Trim())
        {
            case "pos": Position = long.Parse(value); break;
            case "flags": Flags = Convert.ToUInt32(value, 8); break;
            case "lock": HasLock = true; break;
            case "eventfd-count": EventCount = ulong.Parse(value, NumberStyles.HexNumber); break;
            case "eventfd-semaphore": EventSemaphore = value != "0"; break;
            case "API": UserfaultApi = value; break;
            case "tfd":
                string[] f = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries); // tfd: N events: HEX data: HEX pos:.. ino:.. sdev:..
                EpollTargets.Add((int.Parse(f[1]), uint.Parse(f[3], NumberStyles.HexNumber), ulong.Parse(f[5], NumberStyles.HexNumber)));
                break;
        }
    }
}
