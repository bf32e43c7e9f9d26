using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Delegator;

/// <summary>
/// Host functions (cuLaunchHostFunc): the back end calls <see cref="Entry"/> on a thread of its own when the stream gets there; the program's helper thread
/// runs the function; the stream goes on when it has returned.
/// </summary>
/// <remarks>Protocol: SegmentHeader.HostFunction*. One at a time. The delegator fills the slot, then adds 1 to Posted; the helper adds 1 to Done.</remarks>
internal sealed unsafe class HostFunctions(Segment segment)
{
    private const long SliceNs = 100_000_000;

    private sealed record Pending(HostFunctions Owner, ulong Function, ulong UserData, string Where);

    private readonly Lock _slot = new();
    private volatile bool _programGone;
    private volatile string? _running;

    /// <summary>Address of the function that back ends call.</summary>
    public static ulong EntryAddress => (ulong)(delegate* unmanaged<void*, void>)&Entry;

    /// <summary>Function that the program runs right now, for messages; null: none.</summary>
    public string? Running => _running;

    /// <summary>A value for the back end to pass to <see cref="Entry"/>; used up by the call, or by <see cref="Forget"/>.</summary>
    public ulong Prepare(ulong function, ulong userData)
        => (ulong)(nint)GCHandle.ToIntPtr(GCHandle.Alloc(new Pending(this, function, userData, $"host function 0x{function:x}")));

    public static void Forget(ulong prepared) => GCHandle.FromIntPtr((nint)prepared).Free();

    /// <summary>The program will run nothing any more: waits end.</summary>
    public void ProgramGone() => _programGone = true;

    [UnmanagedCallersOnly]
    private static void Entry(void* prepared)
    {
        GCHandle handle = GCHandle.FromIntPtr((nint)prepared);
        Pending pending = (Pending)handle.Target!;
        handle.Free();
        pending.Owner.Run(pending);
    }

    private void Run(Pending pending)
    {
        lock (_slot)
        {
            _running = pending.Where;
            SegmentHeader* header = segment.Header;
            header->HostFunctionAddress = pending.Function;
            header->HostFunctionUserData = pending.UserData;
            header->HostFunctionKind = 0;
            header->HostFunctionStream = 0;
            uint posted = Interlocked.Increment(ref header->HostFunctionPosted);
            Sys.FutexWake(&header->HostFunctionPosted);
            while (!_programGone)
            {
                uint done = Volatile.Read(ref header->HostFunctionDone);
                if (done == posted) break;
                Sys.FutexWait(&header->HostFunctionDone, done, SliceNs);
            }
            _running = null;
        }
    }
}
