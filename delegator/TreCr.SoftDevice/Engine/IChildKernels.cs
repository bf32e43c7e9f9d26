namespace TreCr.SoftDevice.Engine;

/// <summary>The kernels that kernels of a module can launch: those of the same module.</summary>
interface IChildKernels
{
    /// <summary>The code of the kernel at a device address, compiled now if need be; null where no kernel stands there.</summary>
    /// <exception cref="Ptx.PtxException">It uses something that is not supported.</exception>
    CompiledKernel? KernelAt(ulong address, bool isChecked);

    /// <summary>Whether a launch of the kernel at a device address may have blocks of this shape and so much dynamic shared memory.</summary>
    bool MayLaunch(ulong address, Dim3 grid, Dim3 block, uint sharedBytes);
}

/// <summary>CUDA's dim3.</summary>
struct Dim3
{
    public uint X, Y, Z;
}
