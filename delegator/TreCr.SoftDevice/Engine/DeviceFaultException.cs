namespace TreCr.SoftDevice.Engine;

/// <summary>A kernel did what ends a launch: bad access, trap, failed assertion. Caught by the grid, never leaves the engine.</summary>
public sealed class DeviceFaultException(int cudaError, string what, ulong address, int thread) : Exception(what)
{
    /// <summary>700, 716, 717, 718, 719 or 710.</summary>
    public int CudaError => cudaError;
    public ulong Address => address;
    /// <summary>linear number in the block; -1 where unknown</summary>
    public int Thread => thread;
}
