using System.Globalization;

namespace TreCr.Api.C.Veloc;

/// <summary>VELOC's configuration file: <c>key = value</c> lines, overridden by <c>VELOC_KEY</c> in the environment. Keys that mean nothing here are accepted.</summary>
/// <remarks>Source: facts/api.md §1.4. Ours: <c>store</c> and <c>policy</c>; a value in quotation marks may hold blanks.</remarks>
internal sealed class Configuration
{
    private static readonly string[] s_keys =
    [
        "mode", "scratch", "persistent", "persistent_interval", "ec_interval", "max_versions", "scratch_versions", "watchdog_interval", "failure_domain", "axl_type", "chksum", "meta", "aggregated",
        "threaded", "max_parallelism", "log_prefix", "daos_pool", "daos_cont", "store", "policy",
    ];

    private readonly Dictionary<string, string> _values = [];

    /// <param name="path">empty: the environment alone</param>
    /// <param name="environment">value of a variable; null: not set</param>
    /// <exception cref="CheckpointException">cannot be read; a line that is none</exception>
    public static Configuration Read(string path, Func<string, string?> environment)
    {
        Configuration configuration = new();
        if (path.Length > 0)
        {
            string[] lines;
            try { lines = File.ReadAllLines(path); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CheckpointException($"configuration {path}: cannot be read: {e.Message}"); }
            for (int i = 0; i < lines.Length; i++) configuration.ReadLine(lines[i].Trim(), $"{path}:{i + 1}");
        }
        foreach (string key in s_keys)
            if (environment("VELOC_" + key.ToUpperInvariant()) is { Length: > 0 } value) configuration._values[key] = value;
        return configuration;
    }

    /// <exception cref="CheckpointException">a key is missing, or has a value that means nothing</exception>
    public CheckpointSettings ToSettings(string? helperDirectory)
    {
        string mode = Required("mode");
        if (mode is not ("sync" or "async")) throw new CheckpointException($"configuration: mode is 'sync' or 'async', not '{mode}'");
        return new CheckpointSettings
        {
            Scratch = Required("scratch"),
            Persistent = Text("persistent"),
            Store = Text("store"),
            StorePolicy = Text("policy"),
            Async = mode == "async",
            IntervalSeconds = Number("persistent_interval"),
            MaxVersions = Number("max_versions"),
            ScratchVersions = Number("scratch_versions"),
            ChecksumDirectory = Text("chksum") is "true" or "1" or "yes" or "on" ? Required("meta") : null,
            LogDirectory = Text("log_prefix"),
            HelperDirectory = helperDirectory,
        };
    }

    /// <summary>What the configuration asks for and does not get, one line each.</summary>
    public IEnumerable<string> Missing()
    {
        if (Text("aggregated") is "true" or "1" or "yes" or "on") yield return "aggregated: not supported; each rank has a file of its own";
        if (Text("daos_pool") is not null) yield return "daos_pool: DAOS is not supported; checkpoints go to 'persistent' and 'store'";
        if (Text("ec_interval") is not null && Number("ec_interval") >= 0 && (Text("store") is null || Text("policy") is null))
            yield return "ec_interval: there are no erasure codes without 'store' and 'policy' (docs/api.md): a node's loss costs what is in its scratch directory";
    }

    private void ReadLine(string line, string where)
    {
        if (line.Length == 0 || line[0] is '#' or ';' or '[') return;
        int sign = line.IndexOfAny(['=', ':']);
        if (sign <= 0) throw new CheckpointException($"configuration {where}: neither 'key = value' nor a comment");
        string value = line[(sign + 1)..].Trim();
        if (value.StartsWith('"') && value.IndexOf('"', 1) is var end and > 0) value = value[1..end];
        else if (value.IndexOfAny([' ', '\t']) is var blank and >= 0) value = value[..blank]; // as the original does: what follows is a comment
        _values[line[..sign].Trim().ToLowerInvariant()] = value;
    }

    private string? Text(string key) => _values.TryGetValue(key, out string? value) && value.Length > 0 ? value : null;

    private string Required(string key) => Text(key) ?? throw new CheckpointException($"configuration: '{key}' is missing");

    private int Number(string key) => Text(key) is not { } text ? 0 : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
        : throw new CheckpointException($"configuration: {key} is a number, not '{text}'");
}
