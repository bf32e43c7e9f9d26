namespace TreCr.Store.Tiers;

/// <summary>Where the checkpoints of a job go besides the store, nearest first: one TOML file (docs/tiers.md).</summary>
/// <param name="Keep">checkpoints of the job that are kept in the store itself</param>
/// <param name="Text">as it was read</param>
public sealed record StorePolicy(IReadOnlyList<TierPolicy> Tiers, Retention Keep, string Text)
{
    /// <summary>Prefix of a place that a <see cref="StoreAgent"/> serves.</summary>
    public const string AgentPrefix = "agent:";

    private const int MaxNodes = 64;
    private const string TierKeys = "name, kind, path, nodes, parity, every, keep, keep-hourly, keep-daily and max-rate";

    /// <summary>Reads a policy file.</summary>
    /// <exception cref="PolicyException">cannot be read; not a policy: file, line and key are named</exception>
    public static StorePolicy Load(string path)
    {
        try { return Parse(File.ReadAllText(path), path); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new PolicyException($"{path}: cannot be read: {e.Message}"); }
    }

    /// <param name="file">names it in messages</param>
    /// <exception cref="PolicyException">file, line and key are named</exception>
    public static StorePolicy Parse(string text, string file)
    {
        TomlTable root = TomlReader.Read(text, file);
        if (root.Number("version", 1, 1, int.MaxValue) > 1) throw root.Bad("version", "a newer policy than this build reads (1)");
        List<TierPolicy> tiers = [];
        foreach (TomlTable table in root.Tables("tier"))
        {
            TierPolicy tier = Tier(table, tiers.Count + 1);
            if (tiers.Any(t => t.Name == tier.Name)) throw table.Bad("name", $"two tiers are named {tier.Name}");
            if (tiers.SelectMany(t => t.Places).FirstOrDefault(tier.Places.Contains) is { } twice) throw table.Bad(tier.Parity > 0 ? "nodes" : "path", $"{twice}: another tier is there");
            tiers.Add(tier);
        }
        Retention keep = Keeping(root);
        root.RefuseOthers("version, keep, keep-hourly, keep-daily and [[tier]]");
        return new StorePolicy(tiers, keep, text);
    }

    private static Retention Keeping(TomlTable table) => new()
    {
        Last = table.Number("keep", 3, 1, int.MaxValue), Hourly = table.Number("keep-hourly", 0, 0, int.MaxValue), Daily = table.Number("keep-daily", 0, 0, int.MaxValue),
    };

    private static TierPolicy Tier(TomlTable table, int number)
    {
        string kindName = table.Text("kind") ?? throw table.Bad("", "kind is missing: memory, disk, partner, shared, xor or rs");
        TierKind kind = kindName switch
        {
            "memory" => TierKind.Memory, "disk" => TierKind.Disk, "partner" => TierKind.Partner, "shared" => TierKind.Shared, "xor" => TierKind.Xor, "rs" => TierKind.ReedSolomon,
            _ => throw table.Bad("kind", $"{kindName}: wants memory, disk, partner, shared, xor or rs"),
        };
        bool set = kind is TierKind.Xor or TierKind.ReedSolomon;
        string? path = table.Text("path");
        IReadOnlyList<string> nodes = table.Texts("nodes");
        int parity = table.Number("parity", 0, 1, MaxNodes);
        string name = table.Text("name") ?? $"{kindName}-{number}";
        if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) throw table.Bad("name", $"{name}: wants letters, digits, '-', '_' and '.'");
        if (set)
        {
            if (path is not null) throw table.Bad("path", $"a tier of kind {kindName} has nodes");
            if (kind == TierKind.Xor && parity > 1) throw table.Bad("parity", "xor has one: rs has more");
            if (kind == TierKind.ReedSolomon && parity == 0) throw table.Bad("", "parity is missing: how many of the nodes may be lost");
            parity = Math.Max(parity, 1);
            if (nodes.Count < parity + 2 || nodes.Count > MaxNodes) throw table.Bad(nodes.Count == 0 ? "" : "nodes", $"nodes: {nodes.Count}; a set with parity {parity} has {parity + 2} to {MaxNodes}");
            if (nodes.Distinct().Count() < nodes.Count) throw table.Bad("nodes", "a node comes twice");
        }
        else
        {
            if (nodes.Count > 0) throw table.Bad("nodes", $"a tier of kind {kindName} has a path");
            if (parity > 0) throw table.Bad("parity", $"a tier of kind {kindName} is a whole copy");
            nodes = [path ?? throw table.Bad("", "path is missing: a directory, or agent:SOCKET")];
        }
        foreach (string place in nodes)
            if (!place.StartsWith('/') && !place.StartsWith($"{AgentPrefix}/", StringComparison.Ordinal)) throw table.Bad(set ? "nodes" : "path", $"{place}: wants a full path, or {AgentPrefix} and a full path");
        TierPolicy tier = new()
        {
            Name = name, Kind = kind, Places = nodes, Parity = set ? parity : 0, Every = table.Number("every", 1, 1, int.MaxValue), Keep = Keeping(table),
            MaxBytesPerSecond = table.Size("max-rate", 0),
        };
        table.RefuseOthers(TierKeys);
        return tier;
    }
}
