using System.Text;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>The process of mpirun or srun that stands above us: what it was called with, so that a job can be started again, and its death, on which the job ends.</summary>
/// <param name="Pid">its own; 0: it is no ancestor of ours (srun)</param>
/// <param name="DaemonPid">nearest ancestor that belongs to the launcher; on the first host of Open MPI mpirun itself</param>
/// <param name="Line">command line of mpirun, mpiexec or srun without the programs: where several were started, separated by ":"; empty: not found</param>
/// <param name="Directory">its working directory</param>
/// <param name="Identity">something that all ranks of the launch find alike, where the launcher gives it no name</param>
internal sealed record LauncherProcess(int Pid, int DaemonPid, IReadOnlyList<string> Line, string Directory, string Identity)
{
    private const int MostAncestors = 32;

    private static readonly string[] s_daemons = ["orted", "prted", "hydra_pmi_proxy", "slurmstepd", "pmi_proxy"];

    /// <summary>Looks through our ancestors.</summary>
    /// <returns>null: none of them is a launcher</returns>
    public static LauncherProcess? Find()
    {
        int daemon = 0;
        string identity = "";
        int pid = (int)Sys.Raw(SyscallNumber.Getppid);
        for (int i = 0; i < MostAncestors && pid > 1; i++, pid = ProcessLook.Parent(pid))
        {
            string[] words = CommandLine(pid);
            if (words.Length == 0) continue;
            // Where mpirun is a script.
            string[] line = words.Length > 1 && Path.GetFileName(words[0]) is "sh" or "bash" or "dash" && IsLauncher(words[1]) ? words[1..] : words;
            bool launches = IsLauncher(line[0]), serves = s_daemons.Contains(Path.GetFileName(line[0]).Split(' ', ':')[0]); // slurmstepd: [1.0]
            if (!launches && !serves) continue;
            if (daemon == 0)
            {
                daemon = pid;
                // Hydra's proxies are told on all hosts alike where their mpiexec listens.
                int port = Array.IndexOf(line, "--control-port");
                identity = port >= 0 && port + 1 < line.Length ? line[port + 1] : $"{HostFacts.HostName} {pid}";
                identity += $" {(serves && port >= 0 ? "" : ProcessLook.StartTime(pid).ToString(System.Globalization.CultureInfo.InvariantCulture))}";
            }
            if (launches) return new LauncherProcess(pid, daemon, WithoutPrograms(line), Sys.ReadLink($"/proc/{pid}/cwd") ?? "", identity);
        }
        return daemon == 0 ? null : new LauncherProcess(0, daemon, SlurmLine(), Environment.CurrentDirectory, identity);
    }

    private static bool IsLauncher(string word)
        => Path.GetFileName(word) is var name && (name.StartsWith("mpirun", StringComparison.Ordinal) || name.StartsWith("mpiexec", StringComparison.Ordinal) || name is "orterun" or "prterun" or "prun" or "srun");

    /// <summary>srun is no ancestor of what it starts: the line is what the step was made with, as far as that is in the environment.</summary>
    private static List<string> SlurmLine()
    {
        if (Environment.GetEnvironmentVariable("SLURM_STEP_NUM_TASKS") is not { Length: > 0 } tasks) return [];
        List<string> line = ["srun", $"--ntasks={tasks}"];
        if (Environment.GetEnvironmentVariable("SLURM_MPI_TYPE") is { Length: > 0 } kind) line.Add($"--mpi={kind}");
        return line;
    }

    /// <summary>Cuts off, in each part between ":", what begins with trecr run or trecr restart.</summary>
    /// <returns>empty: a part does not name trecr (a script does), so that the line cannot be used again</returns>
    public static List<string> WithoutPrograms(IReadOnlyList<string> words)
    {
        List<string> line = [];
        for (int at = 0; at < words.Count; at++)
        {
            int program = at;
            while (program + 1 < words.Count && !(Path.GetFileName(words[program]) == "trecr" && words[program + 1] is "run" or "restart") && words[program] != ":") program++;
            if (program + 1 >= words.Count || words[program] == ":") return [];
            if (at > 0) line.Add(":");
            line.AddRange(words.Skip(at).Take(program - at));
            while (program < words.Count && words[program] != ":") program++;
            at = program;
        }
        return line;
    }

    /// <summary>A launcher line with this program in each of its parts.</summary>
    public static List<string> WithProgram(IEnumerable<string> line, IReadOnlyList<string> program)
    {
        List<string> words = [];
        foreach (string word in line)
        {
            if (word == ":") words.AddRange(program);
            words.Add(word);
        }
        words.AddRange(program);
        return words;
    }

    /// <summary>A line as a shell would take it apart, without anything that a shell would replace: blanks separate, ' and " hold together, \ takes the next character as it is.</summary>
    public static List<string> Split(string text)
    {
        List<string> words = [];
        StringBuilder word = new();
        bool begun = false;
        char quote = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\\' && quote != '\'' && i + 1 < text.Length) { word.Append(text[++i]); begun = true; }
            else if (quote != '\0' && c == quote) quote = '\0';
            else if (quote == '\0' && c is '\'' or '"') { quote = c; begun = true; }
            else if (quote == '\0' && c is ' ' or '\t' or '\n')
            {
                if (begun) words.Add(word.ToString());
                word.Clear();
                begun = false;
            }
            else { word.Append(c); begun = true; }
        }
        if (begun) words.Add(word.ToString());
        return words;
    }

    private static string[] CommandLine(int pid)
    {
        try { return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{pid}/cmdline")).TrimEnd('\0').Split('\0'); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }
}
