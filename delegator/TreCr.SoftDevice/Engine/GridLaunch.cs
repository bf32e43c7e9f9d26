using System.Numerics;
using System.Runtime.InteropServices;

namespace TreCr.SoftDevice.Engine;

/// <summary>One kernel launch while it waits and runs. Reused by the stream that made it.</summary>
sealed unsafe class GridLaunch
{
    public CompiledKernel Kernel = null!;
    /// <summary>its code for groups of threads; null: threads run one by one</summary>
    public SimdVariant? Simd;
    public uint GridX, GridY, GridZ, BlockX, BlockY, BlockZ;
    public int BlockThreads, SharedBytes, DynamicSharedBytes;
    public ulong GridId;
    public DeviceOutput Output = null!;
    /// <summary>a copy of the parameter block, owned by this object</summary>
    public byte* Parameters;
    int parameterCapacity;
    /// <summary>Blocks may wait for each other: grid.sync() of cooperative groups.</summary>
    public bool Cooperative;
    /// <summary>Where they meet: size and barrier words, as the header of cooperative groups has them (driver_abi.h); zero when the grid starts. Null before the first cooperative launch.</summary>
    public uint* Workspace;
    const int WorkspaceBytes = 4096;
    /// <summary>packed thread numbers of the block's shape; owned by <see cref="ThreadTables"/></summary>
    public uint* Tids;

    /// <summary>Numbers of a block; x counts fastest.</summary>
    public (uint X, uint Y, uint Z) BlockAt(ulong index)
    {
        ulong rest = index / GridX;
        return ((uint)(index % GridX), (uint)(rest % GridY), (uint)(rest / GridY));
    }

    /// <summary>Takes over the shape of grid and block, for the kernel that is set.</summary>
    public void Shape(Dim3 grid, Dim3 block, uint sharedBytes)
    {
        (GridX, GridY, GridZ) = (grid.X, grid.Y, grid.Z);
        (BlockX, BlockY, BlockZ) = (block.X, block.Y, block.Z);
        BlockThreads = (int)(block.X * block.Y * block.Z);
        DynamicSharedBytes = (int)sharedBytes;
        SharedBytes = sharedBytes == 0 ? Kernel.StaticSharedBytes + 15 & ~15 : Kernel.DynamicSharedOffset + (int)sharedBytes + 15 & ~15;
        Tids = ThreadTables.For(block.X, block.Y, block.Z);
    }

    /// <summary>Chooses, and compiles if need be, the code that fits the launch; its shape and parameters are set.</summary>
    public void Prepare(AccessMap memory)
    {
        Simd = Kernel.SimdFor(this, memory);
        if (Simd is null) Kernel.Specialise(this, memory);
    }

    public ulong Blocks => (ulong)GridX * GridY * GridZ;
    /// <summary>blocks that a worker takes at a time at most</summary>
    const ulong MostBlocks = 64;
    ulong nextBlock, shares;
    /// <summary>the first fault; the launch hands out no more blocks</summary>
    public volatile DeviceFaultException? Fault;
    public (uint X, uint Y, uint Z) FaultBlock;

    public void MakeCooperative(bool on)
    {
        Cooperative = on;
        if (!on) return;
        if (Workspace == null)
        {
            Workspace = (uint*)NativeMemory.AlignedAlloc(WorkspaceBytes, 4096);
            PageTable.Mark((ulong)Workspace, WorkspaceBytes, true);
        }
        NativeMemory.Clear(Workspace, WorkspaceBytes);
        Workspace[0] = 2 * sizeof(uint);
    }

    public void SetParameters(void* source, nuint bytes)
    {
        int need = Math.Max(16, Kernel.ParameterBytes);
        if (need > parameterCapacity)
        {
            Free();
            parameterCapacity = need + 4095 & ~4095;
            Parameters = (byte*)NativeMemory.AlignedAlloc((nuint)parameterCapacity, 4096);
            // Kernels may only read them: the range proof holds for the values that were launched with.
            PageTable.Mark((ulong)Parameters, (ulong)parameterCapacity, PageTable.Readable);
        }
        nuint n = Math.Min(bytes, (nuint)Kernel.ParameterBytes);
        NativeMemory.Copy(source, Parameters, n);
        NativeMemory.Clear(Parameters + n, (nuint)need - n);
    }

    public void Start(int workers)
    {
        nextBlock = 0;
        Fault = null;
        shares = (ulong)(4 * workers);
    }

    /// <summary>Blocks that a worker takes where <paramref name="left"/> are left: fewer towards the end, so that all workers end together. A power of two: rows of a grid, which are often one, are not broken.</summary>
    ulong BatchOf(ulong left) => Math.Min(MostBlocks, 1UL << BitOperations.Log2(left / shares));

    /// <summary>Blocks that a worker takes first.</summary>
    public ulong Batch => BatchOf(Blocks);

    public bool HasBlocks => Volatile.Read(ref nextBlock) < Blocks && Fault is null;

    /// <summary>Takes the next batch of blocks.</summary>
    public bool Take(out ulong first, out ulong end)
    {
        first = end = 0;
        while (HasBlocks)
        {
            first = Volatile.Read(ref nextBlock);
            if (first >= Blocks) break;
            end = first + BatchOf(Blocks - first);
            if (Interlocked.CompareExchange(ref nextBlock, end, first) == first) return true;
        }
        return false;
    }

    void Free()
    {
        if (Parameters == null) return;
        PageTable.Mark((ulong)Parameters, (ulong)parameterCapacity, false);
        NativeMemory.AlignedFree(Parameters);
    }

    ~GridLaunch()
    {
        Free();
        if (Workspace == null) return;
        PageTable.Mark((ulong)Workspace, WorkspaceBytes, false);
        NativeMemory.AlignedFree(Workspace);
    }
}

/// <summary>Thread numbers by block shape, made once per shape and kept.</summary>
static unsafe class ThreadTables
{
    static readonly Dictionary<(uint, uint, uint), nint> Tables = [];

    public static uint* For(uint x, uint y, uint z)
    {
        lock (Tables)
        {
            if (Tables.TryGetValue((x, y, z), out nint known)) return (uint*)known;
            uint* table = (uint*)NativeMemory.Alloc((nuint)x * y * z, 4);
            uint* at = table;
            for (uint c = 0; c < z; c++)
                for (uint b = 0; b < y; b++)
                    for (uint a = 0; a < x; a++)
                        *at++ = a | b << 10 | c << 20;
            Tables[(x, y, z)] = (nint)table;
            return table;
        }
    }
}
