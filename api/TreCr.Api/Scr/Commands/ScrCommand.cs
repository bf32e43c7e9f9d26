using TreCr.Linux;

namespace TreCr.Api.Scr.Commands;

/// <summary>SCR's commands: trecr under their names (facts/api.md §2.7). 0: yes, done; 1: no, not done.</summary>
public static class ScrCommand
{
    private const string PrefixOption = "prefix|p=";

    /// <summary>Whether a program's name is one of SCR's.</summary>
    public static bool IsName(string name) => name.StartsWith("scr_", StringComparison.Ordinal);

    /// <returns>exit code</returns>
    public static int Main(string name, string[] words)
    {
        try
        {
            return name switch
            {
                "scr_index" => Index(words),
                "scr_halt" => HaltCommand.Run(words),
                "scr_flush_file" => FlushFileOf(words),
                "scr_prefix" => Print(Parameters(null).Prefix),
                "scr_list_down_nodes" => ListDownNodes(words),
                "scr_should_exit" => ShouldExit(words),
                "scr_postrun" => PostRun(words),
                "scr_print" => PrintFile(words),
                "scr_run" => RunCommand.Run(words, null),
                "scr_mpirun" => RunCommand.Run(words, "mpirun"),
                "scr_srun" => RunCommand.Run(words, "srun"),
                _ => throw new CheckpointException("no command of this name"),
            };
        }
        catch (Exception e) when (e is CheckpointException or LinuxException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"{name}: {e.Message}");
            return 1;
        }
    }

    /// <summary>Parameters as the program has them, below a prefix directory that the command line may name.</summary>
    internal static ScrParameters Parameters(string? prefix)
        => new(name => name == "SCR_PREFIX" && prefix is not null ? prefix : Environment.GetEnvironmentVariable(name));

    internal static PrefixDirectory Directory(string? prefix) => new(Parameters(prefix).Prefix);

    private static int Index(string[] words)
    {
        CommandOptions options = new(words, [PrefixOption, "list|l", "build|b=", "add|a=", "drop=", "drop-after=", "current|c="]);
        PrefixDirectory prefix = Directory(options["prefix"]);
        PrefixIndex.Entry Find(string name) => prefix.Index.Find(name) ?? throw new CheckpointException($"no dataset is named '{name}'");
        if (options["build"] is { } id) Build(int.TryParse(id, out int number) ? number : throw new CheckpointException($"--build: '{id}' is not a dataset's number"));
        else if (options["add"] is { } added)
            // Of a name: what lies there and is in no index.
            Build(prefix.Datasets().LastOrDefault(d => System.IO.Directory.EnumerateFiles(prefix.DatasetPath(d), "filemap_*").Any(f => RankFiles.FromTree(KvTree.Load(f))?.Dataset.Name == added)));
        else if (options["drop"] is { } dropped) Drop(Find(dropped));
        else if (options["drop-after"] is { } last)
        {
            int keep = Find(last).Id;
            foreach (PrefixIndex.Entry entry in prefix.Index.Entries.Where(e => e.Id > keep)) Drop(entry);
        }
        else if (options["current"] is { } current)
        {
            if (!Find(current).IsCheckpoint) throw new CheckpointException($"'{current}' is output, and no checkpoint");
            prefix.Update(index => index.Current = current);
        }
        else
        {
            Console.WriteLine("DSET VALID FLUSHED             CUR NAME");
            PrefixIndex index = prefix.Index;
            foreach (PrefixIndex.Entry entry in index.Entries.Reverse())
                Console.WriteLine($"{entry.Id,4} {(entry.Complete && !entry.Failed ? "YES" : "NO"),-5} {entry.Flushed ?? "",-19} {(index.Current == entry.Name ? "  *" : ""),-3} {entry.Name}");
        }
        return 0;

        void Build(int number)
        {
            if (prefix.Build(number) is { } missing) throw new CheckpointException(missing);
        }

        void Drop(PrefixIndex.Entry entry)
        {
            prefix.Update(index => index.Remove(entry));
            prefix.Forget(entry.Id);
        }
    }

    private static int FlushFileOf(string[] words)
    {
        CommandOptions options = new(words, ["dir|d=", "list-output|o", "list-ckpt|c", "before|b=", "need-flush|n=", "latest|l", "location|L=", "name=", "resume|r", "summary|S"]);
        IReadOnlyList<FlushFile.Entry> entries = new FlushFile(Directory(options["dir"])).Read();
        if (options["before"] is { } before) entries = [.. entries.Where(e => e.Id < int.Parse(before))];
        FlushFile.Entry? Of(string option) => int.TryParse(options[option], out int id) ? entries.FirstOrDefault(e => e.Id == id) : null;
        if (options.Has("list-output")) return PrintAll(entries.Where(e => (e.Flags & DatasetInfo.Output) != 0 && !e.Flushed).Select(e => e.Id));
        if (options.Has("list-ckpt")) return PrintAll(entries.Where(e => (e.Flags & DatasetInfo.Checkpoint) != 0).Select(e => e.Id).OrderDescending());
        if (options.Has("latest")) return PrintAll(entries.TakeLast(1).Select(e => e.Id));
        if (options.Has("need-flush")) return Of("need-flush") is { Flushed: false } ? 0 : 1;
        if (options.Has("location")) return Of("location") is { } of ? Print(of.Flushed ? "CACHE PFS" : "CACHE") : 1;
        if (options.Has("name")) return Of("name") is { } named ? Print(named.Name) : 1;
        foreach (FlushFile.Entry e in entries) Console.WriteLine($"{e.Id} {(e.Flushed ? "CACHE PFS" : "CACHE")} {e.Name}");
        return 0;
    }

    private static int ListDownNodes(string[] words)
    {
        CommandOptions options = new(words, ["joblauncher|j=", "reason|r", "free|f", "down|d=", "log|l", "secs|s=", PrefixOption]);
        IReadOnlyList<(string Node, string Reason)> down = Nodes.Down(options.Words.Count > 0 ? options.Words : Nodes.OfAllocation(), options["down"]);
        foreach ((string node, string reason) in down)
            if (options.Has("reason")) Console.WriteLine($"{node}: {reason}");
        if (!options.Has("reason") && down.Count > 0) Console.WriteLine(string.Join(',', down.Select(d => d.Node)));
        return down.Count > 0 ? 1 : 0;
    }

    /// <summary>0: the job is to end; 1: it goes on.</summary>
    private static int ShouldExit(string[] words)
    {
        CommandOptions options = new(words, [PrefixOption, "down=", "min-nodes=", "runs=", "verbose|v"]);
        string? reason = RunCommand.ReasonToEnd(Parameters(options["prefix"]), options["down"], options["min-nodes"], options["runs"]);
        if (reason is not null && options.Has("verbose")) Console.WriteLine(reason);
        return reason is null ? 1 : 0;
    }

    private static int PostRun(string[] words)
    {
        CommandOptions options = new(words, [PrefixOption, "joblauncher|j=", "verbose|v"]);
        ScrParameters parameters = Parameters(options["prefix"]);
        return new Scavenger(parameters, Nodes.Here(), Console.WriteLine).Run() ? 0 : 1;
    }

    private static int PrintFile(string[] words)
    {
        CommandOptions options = new(words, ["mode|m="]);
        string path = options.Words.Count == 1 ? options.Words[0] : throw new CheckpointException("one file");
        (KvTree.Load(path) ?? throw new CheckpointException($"{path}: not one of SCR's files, or damaged")).Print(Console.Out);
        return 0;
    }

    private static int Print(string line)
    {
        Console.WriteLine(line);
        return 0;
    }

    private static int PrintAll(IEnumerable<int> numbers)
    {
        int[] all = [.. numbers];
        foreach (int number in all) Console.WriteLine(number);
        return all.Length > 0 ? 0 : 1;
    }
}
