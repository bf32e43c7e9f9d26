using Google.Protobuf;
using TreCr.Images;

namespace TreCr.Process.Host;

/// <summary>A snapshot as one plain file, and the comparison of two.</summary>
internal static class SnapshotFile
{
    public static void Write(ISnapshotReader snapshot, string path)
    {
        using BinaryWriter w = new(File.Create(path));
        w.Write(snapshot.Records.Count);
        foreach (string r in snapshot.Records) { byte[] b = snapshot.GetRecord(r); w.Write(r); w.Write(b.Length); w.Write(b); }
        w.Write(snapshot.Parts.Count);
        byte[] frame = new byte[ISnapshotWriter.FrameSizeBytes];
        foreach (string p in snapshot.Parts)
        {
            IPartReader part = snapshot.OpenPart(p);
            w.Write(p); w.Write(part.LengthBytes); w.Write(part.FrameOffsets.Count);
            foreach (long at in part.FrameOffsets) { part.ReadFrame(at, frame); w.Write(at); w.Write(frame); }
        }
    }

    public static MemorySnapshot Read(string path)
    {
        MemorySnapshot snapshot = new();
        using BinaryReader r = new(File.OpenRead(path));
        for (int i = r.ReadInt32(); i > 0; i--) { string name = r.ReadString(); snapshot.PutRecord(name, r.ReadBytes(r.ReadInt32())); }
        for (int i = r.ReadInt32(); i > 0; i--)
        {
            string name = r.ReadString();
            IPartWriter part = ((ISnapshotWriter)snapshot).OpenPart(name, r.ReadInt64());
            for (int k = r.ReadInt32(); k > 0; k--) { long at = r.ReadInt64(); part.WriteFrame(at, r.ReadBytes(ISnapshotWriter.FrameSizeBytes)); }
        }
        return snapshot;
    }

    /// <summary>As if the snapshot came from a processor that has more features; none: as it was.</summary>
    public static void AddProcessorFlags(MemorySnapshot snapshot, string flags)
    {
        foreach (string record in snapshot.Records.Where(r => r.StartsWith("process")))
        {
            ProcessImage image = ProcessImage.Parser.ParseFrom(snapshot.GetRecord(record));
            image.Host.CpuFlags = string.Join(' ', image.Host.CpuFlags.Split(' ').Where(f => f is not ("avx9000" or "sse17")).Concat(flags.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
            snapshot.PutRecord(record, image.ToByteArray());
        }
    }

    /// <summary>Compares the present pages of two captures made in one freeze; null: equal.</summary>
    public static string? Difference(ISnapshotReader a, ISnapshotReader b)
    {
        if (!a.Records.SequenceEqual(b.Records)) return $"other processes: {string.Join(' ', a.Records)} and {string.Join(' ', b.Records)}";
        return a.Records.Where(r => r.StartsWith("process")).Select(r => Difference(a, b, r) is { } difference ? $"{r}: {difference}" : null).FirstOrDefault(d => d is not null);
    }

    private static string? Difference(ISnapshotReader a, ISnapshotReader b, string record)
    {
        ProcessImage left = ProcessImage.Parser.ParseFrom(a.GetRecord(record)), right = ProcessImage.Parser.ParseFrom(b.GetRecord(record));
        var runs = Memory.PageRun.Decode(left.RunGapPages, left.RunLengthPages);
        var others = Memory.PageRun.Decode(right.RunGapPages, right.RunLengthPages);
        if (!runs.SequenceEqual(others)) return $"page runs differ: {runs.Count} and {others.Count}";
        IPartReader x = a.OpenPart(left.MemoryPart), y = b.OpenPart(right.MemoryPart);
        byte[] p = new byte[ISnapshotWriter.FrameSizeBytes], q = new byte[ISnapshotWriter.FrameSizeBytes];
        // What the second capture itself changes: the kernel writes the CPU number into rseq areas when a thread runs our calls, and the calls use stack below the red zone.
        List<(ulong Start, ulong End)> moved = [];
        foreach (ThreadImage t in left.Threads)
        {
            ulong stack = BitConverter.ToUInt64(t.Registers.Span[152..]);
            moved.Add((t.RseqAddress, t.RseqAddress + 32));
            moved.Add((stack - 8192, stack - 128));
        }
        ulong read = ulong.MaxValue;
        foreach (var run in runs)
            for (ulong page = run.Start; page < run.End; page += 4096)
            {
                ulong frame = page & ~0xffffUL; int at = (int)(page - frame);
                if (frame != read)
                {
                    x.ReadFrame((long)frame, p); y.ReadFrame((long)frame, q);
                    read = frame;
                }
                foreach (var (start, end) in moved)
                    for (ulong i = Math.Max(start, page); i < Math.Min(end, page + 4096); i++) p[i - frame] = q[i - frame];
                if (!p.AsSpan(at, 4096).SequenceEqual(q.AsSpan(at, 4096))) 
                {
                    VmaImage v = left.Vmas.First(m => m.Start <= page && page < m.End);
                    int first = at; while (p[first] == q[first]) first++;
                    return $"page {page:x} differs at byte {first - at}: {Convert.ToHexString(p, first, 8)} and {Convert.ToHexString(q, first, 8)}, area {v.Start:x}-{v.End:x} {v.Permissions} {v.Path} {v.Flags}, stack pointer {BitConverter.ToUInt64(left.Threads[0].Registers.Span[152..]):x}";
                }
            }
        return null;
    }
}
