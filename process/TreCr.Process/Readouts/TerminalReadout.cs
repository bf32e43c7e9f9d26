using TreCr.Linux;

namespace TreCr.Process.Readouts;

/// <summary>
/// What waits in a pseudo terminal: typed input that the program has not read, output that the master has not. It can only be read out and written in again, in one go while
/// everything that uses the terminal is stopped; echo, signals and translation are off meanwhile. Source: n_tty.c.
/// </summary>
internal static unsafe class TerminalReadout
{
    private const int O_NOCTTY = 0x100, OPOST = 1, ICANON = 2, LocalOff = 1 | 8 | 0x10 | 0x20 | 0x40 | 0x8000; // ISIG ECHO ECHOE ECHOK ECHONL IEXTEN
    private const int OutputFlags = 4, LocalFlags = 12, Characters = 17, VMIN = 6, CharacterCount = 19;
    private const long TIOCPKT = 0x5420;
    private const int WaitMs = 5_000; // the line discipline works on a thread of the kernel's, which has to wait for a processor like others

    /// <summary>Reads both queues and puts them back.</summary>
    /// <param name="number">N of /dev/pts/N</param>
    /// <param name="settings">the terminal's own, which it gets back</param>
    /// <param name="into">gets the length of the output (4 bytes), output, input; nothing where the other end cannot be opened</param>
    /// <param name="taken">called while something is out</param>
    public static void Run(int master, int number, bool packetMode, byte[] settings, Stream into, Action taken)
    {
        int slave = (int)Sys.TryOpen("/dev/pts/" + number, Sys.O_RDWR | O_NOCTTY | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        if (slave < 0) return;
        try
        {
            bool canonical = (settings[LocalFlags] & ICANON) != 0;
            Packets(master, packetMode, on: false);
            byte[] output = ReadAll(master);
            if (output.Length > 0)
            {
                taken();
                Sys.SetTerminalSettings(slave, Quiet(settings, canonical));
                WriteAll(slave, output);
                Sys.SetTerminalSettings(slave, settings);
            }
            Packets(master, packetMode, on: true);
            // A line that is not complete shows only in raw mode.
            byte[] input = [];
            if (canonical || Sys.BytesToRead(slave) > 0)
            {
                Sys.SetTerminalSettings(slave, Quiet(settings, canonical: false));
                input = ReadAll(slave);
                if (input.Length > 0)
                {
                    taken();
                    Type(master, slave, input, settings);
                }
                Sys.SetTerminalSettings(slave, settings);
            }
            into.Write(BitConverter.GetBytes(output.Length));
            into.Write(output);
            into.Write(input);
        }
        finally { Sys.Close(slave); }
    }

    /// <summary>Puts saved queues in.</summary>
    public static void Restore(int master, int number, byte[] settings, byte[] input, byte[] output)
    {
        int slave = Sys.Open("/dev/pts/" + number, Sys.O_RDWR | O_NOCTTY | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        try
        {
            Sys.SetTerminalSettings(slave, Quiet(settings, canonical: (settings[LocalFlags] & ICANON) != 0));
            if (output.Length > 0) WriteAll(slave, output);
            if (input.Length > 0) Type(master, slave, input, settings);
            Sys.SetTerminalSettings(slave, settings);
        }
        finally { Sys.Close(slave); }
    }

    /// <summary>Types input; returns when the line discipline has it, because it works in the background under the settings of that moment.</summary>
    private static void Type(int master, int slave, byte[] input, byte[] settings)
    {
        bool canonical = (settings[LocalFlags] & ICANON) != 0;
        Sys.SetTerminalSettings(slave, Quiet(settings, canonical));
        WriteAll(master, input);
        int complete = canonical ? Array.LastIndexOf(input, (byte)'\n') + 1 : input.Length;
        Span<PollEntry> state = [new PollEntry { Fd = slave, Events = Sys.POLLIN }];
        long end = Environment.TickCount64 + WaitMs;
        do Sys.Poll(state, 1); while (Sys.BytesToRead(slave) < complete && Environment.TickCount64 < end);
        if (complete < input.Length) Sys.SleepNs(2_000_000);
    }

    private static void Packets(int master, bool packetMode, bool on)
    {
        int value = on ? 1 : 0;
        if (packetMode) Sys.Raw(SyscallNumber.Ioctl, master, TIOCPKT, (long)&value);
    }

    private static byte[] Quiet(byte[] settings, bool canonical)
    {
        byte[] quiet = [.. settings];
        quiet.AsSpan(0, 4).Clear(); // c_iflag
        quiet[OutputFlags] &= unchecked((byte)~OPOST);
        uint local = BitConverter.ToUInt32(quiet, LocalFlags) & ~(uint)(LocalOff | ICANON);
        BitConverter.TryWriteBytes(quiet.AsSpan(LocalFlags), local | (canonical ? (uint)ICANON : 0));
        quiet.AsSpan(Characters, CharacterCount).Clear(); // erase, kill, end of file … are plain characters
        if (!canonical) quiet[Characters + VMIN] = 1;
        return quiet;
    }

    private static byte[] ReadAll(int fd)
    {
        byte[] buffer = new byte[1 << 16];
        using MemoryStream all = new();
        Span<PollEntry> state = [new PollEntry { Fd = fd, Events = Sys.POLLIN }];
        while (Sys.Poll(state, 0) > 0 && (state[0].Returned & Sys.POLLIN) != 0)
        {
            long n;
            fixed (byte* p = buffer) n = Sys.Read(fd, p, buffer.Length);
            if (n <= 0) break;
            all.Write(buffer, 0, (int)n);
        }
        return all.ToArray();
    }

    private static void WriteAll(int fd, byte[] data)
    {
        Span<PollEntry> room = [new PollEntry { Fd = fd, Events = Sys.POLLOUT }];
        fixed (byte* p = data)
            for (int done = 0; done < data.Length;)
            {
                long n = Sys.Write(fd, p + done, data.Length - done);
                if (n == -Errno.EAGAIN && Sys.Poll(room, WaitMs) > 0) continue;
                done += (int)Sys.Check(n, "write", "terminal");
            }
    }
}
