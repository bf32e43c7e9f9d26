using System.Runtime.InteropServices;
using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>What emitted code calls: the slow way of checked accesses, faults, calls, printf.</summary>
static unsafe class KernelSupport
{
    /// <summary>Ends the launch: an access that is neither in the window nor in the page table, or misaligned.</summary>
    /// <exception cref="DeviceFaultException">716 misaligned, 700 not allocated.</exception>
    public static void AccessFault(BlockContext* c, int thread, ulong address, int bytes)
        => throw ((address & (ulong)(bytes - 1)) != 0 ? new DeviceFaultException(716, "misaligned address", address, thread) : new DeviceFaultException(700, "illegal address", address, thread));

    static bool Inside(ulong address, int bytes, byte* start, long length) => address - (ulong)start < (ulong)length && (ulong)length - (address - (ulong)start) >= (ulong)bytes;

    public static void SharedFault(BlockContext* c, int thread, ulong offset, int bytes)
        => throw new DeviceFaultException((offset & (ulong)(bytes - 1)) != 0 ? 716 : 700, (offset & (ulong)(bytes - 1)) != 0 ? "misaligned shared address" : "illegal shared address", offset, thread);

    public static void LocalFault(BlockContext* c, int thread, ulong offset, int bytes)
        => throw new DeviceFaultException((offset & (ulong)(bytes - 1)) != 0 ? 716 : 700, "illegal local address", offset, thread);

    public static int IsSpace(BlockContext* c, int thread, ulong address, int space) => (PtxSpace)space switch
    {
        PtxSpace.Shared => Inside(address, 1, c->Shared, c->SharedBytes),
        PtxSpace.Local => Inside(address, 1, c->Local + (long)thread * c->LocalStride, c->LocalStride),
        PtxSpace.Param => Inside(address, 1, c->Parameters, c->ParameterBytes),
        PtxSpace.Const => false,
        _ => !Inside(address, 1, c->Shared, c->SharedBytes) && !Inside(address, 1, c->Local, (long)c->LocalStride * c->ThreadCount) && !Inside(address, 1, c->Parameters, c->ParameterBytes),
    } ? 1 : 0;

    public static void TrapFault(BlockContext* c, int thread, int error) => throw new DeviceFaultException(error, "trap", 0, thread);
    public static void BranchFault(BlockContext* c, int thread, int error) => throw new DeviceFaultException(error, "indexed branch out of range", 0, thread);

    /// <summary>bar.arrive: counted, but the thread goes on.</summary>
    public static void Arrive(BlockContext* c, uint barrier) => c->Arrived[barrier & 15]++;

    public static int ResolveFunction(BlockContext* c, int thread, ulong address)
    {
        int state = Runner(c).Kernel.StateOfAddress(address);
        return state >= 0 ? state : throw new DeviceFaultException(718, "call of something that is no function", address, thread);
    }

    /// <summary>Makes the callee's frame above the caller's and writes its header.</summary>
    /// <exception cref="DeviceFaultException">719: the thread's stack is used up.</exception>
    public static void PushFrame(BlockContext* c, int thread, int state, int callerFrame, int callerLocal, int returnState)
    {
        int at = c->Slots[thread].Frame;
        byte* caller = c->Frames + (long)thread * c->FrameStride + at;
        int* header = (int*)(caller + callerFrame);
        int local = (at == 0 ? 0 : ((int*)caller)[2]) + callerLocal;
        // The callee may in turn write arguments behind its frame: some room stays.
        if (at + callerFrame + c->StateFrameBytes[state] + 512 > c->FrameStride || local + c->StateLocalBytes[state] > c->LocalStride)
            throw new DeviceFaultException(719, "stack overflow", 0, thread);
        header[0] = returnState;
        header[1] = callerFrame;
        header[2] = local;
    }

    public static void Return(ThreadSlot* slot, byte* frame)
    {
        slot->State = ((int*)frame)[0];
        slot->Frame -= ((int*)frame)[1];
    }

    public static int Printf(BlockContext* c, int thread, ulong format, ulong arguments)
    {
        PrintfFormatter formatter = new(c, thread);
        return formatter.Format(format, arguments, Runner(c).Output);
    }

    public static void AssertFail(BlockContext* c, int thread, ulong message, ulong file, int line, ulong function)
    {
        BlockRunner runner = Runner(c);
        PrintfFormatter text = new(c, thread);
        uint tid = c->Tids[thread];
        runner.Output.Write($"{text.String(file)}:{line}: {text.String(function)}: block: [{c->CtaidX},{c->CtaidY},{c->CtaidZ}], thread: [{tid & 1023},{tid >> 10 & 1023},{tid >> 20}] Assertion `{text.String(message)}` failed.\n");
        throw new DeviceFaultException(710, "assertion failed", 0, thread);
    }

