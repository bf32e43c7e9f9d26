using System.Globalization;
using TreCr.Control;

namespace TreCr.Cli;

/// <summary>What the launcher (mpirun, srun) says of this process: which rank of how many, and of which launch. All ranks of a launch are one job.</summary>
/// <param name="Launch">the same for all ranks of a launch, and no other's; empty where nobody launched us</param>
/// <param name="Launcher">Open MPI, MPICH or Slurm, for messages; empty: none</param>
internal sealed record LaunchSlot(uint Rank, uint Size, string Launch, string Launcher)
{
    /// <summary>Started by hand.</summary>
    public static readonly LaunchSlot Alone = new(0, 1, "", "");

    /// <summary>Name of the launcher where it is srun.</summary>
    public const string Slurm = "Slurm";

    /// <summary>Descriptors of the launcher, by the variables that number them: kept for the MPI library, nothing of the program's.</summary>
    public static readonly string[] DescriptorVariables = ["PMI_FD", "HYDI_CONTROL_FD"];

    /// <summary>Whether there are other ranks.</summary>
    public bool IsOneOfSeveral => Size > 1;

    /// <summary>Some ranks are on other hosts, as far as the launcher says how many are here.</summary>
    public bool HasOtherHosts { get; private init; }

    /// <summary>Behind the job's name in the runtime directory; a job's name has no dot.</summary>
    public string Suffix => IsOneOfSeveral ? $".{Rank}" : "";

    /// <summary>Reads the environment that the launcher gave us.</summary>
    /// <param name="launcher">the process that started us, for launchers that give no name of the launch</param>
    /// <exception cref="TrecrException">LaunchUnclear: half of it is there, or rank and size cannot be</exception>
    public static LaunchSlot Find(LauncherProcess? launcher)
    {
        // Open MPI: 4 and 5 (PRRTE) alike. Its own variables come first: mpirun may itself run in a step of Slurm's.
        if (Given("OMPI_COMM_WORLD_RANK") is { } openRank)
            return Read("Open MPI", "OMPI_COMM_WORLD_RANK", openRank, "OMPI_COMM_WORLD_SIZE", Given("PMIX_NAMESPACE") ?? Given("OMPI_MCA_ess_base_jobid") ?? launcher?.Identity);
        if (Given("PMI_RANK") is { } rank)
            return Read(Given("SLURM_STEP_ID") is null ? "MPICH" : Slurm, "PMI_RANK", rank, "PMI_SIZE", Given("PMI_JOBID") ?? SlurmStep() ?? launcher?.Identity);
        if (Given("SLURM_PROCID") is { } process && SlurmStep() is { } step && Given("PMIX_RANK") is not null)
            return Read(Slurm, "SLURM_PROCID", process, Given("SLURM_STEP_NUM_TASKS") is null ? "SLURM_NTASKS" : "SLURM_STEP_NUM_TASKS", Given("PMIX_NAMESPACE") ?? step);
        return Alone;
    }

    /// <summary>A job's name where the user gave none: all ranks have to find the same without having spoken to each other.</summary>
    /// <param name="attempt">from 1; where the store has checkpoints of the name already</param>
    public string JobName(string program, int attempt)
        => $"{Control.JobName.FromProgram(program)}-{Hash(Launch) & 0xFFFFFF:x6}{(attempt > 1 ? $"-{attempt}" : "")}";

    private static string? Given(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static string? SlurmStep() => Given("SLURM_STEP_ID") is { } step ? $"slurm {Given("SLURM_JOB_ID")}.{step}" : null;

    private static LaunchSlot Read(string launcher, string rankName, string rankText, string sizeName, string? launch)
    {
        string sizeText = Given(sizeName) ?? throw Unclear($"{rankName} is {rankText}, and {sizeName} is missing");
        if (!uint.TryParse(rankText, NumberStyles.None, null, out uint rank) || !uint.TryParse(sizeText, NumberStyles.None, null, out uint size) || rank >= size)
            throw Unclear($"{rankName} is {rankText}, {sizeName} is {sizeText}");
        if (size > 1 && launch is null) throw Unclear($"{rankName} is {rankText} of {sizeText}, and nothing says which launch this is");
        return new LaunchSlot(rank, size, $"{launcher} {launch}", launcher) { HasOtherHosts = RanksHere(launcher) < size };

        static TrecrException Unclear(string what) => new(TrecrError.LaunchUnclear, $"cannot tell which rank this is: {what}");
    }

    /// <summary>Ranks of the launch on this host.</summary>
    private static uint RanksHere(string launcher)
    {
        string? text = launcher switch { "Open MPI" => Given("OMPI_COMM_WORLD_LOCAL_SIZE"), "MPICH" => Given("MPI_LOCALNRANKS"), _ => null };
        if (text is not null && uint.TryParse(text, NumberStyles.None, null, out uint here)) return here;
        return launcher == Slurm && (Given("SLURM_STEP_NUM_NODES") ?? Given("SLURM_NNODES")) is { } nodes && nodes != "1" ? 0 : uint.MaxValue;
    }

    /// <summary>For a few digits.</summary>
    private static ulong Hash(string text)
    {
        ulong hash = RankSupervisor.Fnv(text);
        return hash ^ hash >> 32;
    }
}
