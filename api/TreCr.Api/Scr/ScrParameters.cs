using System.Globalization;
using System.Text;

namespace TreCr.Api.Scr;

/// <summary>SCR's parameters: environment, the user's file, SCR_Config, the system's file, default, in this order (facts/api.md §2.3).</summary>
public sealed class ScrParameters
{
    /// <summary>Parameters whose values name others whose values do.</summary>
    private const int MostLevels = 16;

    private static readonly string[] s_lineKeys = ["STORE", "CKPT", "GROUPS"];

    private readonly Func<string, string?> _environment;
    private readonly Source _user, _application = new(), _system;
    private readonly Dictionary<string, string> _defaults = new()
    {
        ["SCR_ENABLE"] = "1", ["SCR_DEBUG"] = "0", ["SCR_CNTL_BASE"] = "/dev/shm", ["SCR_CACHE_BASE"] = "/dev/shm", ["SCR_CACHE_SIZE"] = "1", ["SCR_CACHE_BYPASS"] = "1", ["SCR_CACHE_PURGE"] = "0", ["SCR_PREFIX_PURGE"] = "0",
        ["SCR_PREFIX_SIZE"] = "0", ["SCR_COPY_TYPE"] = "XOR", ["SCR_GROUP"] = "NODE", ["SCR_SET_SIZE"] = "8", ["SCR_SET_FAILURES"] = "2", ["SCR_CHECKPOINT_INTERVAL"] = "0", ["SCR_CHECKPOINT_SECONDS"] = "0",
        ["SCR_CHECKPOINT_OVERHEAD"] = "0", ["SCR_FLUSH"] = "10", ["SCR_FLUSH_ASYNC"] = "0", ["SCR_FLUSH_TYPE"] = "SYNC", ["SCR_FLUSH_ON_RESTART"] = "0", ["SCR_GLOBAL_RESTART"] = "0", ["SCR_DISTRIBUTE"] = "1", ["SCR_FETCH"] = "1",
        ["SCR_FETCH_BYPASS"] = "0", ["SCR_HALT_SECONDS"] = "0", ["SCR_HALT_EXIT"] = "0", ["SCR_CRC_ON_FLUSH"] = "1", ["SCR_RUNS"] = "1",
    };

    /// <summary>Reads the files.</summary>
    /// <param name="environment">value of a variable; null: not set</param>
    /// <exception cref="CheckpointException">a file that was named cannot be read, or has a line that is none</exception>
    public ScrParameters(Func<string, string?> environment)
    {
        _environment = environment;
        string? named = Variable("SCR_CONF_FILE");
        _user = Source.Read(named ?? $"{Prefix}/.scrconf", required: named is not null);
        _system = Source.Read("/etc/scr.conf", required: false);
    }

    /// <summary>SCR_PREFIX, absolute; the working directory where it is not set.</summary>
    public string Prefix => Path.TrimEndingDirectorySeparator(Path.GetFullPath(Get("SCR_PREFIX") ?? Environment.CurrentDirectory));

    /// <summary>The value of a parameter.</summary>
    /// <returns>null: it has none</returns>
    /// <exception cref="CheckpointException">its value names itself</exception>
    public string? Get(string name) => Get(name, MostLevels);

    private string? Get(string name, int levels)
        => Variable(name) ?? Expand(_user?.Values.GetValueOrDefault(name) ?? _application.Values.GetValueOrDefault(name) ?? _system?.Values.GetValueOrDefault(name), levels) ?? _defaults.GetValueOrDefault(name);

    /// <exception cref="CheckpointException">not a number</exception>
    public int Number(string name) => Get(name) is not { } text ? 0 : ParseNumber(name, text);

    public bool Flag(string name) => Number(name) != 0;

    /// <summary>The parameters of a line, e.g. TYPE of CKPT 0.</summary>
    public string? Get(string key, string value, string name)
    {
        foreach (Source source in (Source[])[_user, _application, _system])
            if (source.Lines.GetValueOrDefault((key, value))?.GetValueOrDefault(name) is { } found) return Expand(found);
        return null;
    }

