using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// What happened to a job, for whoever looks later: <c>$XDG_STATE_HOME/trecr/JOB/</c> with <c>events.jsonl</c>, one JSON object a line, and <c>log</c>, what TreCr said of it, each line with its time. Supervisors of all ranks on this
/// host and the coordinator append to them, a line with one write; at 4 MiB a file becomes the one before (<c>.1</c>). Nothing of a job depends on it: a thread of its own writes, so that nobody waits for a home directory whose server is gone, and what cannot be written is not.
/// </summary>
public sealed class JobJournal
{
    /// <summary>Files of a job.</summary>
    public const string Events = "events.jsonl", Log = "log", BeforeSuffix = ".1";

    private const long RotateBytes = 4 << 20;

    private const int MostWaiting = 10_000;

    private static readonly BlockingCollection<(string Path, byte[] Bytes)> s_waiting = new(MostWaiting);
    private static int s_unwritten;
    private static readonly Lazy<Thread> s_writer = new(() =>
    {
        Thread thread = new(WriteAll, 256 * 1024) { IsBackground = true, Name = "journal" };
        thread.Start();
        return thread;
    });

    private static readonly TimeSpan s_kept = TimeSpan.FromDays(30);

    private JobJournal(string directory) => Directory = directory;

    /// <summary>Absolute path, of the user's own and closed to others (0700).</summary>
    public string Directory { get; }

