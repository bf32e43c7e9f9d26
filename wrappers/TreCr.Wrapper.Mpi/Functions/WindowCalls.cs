using System.Runtime.InteropServices;
using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §11.2: windows, their attributes, names and error handlers.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class WindowCalls
{
    public static void MPI_Win_create(nint start, nint sizeBytes, Count unit, nint info, Comm comm, HandlePointer window) => window.Value = Make(comm, WindowFlavor.Create, (_, _) => start, sizeBytes, unit, info).Handle;

    public static void MPI_Win_allocate(nint sizeBytes, Count unit, nint info, Comm comm, nint* start, HandlePointer window)
    {
        if (sizeBytes < 0) throw new MpiException(ErrorClass.Size, $"{sizeBytes} bytes");
        void* memory = NativeMemory.AlignedAlloc((nuint)Math.Max(1, sizeBytes), 64);
        NativeMemory.Clear(memory, (nuint)sizeBytes); // as with both libraries, whose windows are fresh shared memory
        try { window.Value = Make(comm, WindowFlavor.Allocate, (_, _) => (nint)memory, sizeBytes, unit, info).Handle; }
        catch
        {
            NativeMemory.AlignedFree(memory);
            throw;
        }
        *start = (nint)memory;
    }

    /// <summary>One piece of memory that all ranks map; a rank's part begins where the one before ends, or at a page of its own where alloc_shared_noncontig says that it may.</summary>
    public static void MPI_Win_allocate_shared(nint sizeBytes, Count unit, nint info, Comm comm, nint* start, HandlePointer window)
    {
        bool isApart = !Handles.IsNull<InfoObject>(info) && InfoObject.From(info).Pairs.Exists(p => p.Key == "alloc_shared_noncontig" && p.Value == "true");
        SharedMemory? memory = null;
        Window made = Make(comm, WindowFlavor.Shared, (own, sizes) => (memory = SharedMemory.Make(own, sizes, isApart)).StartOf(own.Rank), sizeBytes, unit, info);
        made.Shared = memory;
        *start = made.Start;
        window.Value = made.Handle;
    }

    public static void MPI_Win_create_dynamic(nint info, Comm comm, HandlePointer window) => window.Value = Make(comm, WindowFlavor.Dynamic, (_, _) => 0, 0, 1, info).Handle;

    /// <param name="start">of this rank's memory, once the sizes of all are known</param>
    private static Window Make(Comm comm, WindowFlavor flavor, Func<Comm, long[], nint> start, long sizeBytes, long unit, nint info)
    {
        if (sizeBytes < 0) throw new MpiException(ErrorClass.Size, $"{sizeBytes} bytes");
        if (unit <= 0) throw new MpiException(ErrorClass.Disp, $"displacement unit {unit}");
        InfoObject? given = Handles.IsNull<InfoObject>(info) ? null : InfoObject.From(info);
        (Comm own, uint callsNumber) = CommunicatorCalls.MakePrivate(comm);
        long[] all = new long[2 * comm.Size], counts = new long[comm.Size], offsets = new long[comm.Size];
        (all[2 * comm.Rank], all[2 * comm.Rank + 1]) = (sizeBytes, unit);
        for (int i = 0; i < comm.Size; i++) (counts[i], offsets[i]) = (16, 16 * i);
        fixed (long* words = all)
        {
            nint target = (nint)words;
            Schedule.Run(own, s => Algorithms.Allgather(s, 0, 0, PredefinedTypes.Byte, target, counts, offsets, PredefinedTypes.Byte));
        }
        long[] sizes = [.. all.Where((_, i) => i % 2 == 0)], units = [.. all.Where((_, i) => i % 2 == 1)];
        Window window = new(own, callsNumber, flavor, start(own, sizes), sizeBytes, unit, sizes, units);
        if (given is not null) window.Info.Pairs.AddRange(given.Pairs);
        window.Open();
        Schedule.Run(own, Algorithms.Barrier);
        return window;
    }

    public static void MPI_Win_free(HandlePointer window)
    {
        Window freed = Window.From(window.Value);
        if (freed.Access.IsPassive || freed.Access.Started is not null || freed.Target.Exposed is not null) throw new MpiException(ErrorClass.RmaSync, "an epoch is open");
        freed.FlushAll();
        Schedule.Run(freed.Comm, Algorithms.Barrier);
        freed.Close();
        window.Value = Handles.Null<Window>();
    }

    public static void MPI_Win_attach(Window window, nint start, nint sizeBytes)
    {
        if (window.Flavor != WindowFlavor.Dynamic) throw new MpiException(ErrorClass.RmaFlavor, "not a dynamic window");
        if (sizeBytes < 0) throw new MpiException(ErrorClass.Size, $"{sizeBytes} bytes");
        if (window.Attached.Exists(a => start < a.Start + (nint)a.Bytes && a.Start < start + sizeBytes)) throw new MpiException(ErrorClass.RmaAttach, "attached already");
        window.Attached.Add((start, sizeBytes));
    }

    public static void MPI_Win_detach(Window window, nint start)
    {
        if (window.Attached.RemoveAll(a => a.Start == start) == 0) throw new MpiException(ErrorClass.RmaAttach, "not attached");
    }

    public static void MPI_Win_shared_query(Window window, Rank rank, nint* sizeBytes, CountPointer unit, nint* start)
    {
        if (window.Flavor != WindowFlavor.Shared) throw new MpiException(ErrorClass.RmaFlavor, "not a shared window");
        // The lowest rank that has any, where none is named.
        int which = rank.Value != MpiAbi.ProcNull ? rank.Value : Math.Max(0, Array.FindIndex(window.Sizes, s => s > 0));
        window.Comm.WorldRank(which);
        (*sizeBytes, unit.Value, *start) = ((nint)window.Sizes[which], window.Units[which], window.Shared!.StartOf(which));
    }

    public static void MPI_Win_get_group(Window window, HandlePointer group) => group.Value = Handles.Add(new Group(window.Comm.Group.Ranks));

    public static void MPI_Win_set_name(Window window, byte* name) => window.Name = Text.ReadName(name);

    public static void MPI_Win_get_name(Window window, byte* name, int* length) => *length = Text.Write(name, window.Name, MpiAbi.MaxObjectName);

    /// <summary>Hints change nothing here.</summary>
    public static void MPI_Win_set_info(Window window, InfoObject info)
    {
        foreach (var pair in info.Pairs)
        {
            window.Info.Pairs.RemoveAll(p => p.Key == pair.Key);
            window.Info.Pairs.Add(pair);
        }
    }

    public static void MPI_Win_get_info(Window window, HandlePointer info)
    {
        InfoObject copy = new();
        copy.Pairs.AddRange(window.Info.Pairs);
        info.Value = Handles.Add(copy);
    }

    public static void MPI_Win_create_errhandler(nint function, HandlePointer handler) => ErrhandlerCalls.MPI_Comm_create_errhandler(function, handler);
    public static void MPI_Win_set_errhandler(Window window, Errhandler handler) => window.Errhandler = handler;
    public static void MPI_Win_get_errhandler(Window window, HandlePointer handler) => handler.Value = window.Errhandler.Handle;
    public static void MPI_Win_call_errhandler(Window window, int code) => Library.Raise(MpiAbi.ErrorOf(code), window, "called by the program");

    public static void MPI_Win_create_keyval(nint copy, nint delete, int* key, nint extraState) => *key = Keyval.Create(copy, delete, extraState);
    public static void MPI_Win_free_keyval(int* key) => AttributeCalls.MPI_Comm_free_keyval(key);
    public static void MPI_Win_set_attr(Window window, int key, nint value) => window.Attributes.Set(window, key, value);
    public static void MPI_Win_delete_attr(Window window, int key) => window.Attributes.Delete(window, key);

    public static void MPI_Win_get_attr(Window window, int key, nint* value, int* flag)
    {
        *flag = 1;
        if (window.Predefined(key) is { } predefined) *value = predefined;
        else if (!window.Attributes.TryGet(key, out *value))
        {
            Keyval.Of(key);
            *flag = 0;
        }
    }
}
