using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Runtime;

/// <summary>Memory of devices, for interfaces beside CUDA whose callers give addresses of it (MPI): what it is, and copies between it and the program's memory.</summary>
public abstract unsafe class DeviceMemory
{
    private static DeviceMemory? s_current;

    /// <summary>That of the session; null before cuInit.</summary>
    public static DeviceMemory? Current
    {
        get => Volatile.Read(ref s_current);
        set => Volatile.Write(ref s_current, value);
    }

    /// <summary>The processor cannot reach this address, a device can.</summary>
    public static bool Contains(void* address) => Current is { } memory && memory.Has((ulong)address);

    /// <inheritdoc cref="Contains"/>
    protected abstract bool Has(ulong address);

    /// <summary>Copies rows between a device and the program, where they lie one behind the other. Done when it returns, behind what the program has had copied before. Any thread may call.</summary>
    /// <param name="device">first byte of the first row there</param><param name="pitchBytes">from row to row there</param>
    /// <param name="toHost">false: to the device</param>
    /// <returns>CUDA's code</returns>
    public abstract CUresult Copy(ulong device, long pitchBytes, byte* host, long rowBytes, long rows, bool toHost);
}
