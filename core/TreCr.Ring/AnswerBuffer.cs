using TreCr.Calls.Records;

namespace TreCr.Ring;

/// <summary>An answer in private memory, copied into the channel's answer slot when it is whole.</summary>
public unsafe struct AnswerBuffer
{
    /// <summary>CUresult.</summary>
    public int Result;

    /// <summary>Bytes of <see cref="Bytes"/> in use, 0 .. RecordLimits.AnswerBytes.</summary>
    public int LengthBytes;

    public fixed byte Bytes[RecordLimits.AnswerBytes];
}
