using System.Collections.Concurrent;
using TreCr.Images;
using TreCr.Linux;
using TreCr.XxHash;

namespace TreCr.Delegator.Snapshot;

/// <summary>Writes and reads parts whose frames lie in memory of this process; all cores.</summary>
internal static unsafe class FramePart
{
    private const int FrameBytes = ISnapshotWriter.FrameSizeBytes;

    /// <summary>Gives the bytes of a frame.</summary>
    /// <param name="offset">in the part</param>
    /// <param name="scratch">[FrameSizeBytes], to be used where the bytes do not lie in memory as they are</param>
    public delegate byte* Source(long offset, byte* scratch);

    /// <summary>Writes frames, or keeps those that are as they were in the base snapshot.</summary>
    /// <param name="offsets">frames that the part has, ascending</param>
    /// <param name="baseHashes">of the base snapshot that the writer was opened with; null: none</param>
    /// <param name="precopy">what was written into this snapshot while the program ran; null: nothing</param>
    /// <param name="hashes">receives those of this snapshot</param>
    /// <param name="tracked">who knows what was written, and the address of offset 0; null: every frame is looked at</param>
    /// <returns>bytes that had to be written in the stop</returns>
    /// <remarks>The hash is computed over the bytes that are copied: nothing runs meanwhile (design.md §4). Held frames that were not written since need nothing of the stop: <see cref="Precopy.EndCapture"/> hands them over.</remarks>
    public static long Write(ISnapshotWriter writer, string name, long lengthBytes, long[] offsets, Source source, FrameHashes? baseHashes, Precopy? precopy, FrameHashes hashes, (WrittenFrames Frames, ulong Start)? tracked = null)
    {
        IPartWriter part = precopy?.Parts.GetValueOrDefault(name) ?? writer.OpenPart(name, lengthBytes);
        FrameTable copied = precopy?.Hashes.Part(name) ?? FrameTable.Empty, known = baseHashes?.Part(name) ?? FrameTable.Empty;
        int[] inCopy = copied.Locate(offsets), inBase = known.Locate(offsets);
        UInt128[] computed = new UInt128[offsets.Length];
        bool[] changed = new bool[offsets.Length], kept = new bool[offsets.Length];
        bool[] unwritten = tracked?.Frames.Scan(tracked.Value.Start, offsets, computed) ?? new bool[offsets.Length];
        ConcurrentDictionary<long, nint>? held = precopy?.Held(name);
        // What was copied ahead and not written since needs no look.
        List<int> open = [], settled = [];
        long[] heldOffsets = held is null ? [] : [.. held.Keys];
        Array.Sort(heldOffsets);
        for (int i = 0, h = 0; i < offsets.Length; i++)
        {
            while (h < heldOffsets.Length && heldOffsets[h] < offsets[i]) h++;
            if (unwritten[i] && h < heldOffsets.Length && heldOffsets[h] == offsets[i]) settled.Add(i);
            else if (!unwritten[i] || inCopy[i] < 0 || copied.Hashes[inCopy[i]] != computed[i]) open.Add(i);
        }
        long written = 0;
        Run(open.Count, (n, scratch) => Settle(open[n], scratch));
        // What was freed since it was copied must not be in the image: a frame of zeroes is no frame.
        int[] gone = new FrameTable(offsets, computed).Locate(copied.Offsets);
        for (int i = 0; i < gone.Length; i++)
            if (gone[i] < 0) part.WriteFrame(copied.Offsets[i], [0]);
        hashes.Set(name, new FrameTable(offsets, computed));
        tracked?.Frames.Note(tracked.Value.Start, offsets, computed, AllTrue(offsets.Length));
        precopy?.Later(() =>
        {
            foreach (int i in settled) Settle(i, null);
            foreach (nint unused in held!.Values) writer.ReturnFrame(unused); // freed since
            held.Clear();
            HashSet<long> hot = precopy.Hot(name);
            for (int i = 0; i < offsets.Length; i++)
                if (changed[i]) hot.Add(offsets[i]);
                else if (kept[i]) hot.Remove(offsets[i]);
        });
        return written;

        void Settle(int i, byte* scratch)
        {
            byte* bytes = null;
            if (!unwritten[i])
            {
                bytes = source(offsets[i], scratch);
                computed[i] = XxHash128.HashToUInt128(new ReadOnlySpan<byte>(bytes, FrameBytes));
            }
            nint buffer = 0;
            held?.TryRemove(offsets[i], out buffer);
            bool asCopied = inCopy[i] >= 0 && copied.Hashes[inCopy[i]] == computed[i];
            changed[i] = inCopy[i] >= 0 && !asCopied;
            kept[i] = !asCopied && inBase[i] >= 0 && known.Hashes[inBase[i]] == computed[i] && part.CanKeep(offsets[i]);
            if (kept[i]) part.KeepFrame(offsets[i]);
            if (asCopied || kept[i])
            {
                if (buffer != 0) writer.ReturnFrame(buffer);
                return;
            }
            if (bytes is null && buffer == 0) bytes = source(offsets[i], scratch);
            if (buffer == 0) part.WriteFrame(offsets[i], new ReadOnlySpan<byte>(bytes, FrameBytes));
            else
            {
                // Held, and perhaps written once more since.
                if (bytes is not null) Buffer.MemoryCopy(bytes, (void*)buffer, FrameBytes, FrameBytes);
                part.WriteTaken(offsets[i], buffer);
            }
            Interlocked.Add(ref written, FrameBytes);
        }
    }

