using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Api.Gpi;

namespace TreCr.Api.C.Gpi;

/// <summary>GASPI.h: what programs of GPI_CP call of GASPI (version 17.1 of its specification), on the ranks of a job of ours.</summary>
internal static unsafe class GaspiExports
{
    private const byte Queues = 8;

    private static readonly nint[] s_texts = [.. Enum.GetValues<GpiCode>().Select(c => Marshal.StringToCoTaskMemUTF8(c.ToString()))];

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_proc_init), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_proc_init(ulong timeout) => Client.Open(timeout);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_proc_term), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_proc_term(ulong timeout) => Client.Close();

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_initialized), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_initialized(uint* initialized) => Client.Guard(() =>
    {
        Client.NotNull(initialized);
        *initialized = Client.IsOpen ? 1u : 0u;
        return GpiCode.Success;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_proc_rank), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_proc_rank(ushort* rank) => Put(rank, s => s.Rank);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_proc_num), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_proc_num(ushort* count) => Put(count, s => s.Place.Count);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_proc_kill), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_proc_kill(ushort rank, ulong timeout) => Client.Await(timeout, rank, s => s.Kill(rank));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_proc_ping), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_proc_ping(ushort rank, ulong timeout) => Client.Do(s =>
    {
        if (rank >= s.Place.Count) throw new GpiException(GpiCode.BadRank, $"rank {rank} of {s.Place.Count}");
        if (s.IsGone(rank)) throw new GpiException(GpiCode.Error, $"rank {rank} is not there any more");
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_state_vec_get), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_state_vec_get(byte* states) => Client.Do(s =>
    {
        Client.NotNull(states);
        for (ushort rank = 0; rank < s.Place.Count; rank++) states[rank] = s.IsDead(rank) ? (byte)1 : (byte)0;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_create), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_create(byte* group) => Put(group, s => s.Groups.Create());

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_add), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_add(byte group, ushort rank) => Client.Do(s => s.Groups.Add(group, rank));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_commit), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_commit(byte group, ulong timeout) => Client.Await(timeout, group, s => s.Groups.Commit(group));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_delete), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_delete(byte group) => Client.Do(s => s.Groups.Delete(group));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_num), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_num(uint* count) => Put(count, s => (uint)s.Groups.Count);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_size), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_size(byte group, uint* count) => Put(count, s => (uint)s.Groups[group].Places.Length);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_group_ranks), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_group_ranks(byte group, ushort* ranks) => Client.Do(s =>
    {
        Client.NotNull(ranks);
        ushort[] members = s.Groups[group].Places;
        members.CopyTo(new Span<ushort>(ranks, members.Length));
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_alloc), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_alloc(byte segment, ulong size, int policy) => Client.Do(s => s.Segments.Add(segment, size, 0));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_bind), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_bind(byte segment, void* address, ulong size, int description) => Client.Do(s =>
    {
        Client.NotNull(address);
        s.Segments.Add(segment, size, (nint)address);
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_register), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_register(byte segment, ushort rank, ulong timeout) => Client.Do(s =>
    {
        s.Segments.Place(segment);
        if (rank >= s.Place.Count) throw new GpiException(GpiCode.BadRank, $"rank {rank} of {s.Place.Count}");
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_create), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_create(byte segment, ulong size, byte group, ulong timeout, int policy) => Client.Await(timeout, segment, s => s.Segments.AddTogether(segment, size, 0, s.Groups[group]));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_use), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_use(byte segment, void* address, ulong size, byte group, ulong timeout, int description) => Client.Await(timeout, segment, s =>
    {
        Client.NotNull(address);
        return s.Segments.AddTogether(segment, size, (nint)address, s.Groups[group]);
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_delete), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_delete(byte segment) => Client.Do(s => s.Segments.Remove(segment));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_ptr), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_ptr(byte segment, nint* address) => Put(address, s => s.Segments.Place(segment).Address);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_size), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_size(byte segment, ushort rank, ulong* size) => Client.Await(CallsUnderWay.Endless, segment, s =>
    {
        Client.NotNull(size);
        return rank == s.Rank ? Task.FromResult(s.Segments.Place(segment).Bytes) : s.Segments.SizeOf(segment, rank);
    }, bytes => *size = (ulong)bytes);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_num), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_num(uint* count) => Put(count, s => (uint)s.Segments.Count);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_max), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_max(uint* count) => Put(count, _ => (uint)GpiSegments.Most);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_segment_list), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_segment_list(uint count, byte* list) => Client.Do(s =>
    {
        Client.NotNull(list);
        byte[] all = s.Segments.List();
        all.AsSpan(0, (int)Math.Min(count, (uint)all.Length)).CopyTo(new Span<byte>(list, all.Length));
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_write), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_write(byte own, ulong ownOffset, ushort rank, byte segment, ulong offset, ulong size, byte queue, ulong timeout)
        => OneSided(own, ownOffset, rank, segment, offset, size, queue, timeout, read: false);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_read), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_read(byte own, ulong ownOffset, ushort rank, byte segment, ulong offset, ulong size, byte queue, ulong timeout)
        => OneSided(own, ownOffset, rank, segment, offset, size, queue, timeout, read: true);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_notify), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_notify(byte segment, ushort rank, uint notification, uint value, byte queue, ulong timeout) => Reach(segment, rank, queue, timeout, s => s.Segments.Notify(rank, segment, notification, value));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_write_notify), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_write_notify(byte own, ulong ownOffset, ushort rank, byte segment, ulong offset, ulong size, uint notification, uint value, byte queue, ulong timeout)
        => Reach(segment, rank, queue, timeout, s =>
        {
            s.Segments.Copy(s.Segments.Range(own, ownOffset, size), rank, segment, offset, size, read: false);
            s.Segments.Notify(rank, segment, notification, value);
        });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_notify_waitsome), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_notify_waitsome(byte segment, uint first, uint count, uint* found, ulong timeout) => Client.Call(s =>
    {
        Client.NotNull(found);
        if (s.Segments.WaitNotification(segment, first, count, timeout > int.MaxValue ? -1 : (long)timeout, () => GiveUp(s)) is not { } notification) return GpiCode.Timeout;
        *found = notification;
        return GpiCode.Success;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_notify_reset), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_notify_reset(byte segment, uint notification, uint* value) => Put(value, s => s.Segments.TakeNotification(segment, notification));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_wait), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_wait(byte queue, ulong timeout) => Client.Do(_ => CheckQueue(queue));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_queue_size), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_queue_size(byte queue, uint* size) => Put(size, _ =>
    {
        CheckQueue(queue);
        return 0u;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_queue_size_max), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_queue_size_max(uint* size) => Put(size, _ => uint.MaxValue);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_queue_num), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_queue_num(uint* count) => Put(count, _ => (uint)Queues);

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_passive_send), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_passive_send(byte segment, ulong offset, ushort rank, ulong size, ulong timeout) => Client.Do(s =>
    {
        if (rank >= s.Place.Count) throw new GpiException(GpiCode.BadRank, $"rank {rank} of {s.Place.Count}");
        if (size is 0 or > int.MaxValue) throw new GpiException(GpiCode.BadLength, $"a message of {size} bytes");
        s.Post(rank, new ReadOnlySpan<byte>((void*)s.Segments.Range(segment, offset, size), (int)size));
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_passive_receive), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_passive_receive(byte segment, ulong offset, ushort* rank, ulong size, ulong timeout) => Client.Call(s =>
    {
        Client.NotNull(rank);
        nint into = s.Segments.Range(segment, offset, size);
        long end = timeout > int.MaxValue ? long.MaxValue : Environment.TickCount64 + (long)timeout;
        ushort from;
        byte[] bytes;
        while (!s.TryTakePosted(out from, out bytes))
        {
            long left = end - Environment.TickCount64;
            if (left <= 0) return GpiCode.Timeout;
            GiveUp(s);
            s.WaitPosted((int)Math.Min(left, 100));
        }
        if ((ulong)bytes.Length > size) throw new GpiException(GpiCode.BadLength, $"a message of {bytes.Length} bytes has come, and there is room for {size}");
        bytes.CopyTo(new Span<byte>((void*)into, (int)size));
        *rank = from;
        return GpiCode.Success;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_barrier), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_barrier(byte group, ulong timeout) => Client.Await(timeout, group, s => s.Groups[group].Gather("barrier", []));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_allreduce), CallConvs = [typeof(CallConvCdecl)])]
    public static int gaspi_allreduce(void* given, void* result, uint count, int operation, int type, byte group, ulong timeout) => Client.Await(timeout, group, s =>
    {
        Client.NotNull(given);
        Client.NotNull(result);
        if (count is 0 or > Reduction.MostElements) throw new GpiException(GpiCode.BadCount, $"{count} elements; {Reduction.MostElements} are the most");
        Reduction.CheckOperation(operation);
        return s.Groups[group].Gather("allreduce", new ReadOnlySpan<byte>(given, (int)count * Reduction.ElementBytes(type)).ToArray());
    }, all => Reduction.Reduce(all, operation, type, result));

    [UnmanagedCallersOnly(EntryPoint = nameof(gaspi_error_str), CallConvs = [typeof(CallConvCdecl)])]
    public static nint gaspi_error_str(int code) => Array.IndexOf(Enum.GetValues<GpiCode>(), (GpiCode)code) is >= 0 and var at ? s_texts[at] : s_texts[Array.IndexOf(Enum.GetValues<GpiCode>(), GpiCode.Error)];

    private static int OneSided(byte own, ulong ownOffset, ushort rank, byte segment, ulong offset, ulong size, byte queue, ulong timeout, bool read, [CallerMemberName] string name = "")
        => Reach(segment, rank, queue, timeout, s => s.Segments.Copy(s.Segments.Range(own, ownOffset, size), rank, segment, offset, size, read), name);

    /// <summary>Acts on a rank's segment, which may have to be found first.</summary>
    private static int Reach(byte segment, ushort rank, byte queue, ulong timeout, Action<GpiSession> act, [CallerMemberName] string name = "")
    {
        int code = Client.Await(timeout, $"{rank} {segment}", s =>
        {
            CheckQueue(queue);
            if (rank < s.Place.Count && s.IsGone(rank)) throw new GpiException(GpiCode.Error, $"rank {rank} is not there any more");
            return s.Segments.SizeOf(segment, rank);
        }, _ => { }, name);
        return code == 0 ? Client.Do(act, name) : code;
    }

    /// <summary>Ends a wait for what a rank that is gone would have had to do.</summary>
    private static void GiveUp(GpiSession session)
    {
        if (session.Groups.IsBroken) throw new GpiException(GpiCode.Error, "a member of the group is not there any more");
    }

    private static void CheckQueue(byte queue)
    {
        if (queue >= Queues) throw new GpiException(GpiCode.BadQueue, $"queue {queue} of {Queues}");
    }

    private static int Put<T>(T* into, Func<GpiSession, T> value, [CallerMemberName] string name = "") where T : unmanaged => Client.Do(s =>
    {
        Client.NotNull(into);
        *into = value(s);
    }, name);
}
