using TreCr.Calls.Records;

namespace TreCr.Calls.Dispatch;

/// <summary>
/// What the generated dispatch needs of a session: handles, the program's memory, the log. Live sessions and replay implement it; a dispatch does not know
/// which of the two it serves.
/// </summary>
/// <remarks>
/// Order inside one call: Translate of every handle argument, Fetch, the back end's call, Register, Deliver, then exactly one of LogCreate, LogDestroy, LogSetting
/// (or none), all before the answer is published. Called on the thread that runs the record. Current context and channel of the record are the session's business:
/// it has made them current before.
/// </remarks>
public unsafe interface IDispatchSession
{
    /// <summary>The back end's handle for a virtual one. Stream 0 and 1 pass through; stream 2 is the per-thread default stream of the record's channel.</summary>
    /// <returns>false: no such handle of that kind (the value came from the program and may be anything)</returns>
    bool TryTranslate(HandleKind kind, ulong virtualHandle, out ulong real);

    /// <summary>
    /// Gives a new object its virtual handle. While replaying: the handle that stands in the log (<see cref="ExpectedHandle"/>), not a new one. An object
    /// that is registered already (cuModuleGetFunction twice) keeps its handle.
    /// </summary>
    /// <param name="record">the call; its arguments name the parents, its header the context</param>
    ulong Register(RecordHeader* record, HandleKind kind, ulong real);

    /// <summary>The object is gone; also what dies with it (functions of a module, all of a context).</summary>
    void Unregister(HandleKind kind, ulong virtualHandle);

    /// <summary>In replay the handle or address that the call being replayed brought when it was first made; 0 in a live session.</summary>
    ulong ExpectedHandle { get; }

    /// <summary>Copies bytes of the program. In replay: the bytes that the log keeps for that argument.</summary>
    /// <param name="argument">index of the argument in the record</param>
    /// <returns>a buffer of this process, multiple of 8, valid until the call has been answered; null: not readable, or too long</returns>
    byte* Fetch(int argument, ulong programAddress, nuint bytes);

    /// <summary>A buffer for bytes that the call will write, valid until the call has been answered.</summary>
    /// <returns>null: too long</returns>
    byte* Scratch(nuint bytes);

    /// <summary>Writes bytes into the program. In replay: does nothing.</summary>
    /// <returns>false: not writable</returns>
    bool Deliver(ulong programAddress, byte* from, nuint bytes);

    /// <summary>The call succeeded and brought an object: its record (with fetched bytes) and answer go into the log. In replay: compares with what the log has.</summary>
    /// <param name="kind">None for memory: <paramref name="handle"/> is then its address</param>
    void LogCreate(RecordHeader* record, HandleKind kind, ulong handle, ref AnswerWriter answer);

    /// <summary>The call succeeded and ended an object: its records leave the log.</summary>
    /// <param name="kind">None for memory: <paramref name="handle"/> is then its address</param>
    void LogDestroy(RecordHeader* record, HandleKind kind, ulong handle);

    /// <summary>The call succeeded and changed a setting that replay must repeat.</summary>
    void LogSetting(RecordHeader* record);

    /// <summary>The record breaks the format: argument count, offset or length. The call is answered with CUDA_ERROR_INVALID_VALUE and nothing was done.</summary>
    void Malformed(RecordHeader* record, string reason);
}
