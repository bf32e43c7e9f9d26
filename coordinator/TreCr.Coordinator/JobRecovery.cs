using System.Text;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// Brings a job back that has failed (--restart-on-failure): keeps what a restart by hand would have, the standard streams, environment and directory of its launcher, or of its supervisor where
/// nobody launched it, and hears what was the first thing that went wrong. Whatever comes after that is its consequence: a launcher ends the other ranks.
/// </summary>
internal sealed class JobRecovery : IDisposable
{
    private readonly RecoveryPolicy _policy;
    private readonly string[] _environment;
    private readonly string _directory, _store;
    private readonly int[] _streams;
    private string? _first;
    private bool _failed, _advanced;
    private int _left;

    private JobRecovery(RegisterRank facts)
    {
        _policy = facts.Recovery;
        _store = facts.Store;
        string process = $"/proc/{_policy.StreamsOf}";
        _environment = Encoding.UTF8.GetString(File.ReadAllBytes($"{process}/environ")).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        _directory = Sys.ReadLink($"{process}/cwd") ?? "/";
        _streams = [.. Enumerable.Range(0, 3).Select(i => Stream(_policy.StreamsOf, i))];
    }

    /// <returns>null: its rank did not ask for it, or the process is gone</returns>
    public static JobRecovery? Of(RegisterRank facts)
    {
        if (facts.Recovery is null) return null;
        try { return new JobRecovery(facts); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    /// <summary>When it is to be restarted, ms.</summary>
    public long DueMs { get; private set; }

    /// <summary>Something has ended that was not to end, or was ended: the ranks that are left follow.</summary>
    public bool HasHeard => _first is not null;

    /// <summary>A checkpoint of this life was committed.</summary>
    public void Advanced() => _advanced = true;

    /// <summary>Something ended. Only the first thing counts, or a later one that is final.</summary>
    /// <param name="what">for messages</param>
    public void Hear(string what, bool failed, bool final = false)
    {
        if (_first is not null && !final) return;
        (_first, _failed) = (what, failed);
    }

    /// <summary>All ranks are gone: decides whether the job is to be restarted, and says so where its messages go.</summary>
    /// <param name="lastEpoch">newest checkpoint; 0: none</param>
    /// <returns>false: it is over</returns>
    public bool Decide(string job, ulong lastEpoch, long nowMs)
    {
        if (_first is null || !_failed) return false;
        if (lastEpoch == 0) return Say($"job {job} failed: {_first}; it has no checkpoint to be restarted from");
        if (RestartBudget.Next((int)_policy.Most, (int)_policy.Left, _advanced) is not { } next)
            return Say($"job {job} failed: {_first}; it was restarted {_policy.Most} times since its newest checkpoint, and is given up");
        (_left, DueMs) = (next.Left, nowMs + next.DelayMs);
        Say($"job {job} failed: {_first}; it is restarted from its newest checkpoint in {next.DelayMs / 1000} s");
        return true;
    }

    /// <summary>Starts <c>trecr restart</c>, which becomes the launcher where there are several ranks.</summary>
    /// <returns>null: it runs; else why not</returns>
    public string? Start(string trecr, string job)
    {
        List<string> words = ["trecr", "restart", job, "--store", _store, .. _policy.Arguments, "--restarts-left", $"{_left}"];
        return DetachedProcess.Start(trecr, words, _environment, Directory.Exists(_directory) ? _directory : "/", _streams);
    }

    /// <summary>The same open file where we may take it, else the same file opened again, else nothing.</summary>
    private static int Stream(int pid, int number)
    {
        int pidfd = Sys.PidfdOpen(pid);
        int fd = pidfd < 0 ? pidfd : Sys.PidfdGetfd(pidfd, number);
        if (pidfd >= 0) Sys.Close(pidfd);
        if (fd >= 0) return fd;
        int again = (int)Sys.TryOpen($"/proc/{pid}/fd/{number}", (number == 0 ? Sys.O_RDONLY : Sys.O_WRONLY | Sys.O_APPEND) | Sys.O_NONBLOCK | Sys.O_CLOEXEC, 0);
        if (again < 0) return Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC);
        Sys.Raw(SyscallNumber.Fcntl, again, Sys.F_SETFL, Sys.Raw(SyscallNumber.Fcntl, again, Sys.F_GETFL, 0) & ~(long)Sys.O_NONBLOCK);
        return again;
    }

    /// <summary>On the job's stderr. A reader that does not read, or is gone, is not waited for.</summary>
    private unsafe bool Say(string text)
    {
        byte[] line = Encoding.UTF8.GetBytes($"trecr: {text}\n");
        if (Sys.Poll([new PollEntry { Fd = _streams[2], Events = Sys.POLLOUT }], 0) > 0)
            fixed (byte* bytes = line) Sys.Write(_streams[2], bytes, line.Length);
        return false;
    }

    public void Dispose()
    {
        foreach (int fd in _streams) Sys.Close(fd);
    }
}
