using System.Globalization;
using System.Net;

namespace TreCr.Process.Resources;

/// <summary>Names a socket for a message, from /proc/PID/net.</summary>
internal static class SocketNames
{
    /// <param name="link"><c>socket:[INODE]</c></param>
    public static string Describe(int pid, string link)
    {
        string inode = link[8..^1];
        foreach ((string file, string kind, int column) in new[] { ("tcp", "a TCP socket", 9), ("tcp6", "a TCP socket", 9), ("udp", "a UDP socket", 9), ("udp6", "a UDP socket", 9), ("unix", "a Unix socket", 6) })
        {
            try
            {
                foreach (string line in File.ReadLines($"/proc/{pid}/net/{file}"))
                {
                    string[] f = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    if (f.Length <= column || f[column] != inode) continue;
                    return file == "unix" ? kind + (f.Length > 7 ? " " + f[7] : "") : $"{kind} {Address(f[1])}" + (f[2].EndsWith(":0000", StringComparison.Ordinal) ? "" : $" connected to {Address(f[2])}");
                }
            }
            catch (IOException) { }
        }
        return $"a socket ({link})";
    }

    private static string Address(string hex)
    {
        int colon = hex.IndexOf(':');
        int port = int.Parse(hex.AsSpan(colon + 1), NumberStyles.HexNumber);
        if (colon != 8) return $"port {port}";
        return $"{new IPAddress(uint.Parse(hex.AsSpan(0, 8), NumberStyles.HexNumber))}:{port}";
    }
}
