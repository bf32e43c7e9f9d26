using System.Buffers.Binary;
using Google.Protobuf;
using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store;

// One checkpoint as one stream: header, records as in a pack, a record of length 0, the job manifest with its hash (docs/format.md).
public sealed partial class SnapshotStore
{
    private const int MaxExportedManifestBytes = 64 << 20;
    private const string ExportedId = "export"; // what its manifest is bound to where it is encrypted: the name in the other store is not known before it is read
    private static readonly string ExportId = new('0', Format.SessionIdLength);

    /// <summary>Writes a checkpoint with everything it needs to a stream.</summary>
    /// <param name="idOrJob">a checkpoint, or a job's newest</param>
    /// <exception cref="StoreException">NotFound, Damaged; Busy: gc is running. What the stream throws passes through.</exception>
    public void Export(string idOrJob, Stream to)
    {
        using IDisposable lease = Lease();
        Catalog.Refresh();
        JobManifest manifest = FindCheckpoint(idOrJob);
        byte[] header = new byte[Format.HeaderBytes];
        Format.WriteHeader(header, Format.ExportMagic, ExportId, Seal);
        to.Write(header);
        HashSet<UInt128> written = [];
        foreach (SnapshotReference reference in manifest.Ranks.SelectMany(r => r.Snapshots))
        {
            ContentHash hash = ContentHash.FromBytes(reference.ManifestHash.Span);
            foreach (UInt128 frame in LoadSnapshot(hash).Objects) Write(frame);
            Write(hash.Value);
        }
        byte[] body = SealManifest(manifest, ExportedId), end = new byte[Format.RecordHeaderBytes];
        PackWriter.WriteRecordHeader(end, XxHash128.HashToUInt128(body), 0, body.Length);
        to.Write(end);
        to.Write(body);
        to.Flush();

        void Write(UInt128 hash)
        {
            if (!written.Add(hash)) return;
            if (!Catalog.TryFind(hash, out PackIndex? pack, out IndexEntry entry)) throw Catalog.Missing(hash);
            byte[] plain = new byte[entry.PlainBytes], record = new byte[PackWriter.RecordBytes(entry.StoredBytes)];
            Catalog.Read(hash, plain); // what goes out is verified
            PackWriter.WriteRecordHeader(record, hash, entry.StoredBytes, entry.PlainBytes);
            pack.Pack!.ReadAt(entry.OffsetBytes, record.AsSpan(Format.RecordHeaderBytes, entry.StoredBytes));
            to.Write(record);
        }
    }

    /// <summary>Reads a checkpoint from a stream into the store; what the store has already is not stored again.</summary>
    /// <param name="job">name to give it; null: its own</param>
    /// <returns>its id here</returns>
    /// <exception cref="StoreException">Damaged: the stream is cut off or altered. NewerFormat. Busy: the id exists, or gc is running. NoSpace, IO. Nothing of it stays.</exception>
    /// <remarks>The checkpoint is marked as imported, and keeps the user it was taken by.</remarks>
    public string Import(Stream from, string? job = null)
    {
        const string what = "import";
        using IDisposable lease = Lease();
        Catalog.Refresh();
        byte[] header = new byte[Format.HeaderBytes];
        if (from.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) != header.Length) throw CutOff();
        Format.CheckHeader(header, Format.ExportMagic, ExportId, what, Seal, StoreErrorKind.WrongKey);
        string session = Format.NewSessionId(Options.Time.GetUtcNow());
        SessionFile file = SessionFile.Begin(Files, session, Seal);
        using PackWriter pack = new(Files, session, Seal);
        try
        {
            JobManifest manifest = ReadRecords(from, pack);
            pack.Commit();
            Catalog.Refresh();
            manifest.Imported = true;
            if (job is not null) manifest.Job = job;
            string id = Commit(manifest, keepUser: true);
            file.Delete();
            return id;
        }
        catch
        {
            pack.Discard();
            file.Delete();
            Catalog.Refresh();
            throw;
        }
    }

    private JobManifest ReadRecords(Stream from, PackWriter pack)
    {
        const string what = "import";
        byte[] plain = [], head = new byte[Format.RecordHeaderBytes];
        while (true)
        {
            if (from.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) != head.Length) throw CutOff();
            UInt128 hash = BinaryPrimitives.ReadUInt128BigEndian(head);
            int stored = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(16)), length = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(20));
            if (stored == 0)
            {
                if (length is < 0 or > MaxExportedManifestBytes) throw Damaged(hash);
                byte[] body = ReadBytes(from, length);
                if (XxHash128.HashToUInt128(body) != hash) throw Damaged(hash);
                JobManifest manifest;
                try { manifest = JobManifest.Parser.ParseFrom(OpenManifest(body, ExportedId, what)); }
                catch (InvalidProtocolBufferException e) { throw new StoreException(StoreErrorKind.Damaged, $"import: not a job manifest ({e.Message})", e); }
                Format.CheckVersion(manifest.FormatVersion, "import");
                return manifest;
            }
            if (!Seal.CanBe(stored, length)) throw Damaged(hash);
            byte[] payload = ReadBytes(from, PackWriter.RecordBytes(stored) - Format.RecordHeaderBytes);
            ReadOnlySpan<byte> bytes = payload.AsSpan(0, stored);
            if (plain.Length < length) plain = new byte[length];
            if (StoreCatalog.TryUnpack(Seal, new IndexEntry(hash, 0, stored, length), bytes, plain.AsSpan(0, length)) is not null) throw Damaged(hash);
            if (!Catalog.Contains(hash) && pack.Claim(hash)) pack.AppendStored(hash, length, bytes);
        }
    }

    /// <summary>Reads exactly so many bytes; memory grows with what really comes, not with what a damaged length says.</summary>
    private static byte[] ReadBytes(Stream from, int length)
    {
        if (length <= 1 << 20)
        {
            byte[] small = new byte[length];
            return from.ReadAtLeast(small, length, throwOnEndOfStream: false) == length ? small : throw CutOff();
        }
        MemoryStream all = new();
        byte[] piece = new byte[1 << 20];
        for (int left = length; left > 0;)
        {
            int n = from.Read(piece, 0, Math.Min(left, piece.Length));
            if (n == 0) throw CutOff();
            all.Write(piece, 0, n);
            left -= n;
        }
        return all.ToArray();
    }

    private static StoreException CutOff() => new(StoreErrorKind.Damaged, "import: the stream is cut off");

    private static StoreException Damaged(UInt128 hash) => new(StoreErrorKind.Damaged, $"import: object {hash:x32} is damaged");
}
