using System.Globalization;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>One watch as fdinfo shows it.</summary>
/// <param name="Device">kernel's number: major &lt;&lt; 20 | minor</param>
/// <param name="Handle">file handle, for open_by_handle_at(2)</param>
internal readonly record struct InotifyWatch(int Number, ulong Inode, ulong Device, uint Mask, int HandleType, byte[] Handle)
{
    public static IEnumerable<InotifyWatch> Of(OpenDescriptor d)
    {
        foreach (string line in d.Info)
        {
            // inotify wd:2 ino:b22125 sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:2521b20043fc7976
            if (!line.StartsWith("inotify wd:", StringComparison.Ordinal)) continue;
            Dictionary<string, string> f = line[8..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(p => p.Split(':', 2)).Where(p => p.Length == 2).ToDictionary(p => p[0], p => p[1]);
            yield return new InotifyWatch(Hex32(f, "wd"), Hex(f, "ino"), Hex(f, "sdev"), (uint)Hex(f, "mask"), Hex32(f, "fhandle-type"),
                f.TryGetValue("f_handle", out string? handle) ? Convert.FromHexString(handle) : []);
        }
    }

    private static ulong Hex(Dictionary<string, string> f, string name) => f.TryGetValue(name, out string? text) ? ulong.Parse(text, NumberStyles.HexNumber) : 0;

    private static int Hex32(Dictionary<string, string> f, string name) => (int)Hex(f, name);

    /// <summary>Whether stat's device and inode are the watched ones.</summary>
    public bool Is(Linux.ObjectStatus status)
    {
        ulong major = status.Device >> 8 & 0xfff | status.Device >> 32 & 0xfffff000, minor = status.Device & 0xff | status.Device >> 12 & 0xffffff00;
        return status.Inode == Inode && (major << 20 | minor) == Device;
    }
}
