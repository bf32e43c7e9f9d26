namespace TreCr.Wrapper.Mpi;

/// <summary>What a reduction computes with.</summary>
internal enum Element : byte
{
    /// <summary>Nothing: mixed, or without arithmetic.</summary>
    None,
    I8, U8, I16, U16, I32, U32, I64, U64, F32, F64, F80, F128, C64, C128, C160, C256, Bool, Byte,
    FloatInt, DoubleInt, LongDoubleInt, LongInt, ShortInt, TwoInt, TwoFloat, TwoDouble,
}
