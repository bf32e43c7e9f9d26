using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>A program in a session of its own, with exactly the descriptors that it is given. It outlives us; where we outlive it, it is reaped.</summary>
internal static class DetachedProcess
{
    private const int Aside = 64;

    /// <param name="descriptors">become its 0, 1, 2, …; stay the caller's</param>
    /// <returns>null: it runs; else why not</returns>
    public static string? Start(string path, IReadOnlyList<string> words, IReadOnlyList<string> environment, string directory, ReadOnlySpan<int> descriptors)
    {
        int[] copies = new int[descriptors.Length];
        for (int i = 0; i < copies.Length; i++) copies[i] = Sys.Duplicate(descriptors[i], Aside);
        try
        {
            using CloneTable table = new();
            for (int i = 0; i < copies.Length; i++) table.Add("dup3", SyscallNumber.Dup3, copies[i], i, 0);
            table.Add("close_range", SyscallNumber.CloseRange, copies.Length, uint.MaxValue, 0);
            table.Add("setsid", SyscallNumber.Setsid);
            table.Add("chdir", SyscallNumber.Chdir, table.Text(directory));
            table.AddDefaultSignals();
            table.AddExecute(path, words, environment);
            CloneResult result = table.Run();
            if (!result.Succeeded) return $"{result.FailedStep}: {Errno.Describe(result.ErrorNumber)}";
            int pidfd = result.Pidfd, pid = result.Pid;
            new Thread(() =>
            {
                Span<PollEntry> ended = [new PollEntry { Fd = pidfd, Events = Sys.POLLIN }];
                Sys.Poll(ended, -1);
                Sys.Wait(pid, Sys.WNOHANG, out _);
                Sys.Close(pidfd);
            }, 128 * 1024)
            { IsBackground = true, Name = "reaper" }.Start();
            return null;
        }
        finally
        {
            foreach (int fd in copies) Sys.Close(fd);
        }
    }
}
