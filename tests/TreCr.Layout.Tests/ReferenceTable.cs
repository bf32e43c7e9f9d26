namespace TreCr.Layout.Tests;

/// <summary>The table "References" of ARCHITECTURE.md: for each project the projects that it may reference, without the prefix <c>TreCr.</c>.</summary>
internal sealed class ReferenceTable
{
    private const string Begin = "<!-- references:begin -->", End = "<!-- references:end -->";
    private readonly Dictionary<string, HashSet<string>> _allowed = [];

    public IReadOnlyCollection<string> Projects => _allowed.Keys;

    /// <summary>Reads the table out of the text of the page.</summary>
    /// <exception cref="FormatException">marks missing, a row is not two cells, or a project stands there twice</exception>
    public static ReferenceTable Parse(string page)
    {
        int begin = page.IndexOf(Begin, StringComparison.Ordinal), end = page.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin) throw new FormatException($"ARCHITECTURE.md lacks {Begin} … {End}");
        ReferenceTable table = new();
        foreach (string line in page[(begin + Begin.Length)..end].Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Skip(2))
        {
            string[] cells = line.Trim('|').Split('|', StringSplitOptions.TrimEntries);
            if (cells.Length != 2) throw new FormatException($"not two cells: {line}");
            HashSet<string> allowed = [.. cells[1].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
            if (!table._allowed.TryAdd(Short(cells[0]), allowed)) throw new FormatException($"twice in the table: {cells[0]}");
        }
        return table;
    }

    /// <summary>What is wrong with these references: a line for each that the table does not allow.</summary>
    /// <param name="references">project and referenced projects, full names</param>
    public IEnumerable<string> Violations(IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> references)
    {
        foreach ((string project, IReadOnlyList<string> used) in references)
        {
            if (!_allowed.TryGetValue(Short(project), out HashSet<string>? allowed))
            {
                yield return $"{project} is not in the table of ARCHITECTURE.md";
                continue;
            }
            foreach (string u in used)
                if (!allowed.Contains("*") && !allowed.Contains(Short(u)))
                    yield return $"{project} must not reference {u}";
        }
    }

    private static string Short(string name) => name.StartsWith("TreCr.", StringComparison.Ordinal) ? name["TreCr.".Length..] : name;
}
