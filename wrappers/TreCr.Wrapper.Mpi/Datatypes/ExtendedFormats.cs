namespace TreCr.Wrapper.Mpi;

/// <summary>Where the parts of an <see cref="Extended{TFormat}"/> lie in its 16 bytes. The mantissa has its leading bit, which only subnormal numbers lack.</summary>
internal interface IExtendedFormat
{
    /// <summary>With the leading bit.</summary>
    static abstract int MantissaBits { get; }

    static abstract (ushort SignAndExponent, UInt128 Mantissa) Unpack(ulong low, ulong high);

    static abstract (ulong Low, ulong High) Pack(ushort signAndExponent, UInt128 mantissa);
}

/// <summary>The x87 unit's 80 bits: the leading bit is stored, 48 bits mean nothing.</summary>
internal readonly struct X87 : IExtendedFormat
{
    public static int MantissaBits => 64;

    public static (ushort SignAndExponent, UInt128 Mantissa) Unpack(ulong low, ulong high) => ((ushort)high, low);

    public static (ulong Low, ulong High) Pack(ushort signAndExponent, UInt128 mantissa) => ((ulong)mantissa, signAndExponent);
}

/// <summary>IEEE 754's binary128: the leading bit is not stored.</summary>
internal readonly struct Quadruple : IExtendedFormat
{
    private const int HighBits = 48;
    private const ulong HighMask = (1UL << HighBits) - 1;

    public static int MantissaBits => 113;

    public static (ushort SignAndExponent, UInt128 Mantissa) Unpack(ulong low, ulong high)
        => ((ushort)(high >> HighBits), new UInt128((high & HighMask) | (high << 1 >> (HighBits + 1) == 0 ? 0 : HighMask + 1), low));

    public static (ulong Low, ulong High) Pack(ushort signAndExponent, UInt128 mantissa) => ((ulong)mantissa, (ulong)signAndExponent << HighBits | (ulong)(mantissa >> 64) & HighMask);
}
