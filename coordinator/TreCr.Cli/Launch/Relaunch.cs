using TreCr.Control;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary><c>trecr restart JOB</c> of a job of several ranks, by hand: becomes the launcher that the job was started with, or the one given, with <c>trecr restart</c> in the place of <c>trecr run</c>.</summary>
internal static class Relaunch
{
    public static readonly Option Option = new("--launcher", "LINE", "start the ranks with this, such as \"mpirun -n 4 --oversubscribe\" (default: as the job was started)");

    /// <returns>does not return where the launcher could be started</returns>
    /// <exception cref="TrecrException">LauncherUnknown, NoSuchProgram, NotExecutable</exception>
    public static int Run(SnapshotStore store, JobManifest manifest, Arguments arguments)
    {
        IReadOnlyList<string> line = arguments.Value(Option.Name) is { } given ? LauncherProcess.Split(given) : [];
        string directory = "";
        if (line.Count == 0 && manifest.Ranks.FirstOrDefault(r => !r.Ended) is { } first)
        {
            RankState state = RankRecord.Read(store, manifest, first.Rank);
            (line, directory) = (state.Launcher, state.LauncherDirectory);
        }
        if (line.Count == 0) throw new TrecrException(TrecrError.LauncherUnknown, $"cannot restart {manifest.CheckpointId}: it has {manifest.Ranks.Count} ranks, and how they were launched is not known");
        if (directory.Length > 0 && Directory.Exists(directory) && line[0].Contains('/') && line[0][0] != '/') line = [Path.Combine(directory, line[0]), .. line.Skip(1)];
        List<string> words = LauncherProcess.WithProgram(line, [Installation.Trecr, "restart", manifest.CheckpointId, .. Rest(arguments)]);
        Output.Note($"restarting {manifest.CheckpointId} with: {string.Join(' ', words)}");
        string path = ProgramFile.Find(line[0]);
        int error = Sys.Execute(path, words, [.. OwnEnvironment.Words()]);
        throw new TrecrException(TrecrError.CannotStart, $"cannot restart {manifest.CheckpointId}: {path}: {Errno.Describe(error)}");
    }

    /// <summary>Our own options, for each rank. What names a store is made absolute: a launcher may begin elsewhere.</summary>
    private static IEnumerable<string> Rest(Arguments arguments) => ["--store", Path.GetFullPath(Installation.Store(arguments)), .. arguments.Words(name => name is not ("--launcher" or "--store"))];
}
