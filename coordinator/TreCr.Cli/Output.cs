using System.Buffers;
using System.Text;
using System.Text.Json;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>Results go to stdout, everything else to stderr in lines that begin <c>trecr: </c>.</summary>
/// <remarks>Not <see cref="Console"/>: that installs signal handlers and changes terminal settings, which belong to the program.</remarks>
internal static unsafe class Output
{
    private static readonly Lock s_lock = new();

    /// <summary>A line of the result.</summary>
    public static void Line(string text = "") => Write(1, text + "\n");

    /// <summary>A line of a result that has no end.</summary>
    /// <returns>false: nobody reads any more</returns>
    public static bool TryLine(string text)
    {
        lock (s_lock) return WriteAll(1, Encoding.UTF8.GetBytes(text + "\n"));
    }

    /// <summary>A note on stderr.</summary>
    public static void Note(string text)
    {
        string[] lines = [.. text.TrimEnd().Split('\n').Select(l => Speaker + l)];
        Write(2, string.Concat(lines.Select(l => $"trecr: {l}\n")));
        Journal?.Say(lines);
    }

    /// <summary>Of the job that this process supervises: has what is said too.</summary>
    public static Coordinator.JobJournal? Journal { get; set; }

    /// <summary>Which rank says it, where a job has several: "rank 2: ".</summary>
    public static string Speaker { get; set; } = "";

    /// <summary>The one line of an error, then its findings.</summary>
    public static void Error(TrecrError error, string message, IReadOnlyList<string>? findings = null)
    {
        foreach (string finding in findings ?? []) Note($"finding: {finding}");
        Note(ErrorLine(error, message));
    }

    public static string ErrorLine(TrecrError error, string message) => $"{message.ReplaceLineEndings(" ")}; {error.WhatToDo} (TRECR-{error.Number:d4})";

    /// <summary>A JSON object with its schema name on stdout, in one line.</summary>
    public static void Json(string schema, Action<Utf8JsonWriter> fields)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("schema", schema);
            fields(json);
            json.WriteEndObject();
        }
        Write(1, Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n");
    }

    /// <summary>Aligned columns; the first row is the head.</summary>
    public static void Table(IReadOnlyList<string[]> rows)
    {
        int[] widths = new int[rows[0].Length];
        foreach (string[] row in rows)
            for (int i = 0; i < row.Length; i++) widths[i] = Math.Max(widths[i], row[i].Length);
        foreach (string[] row in rows) Line(string.Join("  ", row.Select((cell, i) => i == row.Length - 1 ? cell : cell.PadRight(widths[i]))).TrimEnd());
    }

    /// <summary>Bytes as a person reads them.</summary>
    public static string Bytes(ulong bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        while (value >= 1024 && unit < units.Length - 1) (value, unit) = (value / 1024, unit + 1);
        return unit == 0 ? $"{bytes} B" : $"{value:0.0} {units[unit]}";
    }

    /// <summary>Writes all bytes; false when nobody reads any more.</summary>
    public static bool WriteAll(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
            for (int at = 0; at < bytes.Length;)
            {
                long n = Sys.Write(fd, p + at, bytes.Length - at);
                if (n == -Errno.EAGAIN)
                {
                    Span<PollEntry> ready = [new PollEntry { Fd = fd, Events = Sys.POLLOUT }];
                    Sys.Poll(ready, -1);
                    continue;
                }
                if (n < 0) return false;
                at += (int)n;
            }
        return true;
    }

    /// <summary>Does something whose output, results and notes alike, is wanted as text.</summary>
    public static string Captured(Action action)
    {
        StringBuilder text = new();
        lock (s_lock) s_captured = text;
        try { action(); }
        finally { lock (s_lock) s_captured = null; }
        return text.ToString();
    }

    private static StringBuilder? s_captured;

    private static void Write(int fd, string text)
    {
        lock (s_lock)
        {
            if (s_captured is { } captured) captured.Append(text);
            else WriteAll(fd, Encoding.UTF8.GetBytes(text));
        }
    }
}