    private static bool[] AllTrue(int count)
    {
        bool[] all = new bool[count];
        Array.Fill(all, true);
        return all;
    }

    /// <summary>Writes frames of memory that the program and the device go on changing: each is copied first, hash and frame are made of the copy.</summary>
    /// <param name="start">address of offset 0 in this process; frames that are not mapped any more are left out</param>
    /// <param name="tracker">who knows what was written; null: every frame is looked at</param>
    public static void Copy(ISnapshotWriter writer, string name, long lengthBytes, long[] offsets, ulong start, FrameHashes? baseHashes, Precopy precopy, WrittenFrames? tracker = null)
    {
        IPartWriter part = precopy.Parts[name] = writer.OpenPart(name, lengthBytes);
        FrameTable known = baseHashes?.Part(name) ?? FrameTable.Empty;
        int[] inBase = known.Locate(offsets);
        UInt128[] computed = new UInt128[offsets.Length];
        bool[] taken = new bool[offsets.Length];
        HashSet<long> hot = precopy.Hot(name);
        bool[] unwritten = tracker?.Scan(start, offsets, computed) ?? new bool[offsets.Length];
        // Nothing is known of this memory yet: it is looked at twice, and what changes in between is left to the capture, else it would be stored twice.
        UInt128[]? first = baseHashes is null ? new UInt128[offsets.Length] : null;
        if (first is not null)
        {
            writer.RequireRoom((long)offsets.Length * FrameBytes, (fraction, frame) => Fetch(start, offsets[(int)(fraction * offsets.Length)], (byte*)frame));
            Run(offsets.Length, (i, scratch) =>
            {
                if (unwritten[i]) first[i] = computed[i];
                else if (Fetch(start, offsets[i], scratch)) first[i] = XxHash128.HashToUInt128(new ReadOnlySpan<byte>(scratch, FrameBytes));
            });
        }
        Run(offsets.Length, (i, scratch) =>
        {
            bool mayKeep = inBase[i] >= 0 && part.CanKeep(offsets[i]);
            if (unwritten[i] && mayKeep && known.Hashes[inBase[i]] == computed[i])
            {
                part.KeepFrame(offsets[i]);
                taken[i] = true;
                return;
            }
            if (hot.Contains(offsets[i]) || !Fetch(start, offsets[i], scratch)) return;
            ReadOnlySpan<byte> bytes = new(scratch, FrameBytes);
            UInt128 hash = XxHash128.HashToUInt128(bytes);
            if (first is not null && first[i] != hash) return;
            if (mayKeep && known.Hashes[inBase[i]] == hash) part.KeepFrame(offsets[i]);
            else part.WriteFrame(offsets[i], bytes);
            computed[i] = hash;
            taken[i] = true;
        });
        for (int i = 0; i < offsets.Length; i++)
            if (!taken[i]) hot.Add(offsets[i]);
        precopy.Hashes.Set(name, FrameTable.Of(offsets, computed, taken));
        tracker?.Note(start, offsets, computed, [.. taken.Zip(unwritten, (now, before) => now || before)]);
    }

