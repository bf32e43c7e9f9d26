using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>
/// Finds the path of a watched inode. The kernel gives a file handle, which it opens for root, and for directories also in a user namespace of ours (6.11); else
/// the path is looked for near what the program uses: its directory, its files and their directories, /tmp, /etc, the home directory.
/// </summary>
internal static unsafe class InotifyPaths
{
    private const int MaxEntries = 50_000;

    /// <param name="near">descriptors of the program</param>
    /// <returns>null: not found</returns>
    public static string? Find(List<OpenDescriptor> near, InotifyWatch watch) 
    {
        if (s_found.TryGetValue((watch.Device, watch.Inode), out string? known) && Leads(known, watch)) return known;
        string? path = ByHandle(watch) ?? BySearch(near, watch);
        if (path is not null) s_found[(watch.Device, watch.Inode)] = path;
        return path;
    }

    // What a check found before the stop need not be looked for in it.
    private static readonly System.Collections.Concurrent.ConcurrentDictionary<(ulong Device, ulong Inode), string> s_found = new();

    private static string? ByHandle(InotifyWatch watch)
    {
        if (watch.Handle.Length is 0 or > 128) return null;
        byte* handle = stackalloc byte[8 + 128];
        *(int*)handle = watch.Handle.Length;
        *(int*)(handle + 4) = watch.HandleType;
        watch.Handle.CopyTo(new Span<byte>(handle + 8, 128));
        foreach (string mount in MountsOf(watch.Device))
        {
            long root = Sys.TryOpen(mount, Sys.O_RDONLY | Sys.O_CLOEXEC);
            if (root < 0) continue;
            long fd = Sys.Raw(SyscallNumber.OpenByHandleAt, root, (long)handle, Sys.O_PATH | Sys.O_CLOEXEC);
            Sys.Close((int)root);
            if (fd < 0) continue;
            string? path = Sys.ReadLink($"/proc/self/fd/{fd}");
            Sys.Close((int)fd);
            if (path is not null && Leads(path, watch)) return path;
        }
        return null;
    }

    private static bool Leads(string path, InotifyWatch watch) => path.StartsWith('/') && Sys.TryStatus(path) is { } status && watch.Is(status);

    private static IEnumerable<string> MountsOf(ulong device)
    {
        string wanted = $"{device >> 20}:{device & 0xfffff}";
        foreach (string line in File.ReadLines("/proc/self/mountinfo"))
        {
            string[] f = line.Split(' ', 6);
            if (f.Length == 6 && f[2] == wanted) yield return f[4];
        }
    }

    private static string? BySearch(List<OpenDescriptor> near, InotifyWatch watch)
    {
        HashSet<string> seen = [];
        Queue<string> directories = [];
        List<string> first = [];
        foreach (int pid in near.Select(d => d.Pid).Distinct())
        {
            first.Add(Sys.ReadLink($"/proc/{pid}/cwd") ?? "/");
            try { first.AddRange(Vma.ReadAll(pid, withFlags: false).Select(a => a.Path)); } catch (IOException) { }
        }
        first.AddRange(near.Select(d => d.Link));
        // Other things that the program watches; a file is often watched together with its directory.
        foreach (OpenDescriptor d in near)
            foreach (InotifyWatch other in InotifyWatch.Of(d))
                if (ByHandle(other) is { } directory) first.Insert(0, directory + "/.");
        foreach (string start in first.Where(p => p.StartsWith('/')).Append("/tmp").Append("/etc").Append(Environment.GetEnvironmentVariable("HOME") ?? "/").Append("/"))
            for (string? path = start; path is not null; path = Path.GetDirectoryName(path))
            {
                if (!seen.Add(path)) break;
                if (Leads(path, watch)) return path;
                if (path != "/" && Directory.Exists(path)) directories.Enqueue(path);
            }
        int entries = 0;
        while (directories.Count > 0 && entries < MaxEntries)
        {
            string directory = directories.Dequeue();
            try
            {
                foreach (string entry in Directory.EnumerateFileSystemEntries(directory))
                {
                    if (++entries >= MaxEntries) break;
                    if (Sys.TryStatus(entry, follow: false) is not { } status) continue;
                    if (watch.Is(status)) return entry;
                    if (status.IsDirectory && seen.Add(entry)) directories.Enqueue(entry);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        }
        return null;
    }
}
