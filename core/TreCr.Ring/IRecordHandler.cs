using TreCr.Calls.Cuda;
using TreCr.Calls.Records;

namespace TreCr.Ring;

/// <summary>What the delegator does with the records that the <see cref="Dispatcher"/> hands it.</summary>
/// <remarks>Records and answers lie in private memory: the program cannot change them any more. Their sizes are checked, nothing else is.</remarks>
public unsafe interface IRecordHandler
{
    /// <summary>Runs a record on the dispatcher thread. Must not block for longer than the call takes on an idle device.</summary>
    /// <param name="channel">index of the channel</param>
    /// <param name="generation">owner of the channel; a per-thread default stream belongs to (channel, generation)</param>
    /// <param name="record">private copy</param>
    /// <param name="answer">to be filled when the result is true</param>
    /// <returns>true: finished; false: a wait that is not over, to be run by <see cref="Run"/> on the channel's partner thread</returns>
    bool TryRun(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer);

    /// <summary>Runs a blocking record on the partner thread of its channel.</summary>
    void Run(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer);

    /// <summary>Name of a call, for messages about what did not end.</summary>
    string NameOf(ushort call);

    /// <summary>While the gate is to close, on the dispatcher thread, between two records: whether it may.</summary>
    /// <param name="blocker">whom it waits for</param>
    GateStep StepGate(out string? blocker)
    {
        blocker = null;
        return GateStep.Close;
    }
}
