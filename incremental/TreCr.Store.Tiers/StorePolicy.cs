namespace TreCr.Store.Tiers;

/// <summary>Where the checkpoints of a job go besides the store, nearest first: one TOML file (docs/tiers.md).</summary>
/// <param name="Keep">checkpoints of the job that are kept in the store itself</param>
/// <param name="Text">as it was read</param>
public sealed record StorePolicy(IReadOnlyList<TierPolicy> Tiers, Retention Keep, string Text)
{
    /// <summary>Prefix of a place that a <see cref="StoreAgent"/> serves.</summary>
    public const string AgentPrefix = "agent:";

    private const int MaxNodes = 64;
    private const string TierKeys = "name, kind, path, nodes, parity, endpoint, bucket, prefix, region, credentials, profile, every, keep, keep-hourly, keep-daily and max-rate";

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
        string kindName = table.Text("kind") ?? throw table.Bad("", "kind is missing: memory, disk, nvram, partner, shared, s3, xor or rs");
        TierKind kind = kindName switch
        {
            "memory" => TierKind.Memory, "disk" => TierKind.Disk, "nvram" => TierKind.Nvram, "partner" => TierKind.Partner, "shared" => TierKind.Shared, "xor" => TierKind.Xor, "rs" => TierKind.ReedSolomon, "s3" => TierKind.S3,
            _ => throw table.Bad("kind", $"{kindName}: wants memory, disk, nvram, partner, shared, s3, xor or rs"),
        };
        bool set = kind is TierKind.Xor or TierKind.ReedSolomon;
        string? path = table.Text("path");
        IReadOnlyList<string> nodes = table.Texts("nodes");
        int parity = table.Number("parity", 0, 1, MaxNodes);
        string name = table.Text("name") ?? $"{kindName}-{number}";
        if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) throw table.Bad("name", $"{name}: wants letters, digits, '-', '_' and '.'");
        S3Place? s3 = kind == TierKind.S3 ? ObjectStore(table, path) : null;
        if (s3 is not null)
        {
            if (nodes.Count > 0 || parity > 0) throw table.Bad(nodes.Count > 0 ? "nodes" : "parity", "a tier of kind s3 is a whole copy in a bucket");
            nodes = [$"{s3}"];
        }
        else if (set)
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
        if (kind == TierKind.Nvram && path!.StartsWith(AgentPrefix, StringComparison.Ordinal)) throw table.Bad("path", "wants a directory of this node: a tier of kind nvram is mapped");
        foreach (string place in nodes)
            if (s3 is null && !place.StartsWith('/') && !place.StartsWith($"{AgentPrefix}/", StringComparison.Ordinal)) throw table.Bad(set ? "nodes" : "path", $"{place}: wants a full path, or {AgentPrefix} and a full path");
        TierPolicy tier = new()
        {
            Name = name, Kind = kind, Places = nodes, S3 = s3, Parity = set ? parity : 0, Every = table.Number("every", 1, 1, int.MaxValue), Keep = Keeping(table),
            MaxBytesPerSecond = table.Size("max-rate", 0),
        };
        table.RefuseOthers(TierKeys);
        return tier;
    }

    private static S3Place ObjectStore(TomlTable table, string? path)
    {
        if (path is not null) throw table.Bad("path", "a tier of kind s3 has endpoint and bucket");
        string endpoint = table.Text("endpoint") ?? throw table.Bad("", "endpoint is missing: http(s)://HOST[:PORT]"), bucket = table.Text("bucket") ?? throw table.Bad("", "bucket is missing");
        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https") || uri.PathAndQuery != "/" || uri.Fragment.Length > 0) throw table.Bad("endpoint", "wants http(s)://HOST[:PORT]");
        if (uri.UserInfo.Length > 0) throw table.Bad("endpoint", "holds credentials, and policies are printed and copied: they come from the environment or from the file that credentials names");
        if (bucket.Length is < 3 or > 63 || !bucket.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '.')) throw table.Bad("bucket", $"{bucket}: wants 3 to 63 lower-case letters, digits, '-' and '.'");
        string prefix = (table.Text("prefix") ?? "").Trim('/');
        if (prefix.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.' or '/')) || prefix.Split('/').Any(p => p is "." or "..")) throw table.Bad("prefix", $"{prefix}: wants letters, digits, '-', '_', '.' and '/'");
        string? credentials = table.Text("credentials");
        if (credentials is not null && !credentials.StartsWith('/')) throw table.Bad("credentials", $"{credentials}: wants the full path of a file");
        return new S3Place(uri, bucket, prefix.Length > 0 ? prefix + "/" : "", table.Text("region") ?? "us-east-1", credentials, table.Text("profile") ?? "default");
    }
}
