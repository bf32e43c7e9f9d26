using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.SoftDevice.Cache;
using TreCr.SoftDevice.Emit;
using TreCr.XxHash;

namespace TreCr.SoftDevice.Tests;

/// <summary>Compiled kernels are kept from one start to the next: the second one emits nothing and computes the same; what is damaged, foreign or of another kind is left aside. TRECR_SEED picks other random kernels.</summary>
[NonParallelizable, CancelAfter(120_000)]
public sealed class KernelCacheTests
{
    const string Source = """
        extern "C" {
        __device__ int table[4] = {1, 20, 300, 4000}; __device__ int* where = &table[2];
        __global__ void globals(int* out) { int i = TX; out[i] = table[i & 3] + *where; }
        __attribute__((noinline)) __device__ int fib(int n) { return n < 2 ? n : fib(n-1) + fib(n-2); }
        __global__ void recursion(int* out) { out[TX] = fib(TX); }
        __global__ void scan(int* out) { int v = TX * 3 + 1, lane = TX & 31;
          #pragma unroll
          for (int d = 1; d < 32; d <<= 1) { int o = __nvvm_shfl_sync_up_i32(0xffffffff, v, d, 0); if (lane >= d) v += o; } out[TX] = v; }
        __global__ void stencil(int n, const int* in, int* out) { int i = BX*NX+TX; if (i > 0 && i < n - 1) out[i] = in[i-1] + 2 * in[i] + in[i+1]; }
        __global__ void collatz(int* out) { unsigned v = TX + 1, s = 0; while (v != 1) { if (v & 1) v = 3 * v + 1; else v >>= 1; s++; } out[TX] = s; }
        __global__ void turns(volatile int* turn, int* out) { int t = TX; while (*turn != t) ; out[t] = t * 3; __nvvm_membar_gl(); *turn = t + 1; }
        __global__ void dynamic(int n, int* out) { extern __attribute__((shared)) int buf[]; int t = TX, kept[8]; for (int k = 0; k < 8; k++) kept[(k * n) & 7] = t + k; buf[t] = kept[t & 7]; __syncthreads(); out[t] = buf[NX-1-t]; }
        __global__ void says(int n) { struct { int a; } v = {n}; if (TX == 0) vprintf("n=%d\n", (const char*)&v); }
        }
        """;

