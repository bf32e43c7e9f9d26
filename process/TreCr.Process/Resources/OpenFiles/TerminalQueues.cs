using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>
/// What waits in a pseudo terminal: typed input that the program has not read, output that the master has not. It can only be read out and written in again, in one go while
/// everything that uses the terminal is stopped; echo, signals and translation are off meanwhile. Source: n_tty.c.
/// </summary>
internal static unsafe class TerminalQueues
{
    private const int O_NOCTTY = 0x100, OPOST = 1, ICANON = 2, LocalOff = 1 | 8 | 0x10 | 0x20 | 0x40 | 0x8000; // ISIG ECHO ECHOE ECHOK ECHONL IEXTEN
    private const int OutputFlags = 4, LocalFlags = 12, Characters = 17, VMIN = 6, CharacterCount = 19;
    private const long TIOCPKT = 0x5420;
    private const int WaitMs = 200;

    /// <summary>Reads both queues and puts them back.</summary>
    public static void Capture(int master, TerminalImage to)
    {
        string path = "/dev/pts/" + to.Number;
        // A slave that is closed everywhere must not be opened, which would end the hang-up; what the master has not read then cannot be put back, so it is left alone.
        if (to.HungUp) return;
        int slave = (int)Sys.TryOpen(path, Sys.O_RDWR | O_NOCTTY | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        if (slave < 0) return;
        try
        {
            byte[] settings = to.Settings.ToByteArray();
            Packets(master, to, on: false);
            byte[] output = ReadAll(master);
            if (output.Length > 0)
            {
                Sys.SetTerminalSettings(slave, Quiet(settings, canonical: (settings[LocalFlags] & ICANON) != 0));
                WriteAll(slave, output);
                Sys.SetTerminalSettings(slave, settings);
            }
            Packets(master, to, on: true);
            // A line that is not complete shows only in raw mode.
            bool canonical = (settings[LocalFlags] & ICANON) != 0;
            byte[] input = [];
            if (canonical || Sys.BytesToRead(slave) > 0)
            {
                Sys.SetTerminalSettings(slave, Quiet(settings, canonical: false));
                input = ReadAll(slave);
                if (input.Length > 0) Type(master, slave, input, settings);
                Sys.SetTerminalSettings(slave, settings);
            }
            (to.Input, to.Output) = (ByteString.CopyFrom(input), ByteString.CopyFrom(output));
        }
        finally { Sys.Close(slave); }
    }

    /// <summary>Puts saved queues in.</summary>
    public static void Restore(int master, TerminalImage from)
    {
        int slave = Sys.Open("/dev/pts/" + from.Number, Sys.O_RDWR | O_NOCTTY | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        try
        {
            byte[] settings = from.Settings.ToByteArray();
            Sys.SetTerminalSettings(slave, Quiet(settings, canonical: (settings[LocalFlags] & ICANON) != 0));
            if (from.Output.Length > 0) WriteAll(slave, from.Output.ToByteArray());
            if (from.Input.Length > 0) Type(master, slave, from.Input.ToByteArray(), settings);
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

    private static void Packets(int master, TerminalImage terminal, bool on)
    {
        int value = on ? 1 : 0;
        if (terminal.PacketMode) Sys.Raw(SyscallNumber.Ioctl, master, TIOCPKT, (long)&value);
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
