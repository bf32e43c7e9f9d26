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
            LoggedCall call = Make(record, handle, answer, isHandle, internalAddresses, fetched);
            _calls.Add(call.Serial, call);
            _byHandle.Add(handle, call.Serial);
        }
    }

    /// <summary>A setting, or a question whose answer must be the same after a restart. It replaces an earlier one with the same subject.</summary>
    /// <param name="sameSubject">argument words that name what is set: a call with equal ones is replaced</param>
    public void AddSetting(RecordHeader* record, ReadOnlySpan<byte> answer, int sameSubject, Func<ulong, bool> isHandle)
    {
        lock (_lock)
        {
            LoggedCall call = Make(record, 0, answer, isHandle, [], []);
            foreach (LoggedCall old in _calls.Values)
            {
                if (old.Handle != 0 || !IsSameSubject(old, call, sameSubject)) continue;
                _calls.Remove(old.Serial);
                break;
            }
            _calls.Add(call.Serial, call);
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
                ulong dead = gone[i];
                if (_byHandle.Remove(dead, out ulong serial)) _calls.Remove(serial);
                foreach (LoggedCall call in _calls.Values.Where(c => c.Parents.Contains(dead)).ToArray())
                {
                    if (call.Handle != 0) { if (!gone.Contains(call.Handle)) gone.Add(call.Handle); }
                    else _calls.Remove(call.Serial);
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
            _calls.Add(call.Serial, call);
            if (call.Handle != 0) _byHandle.Add(call.Handle, call.Serial);
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

    /// <summary>Equal call, context and subject. Payload bytes (a name) belong to the subject.</summary>
    private static bool IsSameSubject(LoggedCall a, LoggedCall b, int words)
    {
        if (a.Call != b.Call || a.ArgumentCount != b.ArgumentCount || BitConverter.ToUInt64(a.Record, 16) != BitConverter.ToUInt64(b.Record, 16)) return false;
        for (int i = 0; i < words; i++)
            if (a.Argument(i) != b.Argument(i)) return false;
        int head = RecordHeader.SizeBytes + 8 * a.ArgumentCount;
        return a.Record.AsSpan(head).SequenceEqual(b.Record.AsSpan(head));
    }
}