    public static void AsyncCopy(BlockContext* c, int thread, ulong shared, ulong source, uint bytes, uint used)
    {
        if (bytes is not (4 or 8 or 16) || used > bytes) throw new DeviceFaultException(715, "cp.async size", bytes, thread);
        if ((shared & bytes - 1) != 0 || shared >= (ulong)c->SharedBytes || (ulong)c->SharedBytes - shared < bytes) SharedFault(c, thread, shared, (int)bytes);
        if (used > 0 && (!PageTable.IsAccessible(source, bytes) || (source & bytes - 1) != 0)) AccessFault(c, thread, source, (int)bytes);
        NativeMemory.Clear(c->Shared + shared, bytes);
        NativeMemory.Copy((void*)source, c->Shared + shared, used);
    }

    /// <summary>Ends the launch for the first lane of a group that cannot make one of the accesses [low, high] from its address; lanes are <paramref name="bytes"/> apart.</summary>
    /// <param name="mask">the lanes that make them</param><param name="flags">1: offsets in shared memory; 2: stores</param>
    public static void GroupFault(BlockContext* c, int thread, ulong address, int bytes, int mask, long low, long high, int flags)
    {
        for (int n = 0; n < 32; n++)
        {
            if ((mask >> n & 1) == 0) continue;
            foreach (long offset in (ReadOnlySpan<long>)[low, high])
            {
                ulong at = address + (ulong)(n * bytes) + (ulong)offset;
                bool aligned = (at & (ulong)(bytes - 1)) == 0;
                if ((flags & 1) != 0)
                {
                    if (!aligned || at >= (ulong)c->SharedBytes) SharedFault(c, thread + n, at, bytes);
                }
                else if (!aligned || !PageTable.IsAccessible(at, (ulong)bytes, (flags & 2) != 0)) AccessFault(c, thread + n, at, bytes);
            }
        }
        AccessFault(c, thread, address, bytes);
    }

    /// <summary>The lanes of a group go on as threads: those of each mask at its block, the others have ended.</summary>
    public static void LeaveGroup(BlockContext* c, int group, int blockA, int maskA, int blockB, int maskB) => Runner(c).LeaveGroup(group, blockA, (uint)maskA, blockB, (uint)maskB);

    /// <summary>Lanes of a group have parted: the masks of the blocks where they are due stand in scratch memory, registers in the group's frame.</summary>
    /// <param name="way">see <see cref="MaskedMethod"/></param>
    /// <returns>the block at which all lanes go on without masks; -1 where there is nothing left to do for the group now</returns>
    public static int RunMasked(BlockContext* c, int group, int way) => Runner(c).RunMasked(group, way);

    /// <summary>The lanes of a group in masked code go on as threads: those that are due somewhere there, those of <paramref name="waiting"/> wait instead, and go on at a state.</summary>
    /// <param name="kind">a CollectiveKind, or <see cref="BlockRunner.AtBarrier"/> and a barrier's number</param>
    public static void LeaveMasked(BlockContext* c, int group, int state, int kind, int members, int waiting) => Runner(c).LeaveMasked(group, state, kind, (uint)members, (uint)waiting);

    /// <summary>All lanes go on as threads that wait in a collective; what they bring to it lies in scratch memory.</summary>
    public static void LeaveGroupWaiting(BlockContext* c, int group, int state, int kind, int mask) => Runner(c).LeaveGroupWaiting(group, state, kind, (uint)mask);

    /// <summary>Source lanes of a shuffle whose operands lie in scratch memory (a after a, b, c); written behind them.</summary>
    /// <returns>lanes whose source is inside their segment</returns>
    public static int ShuffleIndices(byte* scratch, int kind)
    {
        uint* b = (uint*)(scratch + 256), c = (uint*)(scratch + 512);
        int* to = (int*)(scratch + 768);
        uint valid = 0;
        for (int n = 0; n < 32; n++)
            if (WarpCollectives.Source((CollectiveKind)kind, n, b[n], c[n], out to[n])) valid |= 1u << n;
        return (int)valid;
    }

    public static BlockRunner Runner(BlockContext* c) => (BlockRunner)GCHandle.FromIntPtr(c->Runner).Target!;
}
