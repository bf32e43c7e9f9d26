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
    /// <returns>bytes that had to be written</returns>
    /// <remarks>The hash is computed over the bytes that are copied: nothing runs meanwhile (design.md §4).</remarks>
    public static long Write(ISnapshotWriter writer, string name, long lengthBytes, long[] offsets, Source source, FrameHashes? baseHashes, Precopy? precopy, FrameHashes hashes)
    {
        IPartWriter part = precopy?.Parts.GetValueOrDefault(name) ?? writer.OpenPart(name, lengthBytes);
        IReadOnlyDictionary<long, UInt128>? copied = precopy?.Hashes.Part(name);
        IReadOnlyDictionary<long, UInt128>? known = baseHashes?.Part(name);
        UInt128[] computed = new UInt128[offsets.Length];
        bool[] changed = new bool[offsets.Length], kept = new bool[offsets.Length];
        long written = 0;
        Run(offsets.Length, (i, scratch) =>
        {
            ReadOnlySpan<byte> bytes = new(source(offsets[i], scratch), FrameBytes);
            UInt128 hash = XxHash128.HashToUInt128(bytes);
            computed[i] = hash;
            if (copied is not null && copied.TryGetValue(offsets[i], out UInt128 before))
            {
                if (before == hash) return;
                changed[i] = true;
            }
            if (known is not null && known.TryGetValue(offsets[i], out UInt128 old) && old == hash && part.CanKeep(offsets[i]))
            {
                part.KeepFrame(offsets[i]);
                kept[i] = true;
                return;
            }
            part.WriteFrame(offsets[i], bytes);
            Interlocked.Add(ref written, FrameBytes);
        });
        Dictionary<long, UInt128> result = new(offsets.Length);
        for (int i = 0; i < offsets.Length; i++) result[offsets[i]] = computed[i];
        // What was freed since it was copied must not be in the image: a frame of zeroes is no frame.
        if (copied is not null)
        {
            foreach (long offset in copied.Keys)
                if (!result.ContainsKey(offset)) part.WriteFrame(offset, [0]);
            HashSet<long> hot = precopy!.Hot(name);
            for (int i = 0; i < offsets.Length; i++)
                if (changed[i]) hot.Add(offsets[i]);
                else if (kept[i]) hot.Remove(offsets[i]);
        }
        hashes.Set(name, result);
        return written;
    }

    /// <summary>Writes frames of memory that the program and the device go on changing: each is copied first, hash and frame are made of the copy.</summary>
    /// <param name="start">address of offset 0 in this process; frames that are not mapped any more are left out</param>
    public static void Copy(ISnapshotWriter writer, string name, long lengthBytes, long[] offsets, ulong start, FrameHashes? baseHashes, Precopy precopy)
    {
        IPartWriter part = precopy.Parts[name] = writer.OpenPart(name, lengthBytes);
        IReadOnlyDictionary<long, UInt128>? known = baseHashes?.Part(name);
        UInt128[] computed = new UInt128[offsets.Length];
        bool[] taken = new bool[offsets.Length];
        HashSet<long> hot = precopy.Hot(name);
        // Nothing is known of this memory yet: it is looked at twice, and what changes in between is left to the capture, else it would be stored twice.
        UInt128[]? first = known is null ? new UInt128[offsets.Length] : null;
        if (first is not null)
        {
            writer.RequireRoom((long)offsets.Length * FrameBytes, (fraction, frame) => Fetch(offsets[(int)(fraction * offsets.Length)], (byte*)frame));
            Run(offsets.Length, (i, scratch) =>
            {
                if (Fetch(offsets[i], scratch)) first[i] = XxHash128.HashToUInt128(new ReadOnlySpan<byte>(scratch, FrameBytes));
            });
        }
        Run(offsets.Length, (i, scratch) =>
        {
            if (hot.Contains(offsets[i]) || !Fetch(offsets[i], scratch)) return;
            ReadOnlySpan<byte> bytes = new(scratch, FrameBytes);
            UInt128 hash = XxHash128.HashToUInt128(bytes);
            if (first is not null && first[i] != hash) return;
            if (known is not null && known.TryGetValue(offsets[i], out UInt128 old) && old == hash && part.CanKeep(offsets[i])) part.KeepFrame(offsets[i]);
            else part.WriteFrame(offsets[i], bytes);
            computed[i] = hash;
            taken[i] = true;
        });
        Dictionary<long, UInt128> result = new(offsets.Length);
        for (int i = 0; i < offsets.Length; i++)
            if (taken[i]) result[offsets[i]] = computed[i];
            else hot.Add(offsets[i]);
        precopy.Hashes.Set(name, result);

        // Through the kernel: memory that is being freed is a short read, not a fault.
        bool Fetch(long offset, byte* into) => Sys.ProcessVmRead(Environment.ProcessId, start + (ulong)offset, into, FrameBytes) == FrameBytes;
    }

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
        Dictionary<long, UInt128> result = new(offsets.Count);
        for (int i = 0; i < offsets.Count; i++) result[offsets[i]] = computed[i];
        hashes.Set(name, result);
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
