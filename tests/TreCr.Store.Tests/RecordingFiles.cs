namespace TreCr.Store.Tests;

/// <summary>
/// A store in memory that logs what is done to it, so that a test can ask what a disk would hold after a crash: any prefix of the log, in
/// which what was not synced is dropped, kept or torn as a chooser says. What was synced is always there.
/// </summary>
public sealed class RecordingFiles : IStoreFiles
{
    private readonly Lock _lock = new();
    private readonly List<MemoryStream> _contents = [];
    private readonly Dictionary<(StoreDirectory, string), int> _names = [];
    private readonly List<Operation> _log = [];
    private int _shared;
    private bool _exclusive;

    private enum What { Create, Write, Sync, Rename, Delete, SyncDirectory }

    /// <summary>What an unsynced operation came to.</summary>
    public enum Fate { Dropped, Kept, Torn }

    public string Location => "/recorded";

    /// <summary>Operations logged so far.</summary>
    public int LogLength { get { lock (_lock) return _log.Count; } }

    /// <summary>Counts operations; several stores in memory that share one have one order.</summary>
    public System.Runtime.CompilerServices.StrongBox<int> Clock { get; init; } = new();

    /// <summary>Operations that had been issued when the clock stood there.</summary>
    public int PrefixAt(int time) { lock (_lock) return _log.Count(o => o.Time <= time); }

    /// <summary>Called before each write with the bytes it brings; a test throws from here.</summary>
    public Action<int>? BeforeWrite { get; set; }

    /// <summary>Called before each read; a test throws from here.</summary>
    public Action? BeforeRead { get; set; }

    /// <summary>All files, for tests that damage them.</summary>
    public IReadOnlyList<(StoreDirectory Directory, string Name)> Names { get { lock (_lock) return [.. _names.Keys.OrderBy(k => (k.Item1, k.Item2))]; } }

    /// <summary>A file's bytes.</summary>
    public byte[] Get(StoreDirectory directory, string name) { lock (_lock) return _contents[_names[(directory, name)]].ToArray(); }

    /// <summary>Replaces a file's bytes; null removes it.</summary>
    public void Set(StoreDirectory directory, string name, byte[]? bytes)
    {
        lock (_lock)
        {
            _names.Remove((directory, name));
            if (bytes is null) return;
            _names[(directory, name)] = _contents.Count;
            MemoryStream content = new();
            content.Write(bytes);
            _contents.Add(content);
        }
    }

    /// <summary>A copy without log.</summary>
    public RecordingFiles Clone()
    {
        RecordingFiles copy = new();
        foreach ((StoreDirectory d, string n) in Names) copy.Set(d, n, Get(d, n));
        return copy;
    }

    /// <summary>How many operations of a prefix of the log nothing has made durable.</summary>
    public int CountUnsynced(int prefix) => Enumerable.Range(0, prefix).Count(i => IsUnsynced(i, prefix));

    /// <summary>The disk after a crash.</summary>
    /// <param name="start">what was there before the log began</param>
    /// <param name="prefix">operations that had been issued</param>
    /// <param name="fate">asked for each unsynced operation, by its number among these</param>
    public RecordingFiles AfterCrash(RecordingFiles start, int prefix, Func<int, Fate> fate)
    {
        Dictionary<int, MemoryStream> contents = [];
        Dictionary<(StoreDirectory, string), int> names = [];
        int next = -1;
        foreach ((StoreDirectory d, string n) in start.Names)
        {
            contents[next] = new MemoryStream();
            contents[next].Write(start.Get(d, n));
            names[(d, n)] = next--;
        }
        int unsynced = 0;
        for (int i = 0; i < prefix; i++)
        {
            Operation op = _log[i];
            Fate f = IsUnsynced(i, prefix) ? fate(unsynced++) : Fate.Kept;
            if (f == Fate.Dropped) continue;
            switch (op.What)
            {
                case What.Create:
                    names[(op.Directory, op.Name)] = op.File;
                    break;
                case What.Rename:
                    int file = op.File >= 0 ? op.File : names[(op.Directory, op.Name)];
                    names.Remove((op.Directory, op.Name));
                    names[(op.Directory, op.To)] = file;
                    break;
                case What.Delete:
                    names.Remove((op.Directory, op.Name));
                    break;
                case What.Write:
                    if (!contents.TryGetValue(op.File, out MemoryStream? content)) contents[op.File] = content = new MemoryStream();
                    content.Position = op.Offset;
                    content.Write(op.Bytes.AsSpan(0, f == Fate.Torn ? op.Bytes.Length / 2 : op.Bytes.Length));
                    break;
            }
        }
        RecordingFiles after = new();
        foreach (((StoreDirectory d, string n), int file) in names) after.Set(d, n, contents.TryGetValue(file, out MemoryStream? c) ? c.ToArray() : []);
        return after;
    }

