using System.Diagnostics;
using TreCr.Api;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Launch;
using TreCr.Rank;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary><c>trecr restart</c>: checks first, touches nothing before; then namespace, delegators, process, and only then they run.</summary>
internal static class RestartVerb
{
    private const int DelegatorMs = 300_000, EngineMs = 300_000;

    public static int Run(Arguments arguments)
    {
        long start = Stopwatch.GetTimestamp();
        StepTiming timing = new();
        string wanted = arguments.Operands[0];
        if (Environment.GetEnvironmentVariable(RunVerb.SessionVariable) is { Length: > 0 })
            throw new TrecrException(TrecrError.RunInsideRun, $"cannot restart {wanted}: this shell or script is itself run by trecr (job {Environment.GetEnvironmentVariable(RunVerb.JobVariable)})");
        string device = RunVerb.Device(arguments), path = Installation.Store(arguments);
        JobOptions options = JobOptions.Read(arguments);
        RestartChanges changes = new(arguments);
        (LauncherProcess? launcher, LaunchSlot slot) = RunVerb.FindLaunch(arguments);
        RuntimeDirectory directory = RuntimeDirectory.Open();
        CleanupVerb.CleanQuietly(directory);
        JobManifest manifest;
        RankState state;
        ulong lastEpoch;
        JobLock jobLock;
        // With a policy the store itself may be gone.
        Store.Tiers.StorePolicy? policy = options.Policy ?? JobTiers.Find(arguments, path, wanted);
        options = options with { Policy = policy };
        using (SnapshotStore store = policy is null ? StoreVerbs.Open(arguments) : SnapshotStore.Open(path, new StoreOptions { TrustOtherOwner = arguments.Has("--trust") }))
        {
            if (policy is not null) wanted = MakeWhole(store, policy, wanted);
            manifest = Find(store, wanted);
            if (CheckpointStore.IsOfProgram(manifest))
                throw new TrecrException(TrecrError.ProgramsOwn, $"cannot restart {manifest.CheckpointId}: a program has taken it itself, of what it named ({string.Join(' ', manifest.Command)})");
            if (slot.Launcher.Length == 0 && (manifest.Ranks.Count > 1 || arguments.Value("--launcher") is not null)) return Relaunch.Run(store, manifest, arguments);
            if (manifest.Ranks.Count != slot.Size)
                throw new TrecrException(TrecrError.WrongRanks, $"cannot restart {manifest.CheckpointId}: it has {manifest.Ranks.Count} {(manifest.Ranks.Count == 1 ? "rank" : "ranks")}, and {slot.Launcher} has started {slot.Size}");
            if (RankRecord.Of(manifest, slot.Rank) is { Ended: true } ended)
            {
                Output.Note($"the program of this rank had ended with {ended.ExitCode} before {manifest.CheckpointId}");
                return ended.ExitCode;
            }
            jobLock = JobLock.TryTake(directory, path, manifest.Job, slot, out string where) ?? throw new TrecrException(TrecrError.StillRunning, $"cannot restart {manifest.CheckpointId}: job {manifest.Job} is running{where}");
            try
            {
                JobCoordinator.RequireFree(path, manifest.Job, slot, TrecrError.StillRunning, $"cannot restart {manifest.CheckpointId}");
                if (manifest.Imported && !arguments.Has("--trust")) throw new TrecrException(TrecrError.OtherUser, $"cannot restart {manifest.CheckpointId}: it was imported");
                if (manifest.UserId != Sys.EffectiveUserId() && !arguments.Has("--trust"))
                    throw new TrecrException(TrecrError.OtherUser, $"cannot restart {manifest.CheckpointId}: it was taken by user {manifest.UserId}");
                state = RankRecord.Read(store, manifest, slot.Rank);
                lastEpoch = store.NextEpoch(manifest.Job) - 1;
                if (policy is not null) lastEpoch = Math.Max(lastEpoch, new Store.Tiers.TierSet(policy).LastEpoch(manifest.Job));
                WrapperCopy.Restore(store, manifest, state.WrapperHash);
                device = CheckDevice(manifest, state, device);
                CheckMachine(manifest, state, path, changes);
            }
            catch
            {
                jobLock.Dispose();
                throw;
            }
        }
        timing.Mark("checks");
        return Restart(manifest, state, directory, jobLock, launcher, slot, path, device, lastEpoch, start, options, changes, timing);
    }

