namespace TreCr.Calls.Dispatch;

/// <summary>Bytes that a call reads, as a hand-written dispatch gets them. Checked: inline bytes lie inside the record.</summary>
/// <param name="Argument">index of the argument, for <see cref="IDispatchSession.Fetch"/></param>
/// <param name="Inline">the bytes in the private copy of the record; null when they are in the program (or the pointer was NULL)</param>
/// <param name="Address">program address; 0 when inline or NULL</param>
public readonly unsafe struct ByteSource(int argument, byte* inline, ulong address, nuint bytes)
{
    public int Argument => argument;
    public byte* Inline => inline;
    public ulong Address => address;
    public nuint Bytes => bytes;

    public bool IsNull => inline == null && address == 0;

    /// <summary>The bytes in this process, fetched from the program (or in replay from the log) where they are not in the record.</summary>
    /// <returns>null: NULL pointer, or the program's memory cannot be read</returns>
    public byte* Resolve(IDispatchSession session) => inline != null ? inline : address == 0 ? null : session.Fetch(argument, address, bytes);
}
