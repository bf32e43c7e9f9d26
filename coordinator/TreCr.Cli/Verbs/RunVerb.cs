using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Process.Launch;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary><c>trecr run</c>.</summary>
internal static class RunVerb
{
    /// <summary>Names in the environment of a program that runs under TreCr.</summary>
    public const string SessionVariable = "TRECR_SESSION", JobVariable = "TRECR_JOB";

    /// <summary>Is ours, not the program's (docs/environment.md).</summary>
    private const string FaultVariable = "TRECR_FAULT";

    public static int Run(Arguments arguments)
    {
        if (Environment.GetEnvironmentVariable(SessionVariable) is { Length: > 0 })
            throw new TrecrException(TrecrError.RunInsideRun, $"cannot run {arguments.Command[0]}: this shell or script is itself run by trecr (job {Environment.GetEnvironmentVariable(JobVariable)})");
        string device = Device(arguments);
        JobOptions options = JobOptions.Read(arguments) with { Portable = arguments.Has("--portable") };
        string? name = arguments.Value("--job");
        if (name is not null && !JobName.IsValid(name)) throw new TrecrException(TrecrError.JobNameBad, $"bad --job '{name}'");
        (LauncherProcess? launcher, LaunchSlot slot) = FindLaunch(arguments);
        string program = ProgramFile.Find(arguments.Command[0]);
        string store = Installation.Store(arguments);
        ulong lastEpoch;
        RuntimeDirectory directory = RuntimeDirectory.Open();
        CleanupVerb.CleanQuietly(directory);
        JobJournal.RemoveOld();
        JobLock jobLock;
        using (SnapshotStore opened = SnapshotStore.Open(store))
        {
            jobLock = TakeName(directory, opened, store, name, arguments.Command[0], slot);
            lastEpoch = opened.NextEpoch(jobLock.Name) - 1;
        }
        try { JobCoordinator.RequireFree(store, jobLock.Name, slot, TrecrError.JobNameTaken, $"cannot run as job {jobLock.Name}"); }
        catch
        {
            jobLock.Dispose();
            throw;
        }
        if (options.Policy is { } policy) lastEpoch = Math.Max(lastEpoch, new Store.Tiers.TierSet(policy).LastEpoch(jobLock.Name)); // the store may have been lost since
        if (ProgramFile.IsStatic(program))
            Output.Note($"note: {program} is a static program, so its CUDA calls, if it makes any, cannot be taken over; it runs and can be saved as long as it makes none");
        RankNamespace space;
        try { space = RankNamespace.Start(new NamespaceOptions { InitPath = Installation.Init }); }
        catch (LaunchException e)
        {
            jobLock.Dispose();
            throw new TrecrException(TrecrError.NoNamespaces, $"cannot run {program}: {e.Message}");
        }
        catch
        {
            jobLock.Dispose();
            throw;
        }
        using RankSupervisor supervisor = new(directory, jobLock, slot, store, device, space, lastEpoch)
        {
            Launcher = launcher, LauncherLine = launcher?.Line ?? [], LauncherDirectory = launcher?.Directory ?? "",
            ProgramPath = program, Command = arguments.Command, WorkingDirectory = Environment.CurrentDirectory, Options = options, Streams = StandardStreams.Create(),
        };
        (string Hash, string Directory)? wrapper = WrapperCopy.Ensure(store);
        supervisor.WrapperHash = wrapper?.Hash ?? "";
        supervisor.SavePolicy();
        supervisor.Prepare();
        SpawnedProcess process;
        try
        {
            process = space.SpawnProgram(program, arguments.Command, ProgramEnvironment(supervisor, wrapper?.Directory), supervisor.WorkingDirectory,
                supervisor.Streams.ProgramEnds, supervisor.Streams.IsControllingTerminal, Environment.ProcessId);
        }
        catch (LaunchException e)
        {
            TrecrError error = e.ExitCode switch { 127 => TrecrError.NoSuchProgram, 126 => TrecrError.NotExecutable, _ => TrecrError.CannotStart };
            throw new TrecrException(error, $"cannot run {e.Message}");
        }
        supervisor.Begin(process, [], inputEnded: false);
        return Finish(supervisor);
    }

    /// <summary>Signal by which this process ends, so that the launcher sees of the program what it would have seen of it alone; 0: it exits.</summary>
    public static int EndSignal { get; set; }

    /// <summary>What this process becomes after a failure of the program, and after how long; null: it ends.</summary>
    public static (IReadOnlyList<string> Words, int DelayMs)? RestartInPlace { get; set; }

