namespace TreCr.Cli;

/// <summary>An option of a verb.</summary>
/// <param name="Name">with its dashes</param>
/// <param name="Value">name of its value in the help; empty: a switch</param>
internal sealed record Option(string Name, string Value, string Help);

/// <summary>A verb of the command line: what it takes, what its help says, and the code behind it.</summary>
/// <param name="Operands">as the usage line shows them</param>
/// <param name="Run">answers the exit code</param>
internal sealed record Verb(string Name, string Operands, string Summary, IReadOnlyList<Option> Options, IReadOnlyList<string> Examples, Func<Arguments, int> Run)
{
    /// <summary>Fewest and most operands; a verb that takes a command takes it behind <c>--</c>.</summary>
    public int MinOperands { get; init; }

    public int MaxOperands { get; init; }
    public bool TakesCommand { get; init; }

    /// <summary>Options that are planned and refused by name.</summary>
    public IReadOnlyList<string> Later { get; init; } = [];

    /// <summary>Not shown in the list of verbs.</summary>
    public bool Hidden { get; init; }

    /// <summary>Options of all verbs.</summary>
    public static IReadOnlyList<Option> Common { get; } =
    [
        new("--store", "DIR", "the store (default: TRECR_STORE, else $XDG_DATA_HOME/trecr, else ~/.local/share/trecr)"),
        new("--json", "", "one JSON object on stdout, with a schema field"),
        new("--help", "", "this text"),
    ];

    public IEnumerable<Option> AllOptions => Options.Concat(Common);

    public void PrintHelp()
    {
        Output.Line($"usage: trecr {Name}{(Operands.Length > 0 ? " " : "")}{Operands}");
        Output.Line($"  {Summary}");
        Output.Line();
        foreach (Option option in AllOptions) Output.Line($"  {$"{option.Name} {option.Value}",-22} {option.Help}");
        Output.Line();
        Output.Line("examples:");
        foreach (string example in Examples) Output.Line($"  {example}");
    }
}
