using System.Reflection;
using System.Runtime.Loader;
using System.Text;
using TreCr.Linux;
using TreCr.SoftDevice.Emit;
using TreCr.XxHash;

namespace TreCr.SoftDevice.Cache;

/// <summary>
/// Compiled kernels from one start to the next. What was emitted and used is written down, some seconds after the last of it and at the end, as files that a process of its own compiles to machine code
/// (<see cref="ImageCompiler"/>), with a small share of the processors, so that neither a start nor an end waits for it. Any thread.
/// </summary>
sealed class KernelCache : IDisposable
{
    const int QuietMs = 2000;
    /// <summary>A tenth of a processor that others want: with less, kernels would wait for minutes on a machine that is busy with the very program.</summary>
    const int CompilerNice = 10;

    /// <summary>Of the environment, beside .NET's own, for who compiles; no keys.</summary>
    static readonly string[] Passed = ["HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", KernelCacheSettings.LimitVariable];

    /// <summary>Images that this process has loaded, for good: one that was loaded is not loaded again, whatever backend or module asks.</summary>
    static readonly Dictionary<UInt128, (UInt128 Hash, Assembly Image)> Loaded = [];
    static readonly AssemblyLoadContext Images = new("kernels");

    readonly KernelCacheSettings settings;
    readonly CacheDirectory directory;
    readonly List<Waiting> waiting = [];
    readonly Timer quiet;
    bool disposed, saysNothing;

    /// <param name="Methods">recordings of the code; null: facts alone</param>
    /// <param name="IsUsed">whether the code is worth compiling</param>
    sealed record Waiting(UInt128 Key, NotedAddresses Addresses, byte[] Facts, IlRecording[]? Methods, Func<bool> IsUsed);

    KernelCache(KernelCacheSettings settings, CacheDirectory directory)
    {
        (this.settings, this.directory) = (settings, directory);
        quiet = new(_ => Flush());
    }

    /// <summary>Entries that were found and good, in all caches of the process; for tests.</summary>
    internal static long Found;

    /// <summary>Null where there is no cache: none is wanted, or the directory is no good.</summary>
    public static KernelCache? Open(KernelCacheSettings? settings)
    {
        // Code of an image runs where the runtime takes precompiled code.
        if (settings is null || Environment.GetEnvironmentVariable("DOTNET_ReadyToRun") == "0") return null;
        if (CacheDirectory.Open(settings.Directory, out string? problem, out bool isUnsafe) is { } directory) return new(settings, directory);
        // A home directory that cannot be written is nothing to complain of.
        if (isUnsafe || settings.IsNamed) Console.Error.WriteLine($"trecr: kernels are not kept in {settings.Directory}: {problem}");
        return null;
    }

    public static UInt128 KeyOf(UInt128 module, string kernel, string variant) => XxHash128.HashToUInt128(Encoding.UTF8.GetBytes($"{BuildFingerprint.Text}\n{module:x32}\n{kernel}\n{variant}"));

