using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LongDouble = TreCr.Wrapper.Mpi.Extended<TreCr.Wrapper.Mpi.X87>;
using Real16 = TreCr.Wrapper.Mpi.Extended<TreCr.Wrapper.Mpi.Quadruple>;

namespace TreCr.Wrapper.Mpi;

/// <summary>The predefined operations on arrays. Source: MPI-3.1 §5.9.2 and §5.9.4.</summary>
internal static unsafe class Reduction
{
    /// <returns>false: not defined</returns>
    public static bool Run(OpKind op, Datatype type, byte* a, byte* b, long count)
    {
        if (op == OpKind.NoOp) return true;
        if (op == OpKind.Replace)
        {
            for (long i = 0; i < count; i++)
                foreach (var (offset, length) in type.Runs) Unsafe.CopyBlockUnaligned(b + i * type.Extent + offset, a + i * type.Extent + offset, (uint)length);
            return true;
        }
        if (!type.IsContiguous && type.Element is not (Element.DoubleInt or Element.LongDoubleInt or Element.LongInt or Element.ShortInt)) return OfRuns(op, type, a, b, count);
        // Of a contiguous type with several elements.
        long n = type.IsPredefined ? count : count * (type.SizeBytes / (type.Element switch { Element.DoubleInt or Element.LongInt => 12, Element.LongDoubleInt => 20, Element.ShortInt => 6, var e => BytesOf(e) }));
        return type.Element switch
        {
            Element.I8 => Integer<sbyte>(op, a, b, n), Element.U8 => Integer<byte>(op, a, b, n), Element.I16 => Integer<short>(op, a, b, n), Element.U16 => Integer<ushort>(op, a, b, n),
            Element.I32 => Integer<int>(op, a, b, n), Element.U32 => Integer<uint>(op, a, b, n), Element.I64 => Integer<long>(op, a, b, n), Element.U64 => Integer<ulong>(op, a, b, n),
            Element.F32 => Number<float>(op, a, b, n), Element.F64 => Number<double>(op, a, b, n), Element.F80 => Number<LongDouble>(op, a, b, n), Element.F128 => Number<Real16>(op, a, b, n),
            Element.C64 => Complex<float>(op, a, b, n), Element.C128 => Complex<double>(op, a, b, n), Element.C160 => Complex<LongDouble>(op, a, b, n), Element.C256 => Complex<Real16>(op, a, b, n),
            Element.Bool => Logical(op, a, b, n), Element.Byte => Bits<byte>(op, a, b, n),
            Element.FloatInt => Pair<float, FloatIntPair>(op, a, b, n), Element.DoubleInt => Pair<double, DoubleIntPair>(op, a, b, n), Element.LongInt => Pair<long, LongIntPair>(op, a, b, n), Element.LongDoubleInt => Pair<LongDouble, LongDoubleIntPair>(op, a, b, n),
            Element.ShortInt => Pair<short, ShortIntPair>(op, a, b, n), Element.TwoInt => Pair<int, TwoIntPair>(op, a, b, n), Element.TwoFloat => Pair<float, TwoFloatPair>(op, a, b, n),
            Element.TwoDouble => Pair<double, TwoDoublePair>(op, a, b, n),
            _ => false,
        };
    }

    /// <summary>Bytes of one element; 1 where it has none.</summary>
    private static int BytesOf(Element element) => element switch
    {
        Element.I16 or Element.U16 => 2, Element.I32 or Element.U32 or Element.F32 => 4, Element.I64 or Element.U64 or Element.F64 or Element.C64 => 8, Element.C128 or Element.F80 or Element.F128 => 16, Element.C160 or Element.C256 or Element.LongDoubleInt => 32,
        Element.FloatInt or Element.TwoInt or Element.TwoFloat or Element.ShortInt => 8, Element.TwoDouble or Element.DoubleInt or Element.LongInt => 16, _ => 1,
    };

    /// <summary>A type of the program with gaps: run by run, where all of it is of one element.</summary>
    private static bool OfRuns(OpKind op, Datatype type, byte* a, byte* b, long count)
    {
        if (type.Element == Element.None) return false;
        int bytes = BytesOf(type.Element);
        Datatype basic = new()
        {
            SizeBytes = bytes, LowerBound = 0, UpperBound = bytes, TrueLowerBound = 0, TrueUpperBound = bytes, Runs = [(0, bytes)], Element = type.Element, Alignment = bytes, BasicSizes = [bytes], IsPredefined = true,
        };
        for (long i = 0; i < count; i++)
            foreach (var (offset, length) in type.Runs)
                if (!Run(op, basic, a + i * type.Extent + offset, b + i * type.Extent + offset, length / bytes)) return false;
        return true;
    }

