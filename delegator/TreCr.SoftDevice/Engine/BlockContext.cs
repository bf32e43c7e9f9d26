using System.Runtime.InteropServices;

namespace TreCr.SoftDevice.Engine;

/// <summary>Where a CUDA thread stands. Emitted code reads and writes these values.</summary>
public enum ThreadStatus
{
    /// <summary>can run, from <see cref="ThreadSlot.State"/></summary>
    Running = 0,
    /// <summary>gave way in a loop that may wait; running again after the others had a turn</summary>
    Yielded = 1,
    Done = 2,
    /// <summary>waits at a block barrier</summary>
    Barrier = 3,
    /// <summary>waits in a warp collective</summary>
    Warp = 4,
}

/// <summary>One CUDA thread of the running block, where the kernel can stop in the middle.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ThreadSlot
{
    public int Status;
    /// <summary>number of the block of code where it goes on</summary>
    public int State;
    /// <summary>bytes from the start of the thread's frames to the current one</summary>
    public int Frame;
    /// <summary>what it waits for: a <see cref="CollectiveKind"/> and its variant</summary>
    public int Kind;
    /// <summary>membermask, or the number of threads of a barrier</summary>
    public uint Mask;
    public uint A, B;
    /// <summary>predicate result</summary>
    public int Flag;
    public ulong Value, Result;
    /// <summary>what cudaGetLastError of a kernel gives; 0 when the block starts</summary>
    public int LastError;
}

/// <summary>Everything emitted code needs about the block that a worker is running. Lives in native memory, one per worker (or per resident block).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct BlockContext
{
    public ThreadSlot* Slots;
    public byte* Frames;
    /// <summary>bytes of one thread's frames</summary>
    public int FrameStride;
    public int SharedBytes;
    public byte* Shared;
    public byte* Local;
    /// <summary>bytes of one thread's local memory</summary>
    public int LocalStride;
    public int ThreadCount;
    public byte* Parameters;
    public int ParameterBytes;
    public int DynamicSharedBytes;
    /// <summary>The largest run of mapped device memory: accesses inside need no further look.</summary>
    public ulong WindowBase, WindowBytes;
    public uint NtidX, NtidY, NtidZ, CtaidX, CtaidY, CtaidZ, NctaidX, NctaidY, NctaidZ;
    /// <summary>Groups of threads in lockstep may run for several blocks beside each other, [<see cref="FirstCtaidX"/>, <see cref="EndCtaidX"/>), so many groups of each block at a time.</summary>
    public int FirstCtaidX, EndCtaidX, GroupsAtATime;
    public uint SmId, NSmId;
    /// <summary>0: no cooperative launch</summary>
    public uint GridWorkspaceHi, GridWorkspaceLo;
    public ulong GridId;
    /// <summary>packed tid of each thread: x | y &lt;&lt; 10 | z &lt;&lt; 20</summary>
    public uint* Tids;
    /// <summary>bytes of the frame and of local memory that a function needs, by the state of its first block</summary>
    public int* StateFrameBytes, StateLocalBytes;
    public int StateCount;
    /// <summary>threads that came with bar.arrive, by barrier</summary>
    public fixed int Arrived[16];
    /// <summary>registers of matrix instructions, <see cref="WarpMatrices.LaneWords"/> words a thread; null where the kernel has none</summary>
    public ulong* Matrix;
    /// <summary>groups of threads in lockstep, their saved registers, and room for what is done lane by lane; null where threads run one by one</summary>
    public GroupSlot* Groups;
    public byte* GroupFrames, Scratch;
    /// <summary>what a texture or surface instruction reads or writes: 16 bytes on end</summary>
    public uint Texel0, Texel1, Texel2, Texel3;
    /// <summary>GCHandle of the BlockRunner</summary>
    public nint Runner;
}
