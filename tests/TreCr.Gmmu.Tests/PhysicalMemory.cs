using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.Gmmu.Tests;

/// <summary>Physical memory of a device that does not exist: counts what is mapped, and refuses what an arena must never ask for.</summary>
/// <param name="limitBytes">memory of the device</param>
internal sealed class PhysicalMemory(ulong limitBytes) : IBlockSource
{
    private readonly SortedDictionary<ulong, (ulong Bytes, ulong Handle)> _mapped = [];
    private ulong _lastHandle;

    public ulong UsedBytes { get; private set; }

    public CUresult Map(ulong address, ulong bytes, out ulong handle)
    {
        handle = 0;
        Assert.That(bytes > 0 && address % Arena.BlockBytes == 0 && bytes % Arena.BlockBytes == 0, "whole blocks");
        foreach ((ulong start, (ulong length, _)) in _mapped) Assert.That(address + bytes <= start || start + length <= address, "mapped already");
        if (bytes > limitBytes - UsedBytes) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        _mapped[address] = (bytes, handle = ++_lastHandle);
        UsedBytes += bytes;
        return CUresult.CUDA_SUCCESS;
    }

    public void Unmap(ulong address, ulong bytes, ulong handle)
    {
        Assert.That(_mapped.Remove(address, out (ulong Bytes, ulong Handle) was) && was == (bytes, handle), "unmapped as it was mapped");
        UsedBytes -= bytes;
    }

    /// <summary>Whether all of a range has memory behind it.</summary>
    public bool Covers(ulong address, ulong bytes)
    {
        ulong at = address;
        foreach ((ulong start, (ulong length, _)) in _mapped)
            if (start <= at && at < start + length) at = start + length;
        return at >= address + bytes;
    }
}
