using System.Numerics;
using TreCr.Api.Gpi;

namespace TreCr.Api.C.Gpi;

/// <summary>gaspi_allreduce's arithmetic: gaspi_operation_t (minimum 0, maximum 1, sum 2) on gaspi_datatype_t (int 0, unsigned 1, float 2, double 3, long 4, unsigned long 5).</summary>
internal static unsafe class Reduction
{
    /// <summary>Most elements (gaspi_allreduce_elem_max).</summary>
    public const uint MostElements = 255;

    public static int ElementBytes(int type) => type switch
    {
        0 or 1 or 2 => 4,
        3 or 4 or 5 => 8,
        _ => throw new GpiException(GpiCode.Error, $"{type} is no data type"),
    };

    /// <summary>Reduces in the order of the places, so that the same values come to the same bits on every rank and in every run.</summary>
    public static void Reduce(byte[][] given, int operation, int type, void* into)
    {
        switch (type)
        {
            case 0: Reduce<int>(given, operation, into); break;
            case 1: Reduce<uint>(given, operation, into); break;
            case 2: Reduce<float>(given, operation, into); break;
            case 3: Reduce<double>(given, operation, into); break;
            case 4: Reduce<long>(given, operation, into); break;
            case 5: Reduce<ulong>(given, operation, into); break;
        }
    }

    public static void CheckOperation(int operation)
    {
        if (operation is < 0 or > 2) throw new GpiException(GpiCode.Error, $"{operation} is no operation");
    }

    private static void Reduce<T>(byte[][] given, int operation, void* into) where T : unmanaged, INumber<T>
    {
        T* result = (T*)into;
        int count = given[0].Length / sizeof(T);
        for (int rank = 0; rank < given.Length; rank++)
        {
            if (given[rank].Length != given[0].Length) throw new GpiException(GpiCode.Error, "the ranks give different numbers of elements");
            fixed (byte* bytes = given[rank])
                for (int i = 0; i < count; i++)
                {
                    T value = ((T*)bytes)[i];
                    result[i] = rank == 0 ? value : operation switch { 0 => T.Min(result[i], value), 1 => T.Max(result[i], value), _ => result[i] + value };
                }
        }
    }
}
