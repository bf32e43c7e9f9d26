using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>Goes along the packed bytes of items as the program's memory has them, and as external32 has them, and converts one into the other.</summary>
/// <param name="memory">packed, without gaps</param><param name="external">the same items</param>
/// <param name="externalBytes">so many are there: a value that is cut is left as it was, and ends it</param>
internal unsafe struct ExternalCursor(byte* memory, byte* external, long externalBytes, bool toExternal)
{
    private readonly byte* _begin = memory;
    private byte* _memory = memory, _external = external;
    private long _left = externalBytes;

    /// <summary>Bytes in memory that were passed.</summary>
    public readonly long MemoryBytes => _memory - _begin;

    /// <exception cref="MpiException">MPI_ERR_CONVERSION: a value that external32 cannot hold</exception>
    public void Move(Datatype type, long count)
    {
        if (type.Forms.Length == 1) Values(type.Forms[0], count);
        else if (type.Forms.Length == 0 && type.Parts.Length == 1) Move(type.Parts[0].Type, count * type.Parts[0].Count);
        else
            for (; count > 0 && _left > 0; count--)
            {
                foreach (ExternalForm form in type.Forms) Values(form, 1);
                foreach ((Datatype part, long items) in type.Parts) Move(part, items);
            }
    }

    private void Values(ExternalForm form, long count)
    {
        int bytes = External32.BytesOf(form), here = External32.BytesInMemory(form);
        long n = Math.Min(count, _left / bytes);
        _left = n < count ? 0 : _left - n * bytes;
        if (form == ExternalForm.Byte)
        {
            if (toExternal) Buffer.MemoryCopy(_memory, _external, n, n);
            else Buffer.MemoryCopy(_external, _memory, n, n);
            _memory += n;
            _external += n;
            return;
        }
        for (; n > 0; n--, _memory += here, _external += bytes)
            if (toExternal) Write(form);
            else Read(form);
    }

    private readonly void Write(ExternalForm form)
    {
        Span<byte> to = new(_external, External32.BytesOf(form));
        switch (form)
        {
            case ExternalForm.Turned2: BinaryPrimitives.WriteUInt16BigEndian(to, Unsafe.ReadUnaligned<ushort>(_memory)); break;
            case ExternalForm.Turned4: BinaryPrimitives.WriteUInt32BigEndian(to, Unsafe.ReadUnaligned<uint>(_memory)); break;
            case ExternalForm.Turned8: BinaryPrimitives.WriteUInt64BigEndian(to, Unsafe.ReadUnaligned<ulong>(_memory)); break;
            case ExternalForm.Turned16: BinaryPrimitives.WriteUInt128BigEndian(to, Unsafe.ReadUnaligned<UInt128>(_memory)); break;
            case ExternalForm.Long:
                long number = Unsafe.ReadUnaligned<long>(_memory);
                BinaryPrimitives.WriteInt32BigEndian(to, (int)number == number ? (int)number : throw TooLarge($"{number}"));
                break;
            case ExternalForm.UnsignedLong:
                ulong unsigned = Unsafe.ReadUnaligned<ulong>(_memory);
                BinaryPrimitives.WriteUInt32BigEndian(to, (uint)unsigned == unsigned ? (uint)unsigned : throw TooLarge($"{unsigned}"));
                break;
            case ExternalForm.WideCharacter:
                uint character = Unsafe.ReadUnaligned<uint>(_memory);
                BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)character == character ? (ushort)character : throw TooLarge($"the character {character:x}"));
                break;
            default: BinaryPrimitives.WriteUInt128BigEndian(to, Unsafe.BitCast<Extended<Quadruple>, UInt128>(Extended<Quadruple>.From(Unsafe.ReadUnaligned<Extended<X87>>(_memory)))); break;
        }
    }

    private readonly void Read(ExternalForm form)
    {
        ReadOnlySpan<byte> from = new(_external, External32.BytesOf(form));
        switch (form)
        {
            case ExternalForm.Turned2: Unsafe.WriteUnaligned(_memory, BinaryPrimitives.ReadUInt16BigEndian(from)); break;
            case ExternalForm.Turned4: Unsafe.WriteUnaligned(_memory, BinaryPrimitives.ReadUInt32BigEndian(from)); break;
            case ExternalForm.Turned8: Unsafe.WriteUnaligned(_memory, BinaryPrimitives.ReadUInt64BigEndian(from)); break;
            case ExternalForm.Turned16: Unsafe.WriteUnaligned(_memory, BinaryPrimitives.ReadUInt128BigEndian(from)); break;
            case ExternalForm.Long: Unsafe.WriteUnaligned(_memory, (long)BinaryPrimitives.ReadInt32BigEndian(from)); break;
            case ExternalForm.UnsignedLong: Unsafe.WriteUnaligned(_memory, (ulong)BinaryPrimitives.ReadUInt32BigEndian(from)); break;
            case ExternalForm.WideCharacter: Unsafe.WriteUnaligned(_memory, (uint)BinaryPrimitives.ReadUInt16BigEndian(from)); break;
            default: Unsafe.WriteUnaligned(_memory, Extended<X87>.From(Unsafe.BitCast<UInt128, Extended<Quadruple>>(BinaryPrimitives.ReadUInt128BigEndian(from)))); break;
        }
    }

    private static MpiException TooLarge(string what) => new(ErrorClass.Conversion, $"{what} does not fit into external32's size of its type");
}
