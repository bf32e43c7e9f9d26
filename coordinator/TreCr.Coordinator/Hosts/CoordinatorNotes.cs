using Google.Protobuf;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// How the ranks of a job on several hosts find its coordinator: a note in the job's store, which all of them reach and only this user may write. <c>coordinators/JOB</c> says where the coordinator listens and which key it
/// has; <c>keys/FINGERPRINT</c>, empty, says that who has this key writes here, and is let in by the coordinators of the store's jobs.
/// </summary>
public static class CoordinatorNotes
{
    private const int MostBytes = 64 * 1024;

    private static string PathOf(string store, string job) => $"{store}/coordinators/{job}";

    /// <summary>Replaces the note of a job.</summary>
    /// <exception cref="IOException">the store cannot be written</exception>
    public static void Write(string store, string job, CoordinatorNote note)
    {
        Directory.CreateDirectory($"{store}/coordinators", WholeFile.Private | UnixFileMode.UserExecute);
        WholeFile.Replace(PathOf(store, job), note.ToByteArray(), durable: true, WholeFile.Private);
    }

    /// <returns>null: there is none, or none of this user's</returns>
    public static CoordinatorNote? TryRead(string store, string job)
    {
        string path = PathOf(store, job);
        try { return IsOwn(path) && new FileInfo(path).Length <= MostBytes ? CoordinatorNote.Parser.ParseFrom(File.ReadAllBytes(path)) : null; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidProtocolBufferException) { return null; }
    }

    /// <summary>Takes a note away, unless it is another's by now.</summary>
    public static void Remove(string store, string job, CoordinatorNote note)
    {
        if (note.Equals(TryRead(store, job))) File.Delete(PathOf(store, job));
    }

    /// <summary>Jobs of a store that have a note.</summary>
    public static IReadOnlyList<string> Jobs(string store)
        => Directory.Exists($"{store}/coordinators") ? [.. Directory.GetFiles($"{store}/coordinators").Select(f => Path.GetFileName(f)!).Where(JobName.IsValid).Order(StringComparer.Ordinal)] : [];

    /// <summary>Lets the coordinators of the store's jobs know our key.</summary>
    /// <exception cref="IOException">the store cannot be written</exception>
    public static void ShowKey(string store, string fingerprint)
    {
        string path = $"{store}/keys/{fingerprint}";
        if (IsOwn(path)) return;
        Directory.CreateDirectory($"{store}/keys", WholeFile.Private | UnixFileMode.UserExecute);
        using FileStream file = new(path, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, UnixCreateMode = WholeFile.Private });
    }

    /// <summary>Whether who has this key writes in this store.</summary>
    public static bool KnowsKey(string store, string fingerprint) => store.Length > 0 && fingerprint.All(char.IsAsciiHexDigitLower) && IsOwn($"{store}/keys/{fingerprint}");

    private static bool IsOwn(string path) => Sys.TryStat(path, out FileFacts facts) == 0 && facts.UserId == Sys.EffectiveUserId();
}
