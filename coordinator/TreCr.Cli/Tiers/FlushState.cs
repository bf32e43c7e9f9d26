using System.Text.Json;
using TreCr.Linux;
using TreCr.Store.Tiers;

namespace TreCr.Cli;

/// <summary>How far the flush of a job is, as it stands in its file in the store.</summary>
/// <param name="Running">a process is at it now</param>
/// <param name="Problems">tier and why it lacks something</param>
internal sealed record FlushState(bool Running, string Tier, string CheckpointId, long Bytes, long TotalBytes, IReadOnlyList<(string Tier, string Problem)> Problems)
{
    /// <summary>The process that flushed is gone and had not ended: killed, or the machine went down.</summary>
    public bool Interrupted { get; private init; }

    public static void Write(string store, string job, FlushState state)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter j = new(text))
        {
            j.WriteStartObject();
            state.WriteTo(j);
            j.WriteObjects("problems", state.Problems, p =>
            {
                j.WriteString("tier", p.Tier);
                j.WriteString("problem", p.Problem);
            });
            j.WriteEndObject();
        }
        WholeFile.Replace(JobTiers.ProgressPath(store, job), text.ToArray(), durable: false, WholeFile.Private);
    }

    /// <summary>What users see of it too.</summary>
    public void WriteTo(Utf8JsonWriter j)
    {
        j.WriteBoolean("running", Running);
        j.WriteBoolean("interrupted", Interrupted);
        j.WriteString("tier", Tier);
        j.WriteString("checkpoint_id", CheckpointId);
        j.WriteNumbers(("bytes", Bytes), ("bytes_total", TotalBytes));
    }

    /// <returns>null: the job was never flushed</returns>
    public static FlushState? TryRead(string store, string job)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(JobTiers.ProgressPath(store, job)));
            JsonElement j = document.RootElement;
            bool begun = j.GetProperty("running").GetBoolean(), running = begun && JobTiers.IsLocked(store, job);
            return new FlushState(running, j.GetProperty("tier").GetString()!, j.GetProperty("checkpoint_id").GetString()!, j.GetProperty("bytes").GetInt64(), j.GetProperty("bytes_total").GetInt64(),
                [.. j.GetProperty("problems").EnumerateArray().Select(p => (p.GetProperty("tier").GetString()!, p.GetProperty("problem").GetString()!))]) { Interrupted = begun && !running };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException) { return null; }
    }

    /// <summary>For people.</summary>
    public string Describe(string job)
        => Running ? CheckpointId.Length > 0 ? $"{job}: {CheckpointId} goes to tier {Tier}: {Output.Bytes((ulong)Bytes)} of {Output.Bytes((ulong)TotalBytes)}" : $"{job}: flush has begun"
            : Interrupted ? $"{job}: flush was interrupted{(CheckpointId.Length > 0 ? $" at {CheckpointId} to tier {Tier}" : "")}; `trecr flush {job}` goes on"
            : Problems.Count > 0 ? string.Join("; ", Problems.Select(p => $"{job}: tier {p.Tier} lacks something: {p.Problem}")) : $"{job}: every tier has what it should have";
}
