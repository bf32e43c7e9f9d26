using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// Passes what the program writes on to one of our own streams. A checkpoint empties the pipe into memory (<see cref="Drain"/>), so that what was
/// written before it is delivered exactly once and the image holds an empty pipe.
/// </summary>
/// <remarks>One thread of its own writes; <see cref="Drain"/> from any thread.</remarks>
internal sealed unsafe class OutputRelay : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Queue<byte[]> _queue = new();
    private readonly int _from, _to;
    private readonly bool _terminal;
    private readonly (int Read, int Write) _wake = Sys.Pipe();
    private readonly Thread _thread;
    private bool _ended;

    /// <param name="from">read end of a pipe, or master of a terminal; owned</param>
    /// <param name="to">our descriptor 1 or 2</param>
    public OutputRelay(int from, int to, bool terminal)
    {
        (_from, _to, _terminal) = (from, to, terminal);
        Sys.SetNonBlocking(from, true);
        _thread = new Thread(Run, 256 * 1024) { IsBackground = true, Name = $"relay {to}" };
        _thread.Start();
    }

    /// <summary>Takes everything that is in the pipe now. The program is frozen.</summary>
    public void Drain()
    {
        lock (_lock)
        {
            TakeAll();
            if (_terminal && !_ended)
            {
                // A terminal hands over in the background (flush_to_ldisc): what was written a moment ago may come late.
                Span<PollEntry> ready = [new PollEntry { Fd = _from, Events = Sys.POLLIN }];
                while (!_ended && Sys.Poll(ready, 5) > 0 && (ready[0].Returned & Sys.POLLIN) != 0) TakeAll();
            }
        }
        byte one = 1;
        Sys.Write(_wake.Write, &one, 1);
    }

    /// <summary>Waits until the program's side is closed and everything is written.</summary>
    public void Finish() => _thread.Join();

    private void Run()
    {
        bool reader = true;
        byte* drained = stackalloc byte[16];
        while (true)
        {
            Span<PollEntry> ready = [new PollEntry { Fd = _from, Events = Sys.POLLIN }, new PollEntry { Fd = _wake.Read, Events = Sys.POLLIN }];
            Sys.Poll(ready, -1);
            if (ready[1].Returned != 0) Sys.Read(_wake.Read, drained, 16);
            bool ended;
            lock (_lock)
            {
                TakeOne();
                ended = _ended;
            }
            while (true)
            {
                byte[]? bytes;
                lock (_lock)
                    if (!_queue.TryDequeue(out bytes)) break;
                if (reader && !Output.WriteAll(_to, bytes)) reader = false;
            }
            if (!ended && reader) continue;
            lock (_lock) _ended = true;
            Sys.Close(_from); // where nobody reads our output, the program gets EPIPE as it would without us
            return;
        }
    }

    private void TakeAll()
    {
        while (TakeOne()) { }
    }

    private bool TakeOne()
    {
        if (_ended) return false;
        byte* buffer = stackalloc byte[65536];
        long n = Sys.Read(_from, buffer, 65536);
        if (n > 0) _queue.Enqueue(new ReadOnlySpan<byte>(buffer, (int)n).ToArray());
        else if (n != -Errno.EAGAIN) _ended = true; // 0: all writers closed; EIO: no terminal slave open
        return n > 0;
    }

    public void Dispose()
    {
        Sys.Close(_wake.Read);
        Sys.Close(_wake.Write);
    }
}