    /// <summary>The launcher above us, and which rank it says this is.</summary>
    /// <exception cref="TrecrException">LaunchUnclear; Usage: an option that means nothing below this launcher</exception>
    public static (LauncherProcess? Launcher, LaunchSlot Slot) FindLaunch(Arguments arguments)
    {
        LauncherProcess? launcher = LauncherProcess.Find();
        LaunchSlot slot = LaunchSlot.Find(launcher);
        // Slurm ends all that a step has started, the coordinator as well.
        if (slot.Launcher == LaunchSlot.Slurm && arguments.Has("--restart-on-failure"))
            throw arguments.Usage("--restart-on-failure: not below srun, which leaves nobody behind who could do it; let the batch script call srun again, with trecr restart (docs/recovery.md)");
        if (slot.IsOneOfSeveral) Output.Speaker = $"rank {slot.Rank}: ";
        return (slot.Launcher.Length > 0 ? launcher : null, slot);
    }

    /// <summary>Waits for the end of a job that was begun.</summary>
    public static int Finish(RankSupervisor supervisor)
    {
        int code = supervisor.WaitForEnd();
        (EndSignal, RestartInPlace) = (supervisor.EndSignal, supervisor.RestartInPlace);
        if (supervisor.StoppedAt.Length > 0 && supervisor.Slot.Rank == 0) Output.Note($"job {supervisor.Job} was stopped with checkpoint {supervisor.StoppedAt}; `trecr restart {supervisor.Job}` goes on from there");
        return code;
    }

    public static string Device(Arguments arguments)
        => arguments.Value("--device") switch
        {
            null => "auto",
            "auto" or "soft" or "cuda" => arguments.Value("--device")!,
            { } other => throw arguments.Usage($"--device {other}: auto, soft or cuda"),
        };

    private static JobLock TakeName(RuntimeDirectory directory, SnapshotStore store, string storePath, string? name, string program, LaunchSlot slot)
    {
        if (name is null && slot.IsOneOfSeveral) // all find the same: there is no checkpoint of this job before all have begun
            for (int attempt = 1; name is null; attempt++)
                if (store.NextEpoch(slot.JobName(program, attempt)) == 1) name = slot.JobName(program, attempt);
        if (name is not null)
            return JobLock.TryTake(directory, storePath, name, slot, out string where) ?? throw new TrecrException(TrecrError.JobNameTaken, $"cannot run as job {name}: a job that runs{where} has this name");
        string stem = JobName.FromProgram(program);
        for (int n = 1; ; n++)
            if (store.NextEpoch($"{stem}-{n}") == 1 && JobLock.TryTake(directory, storePath, $"{stem}-{n}", slot, out _) is { } taken) return taken;
    }

    private static List<string> ProgramEnvironment(RankSupervisor supervisor, string? wrapperDirectory)
    {
        const string LibraryPath = "LD_LIBRARY_PATH", Preload = "LD_PRELOAD=";
        List<string> environment = [];
        string? path = null;
        foreach (System.Collections.DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            string key = (string)entry.Key;
            if (key is SessionVariable or JobVariable or FaultVariable or NvrtcFront.Variable || LaunchSlot.DescriptorVariables.Contains(key) || StoreKeySource.IsAboutKey(key)) continue;
            if (key == LibraryPath && wrapperDirectory is not null) path = (string?)entry.Value;
            else environment.Add($"{key}={entry.Value}");
        }
        environment.Add($"{SessionVariable}={supervisor.SessionPath}");
        environment.Add($"{JobVariable}={supervisor.Job}");
        if (wrapperDirectory is null) return environment;
        string front = wrapperDirectory;
        if (NvrtcFront.Ensure(wrapperDirectory, path) is { } nvrtc)
        {
            front += $":{nvrtc.Directory}";
            environment.Add($"{NvrtcFront.Variable}={nvrtc.Library}");
        }
        if (supervisor.Slot.Launcher.Length > 0 || ProgramFile.NeedsMpi(supervisor.ProgramPath))
        {
            // Before the MPI library, which stays dormant; behind what the user puts there himself, such as a profiler.
            int at = environment.FindIndex(e => e.StartsWith(Preload, StringComparison.Ordinal));
            string wrapper = $"{wrapperDirectory}/libcuda.so.1", given = at < 0 ? "" : environment[at][Preload.Length..];
            if (at >= 0) environment.RemoveAt(at);
            environment.Add(given.Length == 0 ? $"{Preload}{wrapper}" : $"{Preload}{given}:{wrapper}");
            // MPICH's UCX would install signal handlers by being loaded, before the runtime's own.
            environment.RemoveAll(e => e.StartsWith("UCX_ERROR_SIGNALS=", StringComparison.Ordinal) || e.StartsWith("UCX_DEBUG_SIGNO=", StringComparison.Ordinal));
            environment.AddRange(["UCX_ERROR_SIGNALS=", "UCX_DEBUG_SIGNO=0"]);
        }
        // An empty element would mean the working directory.
        environment.Add(string.IsNullOrEmpty(path) ? $"{LibraryPath}={front}" : $"{LibraryPath}={front}:{path}");
        return environment;
    }
}