    private static bool Number<T>(OpKind op, byte* pa, byte* pb, long n) where T : unmanaged, IAdditionOperators<T, T, T>, IMultiplyOperators<T, T, T>, IComparisonOperators<T, T, bool>
    {
        T* a = (T*)pa, b = (T*)pb;
        switch (op)
        {
            case OpKind.Sum: for (long i = 0; i < n; i++) b[i] = a[i] + b[i]; return true;
            case OpKind.Prod: for (long i = 0; i < n; i++) b[i] = a[i] * b[i]; return true;
            case OpKind.Max: for (long i = 0; i < n; i++) b[i] = a[i] > b[i] ? a[i] : b[i]; return true;
            case OpKind.Min: for (long i = 0; i < n; i++) b[i] = a[i] < b[i] ? a[i] : b[i]; return true;
            default: return false;
        }
    }

    private static bool Integer<T>(OpKind op, byte* pa, byte* pb, long n) where T : unmanaged, IBinaryInteger<T>
    {
        T* a = (T*)pa, b = (T*)pb;
        switch (op)
        {
            case OpKind.Land: for (long i = 0; i < n; i++) b[i] = a[i] != T.Zero && b[i] != T.Zero ? T.One : T.Zero; return true;
            case OpKind.Lor: for (long i = 0; i < n; i++) b[i] = a[i] != T.Zero || b[i] != T.Zero ? T.One : T.Zero; return true;
            case OpKind.Lxor: for (long i = 0; i < n; i++) b[i] = a[i] != T.Zero != (b[i] != T.Zero) ? T.One : T.Zero; return true;
            default: return Number<T>(op, pa, pb, n) || Bits<T>(op, pa, pb, n);
        }
    }

    private static bool Bits<T>(OpKind op, byte* pa, byte* pb, long n) where T : unmanaged, IBinaryInteger<T>
    {
        T* a = (T*)pa, b = (T*)pb;
        switch (op)
        {
            case OpKind.Band: for (long i = 0; i < n; i++) b[i] = a[i] & b[i]; return true;
            case OpKind.Bor: for (long i = 0; i < n; i++) b[i] = a[i] | b[i]; return true;
            case OpKind.Bxor: for (long i = 0; i < n; i++) b[i] = a[i] ^ b[i]; return true;
            default: return false;
        }
    }

    private static bool Logical(OpKind op, byte* a, byte* b, long n) => op is OpKind.Land or OpKind.Lor or OpKind.Lxor && Integer<byte>(op, a, b, n);

    private static bool Complex<T>(OpKind op, byte* pa, byte* pb, long n) where T : unmanaged, IAdditionOperators<T, T, T>, ISubtractionOperators<T, T, T>, IMultiplyOperators<T, T, T>
    {
        T* a = (T*)pa, b = (T*)pb;
        if (op == OpKind.Sum)
        {
            for (long i = 0; i < 2 * n; i++) b[i] = a[i] + b[i];
            return true;
        }
        if (op != OpKind.Prod) return false;
        for (long i = 0; i < 2 * n; i += 2) (b[i], b[i + 1]) = (a[i] * b[i] - a[i + 1] * b[i + 1], a[i] * b[i + 1] + a[i + 1] * b[i]);
        return true;
    }

    private static bool Pair<T, TPair>(OpKind op, byte* pa, byte* pb, long n) where T : unmanaged, IComparisonOperators<T, T, bool> where TPair : unmanaged, IPair<T>
    {
        if (op is not (OpKind.Minloc or OpKind.Maxloc)) return false;
        TPair* a = (TPair*)pa, b = (TPair*)pb;
        for (long i = 0; i < n; i++)
        {
            T mine = a[i].Number, other = b[i].Number;
            if (mine == other ? a[i].Index < b[i].Index : op == OpKind.Minloc ? mine < other : mine > other) b[i] = a[i];
        }
        return true;
    }

    private interface IPair<T>
    {
        T Number { get; }
        double Index { get; }
    }

#pragma warning disable CS0649 // filled by the program
    private struct FloatIntPair : IPair<float> { private float _number; private int _index; public readonly float Number => _number; public readonly double Index => _index; }
    private struct TwoIntPair : IPair<int> { private int _number, _index; public readonly int Number => _number; public readonly double Index => _index; }
    private struct TwoFloatPair : IPair<float> { private float _number, _index; public readonly float Number => _number; public readonly double Index => _index; }
    private struct TwoDoublePair : IPair<double> { private double _number, _index; public readonly double Number => _number; public readonly double Index => _index; }
    private struct ShortIntPair : IPair<short> { private short _number; private int _index; public readonly short Number => _number; public readonly double Index => _index; }

    [StructLayout(LayoutKind.Sequential, Size = 16)]
    private struct DoubleIntPair : IPair<double> { private double _number; private int _index; public readonly double Number => _number; public readonly double Index => _index; }

    [StructLayout(LayoutKind.Sequential, Size = 16)]
    private struct LongIntPair : IPair<long> { private long _number; private int _index; public readonly long Number => _number; public readonly double Index => _index; }

    [StructLayout(LayoutKind.Sequential, Size = 32)]
    private struct LongDoubleIntPair : IPair<LongDouble> { private LongDouble _number; private int _index; public readonly LongDouble Number => _number; public readonly double Index => _index; }
#pragma warning restore CS0649
}
