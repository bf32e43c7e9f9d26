namespace TreCr.Linux;

/// <summary>Places where a test can make TreCr fail. Listed by <c>trecr faults list</c>.</summary>
public enum FaultPoint
{
    None = 0,

    // Dump, in the engine.
    /// <summary>All threads of the program are stopped, nothing has been changed in it.</summary>
    DumpFrozen,
    /// <summary>A thread stands at the entry of a system call given to it.</summary>
    DumpInjectEntry,
    /// <summary>A thread stands at the exit of a system call given to it.</summary>
    DumpInjectExit,
    /// <summary>Process state is read, memory is not copied yet.</summary>
    DumpState,
    /// <summary>Init was asked to read out a terminal, a message queue or a TCP connection.</summary>
    DumpReadoutAsked,
    /// <summary>Init has taken something out that it is about to put back.</summary>
    DumpReadoutTaken,
    /// <summary>In the middle of copying memory.</summary>
    DumpMemory,
    /// <summary>Everything is handed to the writer; the program is still stopped.</summary>
    DumpCaptured,
    /// <summary>Some threads are detached, others are not.</summary>
    DumpDetach,
    /// <summary>Write tracking was armed, the program runs, pre-copy begins.</summary>
    PrepareArmed,

    // Restore, in the engine.
    /// <summary>Before anything is made.</summary>
    RestoreStart,
    /// <summary>The process exists with its pid and nothing in it.</summary>
    RestoreSkeleton,
    /// <summary>Mappings are made.</summary>
    RestoreMapped,
    /// <summary>Memory is filled.</summary>
    RestoreFilled,
    /// <summary>Descriptors and threads exist.</summary>
    RestoreThreads,
    /// <summary>Everything is in place, nothing runs.</summary>
    RestoreComplete,
    /// <summary>Some threads are detached, others are not.</summary>
    RestoreDetach,

    // Lazy restore, in the engine: the program runs.
    /// <summary>Pages of a frame were copied, others are missing.</summary>
    LazyCopied,
    /// <summary>The program has changed its address space: the event is read and not noted yet.</summary>
    LazyEvent,
    /// <summary>All pages are there, all areas are still registered with userfaultfd.</summary>
    LazyFilled,
    /// <summary>An area is given back to the kernel, others are not.</summary>
    LazyUnregister,

    // Store.
    /// <summary>A manifest is written and durable, before it is renamed into place.</summary>
    ManifestRename,
    /// <summary>Before a frame or manifest file is written.</summary>
    StoreWrite,
    /// <summary>Before fsync.</summary>
    StoreSync,
    /// <summary>What a frame was is about to be read, to store only what changed; where that fails the frame is stored whole.</summary>
    StorePatch,

    // Supervisor.
    /// <summary>All delegators are drained.</summary>
    SupervisorGated,
    /// <summary>The program is frozen.</summary>
    SupervisorFrozen,
    /// <summary>Process and device are captured, the program is still frozen.</summary>
    SupervisorCaptured,
    /// <summary>The program runs on, the snapshot is not durable yet.</summary>
    SupervisorResumed,

    // Delegator.
    DelegatorGate,
    DelegatorCapture,
    DelegatorRestore,
    DelegatorServe,

    // Coordinator.
    /// <summary>Every rank has said prepared, nothing is committed.</summary>
    CoordinatorPrepared,
    /// <summary>The job manifest is in place, ranks are not told.</summary>
    CoordinatorCommit,
}
