using System.Numerics;
using System.Runtime.InteropServices;

using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>How far a block came.</summary>
enum BlockProgress { Done, Spinning }

/// <summary>Runs blocks of one kernel, one at a time, on the calling OS thread. Owns the block's shared and local memory, frames and slots, and reuses them.</summary>
sealed unsafe partial class BlockRunner : IDisposable
{
    /// <summary>Flag in <see cref="ThreadSlot.Kind"/>: a collective without a mask; those who are there when nobody can run take part.</summary>
    public const int Opportunistic = 0x1000;
    public const int ReduceAnd = 0x100, ReduceOr = 0x200, ReducePopc = 0x300;
    const int Warp = 32;

    readonly BlockContext* context;
    readonly GCHandle self;
    nuint sharedCapacity, localCapacity, frameCapacity, slotCapacity, matrixCapacity;
    int finished;
    GridLaunch launch = null!;
    ChunkMethod[] chunks = [];

    public CompiledKernel Kernel { get; private set; } = null!;
    public AccessMap Memory { get; private set; } = AccessMap.Empty;
    public DeviceOutput Output { get; private set; } = null!;
    public BlockContext* Context => context;

    /// <summary>0 for a grid that the program launched, more for one that a kernel did.</summary>
    public int Depth { get; }
    ChildLaunches? children;
    public ChildLaunches ChildLaunches => children ??= new(this);

    /// <summary>Runs the grids that the block has launched.</summary>
    public void RunChildren() => children?.Run();

    public BlockRunner(int depth = 0)
    {
        Depth = depth;
        context = (BlockContext*)NativeMemory.AllocZeroed((nuint)sizeof(BlockContext));
        self = GCHandle.Alloc(this);
        context->Runner = GCHandle.ToIntPtr(self);
    }

    /// <summary>Makes ready for blocks of a launch; allocates only where an earlier launch needed less.</summary>
    public void Prepare(GridLaunch launch, AccessMap memory, int worker, int workers)
    {
        Kernel = launch.Kernel;
        this.launch = launch;
        Memory = memory;
        Output = launch.Output;
        BlockContext* c = context;
        c->ThreadCount = launch.BlockThreads;
        c->SharedBytes = launch.SharedBytes;
        c->DynamicSharedBytes = launch.DynamicSharedBytes;
        // A 32-byte access checked by units must not pass the end.
        c->Shared = Grow(c->Shared, ref sharedCapacity, (nuint)Math.Max(16, launch.SharedBytes));
        c->LocalStride = Kernel.LocalBytes;
        c->Local = Grow(c->Local, ref localCapacity, (nuint)Math.Max(16, (long)Kernel.LocalBytes * launch.BlockThreads));
        simd = launch.Simd;
        code = Kernel;
        if (simd is not null) PrepareSimd();
        else if (Kernel.UsesSlots) PrepareThreads();
        if (Kernel.UsesMatrices && (nuint)launch.BlockThreads > matrixCapacity)
        {
            NativeMemory.AlignedFree(c->Matrix);
            // Whole warps: lanes that a block does not have count as zero.
            matrixCapacity = (nuint)(launch.BlockThreads + Warp - 1 & -Warp);
            c->Matrix = (ulong*)NativeMemory.AlignedAlloc(matrixCapacity * WarpMatrices.LaneWords * 8, 64);
            NativeMemory.Clear(c->Matrix, matrixCapacity * WarpMatrices.LaneWords * 8);
        }
        c->Parameters = launch.Parameters;
        c->ParameterBytes = Kernel.ParameterBytes;
        c->WindowBase = memory.WindowBase;
        c->WindowBytes = memory.WindowBytes;
        (c->NtidX, c->NtidY, c->NtidZ) = (launch.BlockX, launch.BlockY, launch.BlockZ);
        (c->NctaidX, c->NctaidY, c->NctaidZ) = (launch.GridX, launch.GridY, launch.GridZ);
        c->SmId = (uint)worker;
        c->NSmId = (uint)workers;
        ulong workspace = launch.Cooperative ? (ulong)launch.Workspace : 0;
        (c->GridWorkspaceHi, c->GridWorkspaceLo) = ((uint)(workspace >> 32), (uint)workspace);
        c->GridId = launch.GridId;
        c->Tids = launch.Tids;
    }

