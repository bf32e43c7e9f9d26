using TreCr.Control;

namespace TreCr.Cli;

/// <summary>The words after a verb: options, operands, and the command behind <c>--</c>.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, List<string>> _options = [];

    public Verb Verb { get; }
    public List<string> Operands { get; } = [];
    public List<string> Command { get; } = [];
    public bool Json => Has("--json");

    /// <summary>Options that were given, as words again.</summary>
    /// <param name="wanted">by name</param>
    public IEnumerable<string> Words(Func<string, bool> wanted)
    {
        foreach ((string name, List<string> values) in _options)
        {
            if (!wanted(name)) continue;
            bool takesValue = Verb.AllOptions.First(o => o.Name == name).Value.Length > 0;
            foreach (string value in values)
            {
                yield return name;
                if (takesValue) yield return value;
            }
        }
    }

    /// <exception cref="TrecrException">Usage: an unknown option, a value missing, too many or too few operands</exception>
    public Arguments(Verb verb, ReadOnlySpan<string> words)
    {
        Verb = verb;
        bool commandGiven = false;
        for (int i = 0; i < words.Length; i++)
        {
            string word = words[i];
            if (word == "--")
            {
                Command.AddRange(words[(i + 1)..]);
                commandGiven = true;
                break;
            }
            if (word == "-h") word = "--help";
            if (!word.StartsWith('-') || word == "-")
            {
                Operands.Add(word);
                continue;
            }
            int equals = word.IndexOf('=');
            string name = equals > 0 ? word[..equals] : word;
            if (verb.Later.Contains(name)) throw new TrecrException(TrecrError.NotYet, $"trecr {verb.Name} {name}: this version does not have this option");
            Option option = verb.AllOptions.FirstOrDefault(o => o.Name == name) ?? throw Usage($"unknown option {name}");
            string value = "";
            if (option.Value.Length > 0)
            {
                if (equals > 0) value = word[(equals + 1)..];
                else if (++i < words.Length) value = words[i];
                else throw Usage($"{name} wants {option.Value}");
                if (value.Length == 0) throw Usage($"{name} wants {option.Value}, not nothing");
            }
            else if (equals > 0) throw Usage($"{name} takes no value");
            if (!_options.TryGetValue(name, out List<string>? values)) _options[name] = values = [];
            values.Add(value);
        }
        if (Has("--help")) return;
        if (Command.Count > 0 && !verb.TakesCommand) throw Usage("this verb takes no command");
        if (verb.TakesCommand && commandGiven && Command.Count == 0) throw Usage("no command after --");
        if (verb.TakesCommand && verb.MaxOperands == 0 && Operands.Count > 0) throw Usage($"'{Operands[0]}': the command to run stands behind --");
        if (verb.TakesCommand && verb.MaxOperands == 0 && !commandGiven) throw Usage("no command: give it behind --");
        if (Operands.Count > verb.MaxOperands) throw Usage($"'{Operands[verb.MaxOperands]}' is one word too many");
        if (Operands.Count < verb.MinOperands && Command.Count == 0) throw Usage($"wants {verb.Operands}");
    }

    public bool Has(string option) => _options.ContainsKey(option);

    /// <summary>Value of an option, the last where it was given twice; null: not given.</summary>
    public string? Value(string option) => _options.TryGetValue(option, out List<string>? values) ? values[^1] : null;

    public IReadOnlyList<string> Values(string option) => _options.GetValueOrDefault(option) ?? [];

    /// <summary>A whole number that is not negative.</summary>
    /// <exception cref="TrecrException">Usage</exception>
    public int Number(string option, int otherwise, int min = 0, int max = int.MaxValue)
        => Value(option) is not { } text ? otherwise
            : int.TryParse(text, System.Globalization.NumberStyles.None, null, out int n) && n >= min && n <= max ? n
            : throw Usage($"{option} {text}: wants a number from {min} to {max}");

    /// <summary>Bytes: a whole number with nothing, K, M, G or T behind it.</summary>
    /// <exception cref="TrecrException">Usage</exception>
    public long Size(string option, long otherwise, long min)
    {
        if (Value(option) is not { } text) return otherwise;
        int shift = char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, 'T' => 40, _ => 0 };
        return long.TryParse(shift == 0 ? text : text[..^1], System.Globalization.NumberStyles.None, null, out long n) && n <= long.MaxValue >> shift && n << shift >= min ? n << shift
            : throw Usage($"{option} {text}: wants a size such as 512M or 20G");
    }

    public TrecrException Usage(string why) => new(TrecrError.Usage, $"trecr {Verb.Name}: {why}");
}
