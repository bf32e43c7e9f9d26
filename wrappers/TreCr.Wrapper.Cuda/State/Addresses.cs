using System.Runtime.CompilerServices;
using TreCr.Ring;

namespace TreCr.Wrapper.Cuda;

/// <summary>What kind of memory an address is, as far as that shows without asking.</summary>
internal static class Addresses
{
    private static readonly Lock Gate = new();
    private static (ulong Start, ulong Bytes)[] s_globals = [];

    /// <summary>In the session's pinned arena: one address in program, delegator and device.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPinned(ulong address) => address - SegmentLayout.PinnedBase < SegmentLayout.PinnedBytes;

    /// <summary>In a device slot, or a module global that the program has asked for (on a real GPU those lie where the driver puts them).</summary>
    public static bool IsDevice(ulong address)
    {
        if (address - SegmentLayout.DeviceBase < SegmentLayout.DeviceSlotBytes * SegmentLayout.MaxDevices) return true;
        foreach ((ulong start, ulong bytes) in Volatile.Read(ref s_globals)) if (address - start < bytes) return true;
        return false;
    }

    /// <summary>Remembers a global's place outside the device slots.</summary>
    public static void AddGlobal(ulong start, ulong bytes)
    {
        if (IsDevice(start)) return;
        lock (Gate) Volatile.Write(ref s_globals, [.. s_globals, (start, bytes)]);
    }
}
