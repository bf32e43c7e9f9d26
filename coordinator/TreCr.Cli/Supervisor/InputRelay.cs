using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// Passes our standard input on to the program's pipe or terminal. For a checkpoint, what the program has not read yet is taken out of the pipe, kept
/// for the image, and put back.
/// </summary>
/// <remarks>One thread of its own; the other members from any thread.</remarks>
internal sealed unsafe class InputRelay
{
    private readonly Lock _lock = new();
    private readonly int _terminalMaster, _programEnd;
    private readonly Action _onSuspend;
    private readonly ManualResetEventSlim _open = new(true);
    private int _to;
    private byte[] _inHand;

    /// <param name="to">write end of the program's pipe, or a descriptor of the terminal's master; owned</param>
    /// <param name="programEnd">a copy of the read end of the pipe, owned; -1 for a terminal</param>
    /// <param name="first">bytes that come before our own input (unread ones of a checkpoint)</param>
    /// <param name="ended">the end of input was passed on before the checkpoint</param>
    /// <param name="onSuspend">the terminal's suspend character was typed</param>
    public InputRelay(int to, int programEnd, bool terminal, ReadOnlySpan<byte> first, bool ended, Action onSuspend)
    {
        (_to, _programEnd, _terminalMaster, _onSuspend) = (to, programEnd, terminal ? to : -1, onSuspend);
        _inHand = first.ToArray();
        Ended = ended;
        Sys.SetNonBlocking(to, true);
        if (programEnd >= 0) FitPipe(first.Length);
    }

    /// <summary>The end of input has been passed on.</summary>
    public bool Ended { get; private set; }

    public void Start() => new Thread(Run, 256 * 1024) { IsBackground = true, Name = "relay 0" }.Start();

    /// <summary>While it is held nothing is taken from our standard input. Both ways as often as one likes.</summary>
    public void Hold(bool held)
    {
        lock (_lock)
            if (held) _open.Reset(); else _open.Set();
    }

    /// <summary>What the program has not read. It is frozen; everything is as before when this returns.</summary>
    public byte[] UnreadInput()
    {
        if (_programEnd < 0) return [];
        lock (_lock)
        {
            int length = Sys.BytesToRead(_programEnd);
            byte[] bytes = new byte[length];
            int got = 0;
            fixed (byte* p = bytes)
                while (got < length)
                {
                    long n = Sys.Read(_programEnd, p + got, length - got);
                    if (n <= 0) break;
                    got += (int)n;
                }
            if (got > 0) PutBack(bytes.AsSpan(0, got));
            return [.. bytes.AsSpan(0, got), .. _inHand];
        }
    }

    /// <summary>What came out of the pipe fits into it again; the write end is opened anew where it was closed already.</summary>
    private void PutBack(ReadOnlySpan<byte> bytes)
    {
        int fd = _to >= 0 ? _to : Sys.Open($"/proc/self/fd/{_programEnd}", Sys.O_WRONLY | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        Output.WriteAll(fd, bytes);
        if (fd != _to) Sys.Close(fd);
    }

    private void FitPipe(int bytes)
    {
        const int F_SETPIPE_SZ = 1031;
        if (bytes > 65536) Sys.Raw(SyscallNumber.Fcntl, _programEnd, F_SETPIPE_SZ, bytes);
    }

    private void Run()
    {
        byte* buffer = stackalloc byte[4096];
        if (!Pass()) return;
        if (Ended) { End(); return; }
        while (true)
        {
            Span<PollEntry> ready = [new PollEntry { Fd = 0, Events = Sys.POLLIN }];
            Sys.Poll(ready, -1);
            _open.Wait();
            long n;
            lock (_lock) // from the read on it is in hand: a checkpoint in between would not save it
            {
                if (!_open.IsSet) continue;
                if (Sys.Poll(ready, 0) == 0) continue; // somebody else has read it: the read must not wait with the lock
                n = Sys.Read(0, buffer, 4096);
                if (n > 0) _inHand = new ReadOnlySpan<byte>(buffer, (int)n).ToArray();
            }
            if (n == -Errno.EAGAIN) continue;
            if (n <= 0)
            {
                if (_terminalMaster < 0) End();
                return;
            }
            ReadOnlySpan<byte> bytes = new(buffer, (int)n);
            if (!Pass()) return;
            if (_terminalMaster >= 0 && TypedSuspend(bytes)) _onSuspend();
        }
    }

    /// <summary>Passes on what is in hand.</summary>
    /// <returns>false: the program's end is closed</returns>
    private bool Pass()
    {
        while (true)
        {
            lock (_lock)
            {
                if (_inHand.Length == 0) return true;
                if (_to < 0) return false;
                long n;
                fixed (byte* p = _inHand) n = Sys.Write(_to, p, Math.Min(_inHand.Length, 4096));
                if (n > 0) _inHand = _inHand[(int)n..];
                else if (n != -Errno.EAGAIN) return false;
                else n = 0;
                if (n > 0) continue;
            }
            Span<PollEntry> ready = [new PollEntry { Fd = _to, Events = Sys.POLLOUT }];
            Sys.Poll(ready, -1);
        }
    }

    private void End()
    {
        lock (_lock)
        {
            Ended = true;
            Sys.Close(_to);
            _to = -1;
        }
    }

    /// <summary>Whether the suspend character (c_cc[VSUSP = 10], with ISIG = 1 in c_lflag) is among the bytes.</summary>
    private bool TypedSuspend(ReadOnlySpan<byte> bytes)
        => Sys.GetTerminalSettings(_terminalMaster) is { } settings && (settings[12] & 1) != 0 && settings[17 + 10] != 0 && bytes.Contains(settings[17 + 10]);
}
