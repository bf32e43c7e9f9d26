namespace TreCr.Store.Tiers;

/// <param name="Value">string, long, bool or List of these</param>
internal readonly record struct TomlValue(object Value, int Line);

/// <summary>A table as it was read, which hands out its values by type and knows which of them nobody asked for.</summary>
/// <param name="file">names it in messages</param><param name="line">where it begins</param>
internal sealed class TomlTable(string file, string name, int line)
{
    private readonly Dictionary<string, TomlValue> _values = [];
    private readonly Dictionary<string, (List<TomlTable> Tables, bool Many)> _tables = [];
    private readonly HashSet<string> _asked = [];

    internal int Line => line;

    internal bool Add(string key, TomlValue value) => !_tables.ContainsKey(key) && _values.TryAdd(key, value);

    internal bool Add(string key, TomlTable table, bool many)
    {
        if (_values.ContainsKey(key)) return false;
        if (!_tables.TryGetValue(key, out (List<TomlTable> Tables, bool Many) at)) _tables[key] = at = ([], many);
        else if (!many || !at.Many) return false;
        at.Tables.Add(table);
        return true;
    }

    /// <summary>The tables [[key]].</summary>
    internal IReadOnlyList<TomlTable> Tables(string key)
    {
        _asked.Add(key);
        if (_values.TryGetValue(key, out TomlValue value)) throw new PolicyException($"{file}:{value.Line}: {key}: wants tables, [[{key}]]");
        if (!_tables.TryGetValue(key, out (List<TomlTable> Tables, bool Many) at)) return [];
        return at.Many ? at.Tables : throw new PolicyException($"{file}:{at.Tables[0].Line}: {key}: is written [[{key}]], since there may be several");
    }

    internal string? Text(string key) => Get(key) switch { null => null, string s when s.Length > 0 => s, _ => throw Bad(key, "wants a string in quotes that is not empty") };

    internal int Number(string key, int otherwise, int min, int max)
        => Get(key) switch { null => otherwise, long n when n >= min && n <= max => (int)n, _ => throw Bad(key, $"wants a whole number from {min} to {max}") };

    /// <summary>Bytes: a whole number, or a string such as "200M".</summary>
    internal long Size(string key, long otherwise)
    {
        switch (Get(key))
        {
            case null: return otherwise;
            case long n when n > 0: return n;
            case string { Length: > 1 } text:
                int shift = char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, 'T' => 40, _ => -1 };
                if (shift > 0 && long.TryParse(text.AsSpan(0, text.Length - 1), System.Globalization.NumberStyles.None, null, out long size) && size > 0 && size <= long.MaxValue >> shift) return size << shift;
                break;
        }
        throw Bad(key, "wants bytes, such as 1000000 or \"200M\"");
    }

    internal IReadOnlyList<string> Texts(string key)
        => Get(key) switch { null => [], List<object> list when list.All(v => v is string { Length: > 0 }) => [.. list.Cast<string>()], _ => throw Bad(key, "wants an array of strings") };

    /// <summary>Refuses what nobody asked for: a misspelt key must not be a default.</summary>
    internal void RefuseOthers(string known)
    {
        foreach ((string key, TomlValue value) in _values)
            if (!_asked.Contains(key)) throw new PolicyException($"{file}:{value.Line}: {key}: no such key{Where}; there are {known}");
        foreach ((string key, (List<TomlTable> tables, _)) in _tables)
            if (!_asked.Contains(key)) throw new PolicyException($"{file}:{tables[0].Line}: {key}: no such table; there are {known}");
    }

    /// <param name="key">empty: the table as a whole</param>
    internal PolicyException Bad(string key, string what)
        => new($"{file}:{(_values.TryGetValue(key, out TomlValue value) ? value.Line : line)}: {(key.Length > 0 ? key : name)}: {what}");

    private string Where => name.Length > 0 ? $" of [[{name}]]" : "";

    private object? Get(string key)
    {
        _asked.Add(key);
        if (_tables.TryGetValue(key, out (List<TomlTable> Tables, bool Many) at)) throw new PolicyException($"{file}:{at.Tables[0].Line}: {key}: wants a value, not a table");
        return _values.TryGetValue(key, out TomlValue value) ? value.Value : null;
    }
}
