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

    static BlockRunner Runner(BlockContext* c) => (BlockRunner)GCHandle.FromIntPtr(c->Runner).Target!;
}
