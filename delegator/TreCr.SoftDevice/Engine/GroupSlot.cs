using System.Runtime.InteropServices;

namespace TreCr.SoftDevice.Engine;

/// <summary>A group of threads that runs in lockstep, where the kernel can stop in the middle. Emitted code reads and writes it.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct GroupSlot
{
    /// <summary>a <see cref="ThreadStatus"/>, or <see cref="Left"/></summary>
    public int Status;
    /// <summary>block of code where it goes on; from the number of blocks on: the same under masks</summary>
    public int State;
    /// <summary>number of the barrier it waits at</summary>
    public int Barrier;
    /// <summary>the lanes that have not ended</summary>
    public int Mask;

    /// <summary>Its threads have gone on one by one.</summary>
    public const int Left = 5;
}