    /// <summary>The lines of a key: what stands behind its sign of equality, as it was written.</summary>
    public IReadOnlyList<string> Lines(string key)
        => [.. ((Source[])[_user, _application, _system]).SelectMany(s => s.Lines.Keys).Where(k => k.Key == key).Select(k => k.Value).Distinct()];

    /// <summary>What SCR_Config does: "K=V" sets, "K=" removes, "K" asks; a line's words follow its key.</summary>
    /// <param name="frozen">only questions are answered</param>
    /// <returns>the answer to a question; null: it has none, or it was none</returns>
    /// <exception cref="CheckpointException">no such form; set too late</exception>
    public string? Configure(string text, bool frozen)
    {
        string[] words = text.Split([' ', '\t', '\n'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0) throw new CheckpointException("an empty string");
        string[] first = words[0].Split('=', 2);
        bool line = s_lineKeys.Contains(first[0]);
        string[]? last = words[^1].Split('=', 2);
        if (line && first.Length == 2 && words.Length > 1 && last.Length == 1) return Get(first[0], first[1], last[0]);
        if (!line && words.Length == 1 && first.Length == 1) return Get(first[0]);
        if (first.Length != 2 || (!line && words.Length > 1)) throw new CheckpointException($"'{text}': neither NAME=VALUE nor NAME");
        if (frozen) throw new CheckpointException($"'{text}': parameters are set before SCR_Init");
        _application.Add(words, text);
        return null;
    }

    /// <summary>The datasets' descriptors, in the order of their numbers.</summary>
    /// <exception cref="CheckpointException">one that means nothing; none that takes every checkpoint</exception>
    public IReadOnlyList<CopyDescriptor> Copies()
    {
        List<CopyDescriptor> copies = [];
        string type = Get("SCR_COPY_TYPE")!;
        if (type.Equals("FILE", StringComparison.OrdinalIgnoreCase))
        {
            foreach (string number in Lines("CKPT"))
            {
                string? Of(string name) => Get("CKPT", number, name);
                if (Of("ENABLED") is "0") continue;
                copies.Add(Copy(ParseNumber("CKPT", number), Of("INTERVAL") ?? "1", Of("GROUP"), Of("STORE"), Of("TYPE") ?? "XOR", Of("BYPASS"), Of("SET_SIZE"), Of("SET_FAILURES"), Of("OUTPUT") ?? "0"));
            }
        }
        else copies.Add(Copy(0, "1", null, null, type, null, null, null, "0"));
        if (!copies.Any(c => c.Interval == 1 && !c.Output)) throw new CheckpointException("no CKPT line takes every checkpoint: one needs INTERVAL=1");
        return [.. copies.OrderBy(c => c.Number)];
    }

    /// <summary>The caches.</summary>
    public IReadOnlyList<StoreDescriptor> Stores()
    {
        List<StoreDescriptor> stores = [];
        foreach (string path in Lines("STORE"))
            if (Get("STORE", path, "ENABLED") is not "0")
                stores.Add(new(Path.GetFullPath(Expand(path)!), ParseNumber("STORE COUNT", Get("STORE", path, "COUNT") ?? Get("SCR_CACHE_SIZE")!), Get("STORE", path, "VIEW") is "GLOBAL"));
        string usual = Path.GetFullPath(Get("SCR_CACHE_BASE")!);
        if (stores.All(s => s.Base != usual)) stores.Add(new(usual, Number("SCR_CACHE_SIZE"), Global: false));
        return stores;
    }

    /// <summary>The value of a failure group for a node: its own name for NODE, one for all for WORLD, else that of a GROUPS line.</summary>
    /// <exception cref="CheckpointException">no GROUPS line of this node has it</exception>
    public string GroupOf(string group, string node) => group switch
    {
        "NODE" => node,
        "WORLD" => "WORLD",
        _ => Get("GROUPS", node, group) ?? throw new CheckpointException($"no line 'GROUPS={node} {group}=...' says to which {group} this node belongs"),
    };

    /// <summary>Whose a cache is: USER/scr.JOB-PREFIX below each base, the last a hash of the prefix directory, so that two programs of a job do not meet. 0 where there is no job.</summary>
    public string CacheOwner
    {
        get
        {
            string user = Get("SCR_USER_NAME") ?? Variable("USER") ?? Linux.Sys.EffectiveUserId().ToString(CultureInfo.InvariantCulture);
            string job = Get("SCR_JOB_ID") ?? Variable("FLUX_JOB_ID") ?? Variable("SLURM_JOBID") ?? Variable("SLURM_JOB_ID") ?? Variable("PBS_JOBID") ?? Variable("LSB_JOBID") ?? "0";
            return $"{user}/scr.{job}-{(uint)(XxHash.XxHash128.HashToUInt128(Encoding.UTF8.GetBytes(Prefix)) >> 96):x8}";
        }
    }

    /// <summary>When the allocation ends, seconds since 1970; 0: unknown.</summary>
    public long EndTime => long.TryParse(Variable("SCR_END_TIME") ?? Variable("SLURM_JOB_END_TIME"), CultureInfo.InvariantCulture, out long end) ? end : 0;

    private CopyDescriptor Copy(int number, string interval, string? group, string? store, string type, string? bypass, string? setSize, string? failures, string output) => new(number,
        Math.Max(1, ParseNumber("INTERVAL", interval)), group ?? Get("SCR_GROUP")!, Path.GetFullPath(store ?? Get("SCR_CACHE_BASE")!), type.ToUpperInvariant() switch
        {
            "SINGLE" => CopyType.Single,
            "PARTNER" => CopyType.Partner,
            "XOR" => CopyType.Xor,
            "RS" => CopyType.Rs,
            _ => throw new CheckpointException($"copy type '{type}' is none of SINGLE, PARTNER, XOR, RS"),
        }, ParseNumber("BYPASS", bypass ?? Get("SCR_CACHE_BYPASS")!) != 0, ParseNumber("SET_SIZE", setSize ?? Get("SCR_SET_SIZE")!), ParseNumber("SET_FAILURES", failures ?? Get("SCR_SET_FAILURES")!), ParseNumber("OUTPUT", output) != 0);

    private string? Variable(string name) => _environment(name) is { Length: > 0 } value ? value : null;

    private string? Expand(string? value, int levels = MostLevels)
    {
        if (value is null || !value.Contains('$')) return value;
        if (levels == 0) throw new CheckpointException($"'{value}': names itself, or others that do");
        StringBuilder text = new();
        for (int i = 0; i < value.Length; i++)
        {
            if (value[i] != '$')
            {
                text.Append(value[i]);
                continue;
            }
            bool braced = i + 1 < value.Length && value[i + 1] == '{';
            int start = i + (braced ? 2 : 1), end = start;
            while (end < value.Length && (char.IsAsciiLetterOrDigit(value[end]) || value[end] == '_')) end++;
            text.Append(Get(value[start..end], levels - 1));
            i = braced ? end : end - 1;
        }
        return text.ToString();
    }

    private static int ParseNumber(string name, string text) => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) ? number
        : throw new CheckpointException($"{name} is a number, not '{text}'");

