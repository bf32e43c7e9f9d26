using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// Commands and shared libraries of the administrator (files in /etc/trecr/hooks.d) and of the program (<c>--hook</c>) that are run around checkpoints and after restarts, one after another, each in
/// a process group of its own outside the job. One that fails or hangs is named; nothing waits longer for it than the time limit.
/// </summary>
internal sealed class JobHooks(string job, string store, IReadOnlyList<string> own, int timeoutSeconds)
{
    /// <summary>Directory of the administrator's hooks; TRECR_HOOKS_DIR names another.</summary>
    private const string DirectoryVariable = "TRECR_HOOKS_DIR", DefaultDirectory = "/etc/trecr/hooks.d";

    /// <summary>Hooks whose <see cref="HookEvent.BeforeCheckpoint"/> was run, in order.</summary>
    private readonly List<string> _begun = [];

    public IReadOnlyList<string> Own => own;
    public int TimeoutSeconds => timeoutSeconds;

    /// <summary>Full path of a hook as it was given.</summary>
    /// <returns>null: neither a command nor a shared library</returns>
    public static string? Resolve(string given)
    {
        string path = Path.GetFullPath(given);
        return File.Exists(path) && (SharedLibrary.Is(path) || Sys.CanExecute(path)) ? path : null;
    }

    /// <summary>Runs all hooks before a checkpoint.</summary>
    /// <exception cref="TrecrException">HookFailed: names the first that failed; the rest is not run</exception>
    public void Before(int program)
    {
        _begun.Clear();
        foreach (string hook in All())
        {
            _begun.Add(hook);
            if (Run(hook, HookEvent.BeforeCheckpoint, program, "", "") is { } failure)
                throw new TrecrException(TrecrError.HookFailed, $"no checkpoint is taken: the hook {hook} {failure}");
        }
    }

    /// <summary>Runs those that ran before the checkpoint, the last first. Failures are named on stderr.</summary>
    /// <param name="checkpoint">its id; empty: it failed</param>
    public void After(int program, string checkpoint)
    {
        string[] begun = [.. _begun];
        _begun.Clear();
        foreach (string hook in Enumerable.Reverse(begun)) Tell(hook, Run(hook, HookEvent.AfterCheckpoint, program, checkpoint, checkpoint.Length > 0 ? "committed" : "failed"), "after the checkpoint");
    }

    /// <summary>Runs all hooks after a restart. Failures are named on stderr; the program runs all the same.</summary>
    public void AfterRestart(int program, string checkpoint)
    {
        foreach (string hook in All()) Tell(hook, Run(hook, HookEvent.AfterRestart, program, checkpoint, "restarted"), "after the restart");
    }

    private static void Tell(string hook, string? failure, string when)
    {
        if (failure is not null) Output.Error(TrecrError.HookFailed, $"the hook {hook} {failure} {when}; the job goes on");
    }

    /// <summary>The administrator's by name, then the program's as they were given.</summary>
    private IEnumerable<string> All()
    {
        string directory = Environment.GetEnvironmentVariable(DirectoryVariable) is { Length: > 0 } other ? other : DefaultDirectory;
        string[] files = [];
        try { if (Directory.Exists(directory)) files = [.. Directory.EnumerateFiles(directory).Order(StringComparer.Ordinal)]; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { Output.Note($"the hooks in {directory} cannot be listed: {e.Message}"); }
        foreach (string file in files)
        {
            const int OthersWrite = 0x12; // S_IWGRP | S_IWOTH
            if (Sys.TryStatus(file) is not { } status || Resolve(file) is null) continue; // a README, a disabled hook
            if ((status.User == 0 || status.User == Sys.EffectiveUserId()) && (status.Mode & OthersWrite) == 0) yield return file;
            else Output.Note($"the hook {file} is not run: others than its owner may write it, or it belongs to another user");
        }
        foreach (string hook in own) yield return hook;
    }

    /// <returns>null: done; else how it failed</returns>
    private string? Run(string hook, HookEvent when, int program, string checkpoint, string result)
    {
        string name = when switch { HookEvent.BeforeCheckpoint => "before-checkpoint", HookEvent.AfterCheckpoint => "after-checkpoint", _ => "after-restart" };
        List<string> environment = [$"TRECR_JOB={job}", $"TRECR_EVENT={name}", $"TRECR_PID={program}", $"TRECR_STORE={store}", $"TRECR_CHECKPOINT={checkpoint}", $"TRECR_RESULT={result}"];
        HashSet<string> given = [.. environment.Select(e => e[..e.IndexOf('=')]), "TRECR_FAULT"]; // getenv(3) takes the first of a name
        environment.AddRange(OwnEnvironment.Words(without: given.Contains));
        (string path, string[] words) = SharedLibrary.Is(hook) ? (Installation.Trecr, ["trecr", SharedLibrary.VerbName, hook, name]) : (hook, (string[])[hook, name]);
        int standardError = Sys.Duplicate(2, 64), nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC), idle = Sys.Duplicate(nothing, 64);
        CloneResult child;
        try
        {
            using CloneTable table = new();
            table.Add("dup3", SyscallNumber.Dup3, idle, 0, 0);
            table.Add("dup3", SyscallNumber.Dup3, standardError, 1, 0);
            table.Add("dup3", SyscallNumber.Dup3, standardError, 2, 0);
            table.Add("close_range", SyscallNumber.CloseRange, 3, uint.MaxValue, 0);
            table.Add("setsid", SyscallNumber.Setsid);
            table.AddDefaultSignals();
            table.AddExecute(path, words, environment);
            child = table.Run();
        }
        finally
        {
            Sys.Close(standardError);
            Sys.Close(nothing);
            Sys.Close(idle);
        }
        if (!child.Succeeded) return $"cannot be started: {Errno.Describe(child.ErrorNumber)}";
        try { return WaitFor(child); }
        finally { Sys.Close(child.Pidfd); }
    }

    private string? WaitFor(CloneResult child)
    {
        Span<PollEntry> ended = [new PollEntry { Fd = child.Pidfd, Events = Sys.POLLIN }];
        bool late = Sys.Poll(ended, timeoutSeconds * 1000) == 0;
        if (late) Sys.Kill(-child.Pid, Sys.SIGKILL); // its group: it is the leader of a session
        Sys.Wait(child.Pid, Sys.WALL, out int status);
        if (late) return $"did not end within {timeoutSeconds} s and was killed (--hook-timeout)";
        return status == 0 ? null : (status & 0x7f) != 0 ? $"was ended by signal {status & 0x7f}" : $"failed with exit code {status >> 8}";
    }
}
