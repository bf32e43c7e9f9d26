using System.Globalization;

namespace TreCr.Process.Read;

/// <summary>One area of /proc/PID/smaps.</summary>
internal sealed record Vma(ulong Start, ulong End, string Permissions, ulong Offset, string Device, ulong Inode, string Path)
{
    /// <summary>VmFlags, two letters each, blank before and after each.</summary>
    public string Flags { get; set; } = " ";

    /// <summary>Bytes present or swapped, as smaps counts them; 0 where only maps was read. The zero page is not counted.</summary>
    public ulong PopulatedBytes { get; set; }

    public ulong LengthBytes => End - Start;
    public bool Shared => Permissions[3] == 's';
    public bool Writable => Permissions[1] == 'w';

    /// <summary>The kernel's own: vdso, vvar, vsyscall.</summary>
    public bool IsKernel => Path.StartsWith("[v", StringComparison.Ordinal);

    public bool IsFile => Path.StartsWith('/') && !IsMemfd && !IsSharedAnonymous;
    public bool IsMemfd => Path.StartsWith("/memfd:", StringComparison.Ordinal);
    public bool IsSharedAnonymous => Path.StartsWith("/dev/zero", StringComparison.Ordinal);

    public bool Has(string flag) => Flags.Contains($" {flag} ", StringComparison.Ordinal);

    /// <summary>PROT_ bits.</summary>
    public int Protection => (Permissions[0] == 'r' ? 1 : 0) | (Permissions[1] == 'w' ? 2 : 0) | (Permissions[2] == 'x' ? 4 : 0);

    /// <summary>All areas of a process, ascending.</summary>
    /// <param name="withFlags">reads smaps (slower); otherwise maps, without flags</param>
    public static List<Vma> ReadAll(int pid, bool withFlags = true)
    {
        List<Vma> all = [];
        foreach (string line in File.ReadLines(withFlags ? $"/proc/{pid}/smaps" : $"/proc/{pid}/maps"))
        {
            if (line.Length > 0 && (char.IsAsciiDigit(line[0]) || line[0] is >= 'a' and <= 'f')) { if (ParseHeader(line) is { } vma) all.Add(vma); }
            else if (line.StartsWith("Rss:", StringComparison.Ordinal) || line.StartsWith("Swap:", StringComparison.Ordinal)) all[^1].PopulatedBytes += ParseKiB(line);
            else if (line.StartsWith("VmFlags:", StringComparison.Ordinal)) all[^1].Flags = " " + line[8..].Trim() + " ";
        }
        return all;
    }

    /// <summary>Bytes of a line "Name:   123 kB".</summary>
    private static ulong ParseKiB(string line)
    {
        ReadOnlySpan<char> number = line.AsSpan(line.IndexOf(':') + 1).Trim();
        return number.EndsWith(" kB") && ulong.TryParse(number[..^3], out ulong kib) ? kib * 1024 : 0;
    }

    internal static Vma? ParseHeader(string line)
    {
        int dash = line.IndexOf('-');
        if (dash is <= 0 or > 16) return null;
        string[] fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length < 5) return null;
        ulong start = ulong.Parse(fields[0].AsSpan(0, dash), NumberStyles.HexNumber), end = ulong.Parse(fields[0].AsSpan(dash + 1), NumberStyles.HexNumber);
        // Octal escapes: the kernel writes a newline in a path as \012.
        string path = fields.Length > 5 ? fields[5].Trim().Replace("\\012", "\n") : "";
        return new Vma(start, end, fields[1], ulong.Parse(fields[2], NumberStyles.HexNumber), fields[3], ulong.Parse(fields[4]), path);
    }
}
