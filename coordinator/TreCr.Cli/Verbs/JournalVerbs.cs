using System.Text.Json;
using TreCr.Control;
using TreCr.Coordinator;

namespace TreCr.Cli;

/// <summary><c>trecr events</c> and <c>trecr logs</c>: jobs' journals (docs/events.md).</summary>
internal static class JournalVerbs
{
    private const int LookMs = 200, DefaultLast = 1000;

    public static readonly Option[] Options =
    [
        new("--last", "N", "the last N of them (default 1000)"),
        new("--follow", "", "go on with what comes, until Ctrl-C; with --json one object a line"),
    ];

    public static int Events(Arguments arguments)
    {
        string? job = arguments.Operands.Count > 0 ? arguments.Operands[0] : null;
        string[] last = [.. Journals(job).SelectMany(j => j.Lines(JobJournal.Events)).OrderBy(TimeOf, StringComparer.Ordinal)];
        last = last[^Math.Min(last.Length, Last(arguments))..];
        if (arguments.Has("--follow"))
        {
            Follow(job, JobJournal.Events, last, line => arguments.Json ? line : Describe(line));
            return 0;
        }
        if (arguments.Json)
            Output.Json("trecr.events/1", j =>
            {
                j.WriteStartArray("events");
                foreach (string line in last)
                    if (Parse(line) is { } whole) whole.WriteTo(j);
                j.WriteEndArray();
            });
        else foreach (string line in last) Output.Line(Describe(line));
        return 0;
    }

    public static int Logs(Arguments arguments)
    {
        string job = arguments.Operands[0];
        string[] last = [.. Journals(job)[0].Lines(JobJournal.Log)];
        last = last[^Math.Min(last.Length, Last(arguments))..];
        if (arguments.Has("--follow")) Follow(job, JobJournal.Log, last, line => arguments.Json ? JsonOf(line) : Printable(line));
        else if (arguments.Json)
            Output.Json("trecr.logs/1", j => j.WriteObjects("lines", last, line =>
            {
                (string time, string text) = Split(line);
                j.WriteString("time", time);
                j.WriteString("text", text);
            }));
        else foreach (string line in last) Output.Line(Printable(line));
        return 0;
    }

    private static int Last(Arguments arguments) => arguments.Number("--last", DefaultLast, 0, 1_000_000);

    /// <param name="job">null: of all jobs</param>
    /// <exception cref="TrecrException">NoJournal</exception>
    private static JobJournal[] Journals(string? job)
    {
        string? root = JobJournal.Root;
        if (job is null) return [.. JobJournal.Jobs().Select(j => JobJournal.At($"{root}/{j}")).OfType<JobJournal>()];
        return JobName.IsValid(job) && root is not null && JobJournal.At($"{root}/{job}") is { } journal ? [journal] : throw new TrecrException(TrecrError.NoJournal, $"nothing is noted of a job '{Printable(job)}'{(root is null ? "" : $" in {root}")}");
    }

    /// <summary>Prints what was and what comes, until somebody ends us or nobody reads any more.</summary>
    private static void Follow(string? job, string file, string[] last, Func<string, string> print)
    {
        Dictionary<string, long> positions = [];
        foreach (JobJournal journal in Journals(job)) positions[journal.Directory] = Length($"{journal.Directory}/{file}");
        foreach (string line in last)
            if (!Output.TryLine(print(line))) return;
        using ManualResetEventSlim never = new();
        for (; ; never.Wait(LookMs))
            foreach (JobJournal journal in Journals(job))
            {
                long position = positions.GetValueOrDefault(journal.Directory);
                foreach (string line in JobJournal.Read($"{journal.Directory}/{file}", ref position))
                    if (!Output.TryLine(print(line))) return;
                positions[journal.Directory] = position;
            }
    }

    private static long Length(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    private static JsonElement? Parse(string line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException) { return null; } // a line that somebody else has written
    }

    private static string TimeOf(string line) => Parse(line) is { } e ? Text(e, "time") : "";

    private static string Describe(string line)
    {
        if (Parse(line) is not { } e) return Printable(line);
        string name = Text(e, "event");
        List<string> words = [];
        if (Text(e, "rank") is { Length: > 0 } rank) words.Add($"rank {rank} on {Text(e, "host")}");
        if (Text(e, "checkpoint_id") is { Length: > 0 } id) words.Add(id);
        switch (name)
        {
            case "checkpoint":
                words.Add($"stop {Number(e, "stop_time_us") / 1000:0.0} ms");
                words.Add($"{Output.Bytes((ulong)Number(e, "bytes_total"))}, {Output.Bytes((ulong)Number(e, "bytes_stored"))} stored");
                words.Add($"took {Number(e, "took_ms") / 1000:0.0} s");
                if (Text(e, "stopped") == "True") words.Add("the job was stopped with it");
                break;
            case "checkpoint-failed": words.Add($"{Text(e, "reason")} ({Text(e, "error")})"); break;
            case "started" or "restarted":
                if (e.TryGetProperty("command", out JsonElement command) && command.ValueKind == JsonValueKind.Array) words.Add(string.Join(' ', command.EnumerateArray().Select(w => w.ToString())));
                words.Add($"pid {Text(e, "pid")}");
                break;
            case "ended":
                words.Add(Text(e, "stopped_with") is { Length: > 0 } with ? $"stopped with {with}" : Text(e, "signal") is { Length: > 0 } signal ? $"signal {signal}" : Text(e, "lost") is { Length: > 0 } lost ? $"lost its {lost}" : $"exit code {Text(e, "exit_code")}");
                break;
        }
        return Printable($"{Text(e, "time"),-24}  {Text(e, "job")}  {name,-17}  {string.Join(", ", words)}");
    }

    private static string Text(JsonElement e, string field) => e.TryGetProperty(field, out JsonElement value) ? value.ToString() : "";

    private static double Number(JsonElement e, string field) => e.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= 0 ? number : 0;

    /// <summary>A program's words may hold what a terminal obeys.</summary>
    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));

    private static (string Time, string Text) Split(string line) => line.IndexOf(' ') is var at and > 0 ? (line[..at], line[(at + 1)..]) : ("", line);

    private static string JsonOf(string line)
    {
        (string time, string text) = Split(line);
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            json.WriteString("schema", "trecr.log/1");
            json.WriteString("time", time);
            json.WriteString("text", text);
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
