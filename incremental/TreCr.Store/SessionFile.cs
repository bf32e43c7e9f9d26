using System.Buffers.Binary;
using System.Text;
using TreCr.XxHash;

namespace TreCr.Store;

/// <summary>
/// What gc needs to know of a session that no checkpoint has taken up: which host runs it, and, once finished, the snapshot it made. Not
/// durable on purpose: after a crash of the machine no checkpoint is under way on it.
/// </summary>
internal sealed class SessionFile
{
    /// <summary>Longest time between the end of a session and the commit of its checkpoint.</summary>
    internal static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);

    private const int BootIdLength = 36, LengthBytes = Format.HeaderBytes + BootIdLength + 4 + Format.HashBytes + Format.HashBytes;
    private static readonly string ThisBoot = ReadBootId();

    private readonly IStoreFiles _files;
    private readonly string _id;

    private SessionFile(IStoreFiles files, string id)
    {
        _files = files;
        _id = id;
    }

    internal static SessionFile Begin(IStoreFiles files, string id)
    {
        SessionFile session = new(files, id);
        session.Write(id, finished: false, default);
        return session;
    }

    /// <summary>Notes the snapshot. Called before the pack becomes visible, so that gc never sees one without the other.</summary>
    internal void Finish(ContentHash manifest)
    {
        string temporary = Format.TemporaryPrefix + _id;
        Write(temporary, finished: true, manifest);
        _files.Rename(StoreDirectory.Sessions, temporary, _id);
    }

    internal void Delete() => _files.Delete(StoreDirectory.Sessions, _id);

    /// <summary>Reads a session file.</summary>
    /// <returns>null: gone, cut off or damaged, as after a crash</returns>
    internal static State? TryRead(IStoreFiles files, string id)
    {
        using IStoreFile? file = files.TryOpen(StoreDirectory.Sessions, id);
        if (file is null) return null;
        Span<byte> bytes = stackalloc byte[LengthBytes];
        if (file.ReadAt(0, bytes) != LengthBytes) return null;
        if (BinaryPrimitives.ReadUInt128BigEndian(bytes[^Format.HashBytes..]) != XxHash128.HashToUInt128(bytes[..^Format.HashBytes])) return null;
        Format.CheckHeader(bytes, Format.SessionMagic, id, $"{files.Location}/sessions/{id}");
        ReadOnlySpan<byte> body = bytes[Format.HeaderBytes..];
        bool here = Encoding.ASCII.GetString(body[..BootIdLength]) == ThisBoot;
        return new State(here, body[BootIdLength] != 0, ContentHash.FromBytes(body.Slice(BootIdLength + 4, Format.HashBytes)));
    }

    private void Write(string name, bool finished, ContentHash manifest)
    {
        Span<byte> bytes = stackalloc byte[LengthBytes];
        bytes.Clear();
        Format.WriteHeader(bytes, Format.SessionMagic, _id);
        Span<byte> body = bytes[Format.HeaderBytes..];
        Encoding.ASCII.GetBytes(ThisBoot, body[..BootIdLength]);
        body[BootIdLength] = finished ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt128BigEndian(body[(BootIdLength + 4)..], manifest.Value);
        XxHash128.Hash(bytes[..^Format.HashBytes], bytes[^Format.HashBytes..]);
        using IStoreFile file = _files.Create(StoreDirectory.Sessions, name);
        file.WriteAt(0, bytes);
    }

    private static string ReadBootId()
    {
        try { return File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim().PadRight(BootIdLength)[..BootIdLength]; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return new string('0', BootIdLength); }
    }

    /// <param name="ThisBoot">made on this host since it started, so that the store's lock tells whether it still runs</param>
    /// <param name="Finished">waits for a checkpoint to take up <paramref name="Manifest"/></param>
    internal readonly record struct State(bool ThisBoot, bool Finished, ContentHash Manifest);
}
