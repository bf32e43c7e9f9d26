using Google.Protobuf;
using TreCr.Calls.Records;
using TreCr.Images;

namespace TreCr.Replay;

/// <summary>The log as it stands in a snapshot: records "log" and "image-HASH".</summary>
public static unsafe class CallLogState
{
    public const string RecordName = "log";

    /// <summary>Longest record of a snapshot, bytes (ISnapshotWriter.PutRecord).</summary>
    private const int MaxRecordBytes = 64 << 20;

    /// <summary>Writes the log.</summary>
    /// <exception cref="ImageException">a module image longer than a record can be</exception>
    public static void Save(CallLog log, ISnapshotWriter writer)
    {
        LogRecord saved = new();
        HashSet<string> images = [];
        foreach (LoggedCall call in log.Snapshot())
        {
            LogEntry entry = new() { Serial = call.Serial, Record = ByteString.CopyFrom(call.Record), Answer = ByteString.CopyFrom(call.Answer), Handle = call.Handle, Subject = call.Subject ?? "" };
            entry.InternalAddresses.AddRange(call.InternalAddresses);
            foreach ((int argument, ModuleImage image) in call.Fetched)
            {
                entry.Fetched.Add(new FetchedBytes { Argument = (uint)argument, Image = image.Name });
                if (!images.Add(image.Name)) continue;
                if (image.Bytes.Length > MaxRecordBytes) throw new ImageException($"a module image of {image.Bytes.Length} bytes is longer than a snapshot's records can be ({MaxRecordBytes})");
                writer.PutRecord(image.Name, image.Bytes);
            }
            saved.Entries.Add(entry);
        }
        writer.PutRecord(RecordName, saved.ToByteArray());
    }

    /// <summary>Reads the log back; every length in it is checked.</summary>
    /// <exception cref="ImageException">damaged</exception>
    public static List<LoggedCall> Load(ISnapshotReader reader)
    {
        LogRecord saved;
        try { saved = LogRecord.Parser.ParseFrom(reader.GetRecord(RecordName)); }
        catch (InvalidProtocolBufferException e) { throw new ImageException("record log: " + e.Message, e); }
        Dictionary<string, ModuleImage> images = [];
        HashSet<ulong> handles = [];
        List<LoggedCall> calls = [];
        ulong last = 0;
        foreach (LogEntry entry in saved.Entries)
        {
            byte[] record = entry.Record.ToByteArray();
            if (entry.Serial <= last || !IsWhole(record)) throw new ImageException($"record log: call {entry.Serial} is damaged");
            last = entry.Serial;
            if (entry.Handle != 0 && !handles.Add(entry.Handle)) throw new ImageException($"record log: handle 0x{entry.Handle:x} twice");
            List<(int, ModuleImage)> fetched = [];
            foreach (FetchedBytes bytes in entry.Fetched)
            {
                if (!images.TryGetValue(bytes.Image, out ModuleImage? image)) images.Add(bytes.Image, image = new ModuleImage(bytes.Image, reader.GetRecord(bytes.Image)));
                fetched.Add(((int)bytes.Argument, image));
            }
            fixed (byte* p = record)
                calls.Add(new LoggedCall
                {
                    Serial = entry.Serial, Record = record, Answer = entry.Answer.ToByteArray(), Handle = entry.Handle, InternalAddresses = [.. entry.InternalAddresses],
                    Parents = CallLog.ParentsOf((RecordHeader*)p, entry.Handle, h => handles.Contains(h)), Fetched = fetched,
                    Subject = entry.Subject.Length == 0 ? null : entry.Subject,
                });
        }
        return calls;
    }

    private static bool IsWhole(byte[] record)
    {
        if (record.Length < RecordHeader.SizeBytes || record.Length > RecordLimits.MaxRecordBytes) return false;
        fixed (byte* p = record)
        {
            RecordHeader* header = (RecordHeader*)p;
            return header->RecordBytes == record.Length && RecordHeader.SizeBytes + 8L * header->ArgumentCount + header->PayloadBytes <= record.Length;
        }
    }
}
