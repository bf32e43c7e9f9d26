namespace TreCr.Calls.Records;

/// <summary>Sizes that wrapper and delegator agree on.</summary>
public static class RecordLimits
{
    /// <summary>Most bytes of one byte parameter that travel inside the record; longer ones are read from the program by the delegator while the caller waits.</summary>
    public const int MaxInlineBytes = 32 * 1024;

    /// <summary>Longest record, bytes.</summary>
    public const int MaxRecordBytes = 64 * 1024;

    /// <summary>Bytes of answers (all Out values and inline OutBytes together); longer OutBytes are written into the program by the delegator.</summary>
    public const int AnswerBytes = 3 * 1024;
}
