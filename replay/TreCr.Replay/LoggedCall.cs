using TreCr.Calls.Records;

namespace TreCr.Replay;

/// <summary>One call of the log: its record, what it answered, and the bytes it read from the program.</summary>
public sealed class LoggedCall
{
    /// <summary>Place in the order of creation.</summary>
    public required ulong Serial { get; init; }

    /// <summary>[RecordHeader.RecordBytes]</summary>
    public required byte[] Record { get; init; }

    /// <summary>As AnswerWriter laid it out; another one once the call was repeated on another kind of device.</summary>
    public required byte[] Answer { get; set; }

    /// <summary>Virtual handle it brought; 0: a setting or a question.</summary>
    public required ulong Handle { get; init; }

    /// <summary>Handles that it needs: its context and those among its arguments. When one goes, the call goes.</summary>
    public required ulong[] Parents { get; init; }

    /// <summary>The back end's own allocations during the call (module globals), in order.</summary>
    public ulong[] InternalAddresses { get; set; } = [];

    /// <summary>Byte arguments that were fetched from the program, by argument index.</summary>
    public IReadOnlyList<(int Argument, ModuleImage Image)> Fetched { get; init; } = [];

    /// <summary>What a setting sets, so that the next one replaces it; null: an object.</summary>
    public string? Subject { get; set; }

    /// <summary>Argument word of the record.</summary>
    public ulong Argument(int index) => BitConverter.ToUInt64(Record, RecordHeader.SizeBytes + 8 * index);

    /// <summary>Call number.</summary>
    public ushort Call => BitConverter.ToUInt16(Record, 4);

    /// <summary>Number of arguments.</summary>
    public int ArgumentCount => BitConverter.ToUInt16(Record, 28);
}
