namespace TreCr.Linux;

/// <summary>Terminals: ioctl_tty(2), pty(7).</summary>
public static unsafe partial class Sys
{
    private const long TCGETS = 0x5401, TCSETS = 0x5402, TIOCGPGRP = 0x540F, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, FIONREAD = 0x541B,
        TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431;

    /// <summary>Length of the kernel's struct termios.</summary>
    public const int TermiosBytes = 36;

    /// <summary>Whether the descriptor is a terminal.</summary>
    public static bool IsTerminal(int fd)
    {
        byte* settings = stackalloc byte[64];
        return Raw(SyscallNumber.Ioctl, fd, TCGETS, (long)settings) == 0;
    }

    /// <summary>Settings of a terminal: c_iflag, c_oflag, c_cflag, c_lflag (4 bytes each), line, 19 control characters.</summary>
    /// <returns>[<see cref="TermiosBytes"/>], or null where it is no terminal</returns>
    public static byte[]? GetTerminalSettings(int fd)
    {
        byte* settings = stackalloc byte[64];
        return Raw(SyscallNumber.Ioctl, fd, TCGETS, (long)settings) == 0 ? new ReadOnlySpan<byte>(settings, TermiosBytes).ToArray() : null;
    }

    /// <summary>Sets a terminal's settings at once.</summary>
    /// <param name="settings">[<see cref="TermiosBytes"/>]</param>
    /// <returns>0, or -errno</returns>
    public static long SetTerminalSettings(int fd, ReadOnlySpan<byte> settings)
    {
        if (settings.Length < TermiosBytes) return -Errno.EINVAL;
        fixed (byte* p = settings) return Raw(SyscallNumber.Ioctl, fd, TCSETS, (long)p);
    }

    /// <summary>Rows and columns.</summary>
    /// <returns>null: no terminal</returns>
    public static (int Rows, int Columns)? GetWindowSize(int fd)
    {
        ushort* size = stackalloc ushort[4];
        return Raw(SyscallNumber.Ioctl, fd, TIOCGWINSZ, (long)size) == 0 ? (size[0], size[1]) : null;
    }

    /// <summary>Sets rows and columns; the foreground process group gets SIGWINCH.</summary>
    public static void SetWindowSize(int fd, int rows, int columns)
    {
        ushort* size = stackalloc ushort[4];
        (size[0], size[1], size[2], size[3]) = ((ushort)rows, (ushort)columns, 0, 0);
        Raw(SyscallNumber.Ioctl, fd, TIOCSWINSZ, (long)size);
    }

    /// <summary>Foreground process group of a terminal, in the caller's pid namespace (0: not in it), or -errno.</summary>
    public static int ForegroundGroup(int fd)
    {
        int group = 0;
        long r = Raw(SyscallNumber.Ioctl, fd, TIOCGPGRP, (long)&group);
        return r < 0 ? (int)r : group;
    }

    /// <summary>Bytes that a read would find now.</summary>
    public static int BytesToRead(int fd)
    {
        int n = 0;
        return Raw(SyscallNumber.Ioctl, fd, FIONREAD, (long)&n) < 0 ? 0 : n;
    }

    /// <summary>A new pseudo terminal: master and slave, both close-on-exec and no controlling terminal of ours.</summary>
    /// <param name="from">lowest number wanted: the kernel gives the lowest that is free, so those below are held meanwhile</param>
    /// <exception cref="LinuxException">ENOENT (no /dev/ptmx), ENOSPC (no more of them).</exception>
    public static (int Master, int Slave) OpenPseudoTerminal(int from = 0)
    {
        const int O_NOCTTY = 0x100;
        List<int> below = [];
        int master = -1;
        try
        {
            int number = 0;
            for (bool enough = false; !enough;)
            {
                master = Open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
                Check(Raw(SyscallNumber.Ioctl, master, TIOCGPTN, (long)&number), "ioctl(TIOCGPTN)");
                enough = number >= from;
                if (!enough) below.Add(master);
            }
            int locked = 0;
            Check(Raw(SyscallNumber.Ioctl, master, TIOCSPTLCK, (long)&locked), "ioctl(TIOCSPTLCK)");
            return (master, Open($"/dev/pts/{number}", O_RDWR | O_NOCTTY | O_CLOEXEC));
        }
        catch
        {
            if (!below.Contains(master)) Close(master);
            throw;
        }
        finally { foreach (int fd in below) Close(fd); }
    }

    /// <summary>Adds or takes O_NONBLOCK of an open file description.</summary>
    public static void SetNonBlocking(int fd, bool on)
    {
        long flags = Raw(SyscallNumber.Fcntl, fd, F_GETFL, 0);
        Raw(SyscallNumber.Fcntl, fd, F_SETFL, on ? flags | (long)O_NONBLOCK : flags & ~(long)O_NONBLOCK);
    }
}