    /// <summary>Brings what the store lacks from the nearest tiers that have it.</summary>
    /// <returns>the checkpoint's id</returns>
    private static string MakeWhole(SnapshotStore store, Store.Tiers.StorePolicy policy, string wanted)
    {
        Store.Tiers.WholeReport report;
        try { report = new Store.Tiers.TierSet(policy).MakeWhole(store, wanted); }
        catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound) { throw new TrecrException(TrecrError.NoSuchCheckpoint, $"cannot restart {wanted}: {e.Message}", e); }
        foreach (string note in report.Notes) Output.Note($"note: {note}");
        if (report.Frames > 0)
            Output.Note($"{report.Checkpoint.CheckpointId}: {report.Frames} frames were missing or damaged in {store.Location} and came from {string.Join(", ", report.From.Select(f => $"tier {f.Tier} ({f.Frames})"))}"
                + (report.ComputedUnits > 0 ? $"; {report.ComputedUnits} pieces of lost nodes were computed" : ""));
        return report.Checkpoint.CheckpointId;
    }

    private static JobManifest Find(SnapshotStore store, string wanted)
    {
        try { return store.FindCheckpoint(wanted); }
        catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound) { throw new TrecrException(TrecrError.NoSuchCheckpoint, $"cannot restart {wanted}: {e.Message}", e); }
    }

    /// <summary>A device's state goes back to the kind of device that it came from.</summary>
    private static string CheckDevice(JobManifest manifest, RankState state, string device)
    {
        string saved = state.Sessions.Select(s => s.DeviceKind).FirstOrDefault(k => k.Length > 0) ?? "";
        if (saved.Length == 0) return device == "auto" ? state.DeviceKind : device;
        if (device == "soft" && saved == "cuda")
        {
            if (manifest.GpuOnlyModules > 0)
                throw new TrecrException(TrecrError.WrongDevice, $"cannot restart {manifest.CheckpointId} with --device soft: it is for GPUs only ({state.Sessions[0].DeviceName}), since {manifest.GpuOnlyModules} of its modules cannot go: {string.Join("; ", manifest.GpuOnlyReasons)}");
            if (!state.Portable) Output.Note($"note: {manifest.CheckpointId} was run without --portable: what its libraries load from now on may have no PTX");
            return device;
        }
        if (device != "auto" && device != saved)
            throw new TrecrException(TrecrError.WrongDevice, $"cannot restart {manifest.CheckpointId} with --device {device}: its device was {saved} ({state.Sessions[0].DeviceName})");
        if (saved == "cuda" && !File.Exists("/dev/nvidiactl"))
            throw new TrecrException(TrecrError.WrongDevice, $"cannot restart {manifest.CheckpointId}: it used a GPU ({state.Sessions[0].DeviceName}), and there is none here (/dev/nvidiactl){(manifest.GpuOnlyModules == 0 ? "; `--device soft` restarts it on the software device" : "")}");
        return saved;
    }

    private static void CheckMachine(JobManifest manifest, RankState state, string store, RestartChanges changes)
    {
        List<string> reasons = [];
        if (state.Machine != HostFacts.Machine) reasons.Add($"it was taken on {state.Machine}, this is {HostFacts.Machine}");
        string[] missing = [.. state.CpuFlags.Except(HostFacts.CpuFlags).Where(MattersToPrograms)];
        if (missing.Length > 0) reasons.Add($"this CPU lacks what the program may use: {string.Join(' ', missing)}");
        if (KernelVersion(HostFacts.KernelRelease) < KernelVersion(state.KernelRelease)) reasons.Add($"it was taken on kernel {state.KernelRelease}, this older one is {HostFacts.KernelRelease}");
        if (reasons.Count > 0)
            throw new TrecrException(TrecrError.OtherMachine, $"cannot restart {manifest.CheckpointId} here: {reasons[0]}") { Findings = reasons };
        if (state.WrapperHash.Length > 0 && !File.Exists($"{WrapperCopy.DirectoryOf(store, state.WrapperHash)}/libcuda.so.1"))
            throw new TrecrException(TrecrError.RestoreRefused, $"cannot restart {manifest.CheckpointId}: the wrapper library that the program has mapped is missing: {WrapperCopy.DirectoryOf(store, state.WrapperHash)}/libcuda.so.1");
        if (!Directory.Exists(changes.WorkingDirectory(state.WorkingDirectory)))
            throw new TrecrException(TrecrError.RestoreRefused, $"cannot restart {manifest.CheckpointId}: its working directory {changes.WorkingDirectory(state.WorkingDirectory)} is missing");
    }

    /// <summary>Instruction sets that a program chooses at its start; not what only the kernel uses.</summary>
    private static bool MattersToPrograms(string flag)
        => flag.StartsWith("avx", StringComparison.Ordinal) || flag.StartsWith("sse", StringComparison.Ordinal) || flag.StartsWith("bmi", StringComparison.Ordinal)
            || flag.StartsWith("amx", StringComparison.Ordinal) || flag is "ssse3" or "popcnt" or "aes" or "pclmulqdq" or "fma" or "f16c" or "movbe" or "adx" or "rdrand" or "rdseed" or "sha_ni" or "vaes"
            or "vpclmulqdq" or "gfni" or "xsave" or "xsavec" or "erms" or "fsgsbase";

    private static Version KernelVersion(string release)
    {
        string[] numbers = release.Split('.', '-');
        return numbers.Length >= 2 && int.TryParse(numbers[0], out int major) && int.TryParse(numbers[1], out int minor) ? new Version(major, minor) : new Version(0, 0);
    }

    /// <summary>A restore that failed on the way may have failed because of the image: then that is the error.</summary>
    private static void ThrowIfDamaged(string store, JobManifest manifest)
    {
        using SnapshotStore opened = SnapshotStore.OpenExisting(store);
        VerifyReport report = opened.Verify(manifest.CheckpointId);
        if (report.Problems.Count > 0)
            throw new TrecrException(StoreErrors.For(report.Problems[0].Kind), $"cannot restart {manifest.CheckpointId}: {report.Problems[0].Message}");
    }

    /// <summary>Of another process of the program than the root.</summary>
    private static int HostPidOf(RankNamespace space, int pid, JobManifest manifest)
    {
        try
        {
            SpawnedProcess process = space.AdoptProgram(pid);
            Sys.Close(process.Pidfd);
            return process.HostPid;
        }
        catch (LinuxException e) { throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: process {pid} is not in it ({e.Message})"); }
    }

    private static int Restart(JobManifest manifest, RankState state, RuntimeDirectory directory, JobLock jobLock, LauncherProcess? launcher, LaunchSlot slot, string store, string device, ulong lastEpoch, long start, JobOptions options,
        RestartChanges changes, StepTiming timing)
    {
        // Clocks go on where they were.
        long monotonic = state.MonotonicNs - Sys.ClockNs(1), boottime = state.BoottimeNs - Sys.ClockNs(7);
        RankNamespace space;
        try { space = RankNamespace.Start(new NamespaceOptions { InitPath = Installation.Init, MonotonicOffsetNs = monotonic, BoottimeOffsetNs = boottime }); }
        catch (Exception e)
        {
            jobLock.Dispose();
            throw e is LaunchException ? new TrecrException(TrecrError.NoNamespaces, $"cannot restart {manifest.CheckpointId}: {e.Message}") : e;
        }
        timing.Mark("namespaces, init");
        if (state.HostName.Length > 0 && state.HostName != HostFacts.HostName) Output.Note($"note: {manifest.CheckpointId} was taken on {state.HostName}, this is {HostFacts.HostName}");
        // The job's own hooks, unless others are given here.
        if (options.Hooks.Count == 0) options = options with { Hooks = [.. state.Hooks.Select(changes.PathOf)] };
        if (options.HookTimeoutSeconds == 0) options = options with { HookTimeoutSeconds = (int)state.HookTimeoutS };
        options = options with { Portable = state.Portable };
        using RankSupervisor supervisor = new(directory, jobLock, slot, store, device, space, lastEpoch)
        {
            Launcher = launcher, LauncherLine = launcher?.Line ?? state.Launcher, LauncherDirectory = launcher?.Directory ?? state.LauncherDirectory,
            ProgramPath = changes.PathOf(state.ProgramPath), Command = state.Command, WorkingDirectory = changes.WorkingDirectory(state.WorkingDirectory), WrapperHash = state.WrapperHash, Options = options,
            MonotonicOffsetNs = monotonic, BoottimeOffsetNs = boottime, Streams = StandardStreams.CreateAgain(state.Streams, state.TerminalSettings.ToByteArray()),
        };
        supervisor.AddEnded(manifest.Ranks.Where(r => r.Ended).Select(r => new EndedRank { Rank = r.Rank, ExitCode = r.ExitCode, Host = r.Host }));
        if (state.SessionPath.Length > 0 && state.SessionPath != supervisor.SessionPath)
            Output.Note($"note: the program looks for new delegators at {state.SessionPath}, which is not in this runtime directory: a process that begins to use CUDA only now cannot");
        List<(DelegatorProcess Process, int[] Descriptors)> delegators = [];
        List<DevicePages> pages = [];
        List<(string Kind, string Name)> devices = []; // of the delegators
        try
        {
            foreach (SessionState session in state.Sessions)
            {
                DelegatorProcess delegator = DelegatorProcess.Start(supervisor.Job, store, device, supervisor.Options.MaxExtraMemoryBytes, supervisor.Options.Portable, $"delegator of process {session.Pid}");
                jobLock.Note("delegator", delegator.HostPid);
                delegators.Add((delegator, []));
            }
            for (int i = 0; i < delegators.Count; i++)
            {
                SnapshotReference image = RankRecord.Find(manifest, slot.Rank, RankRecord.DelegatorRole).FirstOrDefault(s => s.Pid == state.Sessions[i].Pid)
                    ?? throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: it has no device snapshot of process {state.Sessions[i].Pid}");
                Reply answer = delegators[i].Process.Peer.Ask(new Request { DelegatorRestore = new DelegatorRestoreRequest { ManifestHash = image.ManifestHash, Lazy = changes.Lazy } }, DelegatorMs, TrecrError.RestoreFailed, [], out int[] descriptors);
                foreach (string note in answer.Findings) Output.Note($"note: {note}");
                devices.Add((answer.DeviceKind, answer.DeviceName));
                if (descriptors.Length == 5) pages.Add(new DevicePages(supervisor, image.ManifestHash, descriptors[3..]));
                if (descriptors.Length == 5) descriptors = descriptors[..3];
                delegators[i] = (delegators[i].Process, descriptors);
                if (descriptors.Length != 3) throw new TrecrException(TrecrError.RestoreFailed, $"cannot restart {manifest.CheckpointId}: the delegator gave {descriptors.Length} descriptors, not 3");
            }
            timing.Mark("delegators");
            SnapshotReference process = RankRecord.Find(manifest, slot.Rank, RankRecord.ProcessRole).FirstOrDefault()
                ?? throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: it has no process snapshot");
            EngineProcess engine = supervisor.Engine();
            supervisor.Prepare(); // while the engine starts
            timing.Mark("engine, begun");
            ProcessRestoreRequest restore = new() { ManifestHash = process.ManifestHash, SessionCount = (uint)delegators.Count, Meeting = supervisor.Meeting };
            changes.AddTo(restore);
            restore.SessionNumbers.AddRange(state.Sessions.Select(s => s.Number));
            Reply restored = engine.Peer.Ask(new Request { ProcessRestore = restore }, EngineMs, TrecrError.RestoreFailed, [.. supervisor.Streams.ProgramEnds, .. delegators.SelectMany(d => d.Descriptors)], out int[] lazy);
            timing.Add("restore", restored);
            timing.Mark("restore, all");
            foreach (string note in restored.Findings) Output.Note($"note: {note}");
            SpawnedProcess program = space.AdoptProgram(restored.Pid);
            changes.Apply(space.InitPid, program.HostPid);
            foreach ((SnapshotReference reference, string role) in RankRecord.Of(manifest, slot.Rank)!.Snapshots.Select(s => (s, s.Role))) supervisor.SetBase(role, reference.Pid, reference.ManifestHash, manifest.CheckpointId);
            supervisor.SavePolicy();
            supervisor.Hooks.AfterRestart(program.HostPid, manifest.CheckpointId);
            int[] hostPids = [.. state.Sessions.Select(s => s.Pid == program.Pid ? program.HostPid : HostPidOf(space, s.Pid, manifest))]; // a process that runs may end at once
            if (state.Mpi is { } mpi) supervisor.RestoreMpi(mpi, mpi.Pid == program.Pid ? program.HostPid : HostPidOf(space, mpi.Pid, manifest), manifest.Epoch);
            Reply released = engine.Peer.Ask(new Request { Release = new ReleaseRequest() }, EngineMs, TrecrError.RestoreFailed, [], out int[] terminals);
            supervisor.KeepTerminals(terminals);
            timing.Add("release", released);
            timing.Mark("release, all");
            for (int i = 0; i < delegators.Count; i++)
            {
                SessionState saved = state.Sessions[i];
                delegators[i].Process.Peer.Ask(new Request { Serve = new ServeRequest { HostPid = hostPids[i] } }, DelegatorMs, TrecrError.RestoreFailed);
                Session session = new(saved.Number, saved.Pid, hostPids[i], saved.ConnectionDescriptor, delegators[i].Process) { DeviceKind = devices[i].Kind, DeviceName = devices[i].Name };
                supervisor.Listener.Adopt(session);
            }
            supervisor.Begin(program, state.UnreadInput.Span, state.InputEnded);
            foreach (DevicePages devicePages in pages) devicePages.Start(); // who cannot bring them kills the program, which the supervisor has to know by then
            supervisor.KeepLazily(process.ManifestHash, lazy);
            timing.Mark("began to serve it");
            timing.Print($"{manifest.CheckpointId}, restart");
            Output.Note($"restarted {manifest.CheckpointId} in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms");
        }
        catch (Exception e)
        {
            foreach ((DelegatorProcess process, _) in delegators) process.Dispose();
            foreach (DevicePages devicePages in pages) devicePages.Dispose();
            if (slot.IsOneOfSeveral) RunVerb.EndSignal = Sys.SIGTERM; // the other ranks are no job without this one
            if (e is TrecrException wrong && wrong.Error == TrecrError.WrongDevice)
                throw new TrecrException(wrong.Error, $"cannot restart {manifest.CheckpointId}: {wrong.Message}", wrong) { Findings = wrong.Findings };
            if (e is not TrecrException failure || !(failure.Error == TrecrError.RestoreFailed || failure.Error == TrecrError.EngineLost || failure.Error == TrecrError.DelegatorLost || failure.Error == TrecrError.Deadline)) throw;
            ThrowIfDamaged(store, manifest);
            throw new TrecrException(TrecrError.RestoreFailed, $"cannot restart {manifest.CheckpointId}: {failure.Message}", failure) { Findings = failure.Findings };
        }
        finally
        {
            foreach ((_, int[] descriptors) in delegators)
                foreach (int fd in descriptors) Sys.Close(fd);
        }
        return RunVerb.Finish(supervisor);
    }
}
