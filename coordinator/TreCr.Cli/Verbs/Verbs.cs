using TreCr.Control;

namespace TreCr.Cli;

/// <summary>All verbs.</summary>
internal static class Verbs
{
    private static readonly Option s_device = new("--device", "KIND", "auto (default: a GPU where there is one), soft, cuda");

    public static IReadOnlyList<Verb> All { get; } =
    [
        new("run", "[--job NAME] [--device KIND] -- CMD...", "runs a program under TreCr; the exit code is the program's",
            [new("--job", "NAME", "name of the job (default: the program's name and a number)"), s_device, new("--portable", "", "tell the program of a device for which libraries choose PTX, on a GPU too, so that the job can move to the software device"), .. JobOptions.Options],
            ["trecr run -- ./app 10", "trecr run --job heat --device soft -- ./heat2d 4096", "trecr run --interval 600 -- ./app"], RunVerb.Run) { TakesCommand = true },
        new("checkpoint", "JOB [--stop]", "saves a running job; prints the checkpoint's id last",
            [new("--stop", "", "end the program once the checkpoint is durable"), new("--deadline", "SECONDS", "give up after this long (default 300)")],
            ["trecr checkpoint heat", "trecr checkpoint heat --stop --json"], JobVerbs.Checkpoint) { MinOperands = 1, MaxOperands = 1, Later = ["--bundle", "--no-track", "--max-extra-memory"] },
        new("restart", "ID|JOB [--device KIND]", "restarts a checkpoint, or a job's newest; the exit code is the program's",
            [s_device, Relaunch.Option, new("--trust", "", "accept a checkpoint of another user, or an imported one: its code will run as you"), .. RestartChanges.Options, .. JobOptions.Options],
            ["trecr restart heat", "trecr restart heat.3 --cpus 0-3 --map-path /old/data=/new/data"], RestartVerb.Run) { MinOperands = 1, MaxOperands = 1 },
        new("status", "[JOB]", "running jobs", [], ["trecr status", "trecr status heat --json"], JobVerbs.Status) { MaxOperands = 1 },
        new("list", "[JOB]", "checkpoints in the store", [new("--tiers", "", "ask the tiers as well what they have"), JobTiers.PolicyOption], ["trecr list", "trecr list heat --json", "trecr list heat --tiers"], StoreVerbs.List) { MaxOperands = 1 },
        new("inspect", "ID|JOB", "what a checkpoint holds", [], ["trecr inspect heat.3"], StoreVerbs.Inspect) { MinOperands = 1, MaxOperands = 1 },
        new("verify", "[ID|JOB]", "reads every frame of a checkpoint, or of all, and names what is damaged", [new("--tiers", "", "read the tiers as well"), JobTiers.PolicyOption], ["trecr verify", "trecr verify heat.3 --tiers"], StoreVerbs.Verify) { MaxOperands = 1 },
        new("diff", "ID ID", "what two checkpoints have in common, part by part", [], ["trecr diff heat.2 heat.3"], StoreVerbs.Diff) { MinOperands = 2, MaxOperands = 2 },
        new("gc", "", "removes checkpoints beyond the last of each job, and what nothing needs",
            [new("--keep", "N", "newest checkpoints kept of each job (default 3)"), new("--hourly", "N", "keep the newest of each of so many hours that have any, too"), new("--daily", "N", "the same for days (UTC)"), new("--keep-id", "ID", "keep this one too; may be repeated"), new("--drop-damaged", "", "remove what cannot be read")],
            ["trecr gc", "trecr gc --keep 1", "trecr gc --keep 3 --hourly 24 --daily 7"], StoreVerbs.Gc),
        new("repair", "", "makes damaged indexes anew, finds what is still whole, brings the rest from other tiers, and says which checkpoints are lost", [JobTiers.PolicyOption], ["trecr repair", "trecr repair --policy job.toml"], StoreVerbs.Repair),
        new("flush", "[JOB]", "brings the further tiers of jobs what they should have; goes on where a flush that was killed had been", [JobTiers.PolicyOption], ["trecr flush heat", "trecr flush --json"], FlushVerb.Run) { MaxOperands = 1 },
        new("agent", "DIR SOCKET", "serves a directory of this node as the place of a tier to others, until it is ended", [], ["trecr agent /scratch/trecr /run/user/1000/trecr-b.sock"], AgentVerb.Run) { MinOperands = 2, MaxOperands = 2 },
        new("export", "ID|JOB FILE", "writes a checkpoint with everything it needs to a file", [], ["trecr export heat.3 heat.trecr"], StoreVerbs.Export) { MinOperands = 2, MaxOperands = 2 },
        new("import", "FILE [--job NAME]", "reads a checkpoint from a file into the store; prints its id last", [new("--job", "NAME", "name to give it (default: its own)")],
            ["trecr import heat.trecr", "trecr import heat.trecr --job heat-copy"], StoreVerbs.Import) { MinOperands = 1, MaxOperands = 1 },
        new("du", "", "what the store takes on disk, and what each checkpoint holds", [], ["trecr du", "trecr du --json"], StoreVerbs.DiskUse),
        new("stop", "JOB", "ends a job: SIGTERM, then SIGKILL", [new("--grace", "SECONDS", "between the two (default 10)")], ["trecr stop heat"], JobVerbs.Stop) { MinOperands = 1, MaxOperands = 1 },
        new("rollback", "JOB [ID|EPOCH]", "gives up what a running job has done since a checkpoint: it goes on from there, in the same place",
            [new("--deadline", "SECONDS", "wait so long until it runs again (default 300)")], ["trecr rollback heat", "trecr rollback heat 3"], RollbackVerb.Run) { MinOperands = 1, MaxOperands = 2 },
        new("events", "[JOB]", "what happened to jobs: begin, checkpoints, failures, restarts, end", JournalVerbs.Options, ["trecr events heat", "trecr events --follow --json", "trecr events --last 5"], JournalVerbs.Events) { MaxOperands = 1 },
        new("logs", "JOB", "what TreCr said about a job", JournalVerbs.Options, ["trecr logs heat", "trecr logs heat --follow"], JournalVerbs.Logs) { MinOperands = 1, MaxOperands = 1 },
        new("report", "JOB [FILE]", "one archive for a bug report: events, log, checkpoints, this machine; nothing of the program's memory, files or environment, but its command line",
            [], ["trecr report heat", "trecr report heat /tmp/heat.tar.gz"], ReportVerb.Run) { MinOperands = 1, MaxOperands = 2 },
        new("check", "JOB | -- CMD...", "what a checkpoint would refuse, all findings at once; nothing is stopped", [], ["trecr check heat", "trecr check -- ./app"], CheckVerb.Run) { MinOperands = 1, MaxOperands = 1, TakesCommand = true },
        new("doctor", "", "what TreCr needs of this machine: ok, degraded or missing", [], ["trecr doctor", "trecr doctor --json"], DoctorVerb.Run),
        new("cleanup", "", "removes what dead jobs of this user left behind", [], ["trecr cleanup"], CleanupVerb.Run),
        new("coordinator", "[--port 7790]", "serves as coordinator in the foreground (one is started by itself when needed)",
            [new("--port", "N", "serve other hosts too, whose users have a key that is trusted (docs/hosts.md)"), new("--idle", "SECONDS", "end when nobody was connected for so long"), new("--ready-fd", "N", "closed when it serves")],
            ["trecr coordinator", "trecr coordinator --port 7790"], CoordinatorVerb.Run),
        new("faults", "list", "points where a test can make TreCr fail (TRECR_FAULT)", [], ["trecr faults list", "TRECR_FAULT=ManifestRename:1:kill trecr run -- ./app"], FaultsVerb.Run) { MinOperands = 1, MaxOperands = 1 },
        new("completion", "SHELL", "completion for bash or zsh", [], ["trecr completion bash >~/.local/share/bash-completion/completions/trecr", "source <(trecr completion zsh)"], CompletionVerb.Run) { MinOperands = 1, MaxOperands = 1 },
        new("manual", "", "this manual as a page for man(1)", [], ["trecr manual | man -l -"], ManualVerb.Run),
        new("engine", "--control-fd N", "the process that freezes, dumps and restores (started by run and restart)",
            [new("--control-fd", "N", "socket of the supervisor"), new("--save-files-below", "SIZE", "see run"), new("--max-extra-memory", "SIZE", "see run"), new("--bundle", "", "see run")], ["(not for hands)"], EngineVerb.Run) { Hidden = true },
        new(MpiDelegatorVerb.Name, "--control-fd N", "the process that owns a rank's MPI library (started by run and restart)", [new("--control-fd", "N", "socket of the supervisor")], ["(not for hands)"], MpiDelegatorVerb.Run) { Hidden = true },
        new(PagesVerb.Name, "MANIFEST", "brings device memory of a restarted program (started by restart)", [], ["(not for hands)"], PagesVerb.Run) { MinOperands = 1, MaxOperands = 1, Hidden = true },
        new(SharedLibrary.VerbName, "LIBRARY EVENT", "calls a hook in a shared library (started by run and restart)", [], ["(not for hands)"], SharedLibrary.Run) { MinOperands = 2, MaxOperands = 2, Hidden = true },
        new(GpuProbe.VerbName, "", "asks NVIDIA's driver for its devices (started by doctor)", [], ["(not for hands)"], GpuProbe.Run) { Hidden = true },
    ];

    private static readonly string[] s_later = ["drain", "undrain", "migrate", "clone", "watch", "top"];

    /// <exception cref="TrecrException">no such verb, or not in this version</exception>
    public static Verb Find(string name)
    {
        if (All.FirstOrDefault(v => v.Name == name) is { } verb) return verb;
        if (s_later.Contains(name)) throw new TrecrException(TrecrError.NotYet, $"trecr {name}: this version does not have this verb");
        throw new TrecrException(TrecrError.Usage, $"trecr {name}: no such verb");
    }
}
