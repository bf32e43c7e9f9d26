namespace TreCr.Api.Gpi;

/// <summary>The segments of a rank, and one-sided calls on its own and others'. A write or read is a copy, done when the call returns: queues never hold anything.</summary>
public sealed unsafe partial class GpiSegments
{
    /// <summary>Segments that a rank may have.</summary>
    public const int Most = 255;

    private readonly GpiSession _session;
    private readonly Lock _gate = new();
    private readonly GpiSegment?[] _own = new GpiSegment?[Most];
    private readonly Dictionary<(ushort Rank, byte Id), GpiSegment> _others = [];

    internal GpiSegments(GpiSession session)
    {
        _session = session;
        session.Changed += Forget;
        session.Lost += RingAll;
    }

    public int Count { get { lock (_gate) return _own.Count(s => s is not null); } }

    /// <summary>Numbers of own segments, ascending.</summary>
    public byte[] List() { lock (_gate) return [.. Enumerable.Range(0, Most).Where(i => _own[i] is not null).Select(i => (byte)i)]; }

    /// <summary>The first number that is not used.</summary>
    public byte? FirstUnused() { lock (_gate) return Array.IndexOf(_own, null) is >= 0 and var id ? (byte)id : null; }

    /// <summary>Makes one.</summary>
    /// <param name="address">memory of the program's own; 0: none</param>
    public void Add(byte id, ulong bytes, nint address)
    {
        if (id >= Most) throw new GpiException(GpiCode.BadSegment, $"segment {id}: numbers end at {Most - 1}");
        if (bytes is 0 or > long.MaxValue / 4) throw new GpiException(GpiCode.BadSegmentSize, $"segment {id}: {bytes} bytes");
        lock (_gate)
        {
            if (_own[id] is not null) throw new GpiException(GpiCode.BadSegment, $"segment {id} is there already");
            GpiSegment segment = address == 0 ? GpiSegment.Create((long)bytes) : GpiSegment.Bind(address, (long)bytes);
            _own[id] = segment;
            if (segment.IsShared) _session.Keep(Name(_session.Rank, id), segment.Descriptor);
        }
    }

    public void Remove(byte id)
    {
        GpiSegment segment = Own(id);
        _session.Copier.WaitFor(segment.Address, segment.Bytes);
        lock (_gate)
        {
            _own[id] = null;
            if (segment.IsShared) _session.Drop(Name(_session.Rank, id));
            segment.Dispose();
        }
    }

    public (nint Address, long Bytes) Place(byte id)
    {
        GpiSegment segment = Own(id);
        return (segment.Address, segment.Bytes);
    }

    /// <summary>Where bytes of an own segment lie.</summary>
    /// <exception cref="GpiException">there is no such segment, or it ends before</exception>
    public nint Range(byte id, ulong offset, ulong bytes)
    {
        GpiSegment segment = Own(id);
        if (offset > (ulong)segment.Bytes) throw new GpiException(GpiCode.BadLocalOffset, $"segment {id} has {segment.Bytes} bytes, and begins to be used at {offset}");
        if (bytes > (ulong)segment.Bytes - offset) throw new GpiException(GpiCode.BadSize, $"segment {id} has {segment.Bytes} bytes, not {bytes} from {offset} on");
        return segment.Address + (nint)offset;
    }

    /// <summary>Copies between an own segment and another's that was reached before.</summary>
    public void Copy(nint own, ushort rank, byte id, ulong offset, ulong bytes, bool read)
    {
        lock (_gate)
        {
            GpiSegment other = Known(rank, id);
            if (offset > (ulong)other.Bytes) throw new GpiException(GpiCode.BadRemoteOffset, $"segment {id} of rank {rank} has {other.Bytes} bytes, and begins to be used at {offset}");
            if (bytes > (ulong)other.Bytes - offset) throw new GpiException(GpiCode.BadLength, $"segment {id} of rank {rank} has {other.Bytes} bytes, not {bytes} from {offset} on");
            void* there = (void*)(other.Address + (nint)offset);
            if (read) Buffer.MemoryCopy(there, (void*)own, bytes, bytes);
            else Buffer.MemoryCopy((void*)own, there, bytes, bytes);
        }
    }

    /// <summary>Notifies a rank through its segment, which was reached before.</summary>
    public void Notify(ushort rank, byte id, uint notification, uint value)
    {
        CheckNotifications(notification, 1);
        if (value == 0) throw new GpiException(GpiCode.BadNotificationValue, "a notification of 0 is none");
        lock (_gate) Known(rank, id).Notify(notification, value);
    }

    /// <summary>Waits for one of some notifications in an own segment.</summary>
    /// <param name="giveUp">asked whenever somebody is lost</param>
    /// <param name="timeoutMs">negative: no end</param>
    /// <returns>null: none in time</returns>
    public uint? WaitNotification(byte id, uint first, uint count, long timeoutMs, Action giveUp)
    {
        const long LookNs = 100_000_000; // a bell that is rung between look and wait is not lost; this is for one that nobody can ring any more
        CheckNotifications(first, count);
        GpiSegment segment = Own(id);
        if (!segment.IsShared) throw new GpiException(GpiCode.BadSegment, $"segment {id} is the program's own memory, which other ranks do not reach");
        long end = timeoutMs < 0 ? long.MaxValue : Environment.TickCount64 + timeoutMs;
        while (true)
        {
            uint bell = segment.BellValue;
            if (segment.FindNotification(first, count) is { } found) return found;
            long left = end - Environment.TickCount64;
            if (left <= 0) return null;
            giveUp();
            segment.WaitBell(bell, left < LookNs / 1_000_000 ? left * 1_000_000 : LookNs);
        }
    }

    public uint TakeNotification(byte id, uint notification)
    {
        CheckNotifications(notification, 1);
        GpiSegment segment = Own(id);
        if (!segment.IsShared) throw new GpiException(GpiCode.BadSegment, $"segment {id} is the program's own memory, which other ranks do not reach");
        return segment.TakeNotification(notification);
    }

    private static void CheckNotifications(uint first, uint count)
    {
        if (first >= GpiSegment.Notifications) throw new GpiException(GpiCode.BadNotification, $"notification {first}: numbers end at {GpiSegment.Notifications - 1}");
        if (count == 0 || count > GpiSegment.Notifications - first) throw new GpiException(GpiCode.BadCount, $"{count} notifications from {first} on");
    }

    private GpiSegment Own(byte id)
    {
        lock (_gate) return (id < Most ? _own[id] : null) ?? throw new GpiException(GpiCode.BadSegment, $"there is no segment {id}");
    }

    private GpiSegment Known(ushort rank, byte id) => rank == _session.Rank ? Own(id) : _others.TryGetValue((rank, id), out GpiSegment? segment) ? segment : throw new GpiException(GpiCode.Error, $"segment {id} of rank {rank} has gone");

    private void Forget(string name)
    {
        if (name.Split('/') is not ["segment", var rank, var id]) return;
        lock (_gate)
            if (_others.Remove((ushort.Parse(rank, System.Globalization.CultureInfo.InvariantCulture), byte.Parse(id, System.Globalization.CultureInfo.InvariantCulture)), out GpiSegment? segment)) segment.Dispose();
    }

    private void RingAll()
    {
        lock (_gate)
            foreach (GpiSegment? segment in _own) segment?.Ring();
    }

    private static string Name(ushort rank, byte id) => $"segment/{rank}/{id}";
}
