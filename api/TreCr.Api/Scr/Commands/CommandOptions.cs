namespace TreCr.Api.Scr.Commands;

/// <summary>Words of a command line: options with and without values, and what stands between them.</summary>
internal sealed class CommandOptions
{
    private readonly Dictionary<string, string> _values = [];

    /// <param name="known">"prefix|p=" takes a value, "list|l" none; the first name is what it is asked by</param>
    /// <param name="stops">the first word that is no option ends them</param>
    /// <exception cref="CheckpointException">an option that is not known, or has no value</exception>
    public CommandOptions(IReadOnlyList<string> words, string[] known, bool stops = false)
    {
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            if (!word.StartsWith('-') || word == "-" || (stops && Words.Count > 0))
            {
                Words.Add(word);
                continue;
            }
            string[] parts = word.Split('=', 2);
            string name = parts[0].TrimStart('-');
            string option = known.FirstOrDefault(k => k.TrimEnd('=').Split('|').Contains(name)) ?? throw new CheckpointException($"{word}: not an option; known are {string.Join(", ", known.Select(k => "--" + k.Split('|')[0]))}");
            string main = option.TrimEnd('=').Split('|')[0];
            if (!option.EndsWith('=')) _values[main] = "1";
            else if (parts.Length == 2) _values[main] = parts[1];
            else if (i + 1 < words.Count) _values[main] = words[++i];
            else throw new CheckpointException($"{word}: needs a value");
        }
    }

    /// <summary>What is no option.</summary>
    public List<string> Words { get; } = [];

    public string? this[string name] => _values.GetValueOrDefault(name);

    public bool Has(string name) => _values.ContainsKey(name);
}
