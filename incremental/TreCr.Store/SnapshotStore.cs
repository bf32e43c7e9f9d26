using System.Text;
using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store;

/// <summary>
/// A directory that keeps snapshots and the checkpoints made of them: frames by hash in append-only packs, manifests, atomic commit
/// (docs/format.md). Several processes may use it at once; only <see cref="Gc"/> wants it for itself.
/// </summary>
/// <remarks>Any thread. Every failure is a <see cref="StoreException"/>.</remarks>
public sealed partial class SnapshotStore : IDisposable
{
    private SnapshotStore(IStoreFiles files, StoreOptions options, StoreSeal seal)
    {
        Files = files;
        Options = options;
        Seal = seal;
        Catalog = new StoreCatalog(files, seal);
    }

    /// <summary>Where the store is.</summary>
    public string Location => Files.Location;

    internal IStoreFiles Files { get; }

    internal StoreOptions Options { get; }

    /// <summary>Shared by all writers of this object, so that one knows what the one before has measured.</summary>
    internal CompressionChoice Compression => field ??= new CompressionChoice(Options.CompressionLevel);

    internal StoreSeal Seal { get; }

    /// <summary>Whether its objects are encrypted.</summary>
    public bool IsEncrypted => Seal.Encrypts;

    internal StoreCatalog Catalog { get; }

