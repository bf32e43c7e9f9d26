using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>A number that all ranks of a file share, kept at its rank 0 in a window that the program does not know: the shared file pointer (elementary items), and the lock of atomic mode.</summary>
internal sealed unsafe class SharedPointer
{
    private readonly long* _value = (long*)NativeMemory.AllocZeroed(2, 8);
    private readonly Window _window;

    /// <summary>Collective.</summary>
    public SharedPointer(Comm comm, uint callsNumber)
    {
        _window = new Window(comm, callsNumber, WindowFlavor.Create, (nint)_value, 8, 8, new long[comm.Size], new long[comm.Size]);
        _window.Open(answersAnyTime: comm.Rank == 0);
    }

    /// <summary>Adds to it.</summary>
    /// <returns>the value before</returns>
    public long FetchAdd(long items) => Ask(OpKind.Sum, items);

    public long Get() => Ask(OpKind.NoOp, 0);

    public void Set(long items) => Ask(OpKind.Replace, items);

    private long Ask(OpKind op, long items)
    {
        long* before = _value + 1;
        Datatype type = PredefinedTypes.Int64;
        _window.Ask(0, new RemoteCall { Kind = RemoteCallKind.GetAccumulate, Op = op, Count = 1 }, type, payload => *(long*)payload = items, 8, (nint)before, 1, type, null);
        _window.FlushLocal(0);
        return *before;
    }

    public void Lock() => _window.Ask(0, RemoteCallKind.LockExclusive);

    public void Unlock() => _window.Ask(0, RemoteCallKind.Unlock);

    /// <summary>All ranks are past their last call.</summary>
    public void Close()
    {
        _window.Close();
        NativeMemory.Free(_value);
    }
}
