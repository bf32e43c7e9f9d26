using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Lazy;
using TreCr.Process.Memory;

namespace TreCr.Process.Restore;

/// <summary>
/// Untouched private memory of a process being made, whose pages the kernel makes from our bytes (UFFDIO_COPY): it neither clears a page first nor takes a fault for it, which is half of what
/// process_vm_writev takes.
/// </summary>
/// <remarks>The process does not run. Page faults of system calls are never served, so that no privilege is needed. <see cref="TryCopy"/> from any thread. Source: Documentation/admin-guide/mm/userfaultfd.rst.</remarks>
internal sealed unsafe class PageCopies : IDisposable
{
    private readonly int _uffd;
    private readonly List<PageRun> _areas = []; // ascending; none goes over the end of a mapping

    private PageCopies(int uffd) => _uffd = uffd;

    /// <param name="inside">number of a userfaultfd in the process, or -errno</param>
    /// <returns>null: there is none here (a sandbox forbids it, the kernel was built without)</returns>
    public static PageCopies? TryOpen(int pid, long inside)
    {
        if (inside < 0) return null;
        int pidfd = Sys.PidfdOpen(pid), uffd = pidfd < 0 ? -1 : Sys.PidfdGetfd(pidfd, (int)inside);
        Sys.Close(pidfd);
        if (uffd < 0) return null;
        if (UserFault.Enable(uffd, withEvents: false) == 0) return new PageCopies(uffd);
        Sys.Close(uffd);
        return null;
    }

    /// <summary>Adds a mapping or a part of one; ascending. Nothing else may write pages of it that are not there: the kernel would ask us for them, and fail.</summary>
    public void Add(ulong start, ulong end)
    {
        if (UserFault.Register(_uffd, start, end - start) == 0) _areas.Add(new PageRun(start, end));
    }

    /// <summary>Makes pages.</summary>
    /// <param name="others">bytes at <paramref name="to"/> that have to be written in another way where none are made: up to the next of these areas, or a page that is there already</param>
    /// <returns>bytes done; 0: none</returns>
    public ulong TryCopy(ulong to, byte* from, ulong lengthBytes, out ulong others)
    {
        int low = 0, high = _areas.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_areas[middle].End <= to) low = middle + 1; else high = middle;
        }
        others = low == _areas.Count ? lengthBytes : _areas[low].Start > to ? Math.Min(lengthBytes, _areas[low].Start - to) : PageRun.PageBytes;
        if (low == _areas.Count || _areas[low].Start > to) return 0;
        ulong wanted = Math.Min(lengthBytes, _areas[low].End - to);
        return UserFault.Copy(_uffd, to, from, wanted, out ulong copied, wake: false) == 0 ? wanted : copied;
    }

    /// <summary>Everything is as if it had been written.</summary>
    public void Dispose()
    {
        foreach (PageRun area in _areas) UserFault.Unregister(_uffd, area.Start, area.End - area.Start);
        Sys.Close(_uffd);
    }
}
