using TreCr.Control;
using TreCr.Coordinator;

namespace TreCr.Cli;

/// <summary><c>trecr check</c>: what a checkpoint would refuse.</summary>
internal static class CheckVerb
{
    public static int Run(Arguments arguments)
    {
        if (arguments.Command.Count > 0)
        {
            if (arguments.Operands.Count > 0) throw arguments.Usage("a JOB or a command, not both");
            return Report(arguments, $"{arguments.Command[0]}", CheckProgram(arguments));
        }
        string job = JobVerbs.Job(arguments);
        using ControlChannel channel = JobVerbs.Connect(RuntimeDirectory.Open(), Installation.Store(arguments), job);
        Answer answer = CoordinatorClient.Ask(channel, new Envelope { Job = job, CheckJob = new CheckJob() }, 90_000).Answer;
        List<string> findings = [];
        bool several = answer.Jobs.Any(j => j.RankCount > 1);
        foreach (RankEntry rank in answer.Jobs.SelectMany(j => j.Ranks))
        {
            string which = several ? $"rank {rank.Rank}: " : "";
            if (rank.Status is not { } status) throw new TrecrException(TrecrError.Deadline, $"job {job}: rank {rank.Rank} did not answer");
            if (status.Error != 0) throw new TrecrException(TrecrError.FromNumber(status.Error), which + status.Reason);
            findings.AddRange(status.Findings.Select(f => which + f));
        }
        return Report(arguments, $"job {job}", findings);
    }

    /// <summary>What can be seen without starting the program.</summary>
    private static List<string> CheckProgram(Arguments arguments)
    {
        string program = ProgramFile.Find(arguments.Command[0]);
        List<string> findings = [];
        if (ProgramFile.IsStatic(program)) findings.Add($"{program} is a static program: its CUDA calls cannot be taken over");
        UnixFileMode mode = File.GetUnixFileMode(program);
        if ((mode & (UnixFileMode.SetUser | UnixFileMode.SetGroup)) != 0) findings.Add($"{program} is set-user-id or set-group-id: the loader ignores LD_LIBRARY_PATH for it");
        if (Installation.Wrapper is null) findings.Add($"this installation has no wrapper library ({Installation.Home}/lib/libcuda.so.1)");
        return findings;
    }

    private static int Report(Arguments arguments, string what, IReadOnlyList<string> findings)
    {
        if (arguments.Json)
            Output.Json("trecr.check/1", j =>
            {
                j.WriteString("of", what);
                j.WriteStrings("findings", findings);
            });
        else
        {
            foreach (string finding in findings) Output.Line(finding);
            if (findings.Count == 0) Output.Line($"{what}: nothing found that a checkpoint would refuse");
        }
        if (findings.Count == 0) return 0;
        Output.Error(TrecrError.CheckpointRefused, $"{what}: {findings.Count} {(findings.Count == 1 ? "thing" : "things")} that a checkpoint would refuse");
        return TrecrError.CheckpointRefused.ExitCode;
    }
}
