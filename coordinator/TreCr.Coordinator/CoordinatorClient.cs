using TreCr.Control;
using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Coordinator;

/// <summary>Connects to this user's coordinator, and starts one where none runs.</summary>
public static class CoordinatorClient
{
    private const int StartMs = 30_000;

    /// <summary>Path of the trecr program, which is the coordinator too.</summary>
    public static string TrecrPath { get; set; } = "/proc/self/exe";

    /// <summary>Connects.</summary>
    /// <param name="start">start a coordinator where none answers</param>
    /// <exception cref="TrecrException">Coordinator: none runs, or none could be started</exception>
    public static ControlChannel Connect(RuntimeDirectory directory, bool start)
    {
        long end = Environment.TickCount64 + StartMs;
        while (true)
        {
            int fd = Sys.ConnectUnix(directory.CoordinatorSocket);
            if (fd >= 0) return new ControlChannel(fd);
            if (!start || fd is not (-Errno.ENOENT or -Errno.ECONNREFUSED))
                throw new TrecrException(TrecrError.Coordinator, $"no coordinator answers at {directory.CoordinatorSocket}: {Errno.Describe(-fd)}");
            if (Environment.TickCount64 > end) throw new TrecrException(TrecrError.Coordinator, $"the coordinator did not come up within {StartMs} ms");
            StartDaemon(directory, (int)(end - Environment.TickCount64));
        }
    }

    /// <summary>Starts a coordinator in a session of its own and waits until it serves, or has found that another does.</summary>
    private static void StartDaemon(RuntimeDirectory directory, int timeoutMs)
    {
        (int read, int write) = Sys.Pipe();
        int log = Sys.Open(directory.CoordinatorLog, Sys.O_WRONLY | Sys.O_CREAT | Sys.O_APPEND | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        int nothing = Sys.Open("/dev/null", Sys.O_RDONLY | Sys.O_CLOEXEC);
        try
        {
            string? failure = DetachedProcess.Start(TrecrPath, ["trecr", "coordinator", "--idle", "30", "--ready-fd", "3"], [.. OwnEnvironment.Words(without: StoreKeySource.IsAboutKey)], "/", [nothing, log, log, write]);
            if (failure is not null) throw new TrecrException(TrecrError.Coordinator, $"cannot start the coordinator: {failure}");
            Sys.Close(write);
            write = -1;
            Span<PollEntry> wait = [new PollEntry { Fd = read, Events = Sys.POLLIN }];
            Sys.Poll(wait, timeoutMs);
        }
        finally
        {
            foreach (int fd in (int[])[read, write, log, nothing]) Sys.Close(fd);
        }
    }

    /// <summary>Asks one question.</summary>
    /// <param name="timeoutMs">negative: no end</param>
    /// <exception cref="TrecrException">CoordinatorLost: it died before it answered; what the answer says</exception>
    public static Envelope Ask(ControlChannel channel, Envelope question, int timeoutMs)
    {
        question.Id = 1;
        if (!channel.Send(question)) throw new TrecrException(TrecrError.CoordinatorLost, "the coordinator ended");
        long end = timeoutMs < 0 ? long.MaxValue : Environment.TickCount64 + timeoutMs;
        while (true)
        {
            int left = timeoutMs < 0 ? -1 : (int)Math.Max(0, end - Environment.TickCount64);
            Envelope? answer = channel.Receive(left, out bool closed);
            if (closed) throw new TrecrException(TrecrError.CoordinatorLost, "the coordinator ended before it answered");
            if (answer is null && timeoutMs >= 0 && Environment.TickCount64 >= end) throw new TrecrException(TrecrError.Deadline, $"the coordinator did not answer within {timeoutMs} ms");
            if (answer is null || answer.Id != question.Id || answer.BodyCase != Envelope.BodyOneofCase.Answer) continue;
            if (answer.Answer.Error == 0) return answer;
            throw new TrecrException(TrecrError.FromNumber(answer.Answer.Error), answer.Answer.Reason) { Findings = [.. answer.Answer.Findings] };
        }
    }
}
