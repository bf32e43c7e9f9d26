using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// The program's standard streams. Where ours is a terminal the program gets a pseudo terminal, else a pipe, for each of the three; what is one stream
/// outside (2>&amp;1) is one inside, so that order is kept.
/// </summary>
internal sealed class StandardStreams : IDisposable
{
    private readonly int[] _programEnds = [-1, -1, -1];
    private readonly List<OutputRelay> _outputs = [];
    private readonly byte[]? _ownSettings;
    private readonly (int From, int To, bool Terminal)[] _plan;
    private readonly int _inputEnd, _inputCopy;

    /// <summary>A program that is restored may have terminals of its own below this number, which must not be that of the one it is given.</summary>
    private const int NumbersOfPrograms = 64;

    private InputRelay? _input;

    private StandardStreams(IReadOnlyList<StreamState>? saved, byte[]? terminalSettings)
    {
        bool[] terminal = [Sys.IsTerminal(0), Sys.IsTerminal(1), Sys.IsTerminal(2)];
        if (saved is { Count: 3 })
            for (int i = 0; i < 3; i++) terminal[i] = saved[i].Terminal;
        int slave = -1;
        if (terminal.Contains(true))
        {
            (Master, slave) = Sys.OpenPseudoTerminal(saved is null ? 0 : NumbersOfPrograms);
            if (terminalSettings is { Length: Sys.TermiosBytes }) Sys.SetTerminalSettings(slave, terminalSettings);
            else if (Sys.GetTerminalSettings(0) is { } ours) Sys.SetTerminalSettings(slave, ours);
            PassWindowSize();
            if (terminal[0]) _ownSettings = Sys.GetTerminalSettings(0);
        }
        List<(int, int, bool)> plan = [];
        if (terminal[0]) (_programEnds[0], _inputEnd, _inputCopy) = (Sys.Duplicate(slave), Sys.Duplicate(Master), -1);
        else
        {
            (_programEnds[0], _inputEnd) = Sys.Pipe();
            _inputCopy = Sys.Duplicate(_programEnds[0]);
            Sys.SetNonBlocking(_inputEnd, true);
        }
        bool masterRelayed = false;
        for (int i = 1; i <= 2; i++)
        {
            if (terminal[i])
            {
                _programEnds[i] = Sys.Duplicate(slave);
                if (!masterRelayed) plan.Add((Sys.Duplicate(Master), Sys.IsTerminal(i) ? i : 1, true));
                masterRelayed = true;
                continue;
            }
            bool same = saved is { Count: 3 } ? i == 2 && saved[2].SameAs == 1 : i == 2 && !terminal[1] && Sys.ReadLink("/proc/self/fd/1") is { } one && one == Sys.ReadLink("/proc/self/fd/2");
            if (same)
            {
                _programEnds[2] = Sys.Duplicate(_programEnds[1]);
                SameOutput = true;
                continue;
            }
            (int read, int write) = Sys.Pipe();
            _programEnds[i] = write;
            plan.Add((read, i, false));
        }
        if (terminal[0] && !masterRelayed) plan.Add((Sys.Duplicate(Master), 1, true)); // echo
        _plan = [.. plan];
        Terminal = terminal;
        Sys.Close(slave);
        for (int i = 0; i < 3; i++) Links[i] = Sys.ReadLink($"/proc/self/fd/{_programEnds[i]}") ?? "";
    }

    /// <summary>Which of the three is a terminal.</summary>
    public bool[] Terminal { get; }

    /// <summary>Descriptor 2 is the same pipe as 1.</summary>
    public bool SameOutput { get; }

    /// <summary>What /proc/PID/fd/N of the program shows.</summary>
    public string[] Links { get; } = ["", "", ""];

    /// <summary>Master of the pseudo terminal; -1: none.</summary>
    public int Master { get; } = -1;

    /// <summary>The program has standard input as its controlling terminal.</summary>
    public bool IsControllingTerminal => Terminal[0];

