using Google.Protobuf;
using TreCr.Control;
using TreCr.Linux;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>The supervisor's end of the socket to an engine or a delegator: one question at a time, each with a deadline.</summary>
/// <param name="name">for messages: "engine", "delegator of process 7"</param>
/// <param name="lost">the error that the death of the peer is</param>
/// <param name="pidfd">of the peer, the caller's: its death, where somebody else may hold the other end of the socket; -1: nobody does</param>
internal sealed class RankPeer(int socket, string name, TrecrError lost, int pidfd = -1) : IDisposable
{
    private const int MeanwhileMs = 200;

    private readonly RankConnection _connection = new(socket);
    private readonly Lock _lock = new(), _disposing = new();
    private ulong _nextId = 1;
    private bool _disposed;

    public string Name => name;

    /// <summary>No longer usable: it died, or did not answer.</summary>
    public bool Lost { get; private set; }

    /// <summary>Asks and waits.</summary>
    /// <param name="failure">the error where the peer answers with one that has no number of its own</param>
    /// <exception cref="TrecrException">the peer is gone, did not answer in time, or answered with an error</exception>
    public Reply Ask(Request request, int timeoutMs, TrecrError failure, ReadOnlySpan<int> descriptors = default) => Ask(request, timeoutMs, failure, descriptors, out _);

    /// <param name="received">descriptors that came with the answer; the caller closes them</param>
    /// <param name="meanwhile">called every now and then; where it throws nobody waits for the answer any more, and the peer can be asked something else</param>
    public Reply Ask(Request request, int timeoutMs, TrecrError failure, ReadOnlySpan<int> descriptors, out int[] received, Action? meanwhile = null)
    {
        lock (_lock)
        {
            received = [];
            if (Lost) throw new TrecrException(lost, $"the {name} has ended");
            request.Id = _nextId++;
            long end = Environment.TickCount64 + timeoutMs;
            try { _connection.Send(request, descriptors); }
            catch (LinuxException) { throw Gone(); }
            while (true)
            {
                Span<PollEntry> ready = [new PollEntry { Fd = _connection.Socket, Events = Sys.POLLIN }, new PollEntry { Fd = pidfd, Events = Sys.POLLIN }];
                int n = Sys.Poll(ready, (int)Math.Clamp(end - Environment.TickCount64, 0, meanwhile is null ? int.MaxValue : MeanwhileMs));
                if (n == 0 && meanwhile is not null && Environment.TickCount64 < end)
                {
                    meanwhile();
                    continue;
                }
                if (n == 0)
                {
                    Lost = true; // its late answer would be taken for the next one's
                    throw new TrecrException(TrecrError.Deadline, $"the {name} did not answer within {timeoutMs} ms ({request.VerbCase})");
                }
                if (ready[0].Returned == 0 && Sys.Poll(ready[..1], 0) == 0) throw Gone(); // what it had still to say comes first
                Reply? reply;
                try { reply = _connection.Receive(Reply.Parser, out received); }
                catch (Exception e) when (e is LinuxException or InvalidProtocolBufferException) { throw Gone(); }
                if (reply is null) throw Gone();
                if (reply.Id != request.Id) continue;
                if (reply.Error.Length == 0) return reply;
                foreach (int fd in received) Sys.Close(fd);
                TrecrError error = reply.ErrorCode == 0 ? failure : TrecrError.FromNumber(reply.ErrorCode);
                throw new TrecrException(error, reply.Error) { Findings = [.. reply.Findings] };
            }
        }
    }

    private TrecrException Gone()
    {
        Lost = true;
        return new TrecrException(lost, $"the {name} ended unexpectedly");
    }

    /// <summary>Closes the connection: an engine or delegator opens its gate and ends.</summary>
    public void Dispose()
    {
        Lost = true;
        lock (_disposing)
        {
            if (_disposed) return;
            _disposed = true;
            _connection.ShutDown(); // who is asking wakes
        }
        lock (_lock) _connection.Dispose(); // not under another thread, which would ask on the descriptor's next owner
    }
}
