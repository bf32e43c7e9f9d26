using TreCr.Calls.Cuda;
using TreCr.Ring;

namespace TreCr.Delegator;

/// <summary>Launches pass through; device output (printf) is kept here until the program fetches it, so that it is part of a snapshot.</summary>
internal sealed unsafe class OutputCalls(ICudaBackend backend, Segment segment) : ICudaExecution
{
    /// <summary>Output kept at most, bytes (the driver's FIFO is 1 MiB by default and drops what does not fit).</summary>
    private const int MaxPendingBytes = 16 << 20;

    private readonly Lock _lock = new();
    private byte[] _pending = new byte[4096];
    private int _start, _end;

    public CUresult trecrLaunchKernel(CUfunction function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, CUstream stream,
        uint flags, void* parameters, nuint parameterBytes)
        => backend.trecrLaunchKernel(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, flags, parameters, parameterBytes);

    public CUresult cuLaunchHostFunc(CUstream stream, ulong function, ulong userData) => backend.cuLaunchHostFunc(stream, function, userData);

    public CUresult trecrTakeDeviceOutput(void* text, nuint capacity, nuint* bytes)
    {
        lock (_lock)
        {
            Pull();
            int count = (int)Math.Min((nuint)(_end - _start), capacity);
            _pending.AsSpan(_start, count).CopyTo(new Span<byte>(text, count));
            _start += count;
            if (_start == _end) _start = _end = 0;
            *bytes = (nuint)count;
            Volatile.Write(ref segment.Control->DeviceOutputWaiting, _end != _start ? 1u : 0);
            return CUresult.CUDA_SUCCESS;
        }
    }

    /// <summary>Tells the program when the device has printed something.</summary>
    public void LookForOutput()
    {
        lock (_lock)
        {
            Pull();
            if (_end != _start) Volatile.Write(ref segment.Control->DeviceOutputWaiting, 1);
        }
    }

    /// <summary>What the program has not fetched, for the snapshot.</summary>
    public byte[] Pending
    {
        get
        {
            lock (_lock)
            {
                Pull();
                return _pending[_start.._end];
            }
        }
        set
        {
            lock (_lock)
            {
                (_pending, _start, _end) = (value.Length < 4096 ? [.. value, .. new byte[4096 - value.Length]] : value, 0, value.Length);
                Volatile.Write(ref segment.Control->DeviceOutputWaiting, _end != 0 ? 1u : 0);
            }
        }
    }

    private void Pull()
    {
        while (true)
        {
            if (_end == _pending.Length)
            {
                if (_start > 0)
                {
                    _pending.AsSpan(_start, _end - _start).CopyTo(_pending);
                    (_start, _end) = (0, _end - _start);
                }
                else if (_pending.Length < MaxPendingBytes) Array.Resize(ref _pending, _pending.Length * 2);
                else return;
            }
            nuint came = 0;
            fixed (byte* into = &_pending[_end])
                if (backend.trecrTakeDeviceOutput(into, (nuint)(_pending.Length - _end), &came) != CUresult.CUDA_SUCCESS) return;
            if (came == 0) return;
            _end += (int)came;
        }
    }
}
