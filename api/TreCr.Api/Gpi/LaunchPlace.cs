using System.Globalization;

namespace TreCr.Api.Gpi;

/// <summary>Which rank of how many this process is, as <c>gaspi_run</c> or an MPI launcher says in its environment, and a name of the launch that all its ranks find and no other's.</summary>
/// <param name="Job">for a file name</param>
public sealed record LaunchPlace(ushort Rank, ushort Count, string Job)
{
    /// <summary>Names in the environment of what gaspi_run starts; also for launchers of the user's own.</summary>
    public const string RankVariable = "GPI_CP_RANK", CountVariable = "GPI_CP_RANKS", JobVariable = "GPI_CP_JOB";

    /// <param name="variable">a variable of the environment; null: not there</param>
    /// <exception cref="GpiException">EnvironmentWrong: half of it is there, or it cannot be</exception>
    public static LaunchPlace Find(Func<string, string?> variable)
    {
        (string Rank, string Count, string?[] Launch)[] launchers =
        [
            (RankVariable, CountVariable, [variable(JobVariable)]),
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", [variable("PMIX_NAMESPACE"), variable("OMPI_MCA_ess_base_jobid")]),
            ("PMI_RANK", "PMI_SIZE", [variable("PMI_JOBID"), variable("SLURM_STEP_ID") is { } step ? $"{variable("SLURM_JOB_ID")}.{step}" : null, variable("TRECR_JOB"), ParentProcess()]),
        ];
        foreach ((string rankName, string countName, string?[] launches) in launchers)
        {
            if (variable(rankName) is not { Length: > 0 } rankText) continue;
            if (!ushort.TryParse(rankText, NumberStyles.None, null, out ushort rank) || !ushort.TryParse(variable(countName), NumberStyles.None, null, out ushort count) || rank >= count)
                throw new GpiException(GpiCode.EnvironmentWrong, $"{rankName} is '{rankText}', {countName} is '{variable(countName)}'");
            string launch = launches.FirstOrDefault(l => l is { Length: > 0 }) ?? throw new GpiException(GpiCode.EnvironmentWrong, $"{rankName} is there, and nothing says which launch this is");
            return new LaunchPlace(rank, count, $"{rankName[..3]}-{string.Concat(launch.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-'))}");
        }
        return new LaunchPlace(0, 1, $"alone-{Environment.ProcessId}-{Environment.TickCount64}");
    }

    /// <summary>Hydra gives its launch no name; all that it starts on a host have the same parent.</summary>
    private static string? ParentProcess()
    {
        try
        {
            string parent = File.ReadAllText("/proc/self/stat").Split(')')[^1].Split(' ')[2];
            return $"{parent}-{File.ReadAllText($"/proc/{parent}/stat").Split(')')[^1].Split(' ')[20]}"; // its start time
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }
}
