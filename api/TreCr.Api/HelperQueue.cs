using System.Text;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>
/// A helper process flushes, one for each scratch directory and user, started by whoever needs it first. It outlives the program, and ends when it has no program and no work any more. A request
/// is a file in the directory's queue before the helper hears of it: a helper that was killed leaves its work to the next one.
/// </summary>
/// <remarks>
/// Messages (SOCK_SEQPACKET): the program sends the name of a request; the helper answers <c>ok NAME</c> or <c>failed NAME REASON</c> when it has removed the file. A connection that ends before the answer
/// proves nothing: the request is written and sent again.
/// </remarks>
internal sealed class HelperQueue : IFlushQueue
{
    public const string QueueDirectory = "queue";
    public const int MaxMessageBytes = 4096;
    private const int ConnectAttempts = 500, PauseMs = 20;

    private static int s_serial;

    private readonly CheckpointDirectory _scratch;
    private readonly CheckpointSettings _settings;
    private readonly Dictionary<string, FlushRequest> _pending = [];
    private string? _problem;
    private int _socket = -1;

    public HelperQueue(CheckpointDirectory scratch, CheckpointSettings settings)
    {
        _scratch = scratch;
        _settings = settings;
        Directory.CreateDirectory(scratch.OwnPath(QueueDirectory));
    }

    /// <inheritdoc/>
    public void Add(FlushRequest request)
    {
        Hear(timeoutMs: 0); // answers that nobody takes would fill the socket
        string name = $"{request.Id.Stem}.{Environment.ProcessId}-{Interlocked.Increment(ref s_serial)}";
        _pending[name] = request;
        try { Send(name); }
        catch
        {
            _pending.Remove(name);
            throw;
        }
    }

    /// <inheritdoc/>
    public string? Wait()
    {
        while (_pending.Count > 0) Hear(timeoutMs: -1);
        return Interlocked.Exchange(ref _problem, null);
    }

    /// <inheritdoc/>
    public bool IsIdle
    {
        get
        {
            Hear(timeoutMs: 0);
            return _pending.Count == 0;
        }
    }

    public void Dispose() => Sys.Close(Interlocked.Exchange(ref _socket, -1));

    /// <summary>Whether a checkpoint of the directory still has to be flushed, for any program.</summary>
    public static bool IsQueued(CheckpointDirectory scratch, CheckpointId id)
        => Directory.Exists(scratch.OwnPath(QueueDirectory)) && Directory.EnumerateFiles(scratch.OwnPath(QueueDirectory), id.Stem + ".*").Any();

    /// <summary>Path of the helper's socket, short enough for an address whatever the directory's name.</summary>
    public static string SocketPath(int directory) => $"/proc/self/fd/{directory}/socket";

    private void Hear(int timeoutMs)
    {
        Span<byte> message = stackalloc byte[MaxMessageBytes];
        while (_pending.Count > 0)
        {
            Connect();
            PollEntry[] entry = [new() { Fd = _socket, Events = Sys.POLLIN }];
            if (Sys.Poll(entry, timeoutMs) == 0) return;
            long n = Sys.Receive(_socket, message, default, out _);
            if (n > 0)
            {
                string[] words = Encoding.UTF8.GetString(message[..(int)n]).Split(' ', 3);
                if (words.Length > 1 && _pending.Remove(words[1]) && words[0] == "failed") _problem ??= words.Length > 2 ? words[2] : words[1];
                if (timeoutMs < 0) return;
                continue;
            }
            Dispose(); // the helper has ended: another one, and all again
        }
    }

    private void Send(string name)
    {
        FilePieces.Replace(_scratch.OwnPath($"{QueueDirectory}/{name}"), _pending[name].ToText(), durable: false);
        if (!Connect(except: name) || Sys.Send(_socket, Encoding.UTF8.GetBytes(name)) >= 0) return;
        Dispose();
        Connect();
    }

    /// <summary>Connects where there is no connection, starting a helper where there is none, and sends what waits for an answer.</summary>
    /// <returns>false: all was sent just now, that one too</returns>
    private bool Connect(string? except = null)
    {
        if (_socket >= 0) return true;
        int directory = Sys.Open(_scratch.OwnPath(""), Sys.O_PATH | Sys.O_DIRECTORY | Sys.O_CLOEXEC);
        try
        {
            for (int attempt = 0; ; attempt++)
            {
                _socket = Sys.ConnectUnix(SocketPath(directory));
                if (_socket >= 0 && SendPending()) return except is null;
                Dispose();
                _socket = -1;
                if (attempt == ConnectAttempts) throw new CheckpointException($"the helper of {_scratch.Path} cannot be reached");
                if (attempt > 0) Thread.Sleep(PauseMs); // one that is ending holds the lock for a moment still
                HelperProcess.Start(_scratch, _settings);
            }
        }
        finally { Sys.Close(directory); }
    }

    private bool SendPending()
    {
        foreach ((string name, FlushRequest request) in _pending)
        {
            FilePieces.Replace(_scratch.OwnPath($"{QueueDirectory}/{name}"), request.ToText(), durable: false);
            if (Sys.Send(_socket, Encoding.UTF8.GetBytes(name)) < 0) return false;
        }
        return true;
    }
}
