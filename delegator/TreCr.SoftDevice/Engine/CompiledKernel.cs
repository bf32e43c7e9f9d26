using System.Runtime.InteropServices;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>Code of one kernel and of the functions it can call, ready to run. Any number of workers may run it at once.</summary>
sealed unsafe class CompiledKernel
{
    public required string Name;
    /// <summary>method that holds each state (block); in a kernel of one method there is one entry</summary>
    public required ChunkMethod[] Chunks;
    /// <summary>state to method number</summary>
    public required int[] ChunkOfState;
    /// <summary>threads can stop in the middle: slots and frames are needed</summary>
    public bool UsesSlots;
    public int EntryState;
    public int FrameBytes, LocalBytes;
    /// <summary>shared memory known at compile time; dynamic shared memory starts at <see cref="DynamicSharedOffset"/></summary>
    public int StaticSharedBytes, DynamicSharedOffset;
    public int ParameterBytes;
    /// <summary>per state that begins a function: bytes of its frame and of its local variables; native, never freed while the kernel lives</summary>
    public int* StateFrameBytes, StateLocalBytes;
    public Dictionary<ulong, int> FunctionStates = [];
    public int InstructionCount;
    public string Size = "";

    public int StateOfAddress(ulong address) => FunctionStates.TryGetValue(address, out int state) ? state : -1;

    ~CompiledKernel()
    {
        NativeMemory.Free(StateFrameBytes);
        NativeMemory.Free(StateLocalBytes);
    }
}
