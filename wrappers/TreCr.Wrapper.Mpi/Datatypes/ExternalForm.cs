namespace TreCr.Wrapper.Mpi;

/// <summary>How a value of the program's memory stands in the representation external32: as it is, its bytes turned round, or otherwise.</summary>
internal enum ExternalForm : byte
{
    /// <summary>One byte.</summary>
    Byte,

    /// <summary>So many bytes, the highest first.</summary>
    Turned2, Turned4, Turned8, Turned16,

    /// <summary>C's long: 4 bytes, which must hold its value.</summary>
    Long, UnsignedLong,

    /// <summary>wchar_t: 2 bytes, which must hold its value.</summary>
    WideCharacter,

    /// <summary>The x87 unit's 80 bits: IEEE 754's binary128.</summary>
    LongDouble,
}
