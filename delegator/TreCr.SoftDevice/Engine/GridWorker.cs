using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>One OS thread's share of a launch: takes batches of blocks and runs them. Blocks that wait for other blocks are put aside, and others started.</summary>
sealed class GridWorker(int number, int workers, int depth = 0) : IDisposable
{
    /// <summary>Blocks that may be put aside at once per worker.</summary>
    const int MaxParked = 1024;
    readonly List<BlockRunner> idle = [];
    readonly List<BlockRunner> parked = [];

    /// <summary>Runs blocks until none are left to take and all taken ones have ended.</summary>
    public void Run(GridLaunch launch, AccessMap memory)
    {
        BlockRunner runner = Idle();
        try
        {
            runner.Prepare(launch, memory, number, workers);
            FastVariant? fast = launch.Simd is { } simd ? simd.Fast : launch.Kernel.Fast;
            (ulong fastFrom, ulong fastTo) = fast is null ? default : FastBlocks(fast, launch, memory);
            while (launch.Take(out ulong first, out ulong end))
            {
                bool isFast = first >= fastFrom && end <= fastTo || fast is not null && RangeProof.Holds(fast, launch, memory, first, end);
                ChunkMethod[] code = isFast ? fast!.Chunks : launch.Simd?.Chunks ?? launch.Kernel.Chunks;
                for (ulong b = first; b < end && launch.Fault is null;)
                {
                    b += (ulong)runner.Begin(b, end - b, code);
                    if (Finish(runner, launch, 4)) continue;
                    parked.Add(runner);
                    runner = Idle();
                    runner.Prepare(launch, memory, number, workers);
                    // A look at those put aside: what they waited for may have come.
                    if (parked.Count >= MaxParked || (b & 7) == 7) Poll(launch);
                }
                Poll(launch);
            }
            while (parked.Count > 0 && launch.Fault is null)
            {
                if (!Poll(launch)) Thread.Yield();
            }
        }
        catch (DeviceFaultException fault)
        {
            Report(launch, fault, runner);
        }
        finally
        {
            idle.Add(runner);
            idle.AddRange(parked);
            parked.Clear();
        }
    }

    /// <summary>Blocks without those at the ends of the grid that the fast variant is good for, found by a few looks instead of one for each batch: all, or all but a first and a last part.</summary>
    static (ulong From, ulong To) FastBlocks(FastVariant fast, GridLaunch launch, AccessMap memory)
    {
        ulong blocks = launch.Blocks;
        for (ulong part = 0; part * 2 < blocks; part = part == 0 ? launch.Batch : part * 4)
            if (RangeProof.Holds(fast, launch, memory, part, blocks - part)) return (part, blocks - part);
        return default;
    }

    static bool Finish(BlockRunner runner, GridLaunch launch, int tries)
    {
        while (runner.Step() != BlockProgress.Done)
            if (--tries <= 0 || launch.Fault is not null)
            {
                runner.RunChildren();
                return false;
            }
        runner.RunChildren();
        return true;
    }

    /// <summary>Gives every parked block a turn. True when one ended.</summary>
    bool Poll(GridLaunch launch)
    {
        bool any = false;
        for (int n = parked.Count - 1; n >= 0; n--)
        {
            BlockRunner r = parked[n];
            try
            {
                if (!Finish(r, launch, 1)) continue;
            }
            catch (DeviceFaultException fault)
            {
                Report(launch, fault, r);
                return true;
            }
            parked.RemoveAt(n);
            idle.Add(r);
            any = true;
        }
        return any;
    }

    static unsafe void Report(GridLaunch launch, DeviceFaultException fault, BlockRunner runner)
    {
        lock (launch)
        {
            if (launch.Fault is not null) return;
            launch.FaultBlock = (runner.Context->CtaidX, runner.Context->CtaidY, runner.Context->CtaidZ);
            launch.Fault = fault;
        }
    }

    BlockRunner Idle()
    {
        if (idle.Count == 0) return new(depth);
        BlockRunner r = idle[^1];
        idle.RemoveAt(idle.Count - 1);
        return r;
    }

    public void Dispose()
    {
        foreach (BlockRunner r in idle) r.Dispose();
        idle.Clear();
    }
}
