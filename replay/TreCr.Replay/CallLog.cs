using System.Security.Cryptography;
using TreCr.Calls;
using TreCr.Calls.Records;

namespace TreCr.Replay;

/// <summary>
/// The calls that made what exists (design.md §3, "Log"): a call is in it as long as its object lives. Kept with virtual handles, so that replay is the
/// ordinary dispatch fed from here. Any thread.
/// </summary>
public sealed unsafe class CallLog
{
    private const ushort PrimaryContextSetFlags = 0x0104;

    private readonly Lock _lock = new();
    private readonly SortedDictionary<ulong, LoggedCall> _calls = [];
    private readonly Dictionary<ulong, ulong> _byHandle = [];
    private readonly Dictionary<ulong, HashSet<ulong>> _children = [];
    private readonly Dictionary<string, ulong> _settings = [];
    private readonly Dictionary<string, WeakReference<ModuleImage>> _images = [];
    private ulong _next = 1;

    /// <summary>Number of calls in the log.</summary>
    public int Count
    {
        get { lock (_lock) return _calls.Count; }
    }

    /// <summary>All calls in the order in which they were made.</summary>
    public LoggedCall[] Snapshot()
    {
        lock (_lock) return [.. _calls.Values];
    }

    /// <summary>A call that brought an object. One that brings an object again (a function asked for twice) is not kept.</summary>
    /// <param name="handle">virtual handle</param>
    /// <param name="isHandle">tells which argument words are live handles: parents of the object</param>
    public void AddObject(RecordHeader* record, ulong handle, ReadOnlySpan<byte> answer, Func<ulong, bool> isHandle, ulong[] internalAddresses,
        IReadOnlyList<(int Argument, ModuleImage Image)> fetched)
    {
        lock (_lock)
        {
            if (_byHandle.ContainsKey(handle)) return;
            Add(Make(record, handle, answer, isHandle, internalAddresses, fetched));
        }
    }

    /// <summary>A setting, or a question whose answer must be the same after a restart. It replaces an earlier one with the same subject.</summary>
    /// <param name="sameSubject">argument words that name what is set: a call with equal ones is replaced</param>
    public void AddSetting(RecordHeader* record, ReadOnlySpan<byte> answer, int sameSubject, Func<ulong, bool> isHandle)
    {
        lock (_lock)
        {
            LoggedCall call = Make(record, 0, answer, isHandle, [], []);
            string subject = SubjectOf(call, sameSubject);
            if (_settings.TryGetValue(subject, out ulong old)) Drop(old);
            call.Subject = subject;
            Add(call);
        }
    }

    /// <summary>An object is gone: so are its call and all calls that need it.</summary>
    /// <returns>handles that went with it, itself first</returns>
    public ulong[] Remove(ulong handle)
    {
        lock (_lock)
        {
            List<ulong> gone = [handle];
            for (int i = 0; i < gone.Count; i++)
            {
                if (_byHandle.TryGetValue(gone[i], out ulong serial)) Drop(serial);
                if (!_children.Remove(gone[i], out HashSet<ulong>? children)) continue;
                foreach (ulong child in children)
                {
                    if (!_calls.TryGetValue(child, out LoggedCall? call)) continue;
                    if (call.Handle == 0) Drop(child);
                    else if (!gone.Contains(call.Handle)) gone.Add(call.Handle);
                }
            }
            return [.. gone];
        }
    }

    /// <summary>Keeps bytes once.</summary>
    public ModuleImage Keep(ReadOnlySpan<byte> bytes)
    {
        string name = "image-" + Convert.ToHexStringLower(SHA256.HashData(bytes));
        lock (_lock)
        {
            if (_images.TryGetValue(name, out WeakReference<ModuleImage>? known) && known.TryGetTarget(out ModuleImage? image)) return image;
            image = new ModuleImage(name, bytes.ToArray());
            _images[name] = new WeakReference<ModuleImage>(image);
            return image;
        }
    }

    /// <summary>Restore: a call as it was saved.</summary>
    public void Restore(LoggedCall call)
    {
        lock (_lock)
        {
            Add(call);
            foreach ((_, ModuleImage image) in call.Fetched) _images[image.Name] = new WeakReference<ModuleImage>(image);
            _next = Math.Max(_next, call.Serial + 1);
        }
    }

    /// <summary>Parents of a record: its context and every argument word that is a live handle.</summary>
    public static ulong[] ParentsOf(RecordHeader* record, ulong handle, Func<ulong, bool> isHandle)
    {
        List<ulong> parents = [];
        // Calls that make or prepare a context belong to their device, not to the context that happens to be current.
        bool free = VirtualHandle.KindOf(handle) == HandleKind.Context || record->Call == PrimaryContextSetFlags;
        if (record->Context != 0 && !free) parents.Add(record->Context);
        ulong* words = (ulong*)((byte*)record + RecordHeader.SizeBytes);
        for (int i = 0; i < record->ArgumentCount; i++)
            if (VirtualHandle.KindOf(words[i]) != HandleKind.None && words[i] != handle && isHandle(words[i])) parents.Add(words[i]);
        return [.. parents];
    }

    private LoggedCall Make(RecordHeader* record, ulong handle, ReadOnlySpan<byte> answer, Func<ulong, bool> isHandle, ulong[] internalAddresses,
        IReadOnlyList<(int, ModuleImage)> fetched) => new()
    {
        Serial = _next++,
        Record = new ReadOnlySpan<byte>(record, (int)record->RecordBytes).ToArray(),
        Answer = answer.ToArray(),
        Handle = handle,
        Parents = ParentsOf(record, handle, isHandle),
        InternalAddresses = internalAddresses,
        Fetched = fetched,
    };

    private void Add(LoggedCall call)
    {
        _calls.Add(call.Serial, call);
        if (call.Handle != 0) _byHandle.Add(call.Handle, call.Serial);
        if (call.Subject is { } subject) _settings[subject] = call.Serial;
        foreach (ulong parent in call.Parents)
        {
            if (!_children.TryGetValue(parent, out HashSet<ulong>? children)) _children.Add(parent, children = []);
            children.Add(call.Serial);
        }
    }

    private void Drop(ulong serial)
    {
        if (!_calls.Remove(serial, out LoggedCall? call)) return;
        if (call.Handle != 0) _byHandle.Remove(call.Handle);
        if (call.Subject is { } subject) _settings.Remove(subject);
        foreach (ulong parent in call.Parents)
            if (_children.TryGetValue(parent, out HashSet<ulong>? children)) children.Remove(serial);
    }

    /// <summary>Call, context, the first argument words and the payload (a name).</summary>
    private static string SubjectOf(LoggedCall call, int words)
    {
        int head = RecordHeader.SizeBytes + 8 * call.ArgumentCount;
        return $"{call.Call:x}.{BitConverter.ToUInt64(call.Record, 16):x}.{Convert.ToHexString(call.Record, RecordHeader.SizeBytes, 8 * words)}."
            + Convert.ToHexString(call.Record, head, call.Record.Length - head);
    }
}
