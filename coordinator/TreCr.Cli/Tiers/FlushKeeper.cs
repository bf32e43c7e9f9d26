using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>
/// Starts <c>trecr flush</c> after checkpoints of a job, one at a time, in a session of its own: it goes on when the job ends, and the next start of the job goes on with what a killed one left. One that
/// failed is tried again as long as the job runs.
/// </summary>
/// <remarks>Any thread. The waiting is done by a thread of its own.</remarks>
internal sealed class FlushKeeper(string store, string job)
{
    private const int AgainMs = 30_000;

    private readonly object _gate = new();
    private readonly HashSet<string> _told = [];
    private bool _wanted, _running;

    /// <summary>There may be something to flush.</summary>
    public void Kick()
    {
        lock (_gate)
        {
            _wanted = true;
            Monitor.PulseAll(_gate);
            if (_running) return;
            _running = true;
            StartOne(); // here, so that it lives even when the job ends at once
        }
    }

    private void StartOne()
    {
        _wanted = false;
        (int pid, int pidfd) = Spawn();
        if (pid == 0)
        {
            _running = false;
            return;
        }
        new Thread(() => Watch(pid, pidfd), 256 * 1024) { IsBackground = true, Name = "flush end" }.Start();
    }

    private void Watch(int pid, int pidfd)
    {
        Span<PollEntry> ended = [new PollEntry { Fd = pidfd, Events = Sys.POLLIN }];
        Sys.Poll(ended, -1);
        Sys.Wait(pid, Sys.WNOHANG, out int status);
        Sys.Close(pidfd);
        lock (_gate)
        {
            if (ExitStatus.Code(status) != 0)
            {
                string why = FlushState.TryRead(store, job) is { Running: false, Problems: [(string tier, string problem), ..] } ? $"tier {tier}: {problem}" : $"trecr flush ended with {ExitStatus.Code(status)}";
                if (_told.Add(why)) Output.Note($"note: a checkpoint is not on all its tiers yet: {why}; it is tried again every {AgainMs / 1000} s");
                if (!_wanted) Monitor.Wait(_gate, AgainMs);
                _wanted = true;
            }
            else _told.Clear();
            if (_wanted) StartOne();
            else _running = false;
        }
    }

    /// <returns>0: it could not be started, which is said</returns>
    private (int Pid, int Pidfd) Spawn()
    {
        int nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC), at = Sys.Duplicate(nothing, 64);
        try
        {
            using CloneTable table = new();
            for (int fd = 0; fd < 3; fd++) table.Add("dup3", SyscallNumber.Dup3, at, (uint)fd, 0);
            table.Add("close_range", SyscallNumber.CloseRange, 3, uint.MaxValue, 0);
            table.Add("setsid", SyscallNumber.Setsid);
            table.Add("chdir", SyscallNumber.Chdir, table.Text("/"));
            table.AddDefaultSignals();
            List<string> environment = [.. OwnEnvironment.Words(without: name => name is "TRECR_FAULT" or JobTiers.Variable)];
            table.AddExecute(Installation.Trecr, ["trecr", "flush", job, "--store", store], StoreKeySource.ForChild(environment));
            CloneResult result = table.Run();
            if (result.Succeeded) return (result.Pid, result.Pidfd);
            Output.Note($"note: trecr flush cannot be started: {result.FailedStep}: {Errno.Describe(result.ErrorNumber)}");
            return (0, -1);
        }
        finally
        {
            Sys.Close(at);
            Sys.Close(nothing);
        }
    }
}
