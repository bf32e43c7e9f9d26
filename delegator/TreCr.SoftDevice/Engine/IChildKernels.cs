namespace TreCr.SoftDevice.Engine;

/// <summary>What kernels of a module get from the device runtime: the kernels that they can launch, which are those of the same module, and what they can ask.</summary>
interface IChildKernels
{
    /// <summary>The code of the kernel at a device address, compiled now if need be; null where no kernel stands there.</summary>
    /// <exception cref="Ptx.PtxException">It uses something that is not supported.</exception>
    CompiledKernel? KernelAt(ulong address, bool isChecked);

    /// <summary>Whether a launch of the kernel at a device address may have blocks of this shape and so much dynamic shared memory.</summary>
    bool MayLaunch(ulong address, Dim3 grid, Dim3 block, uint sharedBytes);

    /// <summary>Value of a CUdevice_attribute of the device that the module is on; null: there is none of this number.</summary>
    int? DeviceAttribute(int attribute);

    /// <summary>Value of a CUlimit, as the program has set it by now; null: there is none of this number.</summary>
    ulong? Limit(int limit);
}

/// <summary>CUDA's dim3.</summary>
struct Dim3
{
    public uint X, Y, Z;
}