    /// <summary>One place where parameters stand.</summary>
    private sealed class Source
    {
        public Dictionary<string, string> Values { get; } = [];

        public Dictionary<(string Key, string Value), Dictionary<string, string>> Lines { get; } = [];

        public static Source Read(string path, bool required)
        {
            Source source = new();
            string[] lines;
            try { lines = File.ReadAllLines(path); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return required ? throw new CheckpointException($"SCR_CONF_FILE: {path} cannot be read: {e.Message}") : source; }
            foreach (string line in lines)
                if (line.Split('#')[0].Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } words) source.Add(words, $"{path}: {line}");
            return source;
        }

        public void Add(string[] words, string where)
        {
            for (int i = 0; i < words.Length; i++)
            {
                if (words[i].Split('=', 2) is not [{ Length: > 0 } name, var value]) throw new CheckpointException($"'{where}': '{words[i]}' is not NAME=VALUE");
                if (i > 0) continue;
                if (s_lineKeys.Contains(name))
                {
                    if (!Lines.TryGetValue((name, value), out Dictionary<string, string>? of)) Lines[(name, value)] = of = [];
                    foreach (string word in words[1..])
                        if (word.Split('=', 2) is [var key, var text]) of[key] = text;
                }
                else if (value.Length > 0) Values[name] = value;
                else Values.Remove(name);
            }
        }
    }
}
