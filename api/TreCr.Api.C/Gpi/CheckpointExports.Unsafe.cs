using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Api.Gpi;

namespace TreCr.Api.C.Gpi;

/// <summary>gpi_cp.h. facts/api.md §3; the last functions are ours.</summary>
internal static unsafe class CheckpointExports
{
    private const string Commit = nameof(gpi_cp_commit);
    private const ushort NoPlace = ushort.MaxValue;

    [UnmanagedCallersOnly(EntryPoint = "GPI_CP_DESCRIPTION_INITIALIZER", CallConvs = [typeof(CallConvCdecl)])]
    public static nint GPI_CP_DESCRIPTION_INITIALIZER() => Descriptions.Create();

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_version), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_version(float* version) => Client.Guard(() =>
    {
        if (version is null) throw new GpiException(GpiCode.Error, "a pointer is NULL");
        *version = 1.0f;
        return GpiCode.Success;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_init), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_init(byte segment, ulong offset, ulong size, byte queue, int policy, byte group, void* description, ulong timeout)
        => With(description, timeout, (s, c) => c.Open(segment, offset, size, (MirrorPolicy)policy, s.Groups[group]));

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_start), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_start(void* description, ulong timeout) => Client.Do(s =>
    {
        (ulong number, MirroredCheckpoint checkpoint) = Descriptions.Find(s, description);
        if (Client.IsUnderWay(Commit, number)) throw new GpiException(GpiCode.Error, "a commit that timed out has not been ended");
        checkpoint.Start();
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_commit), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_commit(void* description, ulong timeout) => With(description, timeout, (_, c) => c.Commit());

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_restore), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_restore(byte segment, ulong offset, ulong size, byte queue, int policy, byte group, void* description, ulong timeout) => With(description, timeout, (s, c) =>
    {
        Client.Forget(Commit, Descriptions.Find(s, description).Number);
        return c.Restore(segment, offset, size, (MirrorPolicy)policy, s.Groups[group]);
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_finalize), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_finalize(void* description, ulong timeout)
    {
        int code = With(description, timeout, (_, c) => c.Close());
        if (code == (int)GpiCode.Success) Client.Do(s =>
        {
            ulong number = Descriptions.Find(s, description).Number;
            Client.Forget(Commit, number);
            Descriptions.Remove(number);
        });
        return code;
    }

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_read_buddy), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_read_buddy(void* description, ulong timeout) => Client.Do(s => Descriptions.Find(s, description).Checkpoint.ReadBuddy());

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_get_state_in_progress), CallConvs = [typeof(CallConvCdecl)])]
    public static byte gpi_cp_get_state_in_progress(void* description)
        => Ask<byte>(description, (n, c) => c.IsInProgress || Client.IsUnderWay(Commit, n) ? (byte)1 : (byte)0);

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_get_active_snapshot), CallConvs = [typeof(CallConvCdecl)])]
    public static ulong gpi_cp_get_active_snapshot(void* description) => Ask(description, (_, c) => (ulong)c.NextOffset);

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_get_receiver_ptr), CallConvs = [typeof(CallConvCdecl)])]
    public static nint gpi_cp_get_receiver_ptr(void* description) => Ask(description, (_, c) => c.Received);

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_get_unused_segment_id), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_get_unused_segment_id(byte* segment) => Client.Do(s =>
    {
        Client.NotNull(segment);
        *segment = s.Segments.FirstUnused() ?? throw new GpiException(GpiCode.BadSegment, "all numbers of segments are used");
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_set_priority), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_set_priority(void* description, int priority) => Client.Do(s => Descriptions.Find(s, description).Checkpoint.Priority = priority);

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_set_mirror), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_set_mirror(void* description, delegate* unmanaged[Cdecl]<ushort, ushort, void*, ushort> mirror, void* data) => Client.Do(s =>
    {
        Client.NotNull(mirror);
        Descriptions.Find(s, description).Checkpoint.UserMirror = (place, count) => mirror((ushort)place, (ushort)count, data);
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_get_place), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_get_place(void* description, ushort* place) => Client.Do(s =>
    {
        Client.NotNull(place);
        MirroredCheckpoint checkpoint = Descriptions.Find(s, description).Checkpoint;
        *place = checkpoint.IsOpen ? (ushort)checkpoint.Place : NoPlace;
    });

    [UnmanagedCallersOnly(EntryPoint = nameof(gpi_cp_takeover), CallConvs = [typeof(CallConvCdecl)])]
    public static int gpi_cp_takeover(byte group, byte* newGroup, ushort* place, ulong timeout) => Client.Await(timeout, group, s =>
    {
        Client.NotNull(newGroup);
        Client.NotNull(place);
        return s.Groups.TakeOver(group);
    }, taken => (*newGroup, *place) = taken ?? (byte.MaxValue, NoPlace));

    private static int With(void* description, ulong timeout, Func<GpiSession, MirroredCheckpoint, Task> begin, [CallerMemberName] string name = "")
    {
        ulong number = 0;
        int found = Client.Do(s => number = Descriptions.Find(s, description).Number, name);
        return found != 0 ? found : Client.Await(timeout, number, s => begin(s, Descriptions.Find(s, description).Checkpoint), name);
    }

    private static T Ask<T>(void* description, Func<ulong, MirroredCheckpoint, T> question, [CallerMemberName] string name = "") where T : struct
    {
        T answer = default;
        Client.Do(s =>
        {
            (ulong number, MirroredCheckpoint checkpoint) = Descriptions.Find(s, description);
            answer = question(number, checkpoint);
        }, name);
        return answer;
    }
}
