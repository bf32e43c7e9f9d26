using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>One end of a connection to the coordinator: whole messages, never blocking on a peer that does not read.</summary>
/// <remarks>Any thread may send; one thread receives.</remarks>
public sealed class ControlChannel : IDisposable
{
    private readonly Lock _lock = new();
    private readonly byte[] _buffer = new byte[ControlWire.MaxMessageBytes];
    private int _socket;

    /// <param name="socket">SOCK_SEQPACKET, owned from here on; becomes non-blocking</param>
    public ControlChannel(int socket)
    {
        _socket = socket;
        long flags = Sys.Raw(SyscallNumber.Fcntl, socket, Sys.F_GETFL, 0);
        Sys.Raw(SyscallNumber.Fcntl, socket, Sys.F_SETFL, flags | (long)Sys.O_NONBLOCK);
    }

    /// <summary>The peer is on this host: its processes, files and descriptors are here.</summary>
    public bool IsLocal { get; init; } = true;

    /// <summary>After the socket was closed.</summary>
    internal Action? OnClosed { get; init; }

    /// <summary>The socket, for poll(2).</summary>
    public int Socket => _socket;

    /// <summary>The peer has closed, whether or not the thread that receives has noticed.</summary>
    public bool PeerIsGone
    {
        get
        {
            lock (_lock)
            {
                if (_socket < 0) return true;
                Span<PollEntry> ready = [new PollEntry { Fd = _socket }];
                return Sys.Poll(ready, 0) > 0 && (ready[0].Returned & (Sys.POLLHUP | Sys.POLLERR)) != 0;
            }
        }
    }

    /// <summary>Sends one message.</summary>
    /// <returns>false: the peer is gone, or does not read</returns>
    public bool Send(Envelope envelope)
    {
        byte[] bytes = ControlWire.Encode(envelope);
        lock (_lock)
        {
            if (_socket < 0) return false;
            return Sys.Send(_socket, bytes) == bytes.Length;
        }
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="timeoutMs">negative: no end</param>
    /// <param name="closed">true: the peer is gone, or sent what is not a message</param>
    /// <returns>null on timeout or when closed</returns>
    public Envelope? Receive(int timeoutMs, out bool closed)
    {
        closed = false;
        Span<PollEntry> ready = [new PollEntry { Fd = _socket, Events = Sys.POLLIN }];
        if (Sys.Poll(ready, timeoutMs) == 0) return null;
        long n = Sys.Receive(_socket, _buffer, default, out _);
        if (n == -Errno.EAGAIN) return null;
        if (n > 0 && ControlWire.Decode(_buffer.AsSpan(0, (int)n)) is { } envelope) return envelope;
        closed = true;
        return null;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_socket < 0) return;
            Sys.ShutdownBoth(_socket); // the peer shall see it also where a thread of ours still waits on the socket
            Sys.Close(_socket);
            _socket = -1;
        }
        OnClosed?.Invoke();
    }
}
