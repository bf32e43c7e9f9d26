namespace TreCr.Process.Readouts;

/// <summary>
/// What an engine asks of init while the job is frozen: work on kernel objects that is not whole in one system call. An engine may be killed between any two; init cannot, without
/// the job. So init takes out and puts back, and what is out is in nobody's hands that could die alone.
/// </summary>
/// <remarks>
/// SOCK_SEQPACKET, made by init for each engine. Request: kind, number of the request, arguments; descriptors: a memfd for the result, then the objects. Replies: <see cref="Taken"/>
/// and the number, when something is out (any number of times); <see cref="Done"/>, the number, 0 or an errno (4 bytes), the call that failed. Init ends what it has begun also
/// when the engine is gone. Compiled into engine and init, which come from the same build.
/// </remarks>
internal static class ReadoutProtocol
{
    /// <summary>The engine's end.</summary>
    public const int EngineDescriptor = 63;

    /// <summary>Arguments: number of the terminal (4 bytes), packet mode (1 byte), settings; object: master. Result: length of the output (4 bytes), output, input.</summary>
    public const byte Terminal = 1;

    /// <summary>Object: the queue. Result, for each message: priority, length (4 bytes each), bytes.</summary>
    public const byte MessageQueue = 2;

    /// <summary>Arguments: bytes (4); objects: the end that reads, the end that writes. No result: what waited at the writer is at the reader.</summary>
    public const byte TcpRoom = 3;

    public const byte Taken = 1, Done = 2;
}
