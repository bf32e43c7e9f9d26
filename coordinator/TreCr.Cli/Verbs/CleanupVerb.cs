using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr cleanup</c>: what dead jobs of this user left behind, and nobody else's.</summary>
internal static class CleanupVerb
{
    /// <summary>How long others may take: one who removes or makes files here, and a process that was killed. All of it is done at once, but on a machine that has no time.</summary>
    public const int OthersMs = 10_000;

    public static int Run(Arguments arguments)
    {
        List<string> removed = Clean(RuntimeDirectory.Open());
        if (arguments.Json) Output.Json("trecr.cleanup/1", j => j.WriteStrings("removed", removed));
        else if (removed.Count == 0) Output.Line("nothing to clean up");
        else foreach (string what in removed) Output.Line($"removed {what}");
        return 0;
    }

    /// <summary>Ends processes and removes files of jobs whose supervisor is dead.</summary>
    /// <returns>what was removed, one line each</returns>
    public static List<string> Clean(RuntimeDirectory directory)
    {
        List<string> removed = [];
        using IDisposable? alone = directory.TryLock(exclusive: true, OthersMs);
        if (alone is null) return removed; // somebody else is at it
        HashSet<string> sockets = [.. Directory.EnumerateFiles(directory.Path, "session-*.sock")]; // before the locks: a job that begins now is not in it
        foreach (string file in Directory.EnumerateFiles(directory.Path, "*.job"))
        {
            long fd = Sys.TryOpen(file, Sys.O_RDWR | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
            if (fd < 0) continue;
            try
            {
                if (Sys.Fstat((int)fd).UserId != Sys.EffectiveUserId()) continue;
                string job = Path.GetFileNameWithoutExtension(file);
                if (Sys.Flock((int)fd, Sys.LOCK_EX | Sys.LOCK_NB) < 0)
                {
                    sockets.Remove(RankSupervisor.SessionPathOf(directory, job)); // it runs
                    continue;
                }
                if (!JobLock.IsStill((int)fd, file)) continue; // removed since it was opened, and the name may be a new job's
                List<int> killed = [];
                foreach (string line in JobLock.ReadAll((int)fd).Split('\n'))
                {
                    string[] words = line.Split(' ');
                    if (words.Length != 3 || words[0] == "supervisor" || !int.TryParse(words[1], out int pid) || !long.TryParse(words[2], out long started) || started == 0) continue;
                    if (EndProcess(pid, started) is not (>= 0 and var pidfd)) continue;
                    killed.Add(pidfd);
                    removed.Add($"{words[0]} {pid} of job {job}");
                }
                Await(killed);
                File.Delete(file);
                removed.Add(file);
            }
            finally { Sys.Close((int)fd); }
        }
        foreach (string socket in sockets)
        {
            File.Delete(socket);
            removed.Add(socket);
        }
        return removed;
    }

    /// <summary>Waits until they have ended, as far as that happens in time.</summary>
    /// <param name="pidfds">closed</param>
    private static void Await(List<int> pidfds)
    {
        long end = Environment.TickCount64 + OthersMs;
        foreach (int pidfd in pidfds)
        {
            Span<PollEntry> ended = [new PollEntry { Fd = pidfd, Events = Sys.POLLIN }];
            Sys.Poll(ended, (int)Math.Max(0, end - Environment.TickCount64));
            Sys.Close(pidfd);
        }
    }

    /// <summary>Before a job begins: what can be removed is; what cannot be does not stop the job.</summary>
    public static void CleanQuietly(RuntimeDirectory directory)
    {
        try { Clean(directory); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException) { }
    }

    /// <summary>Kills a process where it is still the one that was noted: same start time, same user.</summary>
    /// <returns>its pidfd; negative: it is not there</returns>
    private static int EndProcess(int pid, long started)
    {
        int pidfd = Sys.PidfdOpen(pid);
        if (pidfd < 0) return -1;
        bool done = false;
        try
        {
            // The pidfd keeps the pid from meaning another process between the look and the signal.
            if (ProcessLook.StartTime(pid) != started) return -1;
            foreach (string line in File.ReadLines($"/proc/{pid}/status"))
            {
                if (!line.StartsWith("Uid:", StringComparison.Ordinal)) continue;
                if (!line[4..].Trim().StartsWith($"{Sys.EffectiveUserId()}\t", StringComparison.Ordinal)) return -1;
                break;
            }
            done = Sys.Raw(SyscallNumber.PidfdSendSignal, pidfd, Sys.SIGKILL, 0, 0) == 0;
            return done ? pidfd : -1;
        }
        catch (IOException) { return -1; }
        finally
        {
            if (!done) Sys.Close(pidfd);
        }
    }
}