    /// <summary>Where journals of this user are: $XDG_STATE_HOME/trecr, else ~/.local/state/trecr; null: neither is set.</summary>
    public static string? Root
        => Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } state && state[0] == '/' ? $"{state}/trecr"
            : Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home && home[0] == '/' ? $"{home}/.local/state/trecr" : null;

    /// <summary>Opens a job's journal, or begins it.</summary>
    /// <param name="root">null: <see cref="Root"/></param>
    /// <returns>null: it cannot be had, or others could write there</returns>
    public static JobJournal? TryOpen(string job, string? root = null)
    {
        root ??= Root;
        if (root is null || !JobName.IsValid(job)) return null;
        try { System.IO.Directory.CreateDirectory(Path.GetDirectoryName(root)!); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
        foreach (string directory in (string[])[root, $"{root}/{job}"])
        {
            Sys.MakeDirectoryAt(Sys.AT_FDCWD, directory, 0x1C0);
            if (!IsOwn(directory)) return null;
        }
        return new JobJournal($"{root}/{job}");
    }

    /// <summary>A journal that another process of this user has opened.</summary>
    /// <returns>null: it is not a directory of this user's that others cannot enter</returns>
    public static JobJournal? At(string directory) => directory.StartsWith('/') && IsOwn(directory) ? new JobJournal(directory) : null;

    private static bool IsOwn(string directory)
    {
        long fd = Sys.TryOpen(directory, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) return false;
        try { return PrivateDirectory.WhyNot((int)fd) is null; }
        finally { Sys.Close((int)fd); }
    }

    /// <summary>Notes an event.</summary>
    /// <param name="name">what happened, see docs/events.md</param><param name="fields">writes more of it</param>
    public void Note(string job, string name, Action<Utf8JsonWriter> fields)
    {
        ArrayBufferWriter<byte> line = new();
        using (Utf8JsonWriter json = new(line, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("schema", "trecr.event/1");
            json.WriteString("time", Now());
            json.WriteString("job", job);
            json.WriteString("event", name);
            json.WriteString("host", Environment.MachineName);
            fields(json);
            json.WriteEndObject();
        }
        line.Write("\n"u8);
        Append(Events, line.WrittenSpan.ToArray());
    }

    /// <summary>Notes lines that were said.</summary>
    public void Say(params string[] lines)
    {
        string now = Now();
        Append(Log, Encoding.UTF8.GetBytes(string.Concat(lines.Select(l => $"{now} {l}\n"))));
    }

    private static string Now() => DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);

    /// <summary>Hands a line to the thread that writes; one too many is dropped.</summary>
    private void Append(string name, byte[] bytes)
    {
        _ = s_writer.Value;
        Interlocked.Increment(ref s_unwritten);
        if (!s_waiting.TryAdd(($"{Directory}/{name}", bytes))) Interlocked.Decrement(ref s_unwritten);
    }

    /// <summary>Waits until what was noted is written, before this process ends or becomes another program.</summary>
    /// <param name="limitMs">no longer</param>
    public static void Flush(int limitMs = 2000)
    {
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + limitMs; Volatile.Read(ref s_unwritten) > 0 && Environment.TickCount64 < end; never.Wait(1)) { }
    }

    private static void WriteAll()
    {
        foreach ((string path, byte[] bytes) in s_waiting.GetConsumingEnumerable())
        {
            Write(path, bytes);
            Interlocked.Decrement(ref s_unwritten);
        }
    }

    private static unsafe void Write(string path, byte[] bytes)
    {
        long fd = Sys.TryOpen(path, Sys.O_WRONLY | Sys.O_APPEND | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        if (fd < 0) return;
        try
        {
            fixed (byte* p = bytes) Sys.Write((int)fd, p, bytes.Length);
            if (Sys.Fstat((int)fd).LengthBytes < RotateBytes || Sys.Flock((int)fd, Sys.LOCK_EX | Sys.LOCK_NB) < 0) return;
            // Who has the lock of the file that has the name moves it; another that was about to finds a short one there.
            if (Sys.TryStat(path, out FileFacts facts) == 0 && facts.LengthBytes >= RotateBytes) Sys.RenameAt(Sys.AT_FDCWD, path, path + BeforeSuffix);
        }
        catch (LinuxException) { } // a disk that is full
        finally { Sys.Close((int)fd); }
    }

    /// <summary>Jobs that have a journal.</summary>
    public static string[] Jobs(string? root = null)
        => (root ?? Root) is { } at && System.IO.Directory.Exists(at) ? [.. System.IO.Directory.GetDirectories(at).Select(d => Path.GetFileName(d)).Where(JobName.IsValid).Order(StringComparer.Ordinal)] : [];

    /// <summary>Removes journals in which nothing was written for 30 days.</summary>
    public static void RemoveOld()
    {
        try
        {
            foreach (string job in Jobs())
            {
                string directory = $"{Root}/{job}";
                string[] files = System.IO.Directory.GetFiles(directory);
                if (IsOwn(directory) && files.Append(directory).All(f => DateTime.UtcNow - File.GetLastWriteTimeUtc(f) > s_kept)) System.IO.Directory.Delete(directory, recursive: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    /// <summary>Lines of one of its files, the oldest first; what does not end in a line feed yet is not one.</summary>
    public IEnumerable<string> Lines(string name)
    {
        foreach (string path in (string[])[$"{Directory}/{name}{BeforeSuffix}", $"{Directory}/{name}"])
        {
            long position = 0;
            foreach (string line in Read(path, ref position)) yield return line;
        }
    }

    /// <summary>Lines from a position on, which goes behind the last of them.</summary>
    /// <param name="positionBytes">beyond the end: the file was begun anew, and is read from its begin</param>
    public static List<string> Read(string path, ref long positionBytes)
    {
        List<string> lines = [];
        try
        {
            using FileStream file = new(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.ReadWrite | FileShare.Delete });
            if (file.Length < positionBytes) positionBytes = 0;
            file.Position = positionBytes;
            byte[] bytes = new byte[Math.Min(file.Length - positionBytes, 2 * RotateBytes)];
            int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false), from = 0;
            for (int end; (end = bytes.AsSpan(from, length - from).IndexOf((byte)'\n')) >= 0; from += end + 1) lines.Add(Encoding.UTF8.GetString(bytes, from, end));
            positionBytes += from;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        return lines;
    }
}
