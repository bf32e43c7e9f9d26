using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>
/// Memory freed in a stream whose work may still use it: free for the same stream at once, for everyone else when an event recorded behind the free was reached.
/// </summary>
internal sealed unsafe class StreamOrderedFrees(ICudaEvent events)
{
    private readonly record struct Pending(Allocation Allocation, ulong Stream, CUevent Event);

    private readonly List<Pending> _pending = [];

    /// <summary>Bytes that wait.</summary>
    public ulong Bytes { get; private set; }

    /// <summary>Records the free behind the stream's work so far.</summary>
    /// <param name="stream">real handle</param>
    public CUresult Add(Allocation allocation, CUstream stream)
    {
        CUevent reached;
        CUresult result = events.cuEventCreate(&reached, 2);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = events.cuEventRecord(reached, stream);
        if (result != CUresult.CUDA_SUCCESS)
        {
            events.cuEventDestroy_v2(reached);
            return result;
        }
        _pending.Add(new Pending(allocation, stream.Value, reached));
        Bytes += allocation.Bytes;
        return result;
    }

    /// <summary>Memory of the same request size freed in this very stream.</summary>
    public Allocation? TakeSame(CUstream stream, int ordinal, ulong bytes)
    {
        int i = _pending.FindIndex(p => p.Stream == stream.Value && p.Allocation.Bytes == bytes && p.Allocation.DeviceOrdinal == ordinal);
        if (i < 0) return null;
        Allocation allocation = _pending[i].Allocation;
        Drop(i);
        return allocation;
    }

    /// <summary>Memory whose free was reached.</summary>
    /// <param name="wait">true: waits until the device has reached all</param>
    /// <param name="into">receives the allocations</param>
    public void Collect(bool wait, List<Allocation> into)
    {
        for (int i = 0; i < _pending.Count;)
        {
            CUresult result = wait ? events.cuEventSynchronize(_pending[i].Event) : events.cuEventQuery(_pending[i].Event);
            // A failed device reaches nothing any more, but nothing runs on it either.
            if (result == CUresult.CUDA_ERROR_NOT_READY)
            {
                i++;
                continue;
            }
            into.Add(_pending[i].Allocation);
            Drop(i);
        }
    }

    private void Drop(int i)
    {
        events.cuEventDestroy_v2(_pending[i].Event);
        Bytes -= _pending[i].Allocation.Bytes;
        _pending.RemoveAt(i);
    }
}
