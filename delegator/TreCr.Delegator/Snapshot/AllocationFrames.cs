using TreCr.Gmmu;
using TreCr.Images;

namespace TreCr.Delegator.Snapshot;

/// <summary>Which frames of an address range hold memory of an allocation.</summary>
internal static class AllocationFrames
{
    private const ulong FrameBytes = ISnapshotWriter.FrameSizeBytes;

    /// <summary>Offsets from <paramref name="start"/> of the frames that allocations in the range touch, ascending, each once.</summary>
    /// <param name="allocations">ascending by address</param>
    public static long[] Of(IEnumerable<Allocation> allocations, ulong start, ulong lengthBytes)
    {
        List<long> frames = [];
        long last = -(long)FrameBytes;
        foreach (Allocation allocation in allocations)
        {
            if (allocation.Kind == AllocationKind.Registered || allocation.Address < start || allocation.Address >= start + lengthBytes) continue;
            long first = (long)((allocation.Address - start) & ~(FrameBytes - 1)), end = (long)(allocation.End - start);
            for (long frame = Math.Max(first, last + (long)FrameBytes); frame < end; frame += (long)FrameBytes)
            {
                if (frame <= last) continue;
                frames.Add(frame);
                last = frame;
            }
        }
        return [.. frames];
    }
}