    static readonly Lazy<string> Ptx = new(() => Clang.Ptx(Source));
    static readonly string Crossgen = Path.Combine(Environment.GetEnvironmentVariable("TRECR_ROOT") ?? Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "..")), "out", "delegator", "crossgen2");

    string directory = "", text = "";

    [SetUp]
    public void Make()
    {
        if (!File.Exists(Crossgen)) Assert.Ignore("out/ is not built");
        directory = Directory.CreateTempSubdirectory("trecr-kernels-").FullName;
        text = $"{Ptx.Value}\n// {directory}"; // what this process has loaded it does not load again from elsewhere
    }

    [TearDown]
    public void Remove()
    {
        SimdTests.Usual();
        if (Directory.Exists(directory)) Directory.Delete(directory, true);
    }

    KernelCacheSettings Settings => new(directory, 1 << 30, []);

    string[] Files(string ending) => Directory.GetFiles(directory, "*" + ending);

    void Compile() => Assert.That(ImageCompiler.Run(directory, Crossgen, 1 << 30), Is.Zero);

    /// <summary>Runs all kernels.</summary>
    /// <returns>memory and output; methods that were emitted</returns>
    (string Result, long Emitted) Start(KernelCacheSettings? cache, ulong before = 0)
    {
        long emitted = Interlocked.Read(ref ScalarEmitter.Emitted);
        StringBuilder result = new();
        using (Machine m = new(16 << 20, cache: cache))
        {
            if (before > 0) m.Allocate(0, before);
            var module = m.Load(text);
            int[] input = [.. Enumerable.Range(0, 1000).Select(n => n * n % 77)];
            ulong at = m.Array<int>(input);
            void Run(string kernel, uint grid, uint block, uint shared, params object[] arguments)
            {
                ulong to = m.Zeroed<int>(1024);
                Machine.Ok(m.TryLaunch(m.Function(module, kernel), (grid, 1, 1), (block, 1, 1), shared, default, [.. arguments, to]));
                Machine.Ok(m.Device.cuCtxSynchronize());
                Span<int> memory = Machine.Span<int>(to, 1024);
                result.AppendLine($"{kernel}: {string.Join(' ', memory[..4].ToArray())} {XxHash128.HashToUInt128(MemoryMarshal.AsBytes(memory)):x32}");
            }
            Run("globals", 1, 64, 0);
            Run("recursion", 1, 20, 0);
            Run("scan", 1, 64, 0);
            Run("stencil", 8, 128, 0, 1000, at);
            Run("stencil", 250, 4, 0, 1000, at);
            Run("collatz", 1, 256, 0);
            Run("turns", 1, 32, 0, m.Zeroed<int>(1));
            Run("dynamic", 1, 96, 4 * 96, 5);
            m.Run(m.Function(module, "says"), 1, 32, 7);
            result.Append(m.Output());
        }
        return (result.ToString(), Interlocked.Read(ref ScalarEmitter.Emitted) - emitted);
    }

    [Test]
    public void TheSecondStartEmitsNothing()
    {
        (string expected, long emitted) = Start(null);
        Assert.That(expected, Does.Contain("n=7").And.Contain("globals: 301 320 600 4300"));
        (string first, long again) = Start(Settings);
        Assert.That((first, again), Is.EqualTo((expected, emitted)));
        Assert.That(Files(CacheDirectory.Pending), Is.Not.Empty);
        Compile();
        Assert.That((Files(CacheDirectory.Pending), Directory.GetDirectories(directory)), Is.EqualTo((Array.Empty<string>(), Array.Empty<string>())), "nothing waits, nothing is left");
        foreach (string file in Directory.GetFiles(directory)) Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite), file);
        long found = KernelCache.Found;
        (string second, long none) = Start(Settings);
        Assert.That((second, none), Is.EqualTo((expected, 0L)));
        Assert.That(KernelCache.Found - found, Is.GreaterThan(10));
        Assert.That(Files(CacheDirectory.Pending), Is.Empty, "and keeps nothing anew");
    }

    /// <summary>Random kernels with everything that groups must get right, from machine code of another process as from RyuJIT.</summary>
    [Test]
    public void KeptCodeComputesTheSame([Values(32, 64)] int vectorBytes)
    {
        SimdTests.Always(vectorBytes);
        int seed = int.TryParse(Environment.GetEnvironmentVariable("TRECR_SEED"), out int s) ? s : Random.Shared.Next(), count = 8;
        TestContext.Out.WriteLine($"seed {seed}");
        Random random = new(seed);
        StringBuilder source = new(SimdKernels.Common);
        for (int k = 0; k < count; k++) source.Append(SimdKernels.Next(random, $"k{k}"));
        string ptx = Clang.Ptx(source.ToString());
        (uint X, uint Y, uint Z)[] blocks = [.. Enumerable.Range(0, count).Select(_ => SimdKernels.Blocks[random.Next(SimdKernels.Blocks.Length)])];
        byte[] data = new byte[64 << 10];
        random.NextBytes(data);
        byte[][] Run(out long emitted)
        {
            emitted = -Interlocked.Read(ref ScalarEmitter.Emitted);
            using Machine m = new(16 << 20, cache: Settings);
            var module = m.Load(ptx);
            ulong at = m.Array<byte>(data);
            byte[][] results = new byte[count][];
            for (int k = 0; k < count; k++)
            {
                data.CopyTo(Machine.Span<byte>(at, data.Length));
                Machine.Ok(m.TryLaunch(m.Function(module, $"k{k}"), (3, 1, 1), blocks[k], 0, default, at, at + (32 << 10), k));
                Machine.Ok(m.Device.cuCtxSynchronize());
                results[k] = Machine.Span<byte>(at, data.Length).ToArray();
            }
            emitted += Interlocked.Read(ref ScalarEmitter.Emitted);
            return results;
        }
        byte[][] first = Run(out long emitted);
        Assert.That(emitted, Is.Positive);
        Compile();
        byte[][] second = Run(out emitted);
        Assert.That(emitted, Is.Zero, "methods emitted by the second start");
        for (int k = 0; k < count; k++) Assert.That(second[k].AsSpan().SequenceEqual(first[k]), $"kernel k{k}, block {blocks[k]}, seed {seed}");
    }

    [TestCase(CacheDirectory.Entry), TestCase(CacheDirectory.Image), TestCase(CacheDirectory.Pending)]
    public void WhatIsDamagedIsMadeAnew(string ending)
    {
        (string expected, _) = Start(Settings);
        if (ending != CacheDirectory.Pending) Compile();
        Assert.That(Files(ending), Is.Not.Empty);
        foreach (string file in Files(ending))
        {
            byte[] bytes = File.ReadAllBytes(file);
            bytes[bytes.Length / 2] ^= 1;
            File.WriteAllBytes(file, bytes);
        }
        if (ending == CacheDirectory.Pending) Compile();
        (string second, long emitted) = Start(Settings);
        Assert.That(second, Is.EqualTo(expected));
        Assert.That(emitted, Is.Positive);
        Compile();
        Assert.That(Start(Settings), Is.EqualTo((expected, 0L)));
    }

    /// <summary>Another kernel's entry under this one's name, a file cut short, an empty one.</summary>
    [Test]
    public void ForeignEntriesAreLeftAside()
    {
        (string expected, _) = Start(Settings);
        Compile();
        string[] files = [.. Files(CacheDirectory.Entry).Order()];
        byte[][] bytes = [.. files.Select(File.ReadAllBytes)];
        for (int n = 0; n < files.Length; n++) File.WriteAllBytes(files[n], n % 3 == 0 ? [] : n % 3 == 1 ? bytes[n][..^3] : bytes[(n + 1) % files.Length]);
        (string second, long emitted) = Start(Settings);
        Assert.That(second, Is.EqualTo(expected));
        Assert.That(emitted, Is.Positive);
    }

    /// <summary>Code holds addresses of the module's variables.</summary>
    [Test]
    public void VariablesMayLieElsewhere()
    {
        (string expected, long all) = Start(Settings);
        Compile();
        (string moved, long emitted) = Start(Settings, before: 4096);
        Assert.That(moved, Is.EqualTo(expected));
        Assert.That(emitted, Is.InRange(1, all - 1), "only the kernels that name a variable or a function are compiled anew");
    }

    [Test]
    public void OtherOptionsAreOtherCode()
    {
        (string expected, _) = Start(Settings);
        Compile();
        VectorWidth.MostBytes = VectorWidth.MostBytes == 32 ? 64 : 32;
        UInt128 key = KernelCache.KeyOf(1, "k", "threads");
        ProgramBuilder.UseSimd = false;
        Assert.That(KernelCache.KeyOf(1, "k", "threads"), Is.Not.EqualTo(key));
        (string second, long emitted) = Start(Settings);
        Assert.That(second, Is.EqualTo(expected));
        Assert.That(emitted, Is.Positive);
    }

    [Test]
    public void OnlyAPrivateDirectoryIsUsed()
    {
        File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupWrite);
        Assert.That(Refusal(directory), Does.Contain("others may enter it"));
        File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string link = directory + ".link";
        File.CreateSymbolicLink(link, directory);
        try { Assert.That(Refusal(link), Is.Not.Null); }
        finally { File.Delete(link); }
        Assert.That(Refusal(directory), Is.Null);
        if (Sys.EffectiveUserId() != 0) return;
        Process.Start("chown", ["65534", directory]).WaitForExit();
        Assert.That(Refusal(directory), Does.Contain("belongs to user 65534"));
        // A file of somebody else's in a directory of ours is not read either.
        Process.Start("chown", ["0", directory]).WaitForExit();
        string file = Path.Combine(directory, "x.entry");
        File.WriteAllText(file, "x");
        CacheDirectory opened = CacheDirectory.Open(directory, out _, out _)!;
        Assert.That(opened.Read("x.entry"), Is.Not.Null);
        Process.Start("chown", ["65534", file]).WaitForExit();
        Assert.That(opened.Read("x.entry"), Is.Null);

        static string? Refusal(string path)
        {
            CacheDirectory.Open(path, out string? problem, out _);
            return problem;
        }
    }

    [Test]
    public void TheOldestGoWhenThereIsTooMuch()
    {
        CacheDirectory opened = CacheDirectory.Open(directory, out _, out _)!;
        for (int n = 0; n < 4; n++)
            foreach (string ending in (string[])[CacheDirectory.Entry, CacheDirectory.Image])
            {
                opened.Write($"{n}{ending}", new byte[1000]);
                File.SetLastWriteTimeUtc(opened.PathOf($"{n}{ending}"), DateTime.UtcNow.AddDays(-n));
            }
        opened.Prune(4000);
        Assert.That(Directory.GetFiles(directory).Select(Path.GetFileName).Order(), Is.EqualTo(new[] { "0.dll", "0.entry", "1.dll", "1.entry" }));
    }

    /// <summary>Several processes of a job begin and compile at once; each file is whole at any moment.</summary>
    [Test]
    public void CompilersDoNotDisturbEachOther()
    {
        (string expected, _) = Start(Settings);
        byte[][] waiting = [.. Files(CacheDirectory.Pending).Select(File.ReadAllBytes)];
        string[] names = Files(CacheDirectory.Pending);
        Parallel.Invoke(Compile, Compile, () =>
        {
            CacheDirectory opened = CacheDirectory.Open(directory, out _, out _)!;
            for (int n = 0; n < names.Length; n++) opened.Write(Path.GetFileName(names[n]), waiting[n]);
        });
        Compile();
        Assert.That(Files(CacheDirectory.Pending), Is.Empty);
        Assert.That(Start(Settings), Is.EqualTo((expected, 0L)));
    }

    /// <summary>End to end: the delegator of a program's second run compiles none of its kernels; the compiler is the process that the first one left behind.</summary>
    [Test]
    public void TheSecondRunOfAProgramCompilesNothing()
    {
        string home = Path.GetDirectoryName(Path.GetDirectoryName(Crossgen))!, program = Path.Combine(home, "samples", "histogram");
        if (!File.Exists(program)) Assert.Ignore("the samples are not built");
        string[] Run()
        {
            ProcessStartInfo start = new(Path.Combine(home, "trecr"), ["run", "--device", "soft", "--", program]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory };
            start.Environment["TRECR_STORE"] = Path.Combine(directory, "store");
            start.Environment[KernelCacheSettings.DirectoryVariable] = Path.Combine(directory, "kept");
            start.Environment["TRECR_SOFT_TIMING"] = "1";
            using Process p = Process.Start(start)!;
            Task<string> output = p.StandardOutput.ReadToEndAsync(), errors = p.StandardError.ReadToEndAsync();
            p.WaitForExit();
            Assert.That(p.ExitCode, Is.Zero, output.Result + errors.Result);
            return [.. errors.Result.Split('\n').Where(l => l.StartsWith("soft-timing", StringComparison.Ordinal)).Select(l => l.Split('\t')[1])];
        }
        Assert.That(Run(), Does.Contain("emit threads").And.Not.Contain("kept"));
        using FileSystemWatcher watcher = new(Path.Combine(directory, "kept"), "*" + CacheDirectory.Pending);
        while (Directory.GetFiles(watcher.Path, watcher.Filter).Length > 0) watcher.WaitForChanged(WatcherChangeTypes.Deleted, 1000);
        Assert.That(Run(), Does.Contain("kept").And.Not.Contain("emit threads").And.Not.Contain("emit groups"));
    }

    [Test]
    public void TheEnvironmentDecides()
    {
        string[] names = [KernelCacheSettings.DirectoryVariable, "XDG_CACHE_HOME", "HOME", KernelCacheSettings.LimitVariable];
        string?[] before = [.. names.Select(Environment.GetEnvironmentVariable)];
        try
        {
            foreach ((string?[] values, string? expected) in ((string?[], string?)[])[(["0", "/x", "/h", null], null), (["/tmp/kernels", "/x", "/h", null], "/tmp/kernels"), ([null, "/x", "/h", "5"], "/x/trecr/kernels"), ([null, "", "/h", null], "/h/.cache/trecr/kernels"), (["", "relative", null, null], null)])
            {
                for (int n = 0; n < names.Length; n++) Environment.SetEnvironmentVariable(names[n], values[n]);
                KernelCacheSettings? settings = KernelCacheSettings.FromEnvironment(d => [d]);
                Assert.That((settings?.Directory, settings?.LimitBytes), Is.EqualTo((expected, expected is null ? (long?)null : (values[3] is null ? 512L : 5L) << 20)));
            }
        }
        finally { for (int n = 0; n < names.Length; n++) Environment.SetEnvironmentVariable(names[n], before[n]); }
    }
}
