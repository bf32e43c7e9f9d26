using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Delegator;

/// <summary>
/// Host memory between the program's pageable memory and the device. It stays until the stream has passed it: a buffer is given back behind an event,
/// and used again when the event was reached. Small copies of one stream share a buffer, so that they need no event each.
/// </summary>
/// <remarks>Any thread. Enqueued copies never wait for room (that would hold up other streams): the pool grows; waiting copies bound themselves.</remarks>
internal sealed unsafe class Staging(ICudaBackend backend) : IDisposable
{
    /// <summary>Bytes of a buffer that small copies share.</summary>
    public const int SharedBytes = 512 * 1024;

    /// <summary>Longest piece of a longer copy.</summary>
    public const int PieceBytes = 4 << 20;

    internal sealed class Buffer
    {
        public required byte* Memory { get; init; }
        public required nuint Capacity { get; init; }
        public nuint Used { get; set; }
        public ulong Context { get; set; }
        public CUevent Event { get; set; }
    }

    private readonly Lock _lock = new();
    private readonly Dictionary<(ulong Context, ulong Stream), Buffer> _open = [];
    private readonly List<Buffer> _small = [], _large = [];
    private readonly LinkedList<Buffer> _inFlight = [];

    /// <summary>Copies bytes to memory that stays until the stream has passed it.</summary>
    /// <param name="bytes">at most <see cref="SharedBytes"/></param>
    /// <param name="stage">where the bytes lie now</param>
    public CUresult Stage(CUstream stream, byte* from, nuint bytes, out byte* stage)
    {
        lock (_lock)
        {
            CUresult result = CUresult.CUDA_SUCCESS;
            ulong context = CallState.Current.RealContext;
            ref Buffer? open = ref CollectionsMarshal.GetValueRefOrAddDefault(_open, (context, stream.Value), out _);
            if (open is not null && open.Capacity - open.Used < bytes)
            {
                result = Retire(open, stream);
                open = null;
            }
            open ??= Take(SharedBytes);
            open.Context = context;
            stage = open.Memory + open.Used;
            open.Used += (bytes + 63) & ~(nuint)63;
            System.Buffer.MemoryCopy(from, stage, bytes, bytes);
            return result;
        }
    }

    /// <summary>A buffer of <see cref="PieceBytes"/> for a waiting copy.</summary>
    public Buffer Rent()
    {
        lock (_lock) return Take(PieceBytes);
    }

    /// <summary>Gives a rented buffer back behind the stream's work so far.</summary>
    public CUresult Return(Buffer buffer, CUstream stream)
    {
        lock (_lock)
        {
            buffer.Context = CallState.Current.RealContext;
            return Retire(buffer, stream);
        }
    }

    /// <summary>Gives a buffer back that no stream uses.</summary>
    public void Return(Buffer buffer)
    {
        lock (_lock) Free(buffer);
    }

    /// <summary>The stream is about to be destroyed (its queued work still runs): its shared buffer follows behind an event.</summary>
    public void StreamEnds(CUstream stream)
    {
        lock (_lock)
        {
            if (_open.Remove((CallState.Current.RealContext, stream.Value), out Buffer? open)) Retire(open, stream);
        }
    }

    /// <summary>A context is gone with its streams and events, and none of its work is left.</summary>
    public void ContextEnded(ulong realContext)
    {
        lock (_lock)
        {
            foreach ((ulong Context, ulong Stream) key in _open.Keys.Where(k => k.Context == realContext).ToArray())
                if (_open.Remove(key, out Buffer? open)) Free(open);
            for (LinkedListNode<Buffer>? node = _inFlight.First; node is not null;)
            {
                LinkedListNode<Buffer>? next = node.Next;
                if (node.Value.Context == realContext)
                {
                    _inFlight.Remove(node);
                    Free(node.Value);
                }
                node = next;
            }
        }
    }

    private CUresult Retire(Buffer buffer, CUstream stream)
    {
        CUevent reached;
        CUresult result = backend.cuEventCreate(&reached, 2);
        if (result == CUresult.CUDA_SUCCESS)
        {
            result = backend.cuEventRecord(reached, stream);
            if (result == CUresult.CUDA_SUCCESS)
            {
                buffer.Event = reached;
                _inFlight.AddLast(buffer);
                return result;
            }
            backend.cuEventDestroy_v2(reached);
        }
        // The device failed. It may still read the buffer: it is never used again (and never freed).
        return result;
    }

    private Buffer Take(int bytes)
    {
        List<Buffer> free = bytes == SharedBytes ? _small : _large;
        if (free.Count == 0) Collect();
        if (free.Count != 0)
        {
            Buffer known = free[^1];
            free.RemoveAt(free.Count - 1);
            return known;
        }
        return new Buffer { Memory = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 4096), Capacity = (nuint)bytes };
    }

    private void Collect()
    {
        for (LinkedListNode<Buffer>? node = _inFlight.First; node is not null;)
        {
            LinkedListNode<Buffer>? next = node.Next;
            if (backend.cuEventQuery(node.Value.Event) == CUresult.CUDA_SUCCESS)
            {
                backend.cuEventDestroy_v2(node.Value.Event);
                _inFlight.Remove(node);
                Free(node.Value);
            }
            node = next;
        }
    }

    private void Free(Buffer buffer)
    {
        buffer.Used = 0;
        buffer.Event = default;
        List<Buffer> free = buffer.Capacity == SharedBytes ? _small : _large;
        if (free.Count < 8) free.Add(buffer); else NativeMemory.AlignedFree(buffer.Memory);
    }

    /// <summary>After the device has ended its work.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (Buffer buffer in _open.Values.Concat(_inFlight).Concat(_small).Concat(_large)) NativeMemory.AlignedFree(buffer.Memory);
            _open.Clear();
            _inFlight.Clear();
            _small.Clear();
            _large.Clear();
        }
    }
}
