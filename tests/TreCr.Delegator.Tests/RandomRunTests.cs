using System.Security.Cryptography;
using NUnit.Framework;
using TreCr.Delegator.Snapshot;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Delegator.Tests;

/// <summary>Random programs, with and without restarts in between: same bytes at the end.</summary>
[NonParallelizable]
public class RandomRunTests
{
    private const int Steps = 160;

    [TestCase(11), TestCase(12), TestCase(13)]
    public void RestartsDoNotShow(int seed)
    {
        string plain = Run(seed, restarts: false, out _), restarted = Run(seed, restarts: true, out int count);
        TestContext.Out.WriteLine($"seed {seed}: {count} captures");
        Assert.That(count, Is.GreaterThan(2));
        Assert.That(restarted, Is.EqualTo(plain));
    }

    /// <summary>Digest of all that the program ever read, handles and addresses included.</summary>
    private static string Run(int seed, bool restarts, out int count)
    {
        Random random = new(seed), when = new(seed * 7);
        using FakeProgram program = new FakeProgram().Start();
        using IncrementalHash digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        List<(ulong Address, int Words)> buffers = [];
        List<ulong> streams = [0], events = [];
        ulong module = program.LoadModule(Kernels.Mix), function = program.Function(module, "mix");
        MemorySnapshot? last = null;
        FrameHashes? hashes = null;
        (MemorySnapshot Snapshot, Precopy Copied)? ahead = null;
        count = 0;
        void See(ulong value) => digest.AppendData(BitConverter.GetBytes(value));
        for (int i = 0; i < Steps; i++)
        {
            ulong stream = streams[random.Next(streams.Count)];
            switch (random.Next(12))
            {
                case 0 or 1:
                    int words = random.Next(1, random.Next(4) == 0 ? 600_000 : 3000);
                    buffers.Add((program.Allocate((ulong)words * 4), words));
                    See(buffers[^1].Address);
                    program.Enqueue(0x0507, [buffers[^1].Address, (ulong)i, (ulong)words, 0]);
                    break;
                case 2 when buffers.Count > 3:
                    int gone = random.Next(buffers.Count);
                    program.Ask(0x0303, [buffers[gone].Address]);
                    buffers.RemoveAt(gone);
                    break;
                case 3 when streams.Count < 5: streams.Add(program.Ask(0x0701, [1, 1, 0])[0]); See(streams[^1]); break;
                case 4 when streams.Count > 2:
                    program.Ask(0x0703, [streams[^1]]);
                    program.Ask(0x0702, [streams[^1]]);
                    streams.RemoveAt(streams.Count - 1);
                    break;
                case 5:
                    events.Add(program.Ask(0x0801, [1, 2])[0]);
                    See(events[^1]);
                    program.Enqueue(0x0803, [events[^1], stream]);
                    break;
                case 6 when events.Count > 0: See((ulong)program.Try(0x0805, [events[random.Next(events.Count)]]).Result); break;
                case 7 when buffers.Count > 0:
                    program.Synchronize();
                    (ulong target, int size) = buffers[random.Next(buffers.Count)];
                    byte[] bytes = new byte[Math.Min(size * 4, random.Next(1, 80_000))];
                    random.NextBytes(bytes);
                    program.ToDevice(target, bytes);
                    program.Synchronize();
                    break;
                case 8 when buffers.Count > 0:
                    program.Synchronize();
                    (ulong source, int length) = buffers[random.Next(buffers.Count)];
                    digest.AppendData(program.FromDevice(source, Math.Min(length * 4, random.Next(1, 100_000))));
                    break;
                case 9:
                    program.Ask(0x0202, [module]);
                    module = program.LoadModule(Kernels.Mix);
                    function = program.Function(module, "mix");
                    See(module);
                    See(function);
                    break;
                default:
                    if (buffers.Count == 0) break;
                    program.Synchronize();
                    (ulong memory, int n) = buffers[random.Next(buffers.Count)];
                    program.Launch(function, (uint)(n + 127) / 128, 128, stream, memory, (ulong)n, (ulong)i);
                    break;
            }
            if (ahead is { } begunAhead && when.Next(3) == 0) program.Session.Refine(begunAhead.Snapshot, begunAhead.Copied, new PhaseTimes());
            if (!restarts || when.Next(8) != 0) continue;
            if (ahead is null && when.Next(2) == 0)
            {
                // Copied while kernels run; the program goes on for some steps.
                MemorySnapshot begun = new(last);
                ahead = (begun, program.Session.CopyAhead(begun, hashes));
                continue;
            }
            count++;
            FrameHashes now = new();
            MemorySnapshot snapshot = program.Capture(last, hashes, now, ahead);
            ahead = null;
            AssertSame(snapshot, program.Capture());
            if (when.Next(4) == 0)
            {
                program.Session.Open(); // this epoch was given up: the one before stays the base
                continue;
            }
            (last, hashes) = (snapshot, now);
            if (when.Next(3) == 0) program.Session.Open(); else program.Restart(last, hashes = new FrameHashes());
        }
        program.Synchronize();
        foreach ((ulong address, int words) in buffers) digest.AppendData(program.FromDevice(address, words * 4));
        See(BitConverter.ToUInt32(program.FromDevice(program.Ask(0x0204, [1, 1, module, 0], 3, [.. "total"u8, 0])[0], 4)));
        return Convert.ToHexString(digest.GetHashAndReset());
    }

    /// <summary>What was kept, copied ahead and captured is what a capture of everything finds at the same moment.</summary>
    private static void AssertSame(ISnapshotReader incremental, ISnapshotReader full)
    {
        byte[] expected = new byte[ISnapshotWriter.FrameSizeBytes], actual = new byte[ISnapshotWriter.FrameSizeBytes];
        foreach (string name in full.Parts)
        {
            IPartReader one = incremental.OpenPart(name), other = full.OpenPart(name);
            Assert.That(one.FrameOffsets, Is.EqualTo(other.FrameOffsets), name);
            foreach (long offset in other.FrameOffsets)
            {
                one.ReadFrame(offset, actual);
                other.ReadFrame(offset, expected);
                Assert.That(actual.AsSpan().SequenceEqual(expected), $"{name}: frame at 0x{offset:x}");
            }
        }
    }
}