    /// <summary>
    /// Copies once more, into buffers that are held, what was written since it was copied ahead. Where there are no more buffers the frame is stored once more (of which only the changed pages take space),
    /// at the pace of the store: else the stop would have to wait for it. The program runs.
    /// </summary>
    /// <param name="start">as for <see cref="Copy"/></param>
    /// <returns>bytes copied</returns>
    public static long CopyAgain(ISnapshotWriter writer, string name, long[] offsets, ulong start, Precopy precopy, WrittenFrames tracker)
    {
        UInt128[] computed = new UInt128[offsets.Length];
        bool[] valid = tracker.Scan(start, offsets, computed);
        ConcurrentDictionary<long, nint> held = precopy.Held(name);
        int[] written = [.. Enumerable.Range(0, offsets.Length).Where(i => !valid[i])];
        long bytes = 0;
        int patienceMs = 1000; // the workers give buffers back, but each round that waits finds more written
        bool[] stored = new bool[offsets.Length];
        Run(written.Length, (n, scratch) =>
        {
            int i = written[n];
            if (!held.TryGetValue(offsets[i], out nint buffer) && (buffer = writer.TakeFrame(Volatile.Read(ref patienceMs))) == 0) Volatile.Write(ref patienceMs, 0);
            if (buffer != 0) held[offsets[i]] = buffer;
            byte* copy = buffer != 0 ? (byte*)buffer : scratch;
            if (!Fetch(start, offsets[i], copy)) return; // being freed; still counts as written
            ReadOnlySpan<byte> frame = new(copy, FrameBytes);
            computed[i] = XxHash128.HashToUInt128(frame);
            if (buffer == 0) precopy.Parts[name].WriteFrame(offsets[i], frame);
            stored[i] = buffer == 0;
            valid[i] = true;
            Interlocked.Add(ref bytes, FrameBytes);
        });
        tracker.Note(start, offsets, computed, valid);
        if (Array.IndexOf(stored, true) >= 0) precopy.Hashes.Set(name, precopy.Hashes.Part(name).With(FrameTable.Of(offsets, computed, stored)));
        return bytes;
    }

    /// <summary>Through the kernel: memory that is being freed is a short read, not a fault.</summary>
    private static bool Fetch(ulong start, long offset, byte* into) => Sys.ProcessVmRead(Environment.ProcessId, start + (ulong)offset, into, FrameBytes) == FrameBytes;

    /// <summary>Takes the bytes of a frame.</summary>
    public delegate void Target(long offset, byte* bytes);

    /// <summary>Reads all frames of a part; verified by the reader.</summary>
    /// <param name="mayHold">false for an offset: the image is damaged</param>
    /// <exception cref="ImageException">damaged, or a frame where none can be</exception>
    public static void Read(ISnapshotReader reader, string name, Func<long, bool> mayHold, Target target, FrameHashes hashes)
    {
        if (!reader.Parts.Contains(name)) return;
        IPartReader part = reader.OpenPart(name);
        IReadOnlyList<long> offsets = part.FrameOffsets;
        UInt128[] computed = new UInt128[offsets.Count];
        Run(offsets.Count, (i, scratch) =>
        {
            if (!mayHold(offsets[i])) throw new ImageException($"part {name}: a frame at 0x{offsets[i]:x}, where nothing was allocated");
            part.ReadFrame(offsets[i], new Span<byte>(scratch, FrameBytes));
            computed[i] = XxHash128.HashToUInt128(new ReadOnlySpan<byte>(scratch, FrameBytes));
            target(offsets[i], scratch);
        });
        hashes.Set(name, new FrameTable([.. offsets], computed));
    }

    private delegate void Step(int index, byte* scratch);

    /// <summary>Runs steps on all cores, each thread with a scratch frame of its own; the first exception is thrown as it is.</summary>
    private static void Run(int count, Step step)
    {
        int threads = (int)Math.Min(Environment.ProcessorCount, (count + 15) / 16);
        int next = -1;
        Exception? failure = null;
        void Work()
        {
            byte* scratch = (byte*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc(FrameBytes, 4096);
            try
            {
                for (int i = Interlocked.Increment(ref next); i < count && failure is null; i = Interlocked.Increment(ref next)) step(i, scratch);
            }
            catch (Exception e) { Interlocked.CompareExchange(ref failure, e, null); }
            finally { System.Runtime.InteropServices.NativeMemory.AlignedFree(scratch); }
        }
        Thread[] others = new Thread[Math.Max(0, threads - 1)];
        for (int i = 0; i < others.Length; i++) (others[i] = new Thread(Work) { IsBackground = true }).Start();
        Work();
        foreach (Thread other in others) other.Join();
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }
}