    /// <summary>Descriptors for the program; ours until <see cref="CloseProgramEnds"/>.</summary>
    public ReadOnlySpan<int> ProgramEnds => _programEnds;

    public static StandardStreams Create() => new(null, null);

    /// <summary>The same kinds of streams as a saved program had.</summary>
    public static StandardStreams CreateAgain(IReadOnlyList<StreamState> saved, byte[] terminalSettings) => new(saved, terminalSettings);

    /// <summary>The program has them: give up our copies, so that their end is noticed.</summary>
    public void CloseProgramEnds()
    {
        for (int i = 0; i < 3; i++)
        {
            Sys.Close(_programEnds[i]);
            _programEnds[i] = -1;
        }
    }

    /// <summary>Begins to relay.</summary>
    /// <param name="unread">input that comes first</param>
    /// <param name="inputEnded">its end was passed on before the checkpoint</param>
    public void Start(ReadOnlySpan<byte> unread, bool inputEnded, Action onSuspend)
    {
        EnterRawMode();
        foreach ((int from, int to, bool terminal) in _plan) _outputs.Add(new OutputRelay(from, to, terminal));
        _input = new InputRelay(_inputEnd, _inputCopy, Terminal[0], unread, inputEnded, onSuspend);
        _input.Start();
    }

    /// <summary>Empties the output pipes into memory. The program is frozen.</summary>
    public void DrainOutput()
    {
        foreach (OutputRelay output in _outputs) output.Drain();
    }

    /// <summary>Whether our own input stays where it is.</summary>
    public void HoldInput(bool held) => _input?.Hold(held);

    public byte[] UnreadInput() => _input?.UnreadInput() ?? [];

    public bool InputEnded => _input?.Ended ?? false;

    /// <summary>What a checkpoint keeps of the streams.</summary>
    public IEnumerable<StreamState> Describe()
    {
        for (int i = 0; i < 3; i++) yield return new StreamState { Number = i, Link = Links[i], Terminal = Terminal[i], SameAs = i == 2 && SameOutput ? 1 : i };
    }

    /// <summary>Our terminal's window changed.</summary>
    public void PassWindowSize()
    {
        if (Master < 0) return;
        for (int fd = 0; fd <= 2; fd++)
            if (Sys.GetWindowSize(fd) is { } size)
            {
                Sys.SetWindowSize(Master, size.Rows, size.Columns);
                return;
            }
    }

    /// <summary>Our terminal passes every key on.</summary>
    public void EnterRawMode()
    {
        if (_ownSettings is null) return;
        byte[] raw = [.. _ownSettings];
        // cfmakeraw(3): iflag &= ~(IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON), oflag &= ~OPOST, lflag &= ~(ECHO ECHONL ICANON ISIG IEXTEN), cflag CS8.
        And(0, ~0x5EBu); And(4, ~1u); And(12, ~0x804Bu);
        BitConverter.TryWriteBytes(raw.AsSpan(8), BitConverter.ToUInt32(raw, 8) & ~0x130u | 0x30u);
        (raw[17 + 6], raw[17 + 5]) = (1, 0); // VMIN, VTIME
        Sys.SetTerminalSettings(0, raw);

        void And(int at, uint mask) => BitConverter.TryWriteBytes(raw.AsSpan(at), BitConverter.ToUInt32(raw, at) & mask);
    }

    /// <summary>Our terminal is as it was.</summary>
    public void LeaveRawMode()
    {
        if (_ownSettings is not null) Sys.SetTerminalSettings(0, _ownSettings);
    }

    /// <summary>The program and everything beside it has ended: writes out what is left.</summary>
    public void Finish()
    {
        foreach (OutputRelay output in _outputs) output.Finish();
        LeaveRawMode();
    }

    public void Dispose()
    {
        LeaveRawMode();
        CloseProgramEnds();
        if (_input is null)
        {
            foreach ((int from, _, _) in _plan) Sys.Close(from);
            Sys.Close(_inputEnd);
            Sys.Close(_inputCopy);
        }
        Sys.Close(Master);
    }
}
