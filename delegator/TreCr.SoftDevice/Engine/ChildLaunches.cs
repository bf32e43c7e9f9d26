using System.Runtime.InteropServices;
using TreCr.Ptx;

namespace TreCr.SoftDevice.Engine;

/// <summary>
/// Launches that the threads of a block make (dynamic parallelism). A child grid runs after its parent's block has ended, or has come as far as it can, on the same worker and to its end. CUDA allows that order: nothing promises that
/// parent and child run beside each other, launches of a stream follow each other, and a grid ends after its children.
/// </summary>
/// <remarks>
/// Not thread-safe: one for each runner, used by the OS thread that runs its block. Tried first: the child inside of its launch call. Then other lanes of the warp had not stored yet what a GPU's had: cdpAdvancedQuicksort lets all
/// lanes store and lane 0 launch, with nothing between that would make them meet.
/// </remarks>
sealed unsafe class ChildLaunches(BlockRunner runner) : IDisposable
{
    /// <summary>Deepest nesting, as on a GPU.</summary>
    public const int MostDepth = 24;
    /// <summary>Error codes of the device runtime below CUDA's (cudartErrorCnpMap in libcudadevrt).</summary>
    public const int Success = 0, InvalidValue = 1, InvalidDevice = 3, TooDeep = 5;
    const int PageBytes = 1 << PageTable.PageShift;

    /// <summary>A parameter buffer that a kernel fills, and the launch that it is for.</summary>
    sealed class Buffer
    {
        public byte* Parameters;
        public ulong Function;
        public Dim3 Grid, Block;
        public uint SharedBytes;
        public bool IsTaken;
    }

    readonly List<Buffer> buffers = [];
    readonly Queue<(CompiledKernel Kernel, Dim3 Grid, Dim3 Block, uint SharedBytes, byte[] Parameters)> pending = [];
    readonly GridLaunch launch = new();
    GridWorker? worker;

    /// <summary>A buffer for the parameters of one launch; PTX allows 4 KiB of them. Valid until it is launched, or its block ends.</summary>
    public ulong NewBuffer(ulong function, Dim3 grid, Dim3 block, uint sharedBytes)
    {
        Buffer? free = buffers.Find(b => !b.IsTaken);
        if (free is null)
        {
            free = new() { Parameters = (byte*)NativeMemory.AlignedAlloc(PageBytes, PageBytes) };
            PageTable.Mark((ulong)free.Parameters, PageBytes, true);
            buffers.Add(free);
        }
        free.IsTaken = true;
        (free.Function, free.Grid, free.Block, free.SharedBytes) = (function, grid, block, sharedBytes);
        return (ulong)free.Parameters;
    }

    public int Launch(ulong buffer) => buffers.Find(b => b.IsTaken && (ulong)b.Parameters == buffer) is { } b ? Launch(b) : InvalidValue;

    /// <summary>The older way: a buffer that knows nothing of its launch.</summary>
    public int Launch(ulong buffer, ulong function, Dim3 grid, Dim3 block, uint sharedBytes)
    {
        if (buffers.Find(b => b.IsTaken && (ulong)b.Parameters == buffer) is not { } b) return InvalidValue;
        (b.Function, b.Grid, b.Block, b.SharedBytes) = (function, grid, block, sharedBytes);
        return Launch(b);
    }

    /// <exception cref="DeviceFaultException">The child is refused.</exception>
    int Launch(Buffer b)
    {
        b.IsTaken = false;
        if (runner.Depth >= MostDepth) return TooDeep;
        IChildKernels kernels = runner.Kernel.Children!;
        if (!kernels.MayLaunch(b.Function, b.Grid, b.Block, b.SharedBytes)) return InvalidValue;
        try
        {
            CompiledKernel kernel = kernels.KernelAt(b.Function, runner.Kernel.IsChecked)!;
            pending.Enqueue((kernel, b.Grid, b.Block, b.SharedBytes, new ReadOnlySpan<byte>(b.Parameters, Math.Min(kernel.ParameterBytes, PageBytes)).ToArray()));
        }
        catch (PtxException e)
        {
            throw new DeviceFaultException(719, $"launch of a kernel that is refused: {e.Message};", 0, -1);
        }
        return Success;
    }

    /// <summary>Runs the grids that the block has launched so far.</summary>
    /// <exception cref="DeviceFaultException">One of them faulted.</exception>
    public void Run()
    {
        while (pending.TryDequeue(out (CompiledKernel Kernel, Dim3 Grid, Dim3 Block, uint SharedBytes, byte[] Parameters) next))
        {
            launch.Kernel = next.Kernel;
            launch.Shape(next.Grid, next.Block, next.SharedBytes);
            launch.Output = runner.Output;
            launch.MakeCooperative(false);
            fixed (byte* p = next.Parameters) launch.SetParameters(p, (nuint)next.Parameters.Length);
            launch.Prepare(runner.Memory);
            launch.Start(1);
            worker ??= new(0, 1, runner.Depth + 1);
            worker.Run(launch, runner.Memory);
            if (launch.Fault is { } fault)
                throw new DeviceFaultException(fault.CudaError, $"{fault.Message} in thread {fault.Thread} of block ({launch.FaultBlock.X},{launch.FaultBlock.Y},{launch.FaultBlock.Z}) of {launch.Kernel.Name}, which it launched;", fault.Address, -1);
        }
    }

    /// <summary>A new block has no buffers, and has launched nothing.</summary>
    public void Reset()
    {
        pending.Clear();
        foreach (Buffer b in buffers) b.IsTaken = false;
    }

    public void Dispose()
    {
        worker?.Dispose();
        foreach (Buffer b in buffers)
        {
            PageTable.Mark((ulong)b.Parameters, PageBytes, false);
            NativeMemory.AlignedFree(b.Parameters);
        }
        buffers.Clear();
    }
}