    /// <summary>Opens the store in a directory; makes it where there is none, unless the options say otherwise.</summary>
    /// <exception cref="StoreException">NotFound, NotAStore, NewerFormat, Damaged, OtherOwner, IO.</exception>
    public static SnapshotStore Open(string path, StoreOptions? options = null)
    {
        options ??= new StoreOptions();
        LinuxStoreFiles files = LinuxStoreFiles.Open(path, options.Create, options.TrustOtherOwner);
        try { return Open(files, options); }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Opens the store of a job that runs. One that has gone (a disk that is not mounted, a renamed directory) is not made again: what is written there would not be
    /// where the user looks for it.
    /// </summary>
    /// <exception cref="StoreException">as <see cref="Open(string, StoreOptions?)"/></exception>
    public static SnapshotStore OpenExisting(string path) => Open(path, new StoreOptions { Create = false });

    /// <summary>Opens a store on another kind of file layer; takes it over.</summary>
    public static SnapshotStore Open(IStoreFiles files, StoreOptions? options = null)
    {
        options ??= new StoreOptions();
        StoreSeal? seal = TryReadFormat(files, options.Key);
        if (seal is null)
        {
            try { RequireUnused(files, options.Create); }
            catch (StoreException) when (TryReadFormat(files, options.Key) is not null)
            {
                // Another process made the store between the two looks.
            }
            seal = TryReadFormat(files, options.Key);
            if (seal is null)
            {
                seal = StoreSeal.For(options.Key, options.KeyedNamesOnly);
                try { StoreBytes.WriteDurably(files, StoreDirectory.Root, Format.FormatFile, Encoding.ASCII.GetBytes(FormatLine(seal.Version) + seal.FormatLine()), replace: false); }
                catch (StoreException e) when (e.Kind == StoreErrorKind.Busy && TryReadFormat(files, options.Key) is { } made) { seal = made; } // another process was faster
            }
        }
        SnapshotStore store = new(files, options, seal);
        store.Catalog.Refresh();
        return store;
    }

    private bool _hasBegun;

    /// <summary>Begins a snapshot.</summary>
    /// <param name="baseManifest">snapshot whose frames may be kept; null: none</param>
    /// <exception cref="StoreException">Busy: gc is running. Damaged: the base is not (whole) in the store. NoSpace, IO.</exception>
    public StoreSnapshotWriter BeginSnapshot(ContentHash? baseManifest = null)
    {
        IDisposable lease = Lease();
        try
        {
            // Whoever stops building on the last snapshot may do so because it is damaged, and have had the store repaired.
            if (baseManifest is null && _hasBegun) Catalog.RefreshRepaired(); else Catalog.Refresh();
            _hasBegun = true;
            SnapshotFrames? frames = baseManifest is { } hash ? LoadSnapshot(hash) : null;
            return new StoreSnapshotWriter(this, lease, baseManifest, frames);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>Opens a snapshot for reading. gc has to wait until the reader is disposed.</summary>
    /// <exception cref="StoreException">Busy: gc is running. Damaged: missing, or not what was written. NewerFormat.</exception>
    public StoreSnapshotReader OpenSnapshot(ContentHash manifest)
    {
        IDisposable lease = Lease();
        try
        {
            if (!Catalog.Contains(manifest.Value)) Catalog.Refresh();
            return new StoreSnapshotReader(this, manifest, LoadSnapshot(manifest), lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>Gives up a finished snapshot that no checkpoint will name (an aborted epoch), so that gc need not keep it for 24 hours.</summary>
    public void Release(ContentHash manifest) => ForgetSessions([manifest]);

    /// <summary>Whether so many more bytes fit, with 1 % and 16 MiB to spare.</summary>
    public SpaceEstimate EstimateFits(long bytes)
    {
        long free = Files.FreeBytes();
        return new SpaceEstimate(free - free / 100 - (16 << 20) >= bytes, free, bytes);
    }

    public void Dispose()
    {
        Catalog.Dispose();
        Files.Dispose();
    }

    internal SnapshotFrames LoadSnapshot(ContentHash hash)
    {
        string what = $"snapshot {hash}";
        byte[] bytes = Catalog.ReadWhole(hash.Value, what);
        return SnapshotFrames.Parse(bytes, what);
    }

    /// <summary>The store's lock, shared.</summary>
    /// <exception cref="StoreException">Busy: gc has it for longer than 10 seconds.</exception>
    internal IDisposable Lease() => TryLease(exclusive: false, TimeSpan.FromSeconds(10))
        ?? throw new StoreException(StoreErrorKind.Busy, $"store {Location}: gc is running; try again when it has ended");

    /// <returns>null: not within the time</returns>
    private IDisposable? TryLease(bool exclusive, TimeSpan wait)
    {
        // flock(2) has no timeout, and a thread waiting in it could not be told to stop: asked again every 20 ms.
        long end = Environment.TickCount64 + (long)wait.TotalMilliseconds;
        while (true)
        {
            if (Files.TryLock(exclusive) is { } lease) return lease;
            if (Environment.TickCount64 >= end) return null;
            Thread.Sleep(20);
        }
    }

    private static string FormatLine(uint version)
    {
        string text = $"trecr-store {version}";
        return $"{text} {XxHash128.HashToUInt128(Encoding.ASCII.GetBytes(text)):x32}\n";
    }

    /// <returns>null: there is none</returns>
    /// <exception cref="StoreException">NotAStore, Damaged, NewerFormat, WrongKey.</exception>
    private static StoreSeal? TryReadFormat(IStoreFiles files, StoreKey? key)
    {
        using IStoreFile? file = files.TryOpen(StoreDirectory.Root, Format.FormatFile);
        if (file is null) return null;
        Span<byte> bytes = stackalloc byte[512];
        string text = Encoding.Latin1.GetString(bytes[..file.ReadAt(0, bytes)]);
        uint version = CheckFormat(text, $"{files.Location}/{Format.FormatFile}");
        return StoreSeal.Read(version, text.Split('\n') is [_, var line, ..] ? line : "", key, files.Location);
    }

    /// <summary>The first line is "trecr-store VERSION HASH" in every version, so that older builds can tell newer from damaged.</summary>
    private static uint CheckFormat(string text, string path)
    {
        string[] words = text.Split('\n')[0].Split(' ');
        if (words.Length != 3 || words[0] != "trecr-store" || !uint.TryParse(words[1], out uint version)
            || words[2] != XxHash128.HashToUInt128(Encoding.ASCII.GetBytes($"trecr-store {version}")).ToString("x32"))
            throw new StoreException(text.StartsWith("trecr-store", StringComparison.Ordinal) ? StoreErrorKind.Damaged : StoreErrorKind.NotAStore,
                $"{path}: does not say which version of a TreCr store this is");
        Format.CheckVersion(version, path, FormatVersion.NewestStore);
        return version;
    }

    /// <summary>A store whose making was cut short holds nothing but its own empty directories.</summary>
    private static void RequireUnused(IStoreFiles files, bool create)
    {
        foreach (string name in files.List(StoreDirectory.Root))
        {
            if (name is "packs" or "sessions" or "checkpoints" or "lock" || name.StartsWith(Format.TemporaryPrefix, StringComparison.Ordinal)) continue;
            throw new StoreException(StoreErrorKind.NotAStore, $"store {files.Location}: holds other files and no '{Format.FormatFile}': not a TreCr store");
        }
        if (files.List(StoreDirectory.Checkpoints).Count > 0 || files.List(StoreDirectory.Packs).Count > 0)
            throw new StoreException(StoreErrorKind.Damaged, $"store {files.Location}: the file '{Format.FormatFile}' is missing");
        if (!create) throw new StoreException(StoreErrorKind.NotFound, $"store {files.Location}: empty");
    }
}
