using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr cleanup</c>: what dead jobs of this user left behind, and nobody else's.</summary>
internal static class CleanupVerb
{
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
                foreach (string line in ReadAll((int)fd).Split('\n'))
                {
                    string[] words = line.Split(' ');
                    if (words.Length != 3 || words[0] == "supervisor" || !int.TryParse(words[1], out int pid) || !long.TryParse(words[2], out long started) || started == 0) continue;
                    if (EndProcess(pid, started)) removed.Add($"{words[0]} {pid} of job {job}");
                }
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

    /// <summary>Through the descriptor that holds the lock: File.Open would ask for a lock (flock) of its own.</summary>
    private static unsafe string ReadAll(int fd)
    {
        byte* buffer = stackalloc byte[16384];
        long n = Sys.Pread(fd, buffer, 16384, 0);
        return n <= 0 ? "" : System.Text.Encoding.ASCII.GetString(buffer, (int)n);
    }

    /// <summary>Before a job begins: what can be removed is; what cannot be does not stop the job.</summary>
    public static void CleanQuietly(RuntimeDirectory directory)
    {
        try { Clean(directory); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException) { }
    }

    /// <summary>Kills a process where it is still the one that was noted: same start time, same user.</summary>
    private static bool EndProcess(int pid, long started)
    {
        int pidfd = Sys.PidfdOpen(pid);
        if (pidfd < 0) return false;
        try
        {
            // The pidfd keeps the pid from meaning another process between the look and the signal.
            if (JobLock.StartTime(pid) != started) return false;
            foreach (string line in File.ReadLines($"/proc/{pid}/status"))
            {
                if (!line.StartsWith("Uid:", StringComparison.Ordinal)) continue;
                if (!line[4..].Trim().StartsWith($"{Sys.EffectiveUserId()}\t", StringComparison.Ordinal)) return false;
                break;
            }
            return Sys.Raw(SyscallNumber.PidfdSendSignal, pidfd, Sys.SIGKILL, 0, 0) == 0;
        }
        catch (IOException) { return false; }
        finally { Sys.Close(pidfd); }
    }
}
