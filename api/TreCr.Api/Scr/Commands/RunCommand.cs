using System.Diagnostics;
using System.Globalization;
using TreCr.Linux;

namespace TreCr.Api.Scr.Commands;

/// <summary>scr_run LAUNCHER …: launches a job again and again, as often as SCR_RUNS says, until it ends well or a halt condition holds; after each run what is in the caches is brought to safety.</summary>
internal static class RunCommand
{
    /// <param name="launcher">null: the first word</param>
    public static int Run(string[] words, string? launcher)
    {
        CommandOptions options = new(words, ["run-cmd|rc=", "restart-cmd|rs=", "prefix|p=", "verbose|v"], stops: true);
        List<string> command = options.Words;
        if (launcher is not null) command.Insert(0, launcher);
        if (command.Count == 0) throw new CheckpointException("usage: scr_run [--run-cmd=C] [--restart-cmd=C] LAUNCHER WORDS…");
        ScrParameters parameters = ScrCommand.Parameters(options["prefix"]);
        PrefixDirectory prefix = new(parameters.Prefix);
        int runs = Math.Max(1, parameters.Number("SCR_RUNS"));
        for (int run = 1; ; run++)
        {
            IReadOnlyList<(string Node, string Reason)> down = Nodes.Down(Nodes.OfAllocation(), null);
            foreach ((string node, string why) in down) Console.Error.WriteLine($"scr_run: {node}: {why}");
            if (ReasonToEnd(parameters, string.Join(',', down.Select(d => d.Node)), null, null, afterFinalize: run > 1) is { } reason)
            {
                Console.Error.WriteLine($"scr_run: {reason}: not started");
                return 1;
            }
            if (run == 1) new HaltFile(prefix).Update(tree =>
            {
                if (tree.Value(HaltFile.Reason) == HaltFile.Finalized) tree.Remove(HaltFile.Reason); // of the job before
            });
            Console.Error.WriteLine($"scr_run: run {run} of {runs}");
            int code = Launch(WithoutNodes(command, down), prefix, options["run-cmd"], options["restart-cmd"]);
            // A run that ended by itself has brought out what it wanted; one that was killed has not.
            bool safe = new Scavenger(parameters, Nodes.Here(), line => Console.Error.WriteLine($"scr_run: {line}")).Run();
            string? end = ReasonToEnd(parameters, null, null, null);
            if (code == 0 || run == runs || end is not null)
            {
                Console.Error.WriteLine($"scr_run: ended with {code}{(end is null ? "" : $", {end}")}{(safe ? "" : "; not everything in the caches could be brought to the prefix directory")}");
                return code;
            }
        }
    }

    /// <summary>Why no further run is to be started.</summary>
    /// <param name="down">nodes that are down</param>
    public static string? ReasonToEnd(ScrParameters parameters, string? down, string? minNodes, string? runs, bool afterFinalize = true)
    {
        if (new HaltFile(new PrefixDirectory(parameters.Prefix)).Condition(parameters.EndTime, parameters.Number("SCR_HALT_SECONDS"), afterFinalize) is { } reason) return reason;
        if (runs is not null && int.TryParse(runs, CultureInfo.InvariantCulture, out int left) && left <= 0) return "RUNS_EXHAUSTED";
        IReadOnlyList<string> nodes = Nodes.OfAllocation();
        int up = nodes.Except(Nodes.Expand(down ?? "")).Count();
        int needed = int.TryParse(minNodes ?? parameters.Get("SCR_MIN_NODES"), CultureInfo.InvariantCulture, out int n) ? n : down is { Length: > 0 } ? 1 : 0;
        return up < needed ? $"NODES_NOT_ENOUGH: {up} of {nodes.Count} nodes are up, {needed} are needed" : null;
    }

    /// <summary>Words that keep a launcher away from nodes that are down, where this one knows any.</summary>
    private static List<string> WithoutNodes(List<string> command, IReadOnlyList<(string Node, string Reason)> down)
    {
        if (down.Count == 0) return command;
        string[] up = [.. Nodes.OfAllocation().Except(down.Select(d => d.Node))];
        return Path.GetFileName(command[0]) switch
        {
            "srun" => [command[0], "--exclude", string.Join(',', down.Select(d => d.Node)), .. command[1..]],
            "mpirun" or "mpiexec" => [command[0], "--host", string.Join(',', up), .. command[1..]],
            _ => command,
        };
    }

    private static int Launch(List<string> command, PrefixDirectory prefix, string? runCommand, string? restartCommand)
    {
        string? current = prefix.Index.Current;
        if (current is not null && restartCommand is not null) command = [.. command, .. restartCommand.Replace("SCR_CKPT_NAME", current).Split(' ', StringSplitOptions.RemoveEmptyEntries)];
        else if (runCommand is not null) command = [.. command, .. runCommand.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
        ProcessStartInfo start = new(command[0], command[1..]);
        start.Environment["SCR_PREFIX"] = prefix.Path;
        try
        {
            using Process process = Process.Start(start)!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception e) { throw new CheckpointException($"{command[0]}: {e.Message}"); }
    }
}
