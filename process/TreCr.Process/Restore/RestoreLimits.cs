using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>
/// Resource limits of processes being made. A program may hold more than its limits allow, because it lowered them later: threads, descriptors, locked memory, queued signals. So all is made
/// under the highest limits that this user may have, and the program's own come last.
/// </summary>
internal static unsafe class RestoreLimits
{
    /// <summary>Hard limits as high as any of these processes had them, where this user may raise them, and soft ones as high as hard ones. Who is cloned by this process has them too.</summary>
    public static void Raise(int pid, IReadOnlyList<ProcessImage> images)
    {
        ulong* limit = stackalloc ulong[2];
        for (int i = 0; i < ResourceLimits.Kinds; i++)
        {
            Sys.Check(Sys.Raw(SyscallNumber.Prlimit64, pid, i, 0, (long)limit), "prlimit", $"process {pid}");
            ulong hard = limit[1], wanted = Math.Max(hard, images.Max(p => p.ResourceLimits.Count < 2 * ResourceLimits.Kinds ? throw new ImageException($"resource limits of process {p.Pid} are damaged") : p.ResourceLimits[2 * i + 1]));
            if (limit[0] == wanted) continue;
            limit[0] = limit[1] = wanted;
            if (Sys.Raw(SyscallNumber.Prlimit64, pid, i, (long)limit, 0) >= 0) continue;
            limit[0] = limit[1] = hard;
            Sys.Check(Sys.Raw(SyscallNumber.Prlimit64, pid, i, (long)limit, 0), "prlimit", $"process {pid}");
        }
    }

    /// <summary>The saved limits, as far as this user may have them: an ordinary one cannot raise hard limits, and on another machine they may be lower. Nothing is made in the process any more.</summary>
    /// <param name="setOwn">has a process that has become another user, whose limits this engine may not set without CAP_SYS_RESOURCE, set them itself: number, soft, hard; gives 0, or -errno</param>
    public static void Set(ProcessImage image, Func<int, ulong, ulong, long> setOwn)
    {
        ulong[] now = ResourceLimits.Of(image.Pid);
        ulong* limit = stackalloc ulong[2];
        for (int i = 0; i < ResourceLimits.Kinds; i++)
        {
            (limit[0], limit[1]) = (image.ResourceLimits[2 * i], image.ResourceLimits[2 * i + 1]);
            if (limit[0] == now[2 * i] && limit[1] == now[2 * i + 1] || Sys.Raw(SyscallNumber.Prlimit64, image.Pid, i, (long)limit, 0) != -Errno.EPERM) continue;
            (limit[0], limit[1]) = (Math.Min(limit[0], now[2 * i + 1]), Math.Min(limit[1], now[2 * i + 1]));
            long result = Sys.Raw(SyscallNumber.Prlimit64, image.Pid, i, (long)limit, 0);
            Sys.Check(result == -Errno.EPERM ? setOwn(i, limit[0], limit[1]) : result, "prlimit", $"process {image.Pid}");
        }
    }
}