    /// <summary>Pages that kernels may reach with generic addresses; whole ones, so that nothing else shares them.</summary>
    static byte* Grow(byte* old, ref nuint capacity, nuint bytes)
    {
        if (bytes <= capacity && old != null) return old;
        Free(old, capacity);
        capacity = bytes + 4095 & ~(nuint)4095;
        byte* p = (byte*)NativeMemory.AlignedAlloc(capacity, 4096);
        PageTable.Mark((ulong)p, capacity, true);
        return p;
    }

    static void Free(byte* p, nuint capacity)
    {
        if (p == null) return;
        PageTable.Mark((ulong)p, capacity, false);
        NativeMemory.AlignedFree(p);
    }

    /// <summary>Starts block <paramref name="index"/> (x fastest), and such behind it as can run with it; <see cref="Step"/> runs them.</summary>
    /// <param name="most">blocks to start at most</param>
    /// <param name="methods">the kernel's methods, or those of its fast variant</param>
    /// <returns>number of blocks that were started</returns>
    public int Begin(ulong index, ulong most, ChunkMethod[] methods)
    {
        BlockContext* c = context;
        chunks = methods;
        (c->CtaidX, c->CtaidY, c->CtaidZ) = launch.BlockAt(index);
        finished = 0;
        // Blocks that wait for nobody and share nothing between their groups run row by row, so that memory is read in long lines.
        int count = simd is null || simd.UsesGroups || launch.SharedBytes > 0 ? 1 : (int)Math.Min(most, launch.GridX - c->CtaidX);
        c->FirstCtaidX = (int)c->CtaidX;
        c->EndCtaidX = (int)c->CtaidX + count;
        Start();
        return count;
    }

    void Start()
    {
        BlockContext* c = context;
        if (simd is not null) { BeginSimd(); return; }
        if (!Kernel.UsesSlots) return;
        for (int n = 0; n < 16; n++) c->Arrived[n] = 0;
        int entry = Kernel.EntryState;
        for (int t = 0; t < c->ThreadCount; t++)
        {
            ThreadSlot* s = c->Slots + t;
            s->Status = (int)ThreadStatus.Running;
            s->State = entry;
            s->Frame = 0;
            s->LastError = 0;
        }
        children?.Reset();
    }

    /// <summary>Runs the block until it ends, or until all its threads wait in loops for something outside of it.</summary>
    /// <exception cref="DeviceFaultException">The kernel faulted, or its threads wait for each other for ever (719).</exception>
    public BlockProgress Step()
    {
        BlockContext* c = context;
        if (simd is not null) return StepSimd();
        if (!Kernel.UsesSlots)
        {
            chunks[0](c, 0, c->ThreadCount);
            return BlockProgress.Done;
        }
        int threads = c->ThreadCount;
        while (true)
        {
            bool yielded = false;
            for (int first = 0; first < threads; first += Warp)
            {
                int last = Math.Min(first + Warp, threads);
                do RunWarp(chunks, first, last);
                while (ResolveWarp(first, last, ref yielded));
            }
            bool released = ResolveBarriers();
            if (finished == threads) return BlockProgress.Done;
            if (yielded)
            {
                Wake(0, threads);
                if (!released) return BlockProgress.Spinning;
            }
            else if (!released) throw StuckFault();
        }
    }

    static DeviceFaultException StuckFault() => new(719, "threads of the block wait for each other for ever (barrier or collective that some never reach)", 0, -1);

    void RunWarp(ChunkMethod[] methods, int first, int last)
    {
        BlockContext* c = context;
        if (methods.Length == 1)
        {
            methods[0](c, first, last);
            return;
        }
        for (int t = first; t < last; t++)
        {
            ThreadSlot* s = c->Slots + t;
            while (s->Status == (int)ThreadStatus.Running) methods[code.ChunkOfState[s->State]](c, t, t + 1);
        }
    }

