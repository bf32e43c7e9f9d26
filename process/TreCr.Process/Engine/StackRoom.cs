using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>
/// Memory below the red zone of a stack that a stopped thread has lent us, and what stood there: it is put back, because coroutines and small stacks have other data right below.
/// </summary>
internal sealed unsafe class StackRoom
{
    private const int RedZoneBytes = 128, MarginBytes = 64;

    private readonly byte[] _before;

    private StackRoom(ulong start, byte[] before) => (Start, _before) = (start, before);

    /// <summary>Aligned as <see cref="SignalFrame"/> needs it.</summary>
    public ulong Start { get; }

    public ulong End => Start + (ulong)_before.Length;

    /// <summary>On its own stack; on another thread's where there is too little left (alternate stacks, coroutines).</summary>
    /// <param name="bytes">a multiple of <see cref="SignalFrame.Alignment"/></param>
    /// <returns>null: there is no room</returns>
    public static StackRoom? Find(Tracee thread, int bytes, IReadOnlyList<Tracee> threads, IReadOnlyList<Vma> areas)
    {
        byte[] before = new byte[bytes];
        foreach (Tracee candidate in threads.Prepend(thread))
        {
            ulong end = candidate.Registers.Rsp - RedZoneBytes & ~(ulong)(SignalFrame.Alignment - 1);
            // Below what other threads have on this stack already.
            while (threads.FirstOrDefault(t => t.Room is { } room && room.Start < end && end - (ulong)bytes < room.End) is { } other) end = other.Room!.Start;
            ulong start = end - (ulong)bytes;
            foreach (Vma area in areas)
                if (area.Start + MarginBytes <= start && end <= area.End && area.Writable && !area.Shared)
                    fixed (byte* p = before)
                        if (Sys.ProcessVmRead(thread.Tid, start, p, bytes) == bytes) return new StackRoom(start, before);
        }
        return null;
    }

    public void PutBack(int tid)
    {
        fixed (byte* p = _before)
            if (Sys.ProcessVmWrite(tid, Start, p, _before.Length) != _before.Length) throw new ProcessException($"thread {tid}: what stood below its stack cannot be put back");
    }
}