    /// <summary>What is kept under a key and fits this process.</summary>
    public CacheEntry? Find(UInt128 key, NotedAddresses addresses)
    {
        string name = CacheEntry.NameOf(key) + CacheDirectory.Entry;
        if (directory.Read(name) is not { } file) return null;
        try
        {
            if (CacheEntry.Read(file, key, out _) is not { } entry)
            {
                directory.Remove(name);
                return null;
            }
            foreach ((string symbol, ulong address) in entry.Addresses)
                if (addresses.Find(symbol) != address) return null;
            string path = directory.PathOf(name);
            if (File.GetLastWriteTimeUtc(path) < DateTime.UtcNow.AddDays(-1)) File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            Interlocked.Increment(ref Found);
            return entry;
        }
        catch (Exception e) when (e is IOException or Ptx.PtxException or FormatException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The methods of an entry's image. Null: it has none, or it is damaged.</summary>
    public T[]? Load<T>(CacheEntry entry) where T : Delegate
    {
        if (entry.Methods == 0) return null;
        try
        {
            Assembly? image = ImageOf(entry);
            Type? type = image?.GetType(ImageCompiler.TypeName);
            if (type is null) return null;
            T[] methods = new T[entry.Methods];
            for (int n = 0; n < methods.Length; n++) methods[n] = (type.GetMethod(ImageCompiler.MethodName(n)) ?? throw new InvalidDataException("a method is missing")).CreateDelegate<T>();
            return methods;
        }
        catch (Exception e) when (e is IOException or BadImageFormatException or InvalidDataException or ArgumentException or TypeLoadException)
        {
            return null;
        }
    }

    Assembly? ImageOf(CacheEntry entry)
    {
        lock (Loaded)
        {
            // An assembly has one name and is loaded once; another image of the same name comes with the next process.
            if (Loaded.TryGetValue(entry.Key, out (UInt128 Hash, Assembly Image) known)) return known.Hash == entry.ImageHash ? known.Image : null;
            string name = CacheEntry.NameOf(entry.Key) + CacheDirectory.Image;
            if (directory.Read(name) is not { } bytes || bytes.Length != entry.ImageBytes || XxHash128.HashToUInt128(bytes) != entry.ImageHash)
            {
                directory.Remove(CacheEntry.NameOf(entry.Key) + CacheDirectory.Entry);
                return null;
            }
            // By its path: the runtime does not take the machine code of an image that it is handed as bytes (10.0.12).
            Assembly image = Images.LoadFromAssemblyPath(directory.PathOf(name));
            Loaded[entry.Key] = (entry.ImageHash, image);
            return image;
        }
    }

    /// <summary>Keeps what was emitted, some time from now.</summary>
    /// <param name="methods">emitted methods; empty: facts alone</param>
    /// <param name="isUsed">asked then: whether the methods are worth it</param>
    public void Keep(UInt128 key, NotedAddresses addresses, byte[] facts, IReadOnlyList<Delegate> methods, Func<bool> isUsed)
    {
        IlRecording[]? recordings = IlRecording.Take(methods);
        if (recordings is null) return;
        lock (waiting)
        {
            if (disposed) return;
            waiting.Add(new(key, addresses, facts, recordings, isUsed));
            quiet.Change(QuietMs, Timeout.Infinite);
        }
    }

    /// <summary>Writes what waits, and has it compiled.</summary>
    public void Flush()
    {
        Waiting[] items;
        lock (waiting)
        {
            items = [.. waiting];
            waiting.Clear();
        }
        bool pending = false;
        try
        {
            foreach (Waiting item in items)
            {
                string name = CacheEntry.NameOf(item.Key);
                IlRecording[] methods = item.Methods is { Length: > 0 } m && item.IsUsed() ? m : [];
                CacheEntry entry = new(item.Key, item.Addresses.Noted, item.Facts, methods.Length);
                directory.Write(name + (methods.Length > 0 ? CacheDirectory.Pending : CacheDirectory.Entry), entry.Save(w => { foreach (IlRecording r in methods) r.Save(w); }));
                pending |= methods.Length > 0;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (!saysNothing) Console.Error.WriteLine($"trecr: kernels are not kept in {directory.Path}: {e.Message}");
            saysNothing = true;
        }
        if (pending && settings.Compile.Count > 0) StartCompiler();
    }

    /// <summary>A process in a session of its own, with a small share of the processors and no open files; it outlives this one, and ends when nothing is left to compile.</summary>
    void StartCompiler()
    {
        using CloneTable table = new();
        int nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC);
        try
        {
            for (int n = 0; n < 3; n++) table.Add("dup3", SyscallNumber.Dup3, nothing, n, 0);
            table.Add("close_range", SyscallNumber.CloseRange, 3, uint.MaxValue, 0);
            table.Add("setsid", SyscallNumber.Setsid);
            table.AddOptional("setpriority", SyscallNumber.Setpriority, 0, 0, CompilerNice);
            table.AddDefaultSignals();
            table.AddExecute(settings.Compile[0], [.. settings.Compile], [.. OwnEnvironment.Words(name => !Passed.Contains(name) && !name.StartsWith("DOTNET_", StringComparison.Ordinal))]);
            CloneResult child = table.Run();
            if (!child.Succeeded) return;
            // Waited for, that it does not stay a zombie; by a thread that does not hold this process up.
            new Thread(() => { Sys.Wait(child.Pid, Sys.WALL, out _); Sys.Close(child.Pidfd); }, 64 << 10) { IsBackground = true, Name = "kernel compiler" }.Start();
        }
        finally { Sys.Close(nothing); }
    }

    public void Dispose()
    {
        lock (waiting)
        {
            if (disposed) return;
            disposed = true;
        }
        quiet.Dispose();
        Flush();
    }
}
