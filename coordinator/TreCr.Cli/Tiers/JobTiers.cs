using TreCr.Control;
using TreCr.Linux;
using TreCr.Store;
using TreCr.Store.Tiers;

namespace TreCr.Cli;

/// <summary>
/// The policy of a job: the file of <c>--policy</c> or TRECR_POLICY, else the copy that the job's last start left in the store, <c>STORE/policies/JOB.toml</c>. Beside the copy: <c>JOB.flush</c>, how far its
/// flush is, and <c>JOB.lock</c>, held by the process that flushes.
/// </summary>
internal static class JobTiers
{
    public const string Variable = "TRECR_POLICY";

    public static readonly Option PolicyOption = new("--policy", "FILE", "a TOML file that names further tiers for the checkpoints (docs/tiers.md; default: TRECR_POLICY, else the job's own)");

    public static string PolicyPath(string store, string job) => $"{store}/policies/{job}.toml";

    public static string ProgressPath(string store, string job) => $"{store}/policies/{job}.flush";

    public static string LockPath(string store, string job) => $"{store}/policies/{job}.lock";

    /// <summary>The policy that was given to this command.</summary>
    /// <returns>null: none was</returns>
    /// <exception cref="TrecrException">PolicyBad</exception>
    public static StorePolicy? Given(Arguments arguments)
    {
        string? path = arguments.Value(PolicyOption.Name) ?? Environment.GetEnvironmentVariable(Variable);
        return string.IsNullOrEmpty(path) ? null : Load(Path.GetFullPath(path));
    }

    /// <summary>The policy given, else that of the job.</summary>
    /// <param name="idOrJob">null: no job is meant</param>
    /// <returns>null: there is none</returns>
    /// <exception cref="TrecrException">PolicyBad</exception>
    public static StorePolicy? Find(Arguments arguments, string store, string? idOrJob)
    {
        if (Given(arguments) is { } given) return given;
        if (idOrJob is null) return null;
        foreach (string job in SnapshotStore.TryParseId(idOrJob, out string ofId, out _) ? (string[])[idOrJob, ofId] : [idOrJob])
            if (JobName.IsValid(job) && File.Exists(PolicyPath(store, job))) return Load(PolicyPath(store, job));
        return null;
    }

    /// <summary>Jobs of a store that have a policy.</summary>
    public static IReadOnlyList<string> Jobs(string store)
        => Directory.Exists($"{store}/policies") ? [.. Directory.GetFiles($"{store}/policies", "*.toml").Select(f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal)] : [];

    /// <summary>Leaves a copy in the store for the commands that come later.</summary>
    public static void Save(string store, string job, StorePolicy policy)
    {
        Directory.CreateDirectory($"{store}/policies", WholeFile.Private | UnixFileMode.UserExecute);
        WholeFile.Replace(PolicyPath(store, job), System.Text.Encoding.UTF8.GetBytes(policy.Text), durable: false, WholeFile.Private);
    }

    /// <summary>The right to flush a job.</summary>
    /// <returns>null: another process has it for longer than the limit</returns>
    public static IDisposable? TryLock(string store, string job, int limitMs)
    {
        Directory.CreateDirectory($"{store}/policies", WholeFile.Private | UnixFileMode.UserExecute);
        int fd = Sys.Open(LockPath(store, job), Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + limitMs; ; never.Wait(50))
        {
            if (Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0) return new Lock(fd);
            if (Environment.TickCount64 < end) continue;
            Sys.Close(fd);
            return null;
        }
    }

    /// <summary>Whether a process flushes a job now; not by its pid, which another one may have got.</summary>
    public static bool IsLocked(string store, string job)
    {
        int fd = (int)Sys.TryOpen(LockPath(store, job), Sys.O_RDONLY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) return false;
        try { return Sys.Flock(fd, Sys.LOCK_SH | Sys.LOCK_NB) < 0; }
        finally { Sys.Close(fd); }
    }

    private static StorePolicy Load(string path)
    {
        try { return StorePolicy.Load(path); }
        catch (PolicyException e) { throw new TrecrException(TrecrError.PolicyBad, e.Message, e); }
    }

    private sealed class Lock(int fd) : IDisposable
    {
        public void Dispose() => Sys.Close(fd);
    }
}