    /// <summary>Completes the warp's collectives that have all their lanes. True when some thread can run again.</summary>
    bool ResolveWarp(int first, int last, ref bool yielded)
    {
        ThreadSlot* slots = context->Slots + first;
        uint waiting = 0, live = 0, moving = 0;
        for (int n = 0; n < last - first; n++)
        {
            int status = slots[n].Status;
            if (status != (int)ThreadStatus.Done) live |= 1u << n;
            if (status == (int)ThreadStatus.Warp) waiting |= 1u << n;
            else if (status == (int)ThreadStatus.Yielded) moving |= 1u << n;
        }
        yielded |= moving != 0;
        if (waiting == 0) return false;
        uint released = 0;
        for (uint left = waiting; left != 0;)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            int kind = slots[lane].Kind;
            uint mask = slots[lane].Mask, group = 0;
            bool explicitMask = (kind & Opportunistic) == 0;
            for (uint others = left; others != 0; others &= others - 1)
            {
                int other = BitOperations.TrailingZeroCount(others);
                if (slots[other].Kind == kind && slots[other].Mask == mask && (explicitMask || slots[other].State == slots[lane].State)) group |= 1u << other;
            }
            left &= ~group;
            // Lanes that have ended, or that the mask leaves out, are not waited for; without a mask nobody is, but first all others must have stopped.
            if (explicitMask && (mask & live & ~group) != 0) continue;
            if (!explicitMask && released != 0) continue;
            CollectiveKind what = (CollectiveKind)(kind & 0xfff);
            if (what >= CollectiveKind.Multiply) RunMatrices(first, what, slots[lane].A);
            else WarpCollectives.Run(slots, group, what);
            released |= group;
        }
        for (uint left = released; left != 0; left &= left - 1) slots[BitOperations.TrailingZeroCount(left)].Status = (int)ThreadStatus.Running;
        return released != 0;
    }

    void RunMatrices(int first, CollectiveKind kind, uint variant)
    {
        ulong* lanes = context->Matrix + first * WarpMatrices.LaneWords;
        if (kind == CollectiveKind.Multiply) WarpMatrices.Multiply(lanes, Kernel.Shapes[(int)variant]);
        else if (kind == CollectiveKind.MoveFragment) WarpMatrices.MoveFragment(context, first, lanes, Kernel.Fragments[(int)variant]);
        else if (kind == CollectiveKind.TransposeMatrix) WarpMatrices.Transpose(lanes);
        else WarpMatrices.Move(context, first, lanes, (int)(variant & 15), (variant & 16) != 0, (variant & 32) != 0);
    }

    /// <summary>Opens the block barriers that all their threads have reached.</summary>
    bool ResolveBarriers()
    {
        BlockContext* c = context;
        int threads = c->ThreadCount, done = 0;
        Span<int> came = stackalloc int[16], expected = stackalloc int[16], trues = stackalloc int[16];
        came.Clear();
        trues.Clear();
        expected.Clear();
        if (simd is not null) CountGroups(came, ref done);
        for (int t = 0; t < threads; t++)
        {
            if (simd is not null && !left[t / simd.Lanes]) { t += simd.Lanes - 1; continue; }
            ThreadSlot* s = c->Slots + t;
            if (s->Status == (int)ThreadStatus.Done) done++;
            if (s->Status != (int)ThreadStatus.Barrier) continue;
            int id = s->Kind & 15;
            came[id]++;
            expected[id] = (int)s->Mask;
            if ((s->Kind & 0x300) != 0 && s->Value != 0) trues[id]++;
        }
        finished = done;
        uint open = 0;
        for (int id = 0; id < 16; id++)
        {
            if (came[id] == 0) continue;
            int need = expected[id] == 0 ? threads - done : Math.Min(expected[id], threads);
            if (came[id] + c->Arrived[id] < need) continue;
            open |= 1u << id;
            c->Arrived[id] = 0;
        }
        if (open == 0) return false;
        if (simd is not null) ReleaseGroups(open);
        for (int t = 0; t < threads; t++)
        {
            if (simd is not null && !left[t / simd.Lanes]) { t += simd.Lanes - 1; continue; }
            ThreadSlot* s = c->Slots + t;
            if (s->Status != (int)ThreadStatus.Barrier || (open >> (s->Kind & 15) & 1) == 0) continue;
            int id = s->Kind & 15;
            switch (s->Kind & 0x300)
            {
                case ReduceAnd: s->Flag = trues[id] == came[id] ? 1 : 0; break;
                case ReduceOr: s->Flag = trues[id] > 0 ? 1 : 0; break;
                case ReducePopc: s->Result = (ulong)trues[id]; break;
            }
            s->Status = (int)ThreadStatus.Running;
        }
        return true;
    }

    public void Dispose()
    {
        children?.Dispose();
        Free(context->Shared, sharedCapacity);
        Free(context->Local, localCapacity);
        Free(context->Frames, frameCapacity);
        NativeMemory.AlignedFree(context->Slots);
        NativeMemory.AlignedFree(context->Matrix);
        NativeMemory.AlignedFree(context->Groups);
        NativeMemory.AlignedFree(context->GroupFrames);
        NativeMemory.AlignedFree(context->Scratch);
        NativeMemory.Free(context);
        self.Free();
    }
}
