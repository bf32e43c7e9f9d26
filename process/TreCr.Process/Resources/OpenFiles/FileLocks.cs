using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Locks on files: flock and OFD locks belong to the description, POSIX locks to the process. Source: fdinfo's <c>lock:</c> lines, fcntl(2), flock(2).</summary>
internal static unsafe class FileLocks
{
    private const int F_SETLK = 6, F_OFD_SETLK = 37, LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4;
    private const uint Flock = 1, OpenDescription = 2, Posix = 3;

    /// <summary>Kinds that cannot be saved.</summary>
    public static void Check(OpenDescriptor d, TreeCheck check)
    {
        foreach (string[] f in Lines(d))
            if (KindOf(f) == 0) check.Add($"{check.Where(d)} holds a {f[1].ToLowerInvariant()} on {d.Link}");
    }

    /// <summary>Locks of the description itself.</summary>
    public static void Capture(OpenDescriptor d, OpenFileImage to)
    {
        foreach (string[] f in Lines(d))
            if (KindOf(f) is Flock or OpenDescription) to.Part().Locks.Add(Read(f));
    }

    /// <summary>Locks of the process that were taken through this description.</summary>
    public static IEnumerable<LockImage> OfProcess(OpenDescriptor d)
    {
        foreach (string[] f in Lines(d))
            if (KindOf(f) == Posix) yield return Read(f);
    }

    /// <summary>Takes the locks of a description.</summary>
    /// <exception cref="RefusedException">somebody else has taken one meanwhile</exception>
    public static void Restore(int fd, OpenFileImage from)
    {
        if (from.Object is null) return;
        foreach (LockImage one in from.Object.Locks)
        {
            long result;
            if (one.Kind == Flock) result = Sys.Raw(SyscallNumber.Flock, fd, (one.Write ? LOCK_EX : LOCK_SH) | LOCK_NB);
            else
            {
                fixed (byte* p = Structure(one)) result = Sys.Control(fd, F_OFD_SETLK, (long)p);
            }
            if (result is -Errno.EAGAIN or -Errno.EACCES) throw new RefusedException([$"the program's lock on {from.Link} is held by another program now"]);
            Sys.Check(result, "lock", from.Link);
        }
    }

    /// <summary>fcntl's command for a lock of the process, and its argument.</summary>
    public static (int Command, byte[] Argument) ForProcess(LockImage one) => (F_SETLK, Structure(one));

    /// <summary>struct flock.</summary>
    private static byte[] Structure(LockImage one)
    {
        byte[] data = new byte[32];
        BitConverter.TryWriteBytes(data, (short)(one.Write ? 1 : 0)); // F_WRLCK, F_RDLCK; whence 0
        BitConverter.TryWriteBytes(data.AsSpan(8), one.Start);
        BitConverter.TryWriteBytes(data.AsSpan(16), one.Length);
        return data;
    }

    // 1: POSIX  ADVISORY  WRITE 32041 fe:00:11673898 5 14
    private static IEnumerable<string[]> Lines(OpenDescriptor d)
        => d.Info.Where(l => l.StartsWith("lock:", StringComparison.Ordinal)).Select(l => l[5..].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Where(f => f.Length >= 8);

    private static uint KindOf(string[] f) => f[1] switch { "FLOCK" => Flock, "OFDLCK" => OpenDescription, "POSIX" => Posix, _ => 0 };

    private static LockImage Read(string[] f)
    {
        ulong start = ulong.Parse(f[6]);
        return new LockImage { Kind = KindOf(f), Write = f[3] == "WRITE", Start = start, Length = f[7] == "EOF" ? 0 : ulong.Parse(f[7]) - start + 1 };
    }
}
