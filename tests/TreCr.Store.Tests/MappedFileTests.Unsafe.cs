using System.Diagnostics;
using System.Globalization;
using TreCr.Linux;
using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>Packs that are written through mappings: the same bytes, no system call, and a full disk is an error.</summary>
public sealed unsafe class MappedFileTests : StoreTestBase
{
    internal const int TracedWrites = 2000;

    [Test]
    public void WritesFromSeveralThreadsAreTheBytesOfTheFile()
    {
        string path = Path.Combine(Dir, "file");
        byte[] expected = Random(5, MappedStoreFile.ExtentBytes + 1_000_003);
        using (MappedStoreFile file = Make(path))
        {
            // Pieces of every length and alignment, so that threads share cache lines and one piece lies in two extents.
            int next = 0;
            List<(int At, int Length)> pieces = [];
            Random random = new(6);
            for (int at = 0; at < expected.Length;)
            {
                int length = Math.Min(expected.Length - at, random.Next(4) == 0 ? random.Next(1, 200) : random.Next(1, 70_000));
                pieces.Add((at, length));
                at += length;
            }
            random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(pieces));
            Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                for (int i; (i = Interlocked.Increment(ref next) - 1) < pieces.Count;) file.WriteAt(pieces[i].At, expected.AsSpan(pieces[i].At, pieces[i].Length));
            }))];
            foreach (Thread thread in threads) thread.Start();
            foreach (Thread thread in threads) thread.Join();
            Assert.That(file.LengthBytes, Is.EqualTo(expected.Length));
            byte[] some = new byte[100];
            Assert.That(file.ReadAt(expected.Length - 40, some), Is.EqualTo(40));
            file.Sync();
            Assert.That(() => file.WriteAt(0, [1]), Throws.InstanceOf<ObjectDisposedException>());
        }
        Assert.That(File.ReadAllBytes(path).AsSpan().SequenceEqual(expected));
    }

    [Test]
    public void ATierThroughMappingsGivesBackWhatItGot()
    {
        TierSet tiers = new(StorePolicy.Parse($"[[tier]]\nkind = \"nvram\"\npath = \"{Dir}/nvram\"\nkeep = 1", "policy.toml"));
        using (SnapshotStore local = Open())
        {
            for (ulong epoch = 1; epoch <= 2; epoch++)
            {
                Checkpoint(local, "job", epoch, [.. Enumerable.Range(0, 300).Select(i => ((long)i, Random(i + (int)epoch)))]);
                Assert.That(tiers.Flush(local, "job").Single().Problem, Is.Null);
            }
        }
        Assert.That(Directory.GetFiles($"{Dir}/nvram/packs", "*.pack").Select(f => new FileInfo(f).Length % MappedStoreFile.ExtentBytes), Has.None.Zero, "as long as what was written, not as what was allocated");
        Directory.Delete(Path.Combine(Dir, "store"), recursive: true);
        using SnapshotStore empty = Open();
        Assert.That(tiers.MakeWhole(empty, "job").Checkpoint.Epoch, Is.EqualTo(2));
        Assert.That(empty.Verify().Problems, Is.Empty);
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
    }

    /// <summary>The kernel itself looks: a thread in strict seccomp(2) is killed by every system call but read, write and exit, and its counts of those two stay as they were.</summary>
    [Test]
    public void NoSystemCallLiesOnThePathOfAWrite()
    {
        // On a busy machine the runtime may stop the thread for reasons of its own, which takes calls: a path without any comes through one time of five, one with calls never.
        const int Attempts = 5;
        bool cameThrough = false;
        foreach ((string mode, bool survives, int attempt) in Enumerable.Range(1, Attempts).Select(a => ("mapped", true, a)).Append(("file", false, Attempts)))
        {
            if (mode == "mapped" && cameThrough) continue;
            using Process child = Process.Start(new ProcessStartInfo("dotnet", [typeof(MappedFileTests).Assembly.Location, "seccomp", mode, Path.Combine(Dir, $"{mode}{attempt}")])
            {
                RedirectStandardOutput = true, Environment = { ["DOTNET_EnableDiagnostics"] = "0", ["DOTNET_TieredCompilation"] = "0", ["DOTNET_gcConcurrent"] = "0" },
            })!;
            string said = child.StandardOutput.ReadToEnd();
            Assert.That(child.WaitForExit(60_000));
            if (said.Contains("no seccomp")) Assert.Ignore("this kernel has no seccomp");
            bool survived = said.Contains($"{TracedWrites} writes, 0 calls");
            cameThrough |= survived;
            if (survived || attempt == Attempts) Assert.That(survived, Is.EqualTo(survives), $"{mode}: {said}, exit {child.ExitCode}");
        }
    }

    /// <summary>The child of the test above.</summary>
    internal static int Traced(string mode, string path)
    {
        byte[] bytes = Random(1, 4099);
        IStoreFile file = mode == "mapped" ? Make(path) : new LinuxStoreFile((int)Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_EXCL, 0x180), path);
        file.WriteAt(0, bytes);
        file.StartWriteback(0, 1); // all is compiled by now
        int thread = 0, done = 0, go = 0;
        long Calls() => File.ReadAllLines($"/proc/self/task/{thread}/io").Where(l => l.StartsWith("syscr", StringComparison.Ordinal) || l.StartsWith("syscw", StringComparison.Ordinal)).Sum(l => long.Parse(l.Split(' ')[1], CultureInfo.InvariantCulture));
        GC.TryStartNoGCRegion(64 << 20); // a collection would make the thread wait, by a system call
        new Thread(() =>
        {
            thread = (int)Sys.Raw(SyscallNumber.Gettid);
            for (int i = 0; i < 3; i++) Write(file, i * 4099L, bytes); // what is called for the first time is looked up, which takes calls
            while (Volatile.Read(ref go) == 0) Thread.Yield();
            const int SetSeccomp = 22, Strict = 1;
            if (Sys.Raw(SyscallNumber.Prctl, SetSeccomp, Strict) != 0)
            {
                Console.WriteLine("no seccomp");
                return;
            }
            for (; done < TracedWrites; Volatile.Write(ref done, done + 1)) Write(file, done * 4099L, bytes);
            while (true) Thread.SpinWait(1000); // until the process ends
        }) { IsBackground = true }.Start();
        if (!SpinWait.SpinUntil(() => Volatile.Read(ref thread) != 0, 30_000)) return 3;
        long before = Calls();
        Volatile.Write(ref go, 1);
        if (!SpinWait.SpinUntil(() => Volatile.Read(ref done) == TracedWrites || !Directory.Exists($"/proc/self/task/{thread}"), 30_000) || done != TracedWrites) return 4; // the kernel has killed the thread
        Console.WriteLine($"{done} writes, {Calls() - before} calls");
        Console.Out.Flush();
        Sys.Raw(SyscallNumber.ExitGroup, 0);
        return 0;
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static void Write(IStoreFile file, long offset, byte[] bytes)
    {
        file.WriteAt(offset, bytes);
        file.StartWriteback(offset, bytes.Length);
    }

    private static MappedStoreFile Make(string path) => new((int)Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_EXCL, 0x180), path);
}
