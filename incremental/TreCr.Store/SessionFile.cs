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

    private const int MachineLength = 36, LengthBytes = Format.HeaderBytes + MachineLength + 4 + Format.HashBytes + Format.HashBytes;
    private static readonly string ThisMachineId = ReadMachineId();

    private readonly IStoreFiles _files;
    private readonly string _id;
    private readonly StoreSeal _seal;

    private SessionFile(IStoreFiles files, string id, StoreSeal seal)
    {
        _files = files;
        _seal = seal;
        _id = id;
    }

    internal static SessionFile Begin(IStoreFiles files, string id, StoreSeal seal)
    {
        SessionFile session = new(files, id, seal);
        try { session.Write(finished: false, default); }
        catch
        {
            session.Delete();
            throw;
        }
        return session;
    }

    /// <summary>Notes the snapshot. Called before the pack becomes visible, so that gc never sees one without the other.</summary>
    internal void Finish(ContentHash manifest) => Write(finished: true, manifest);

    internal void Delete()
    {
        _files.Delete(StoreDirectory.Sessions, Format.TemporaryPrefix + _id);
        _files.Delete(StoreDirectory.Sessions, _id);
    }

    /// <summary>Gives a finished session another name, of another time. Its pack keeps the old one; who waits for it finds it by its snapshot.</summary>
    internal static void Restamp(IStoreFiles files, string old, string id, State state, StoreSeal seal)
    {
        new SessionFile(files, id, seal).Write(finished: true, state.Manifest);
        files.Delete(StoreDirectory.Sessions, old);
    }

    /// <summary>Reads a session file.</summary>
    /// <param name="name">the session's id, or the temporary name in front of it</param>
    /// <returns>null: gone, cut off or damaged, as after a crash: a session that runs has a whole one</returns>
    internal static State? TryRead(IStoreFiles files, string name, StoreSeal seal)
    {
        string id = name[^Format.SessionIdLength..];
        Span<byte> bytes = stackalloc byte[LengthBytes];
        try
        {
            using IStoreFile? file = files.TryOpen(StoreDirectory.Sessions, name);
            if (file is null || file.ReadAt(0, bytes) != LengthBytes) return null;
        }
        catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged) { return null; } // of a set of nodes: never synced
        if (BinaryPrimitives.ReadUInt128BigEndian(bytes[^Format.HashBytes..]) != XxHash128.HashToUInt128(bytes[..^Format.HashBytes])) return null;
        Format.CheckHeader(bytes, Format.SessionMagic, id, $"{files.Location}/sessions/{id}", seal);
        ReadOnlySpan<byte> body = bytes[Format.HeaderBytes..];
        bool here = Encoding.ASCII.GetString(body[..MachineLength]) == ThisMachineId;
        return new State(here, body[MachineLength] != 0, ContentHash.FromBytes(body.Slice(MachineLength + 4, Format.HashBytes)));
    }

    private void Write(bool finished, ContentHash manifest)
    {
        Span<byte> bytes = stackalloc byte[LengthBytes];
        bytes.Clear();
        Format.WriteHeader(bytes, Format.SessionMagic, _id, _seal);
        Span<byte> body = bytes[Format.HeaderBytes..];
        Encoding.ASCII.GetBytes(ThisMachineId, body[..MachineLength]);
        body[MachineLength] = finished ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt128BigEndian(body[(MachineLength + 4)..], manifest.Value);
        XxHash128.Hash(bytes[..^Format.HashBytes], bytes[^Format.HashBytes..]);
        string temporary = Format.TemporaryPrefix + _id;
        using (IStoreFile file = _files.Create(StoreDirectory.Sessions, temporary)) file.WriteAt(0, bytes);
        _files.Rename(StoreDirectory.Sessions, temporary, _id); // so that who looks from another host sees a whole file or none
    }

    /// <summary>Machine-id(5), which outlives a boot, or else the host's name.</summary>
    private static string ReadMachineId()
    {
        string id = Environment.MachineName;
        try { id = File.ReadAllText("/etc/machine-id").Trim(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        byte[] ascii = new byte[MachineLength];
        Encoding.ASCII.GetBytes(id.AsSpan(0, Math.Min(id.Length, MachineLength)), ascii);
        return Encoding.ASCII.GetString(ascii);
    }

    /// <param name="ThisMachine">made on this machine, so that the store's lock tells whether it still runs</param>
    /// <param name="Finished">waits for a checkpoint to take up <paramref name="Manifest"/></param>
    internal readonly record struct State(bool ThisMachine, bool Finished, ContentHash Manifest);
}