    public IReadOnlyList<string> List(StoreDirectory directory) { lock (_lock) return [.. _names.Keys.Where(k => k.Item1 == directory).Select(k => k.Item2)]; }

    public IStoreFile Create(StoreDirectory directory, string name)
    {
        lock (_lock)
        {
            if (_names.ContainsKey((directory, name))) throw new StoreException(StoreErrorKind.Busy, $"{name}: exists");
            _names[(directory, name)] = _contents.Count;
            _contents.Add(new MemoryStream());
            Log(new Operation(What.Create, directory, name, File: _contents.Count - 1));
            return new OpenFile(this, _contents.Count - 1);
        }
    }

    public IStoreFile? TryOpen(StoreDirectory directory, string name, bool write = false)
    {
        lock (_lock) return _names.TryGetValue((directory, name), out int file) ? new OpenFile(this, file) : null;
    }

    public void Rename(StoreDirectory directory, string from, string to, bool replace = true)
    {
        lock (_lock)
        {
            if (!replace && _names.ContainsKey((directory, to))) throw new StoreException(StoreErrorKind.Busy, $"{to}: exists");
            _names.Remove((directory, from), out int file);
            _names[(directory, to)] = file;
            Log(new Operation(What.Rename, directory, from, to, file));
        }
    }

    public void Delete(StoreDirectory directory, string name)
    {
        lock (_lock)
        {
            if (_names.Remove((directory, name))) Log(new Operation(What.Delete, directory, name));
        }
    }

    public void SyncDirectory(StoreDirectory directory) { lock (_lock) Log(new Operation(What.SyncDirectory, directory, "")); }

    public IDisposable? TryLock(bool exclusive)
    {
        lock (_lock)
        {
            if (_exclusive || (exclusive && _shared > 0)) return null;
            if (exclusive) _exclusive = true; else _shared++;
            return new Lease(this, exclusive);
        }
    }

    public long FreeBytes() => 1L << 40;

    public void Dispose() { }

    private void Log(Operation operation)
    {
        operation.Time = Interlocked.Increment(ref Clock.Value);
        _log.Add(operation);
    }

    private bool IsUnsynced(int i, int prefix)
    {
        Operation op = _log[i];
        if (op.What is What.Sync or What.SyncDirectory) return false;
        for (int k = i + 1; k < prefix; k++)
        {
            Operation later = _log[k];
            if (op.What == What.Write ? later.What == What.Sync && later.File == op.File : later.What == What.SyncDirectory && later.Directory == op.Directory) return false;
        }
        return true;
    }

    private sealed record Operation(What What, StoreDirectory Directory, string Name, string To = "", int File = -1, long Offset = 0)
    {
        public byte[] Bytes { get; init; } = [];

        public int Time { get; set; }
    }

    private sealed class OpenFile(RecordingFiles files, int file) : IStoreFile
    {
        public long LengthBytes { get { lock (files._lock) return files._contents[file].Length; } }

        public int ReadAt(long offsetBytes, Span<byte> into)
        {
            files.BeforeRead?.Invoke();
            lock (files._lock)
            {
                MemoryStream content = files._contents[file];
                if (offsetBytes >= content.Length) return 0;
                content.Position = offsetBytes;
                return content.Read(into);
            }
        }

        public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes)
        {
            files.BeforeWrite?.Invoke(bytes.Length);
            lock (files._lock)
            {
                files._contents[file].Position = offsetBytes;
                files._contents[file].Write(bytes);
                files.Log(new Operation(What.Write, default, "", File: file, Offset: offsetBytes) { Bytes = bytes.ToArray() });
            }
        }

        public void StartWriteback(long offsetBytes, long lengthBytes) { }

        public void Sync() { lock (files._lock) files.Log(new Operation(What.Sync, default, "", File: file)); }

        public void Dispose() { }
    }

    private sealed class Lease(RecordingFiles files, bool exclusive) : IDisposable
    {
        public void Dispose()
        {
            lock (files._lock)
            {
                if (exclusive) files._exclusive = false; else files._shared--;
            }
        }
    }
}
