using TreCr.Control;
using TreCr.Coordinator;

namespace TreCr.Cli;

/// <summary>
/// The supervisor's connection to the coordinator: starts one where none runs, registers, connects again when it died. The program never notices.
/// </summary>
/// <param name="connect">to the job's coordinator, wherever that is; given whether this link is closed</param>
internal sealed class CoordinatorLink(Func<Func<bool>, ControlChannel> connect, string job, uint rank, Func<RegisterRank> facts) : IDisposable
{
    private static readonly string s_host = Environment.MachineName;
    private volatile ControlChannel? _channel;
    private volatile bool _closed;
    private readonly ManualResetEventSlim _connected = new();
    private bool _told;

    /// <summary>What the coordinator says; on the link's thread, must not block.</summary>
    public required Action<Envelope> OnMessage { get; init; }

    /// <summary>The coordinator died; on the link's thread.</summary>
    public required Action OnLost { get; init; }

    public void Start() => new Thread(Run, 512 * 1024) { IsBackground = true, Name = "coordinator link" }.Start();

    /// <returns>false: no coordinator now</returns>
    public bool Send(Envelope envelope)
    {
        (envelope.Job, envelope.Rank, envelope.Host) = (job, rank, s_host);
        return _channel?.Send(envelope) ?? false;
    }

    /// <summary>As <see cref="Send"/>, where need be after the coordinator has come.</summary>
    public bool SendWithin(Envelope envelope, int limitMs) => _connected.Wait(limitMs) && Send(envelope);

    private void Run()
    {
        using ManualResetEventSlim never = new();
        for (int attempt = 0; !_closed; attempt++)
        {
            try
            {
                using ControlChannel channel = connect(() => _closed);
                channel.Send(new Envelope { Id = 1, Job = job, Rank = rank, Host = s_host, Register = facts() });
                _channel = channel;
                _connected.Set();
                attempt = 0;
                while (!_closed)
                {
                    Envelope? message = channel.Receive(-1, out bool closed);
                    if (closed) break;
                    if (message is null) continue;
                    if (message.BodyCase == Envelope.BodyOneofCase.Answer && message.Answer.Error != 0)
                    {
                        Output.Error(TrecrError.FromNumber(message.Answer.Error), $"the coordinator does not take this job: {message.Answer.Reason}");
                        break;
                    }
                    OnMessage(message);
                }
            }
            catch (Exception e) // the runtime directory may be gone: nothing of that may end the program
            {
                (TrecrError error, string message, _) = Program.Explain(e);
                if (!_told) Output.Error(error, message);
                _told = true; // the program runs on without checkpoints; tell once
            }
            finally
            {
                _connected.Reset();
                _channel = null;
            }
            if (_closed) return;
            OnLost();
            never.Wait(Math.Min(100 << Math.Min(attempt, 6), 5_000)); // not at once: a coordinator that cannot start would be started again and again
        }
    }

    public void Dispose()
    {
        _closed = true;
        _channel?.Dispose();
    }
}
