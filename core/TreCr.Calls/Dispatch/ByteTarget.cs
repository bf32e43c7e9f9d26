namespace TreCr.Calls.Dispatch;

/// <summary>Where a call writes bytes, as a hand-written dispatch gets it.</summary>
/// <param name="address">program address; 0: in the answer, or NULL</param>
/// <param name="isNull">the program's pointer was NULL</param>
public readonly struct ByteTarget(ulong address, nuint bytes, bool isNull)
{
    public ulong Address => address;
    public nuint Bytes => bytes;
    public bool IsNull => isNull;

    /// <summary>The bytes go into the answer, behind the Out values.</summary>
    public bool IsInline => address == 0 && !isNull;
}
