using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Store;
using TreCr.Store.Tiers;

namespace TreCr.Benchmarks;

/// <summary>
/// The store beside <c>zstd -1 -T0</c> (nice 5, as the threads of the store that compress are, which matters on a loaded machine) and <c>dd conv=fsync</c> on the same bytes and file system; what two ranks and a second snapshot store; the erasure code beside ISA-L and memcpy.
/// GB/s are of plain bytes. Ratios are of one run each.
/// </summary>
internal static unsafe class StoreBench
{
    private const int Frame = ISnapshotWriter.FrameSizeBytes, Frames = 8192, CodeMiB = 256, Unit = 64 << 10;

    public static void Run(Bench bench)
    {
        byte[] bytes = Data(1);
        string file = Path.Combine(bench.Scratch, "data"), packed = Path.Combine(bench.Scratch, "data.zst"), copy = Path.Combine(bench.Scratch, "copy");
        File.WriteAllBytes(file, bytes);
        List<double> write = [], read = [], zstd = [], dd = [], unzstd = [], writeRatio = [], readRatio = [];
        for (int i = 0; i < Bench.Runs; i++)
        {
            double compress = Time(() => bench.Run(120, "nice", "-n", "5", "zstd", "-1", "-T0", "-q", "-f", file, "-o", packed));
            double disk = Time(() => bench.Run(120, "dd", $"if={packed}", $"of={copy}", "bs=1M", "conv=fsync", "status=none"));
            double unpack = Time(() => bench.Run(120, "zstd", "-d", "-q", "-f", packed, "-o", "/dev/null"));
            using SnapshotStore store = SnapshotStore.Open(Path.Combine(bench.Scratch, $"s{i}"));
            SnapshotResult result = default;
            double ours = Time(() => result = Write(store, bytes));
            long sum = 0;
            double back = Time(() =>
            {
                using StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash);
                reader.ReadFrames("memory", (offset, frames) => Interlocked.Add(ref sum, frames.Length), inOrder: false);
            });
            if (sum != bytes.Length) throw new InvalidOperationException($"read {sum} of {bytes.Length} bytes");
            write.Add(bytes.Length / 1e9 / ours);
            read.Add(bytes.Length / 1e9 / back);
            zstd.Add(bytes.Length / 1e9 / compress);
            unzstd.Add(bytes.Length / 1e9 / unpack);
            dd.Add(bytes.Length / 1e9 / disk);
            writeRatio.Add(ours / Math.Max(compress, disk));
            readRatio.Add(back / unpack);
            if (i > 0) Directory.Delete(Path.Combine(bench.Scratch, $"s{i}"), recursive: true);
        }
        bench.Row("store: write", "GB/s", write);
        bench.Row("store: zstd -1 -T0", "GB/s", zstd);
        bench.Row("store: dd of what zstd wrote, fsync", "GB/s", dd);
        bench.Row("store: write / slower of zstd and dd", "x", writeRatio);
        bench.Row("store: read and verify", "GB/s", read);
        bench.Row("store: zstd -d", "GB/s", unzstd);
        bench.Row("store: read / zstd -d", "x", readRatio);
        Encryption(bench, bytes);
        Sizes(bench, bytes);
        foreach ((int data, int parity) in ((int, int)[])[(4, 1), (4, 2), (8, 3), (10, 4)]) Code(bench, data, parity);
        StopBench.Run(bench, "store", "resident", "on the device", 1024, 2048, 4096, 8192);
        StopBench.Run(bench, "store", "pinned", "pinned", 1024, 8192);
    }

    /// <summary>What AES-256-GCM and keyed names cost: the same bytes into a store with a key and one without, alternately.</summary>
    private static void Encryption(Bench bench, byte[] bytes)
    {
        List<double> write = [], read = [];
        StoreKey key = StoreKey.FromBytes(System.Security.Cryptography.RandomNumberGenerator.GetBytes(StoreKey.LengthBytes));
        for (int i = 0; i < Bench.Runs; i++)
        {
            double[] wrote = new double[2], got = new double[2];
            foreach (int keyed in i % 2 == 0 ? [0, 1] : (int[])[1, 0])
            {
                string directory = Path.Combine(bench.Scratch, $"keyed{keyed}");
                using (SnapshotStore store = SnapshotStore.Open(directory, new StoreOptions { Key = keyed == 1 ? key : null }))
                {
                    SnapshotResult result = default;
                    wrote[keyed] = Time(() => result = Write(store, bytes));
                    got[keyed] = Time(() => Read(store, result.ManifestHash));
                }
                Directory.Delete(directory, recursive: true);
            }
            write.Add(wrote[1] / wrote[0]);
            read.Add(got[1] / got[0]);
        }
        bench.Row("store: write, with a key / without", "x", write);
        bench.Row("store: read, with a key / without", "x", read);
    }

    /// <summary>Half of the frames compress to about a third, half not at all.</summary>
    private static byte[] Data(int seed)
    {
        byte[] bytes = new byte[Frames * Frame];
        Random random = new(seed);
        for (int i = 0; i < Frames; i++)
        {
            Span<byte> frame = bytes.AsSpan(i * Frame, Frame);
            random.NextBytes(frame);
            if (i % 2 == 0) for (int at = 0; at < Frame; at++) frame[at] = (byte)((frame[at] & 3) + at / 512);
        }
        return bytes;
    }

    private static SnapshotResult Write(SnapshotStore store, byte[] bytes, ContentHash? before = null)
    {
        using StoreSnapshotWriter writer = store.BeginSnapshot(before);
        IPartWriter part = writer.OpenPart("memory", bytes.Length);
        for (int at = 0; at < bytes.Length; at += Frame) part.WriteFrame(at, bytes.AsSpan(at, Frame));
        return writer.Finish();
    }

    private static void Read(SnapshotStore store, ContentHash snapshot)
    {
        using StoreSnapshotReader reader = store.OpenSnapshot(snapshot);
        reader.ReadFrames("memory", (_, _) => { }, inOrder: false);
    }

    private static double Time(Action action)
    {
        Stopwatch watch = Stopwatch.StartNew();
        action();
        return watch.Elapsed.TotalSeconds;
    }

    /// <summary>What lies on the disk, manifests and indexes with it.</summary>
    private static void Sizes(Bench bench, byte[] bytes)
    {
        using SnapshotStore store = SnapshotStore.Open(Path.Combine(bench.Scratch, "sizes"));
        long before = store.UsedBytes();
        Write(store, bytes);
        long one = store.UsedBytes() - before;
        // The second rank differs in every eighth frame.
        byte[] other = (byte[])bytes.Clone(), fresh = Data(2);
        for (int i = 0; i < Frames; i += 8) fresh.AsSpan(i * Frame, Frame).CopyTo(other.AsSpan(i * Frame));
        Write(store, other);
        bench.Row("store: two ranks, 7/8 equal / one rank", "x", [(store.UsedBytes() - before) / (double)one]);
        before = store.UsedBytes();
        Random random = new(3);
        byte[] next = (byte[])bytes.Clone();
        for (int i = 0; i < Frames; i += 100) random.NextBytes(next.AsSpan(i * Frame, Frame));
        Write(store, next);
        bench.Row("store: 1 % of the frames / their bytes", "x", [(store.UsedBytes() - before) / ((Frames + 99) / 100 * (double)Frame)]);
        Patches(bench, bytes);
    }

    /// <summary>What checkpoints store, each increment of the one before, where 1 % of all pages changed, spread: always other ones, or always the same.</summary>
    private static void Patches(Bench bench, byte[] bytes)
    {
        const int Increments = 12, Page = 4096, Changed = (Frames * Frame / Page + 99) / 100;
        foreach (bool same in new[] { false, true })
        {
            using SnapshotStore store = SnapshotStore.Open(Path.Combine(bench.Scratch, same ? "same" : "other"));
            byte[] next = (byte[])bytes.Clone();
            ContentHash last = Write(store, next).ManifestHash;
            List<double> ratio = [];
            Random random = new(4);
            for (int i = 0; i < Increments; i++)
            {
                for (int n = 0; n < Changed; n++) random.NextBytes(next.AsSpan((same ? n * 100 : random.Next(Frames * (Frame / Page))) * Page, Page));
                long before = store.UsedBytes();
                last = Write(store, next, last).ManifestHash;
                ratio.Add((store.UsedBytes() - before) / (Changed * (double)Page));
            }
            string pages = same ? "the same pages each time" : "random pages";
            bench.Row($"store: 1 % of the 4 KiB pages, {pages}: stored / theirs, first", "x", [ratio[0]]);
            bench.Row($"store: 1 % of the 4 KiB pages, {pages}: stored / theirs, each of {Increments}", "x", ratio);
            bench.Row($"store: 1 % of the 4 KiB pages, {pages}: mean of {Increments}", "x", [ratio.Average()]);
            if (!same) bench.Row("store: read and verify, after these", "GB/s", [bytes.Length / 1e9 / Time(() => Read(store, last))]);
        }
    }

    private static void Code(Bench bench, int data, int parity)
    {
        string peer;
        try { peer = bench.Compile("erasure", "-lisal"); }
        catch (InvalidOperationException)
        {
            Console.WriteLine($"store: {data}+{parity}: not measured: ISA-L is missing (libisal-dev)");
            return;
        }
        long stripes = (CodeMiB << 20) / (data * Unit), bytes = stripes * data * Unit;
        byte* from = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64), to = (byte*)NativeMemory.AlignedAlloc((nuint)(stripes * parity * Unit), 64);
        new Span<byte>(from, (int)bytes).Fill(7);
        for (long i = 0; i < bytes; i += 7) from[i] = (byte)i;
        new Span<byte>(to, (int)(stripes * parity * Unit)).Fill(1);
        ErasureCode code = new(data, parity);
        nint[] sources = new nint[data], targets = new nint[parity];
        List<double> ours = [], theirs = [], copies = [], ratio = [];
        for (int run = -1; run < Bench.Runs; run++)
        {
            double seconds = Time(() =>
            {
                for (long s = 0; s < stripes; s++)
                {
                    for (int j = 0; j < data; j++) sources[j] = (nint)(from + (s * data + j) * Unit);
                    for (int j = 0; j < parity; j++) targets[j] = (nint)(to + (s * parity + j) * Unit);
                    code.Encode(sources, targets, Unit);
                }
            });
            string[] words = bench.Run(60, peer, $"{data}", $"{parity}", $"{CodeMiB}").Split(' ');
            if (run < 0) continue; // compiled now
            ours.Add(bytes / 1e9 / seconds);
            theirs.Add(double.Parse(words[0], CultureInfo.InvariantCulture));
            copies.Add(double.Parse(words[1], CultureInfo.InvariantCulture));
            ratio.Add((parity == 1 ? copies[^1] : theirs[^1]) / ours[^1]);
        }
        string name = parity == 1 ? $"xor {data}+1" : $"rs {data}+{parity}";
        bench.Row($"store: {name}", "GB/s", ours);
        bench.Row($"store: {name}, ISA-L", "GB/s", theirs);
        bench.Row($"store: {name}, memory copy", "GB/s", copies);
        bench.Row(parity == 1 ? $"store: memory copy / {name}" : $"store: ISA-L / {name}", "x", ratio);
        NativeMemory.AlignedFree(from);
        NativeMemory.AlignedFree(to);
    }
}
