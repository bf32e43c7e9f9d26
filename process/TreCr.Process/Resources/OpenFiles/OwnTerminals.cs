using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// Terminals keep their numbers (<c>/dev/pts/N</c> is in strings of the program), and on another machine, or later on the same, other programs may have them. Then the job gets a devpts instance of its own, where all numbers
/// are free. Source: Documentation/filesystems/devpts.rst.
/// </summary>
/// <remarks>
/// What is seen of it: a terminal that trecr was started in has no name there (ttyname(3) fails). Its number is kept from being given again in the new instance, where it would look like that terminal.
/// </remarks>
internal static unsafe class OwnTerminals
{
    internal const string Slaves = "/dev/pts/";

    private const string Maker = "/dev/ptmx";
    private const long TIOCGPTN = 0x80045430;
    private const int O_NOCTTY = 0x100, MaxTries = 4096, MS_NOSUID = 2, MS_NOEXEC = 8, MS_BIND = 4096;

    private static IEnumerable<int> NumbersOf(TreeImage tree) => tree.OpenFiles.Where(f => f.Object?.Terminal is { Master: true }).Select(f => f.Object.Terminal.Number);

    private static bool AreTaken(TreeImage tree) => NumbersOf(tree).Any(n => Path.Exists(Slaves + n));

    /// <summary>Terminals among the streams that are given.</summary>
    private static HashSet<int> NumbersOf(GivenDescriptors given)
        => [.. given.Streams.Values.Select(fd => Sys.ReadLink($"/proc/self/fd/{fd}") is { } link && link.StartsWith(Slaves, StringComparison.Ordinal) && int.TryParse(link.AsSpan(Slaves.Length), out int number) ? number : -1).Where(n => n >= 0)];

    /// <summary>Why a terminal of the program cannot be made here; null: it can.</summary>
    internal static string? WhyNot(int number, TreeImage tree, GivenDescriptors given)
        => AreTaken(tree) && NumbersOf(given).Contains(number) ? $"the program's terminal {Slaves}{number} has the number of the one that it would be given here: restart it once more, or with its streams redirected" : null;

    /// <summary>Before any terminal is opened: mounts a devpts of the job's own where one of its numbers is taken.</summary>
    /// <param name="given">receives what has to stay open as long as the program runs</param>
    /// <exception cref="RefusedException">it cannot be mounted</exception>
    internal static void Provide(TreeImage tree, GivenDescriptors given)
    {
        if (!AreTaken(tree)) return;
        HashSet<int> streams = NumbersOf(given);
        fixed (byte* type = Sys.CString("devpts"), at = Sys.CString(Slaves), options = Sys.CString("mode=0620,ptmxmode=0666"), inside = Sys.CString(Slaves + "ptmx"), maker = Sys.CString(Maker))
        {
            long result = Sys.Raw(SyscallNumber.Mount, (long)type, (long)at, (long)type, MS_NOSUID | MS_NOEXEC, (long)options);
            // The device node opens the instance that is mounted beside it, but in containers it is one instance's own.
            if (result >= 0) result = Sys.Raw(SyscallNumber.Mount, (long)inside, (long)maker, 0, MS_BIND, 0);
            if (result < 0) throw new RefusedException([$"the program's terminals have numbers that are in use by other programs here, and a devpts of its own cannot be mounted ({Errno.Describe((int)-result)})"]);
        }
        foreach (int number in streams)
            if (TryOpen(number, Sys.O_RDWR | Sys.O_CLOEXEC) is var fd and >= 0) given.KeptTerminals.Add(fd);
    }

    /// <summary>Opens a new terminal of a number. The kernel gives the lowest free one; those below are held meanwhile.</summary>
    /// <returns>its master; -1: the number is in use</returns>
    internal static int TryOpen(int wanted, int flags)
    {
        List<int> others = [];
        try
        {
            for (int tries = 0; tries < MaxTries; tries++)
            {
                int fd = Sys.Open(Maker, flags | O_NOCTTY), number = -1;
                Sys.Raw(SyscallNumber.Ioctl, fd, TIOCGPTN, (long)&number);
                if (number == wanted) return fd;
                others.Add(fd);
                if (number > wanted) break;
            }
            return -1;
        }
        finally { foreach (int fd in others) Sys.Close(fd); }
    }
}
