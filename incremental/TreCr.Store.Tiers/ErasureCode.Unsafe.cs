using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TreCr.Store.Tiers;

/// <summary>
/// A systematic Reed–Solomon code over GF(2⁸): k data units give m parity units, and any k of the k + m give all. The parity rows are a Cauchy matrix, 1 / ((k + i) XOR j), its columns scaled
/// so that the first row is all ones: with m = 1 it is XOR. Part of the format.
/// </summary>
/// <remarks>Immutable; any thread; does not allocate while it encodes.</remarks>
public sealed unsafe class ErasureCode
{
    private readonly byte[,] _parity;
    private readonly Rows _rows;

    /// <param name="data">k, at least 1</param><param name="parity">m, at least 1; k + m at most 255</param>
    public ErasureCode(int data, int parity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(data, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(parity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data + parity, 255);
        (Data, Parity) = (data, parity);
        _parity = new byte[parity, data];
        for (int j = 0; j < data; j++)
        {
            byte scale = (byte)(data ^ j); // the inverse of row 0
            for (int i = 0; i < parity; i++) _parity[i, j] = GaloisField.Multiply(scale, GaloisField.Invert((byte)((data + i) ^ j)));
        }
        _rows = new Rows(_parity);
    }

    /// <summary>k</summary>
    public int Data { get; }

    /// <summary>m</summary>
    public int Parity { get; }

    /// <summary>Whether this machine has the vector instructions (AVX2) or uses tables byte by byte.</summary>
    public static bool IsVectorized => Avx2.IsSupported;

    /// <summary>Computes the parity units.</summary>
    /// <param name="data">[k] units of <paramref name="lengthBytes"/></param><param name="parity">[m], written</param>
    public void Encode(ReadOnlySpan<nint> data, ReadOnlySpan<nint> parity, int lengthBytes) => Apply(_rows, data, parity, lengthBytes);

    /// <summary>As <see cref="Encode(ReadOnlySpan{nint}, ReadOnlySpan{nint}, int)"/>, by 16 bytes at a time also where there is more.</summary>
    internal void EncodeNarrow(ReadOnlySpan<nint> data, ReadOnlySpan<nint> parity, int lengthBytes) => Apply(_rows, data, parity, lengthBytes, narrow: true);

    /// <summary>How to compute lost units from others.</summary>
    /// <param name="present">[k] numbers of units that are there, data 0 … k-1, parity k … k+m-1; each once</param>
    /// <param name="wanted">numbers of the units to compute</param>
    public ErasureRecipe Rebuild(ReadOnlySpan<int> present, ReadOnlySpan<int> wanted)
    {
        if (present.Length != Data) throw new ArgumentException($"{Data} units are needed", nameof(present));
        byte[,] matrix = new byte[Data, Data];
        for (int i = 0; i < Data; i++)
            for (int j = 0; j < Data; j++) matrix[i, j] = Coefficient(present[i], j);
        if (!GaloisField.TryInvert(matrix, out byte[,] inverse)) throw new ArgumentException("a unit comes twice", nameof(present));
        byte[,] rows = new byte[wanted.Length, Data];
        for (int w = 0; w < wanted.Length; w++)
            for (int i = 0; i < Data; i++)
                for (int j = 0; j < Data; j++) rows[w, i] ^= GaloisField.Multiply(Coefficient(wanted[w], j), inverse[j, i]);
        return new ErasureRecipe(new Rows(rows));
    }

    /// <summary>Row of the code's matrix: identity, then parity.</summary>
    private byte Coefficient(int unit, int column) => unit < Data ? (byte)(unit == column ? 1 : 0) : _parity[unit - Data, column];

    /// <summary>target[r] = Σ rows[r, s] · source[s]. Four targets at a time share the reads of the sources.</summary>
    internal static void Apply(Rows rows, ReadOnlySpan<nint> sources, ReadOnlySpan<nint> targets, int lengthBytes, bool narrow = false)
    {
        if (sources.Length != rows.Sources || targets.Length != rows.Targets) throw new ArgumentException($"{rows.Sources} sources and {rows.Targets} targets are meant");
        int done = (Avx2.IsSupported || Ssse3.IsSupported) ? lengthBytes & ~31 : 0;
        // In a NativeAOT program for any x86-64-v2, Vector256 is software, whatever the processor has: 30 times slower than registers of half the width.
        narrow |= !Vector256.IsHardwareAccelerated || !Avx2.IsSupported;
        fixed (nint* s = sources, t = targets)
        fixed (byte* tables = rows.Tables)
        {
            for (int at = 0; at < targets.Length && done > 0 && narrow; at++) Narrow(tables + at * rows.Sources * 32, rows.IsOnes(at), s, rows.Sources, (byte*)t[at], done);
            for (int at = 0; at < targets.Length && done > 0 && !narrow; at += 4)
            {
                byte* first = tables + at * rows.Sources * 32;
                switch (Math.Min(4, targets.Length - at))
                {
                    case 1 when rows.IsOnes(at): Xor(s, rows.Sources, (byte*)t[at], done); break;
                    case 1: One(first, s, rows.Sources, t + at, done); break;
                    case 2: Two(first, s, rows.Sources, t + at, done); break;
                    case var count: Four(first, s, rows.Sources, t + at, count, done); break;
                }
            }
        }
        for (int r = 0; r < targets.Length; r++)
        {
            byte* target = (byte*)targets[r];
            for (int i = done; i < lengthBytes; i++)
            {
                byte sum = 0;
                for (int j = 0; j < sources.Length; j++) sum ^= GaloisField.Multiply(rows[r, j], ((byte*)sources[j])[i]);
                target[i] = sum;
            }
        }
    }

    private static void Xor(nint* sources, int count, byte* target, int length)
    {
        int i = 0;
        for (; i + 128 <= length; i += 128)
        {
            byte* s = (byte*)sources[0] + i;
            Vector256<byte> a = Vector256.Load(s), b = Vector256.Load(s + 32), c = Vector256.Load(s + 64), d = Vector256.Load(s + 96);
            for (int j = 1; j < count; j++)
            {
                s = (byte*)sources[j] + i;
                a ^= Vector256.Load(s);
                b ^= Vector256.Load(s + 32);
                c ^= Vector256.Load(s + 64);
                d ^= Vector256.Load(s + 96);
            }
            a.Store(target + i);
            b.Store(target + i + 32);
            c.Store(target + i + 64);
            d.Store(target + i + 96);
        }
        for (; i < length; i += 32)
        {
            Vector256<byte> a = Vector256.Load((byte*)sources[0] + i);
            for (int j = 1; j < count; j++) a ^= Vector256.Load((byte*)sources[j] + i);
            a.Store(target + i);
        }
    }

    /// <summary>One target by 16 bytes at a time.</summary>
    /// <param name="ones">all coefficients are 1: a sum</param>
    private static void Narrow(byte* tables, bool ones, nint* sources, int count, byte* target, int length)
    {
        Vector128<byte> mask = Vector128.Create((byte)15);
        for (int i = 0; i < length; i += 16)
        {
            Vector128<byte> sum = default;
            for (int j = 0; j < count; j++)
            {
                Vector128<byte> bytes = Vector128.Load((byte*)sources[j] + i);
                if (!ones)
                {
                    Vector128<byte> high = Vector128.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & mask;
                    bytes = Ssse3.Shuffle(Vector128.Load(tables + j * 32), bytes & mask) ^ Ssse3.Shuffle(Vector128.Load(tables + j * 32 + 16), high);
                }
                sum ^= bytes;
            }
            sum.Store(target + i);
        }
    }

    /// <summary>Product of 32 bytes with one coefficient: two look-ups of 16 entries, low and high nibbles (Plank, Greenan, Miller: "Screaming Fast Galois Field Arithmetic", FAST 2013).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Product(byte* table, Vector256<byte> low, Vector256<byte> high)
        => Avx2.Shuffle(Avx2.BroadcastVector128ToVector256(table), low) ^ Avx2.Shuffle(Avx2.BroadcastVector128ToVector256(table + 16), high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Split(byte* source, out Vector256<byte> low, out Vector256<byte> high)
    {
        Vector256<byte> bytes = Vector256.Load(source), mask = Vector256.Create((byte)15);
        low = bytes & mask;
        high = Avx2.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & mask;
    }

    private static void One(byte* tables, nint* sources, int count, nint* targets, int length)
    {
        for (int i = 0; i < length; i += 32)
        {
            Vector256<byte> a = default;
            for (int j = 0; j < count; j++)
            {
                Split((byte*)sources[j] + i, out Vector256<byte> low, out Vector256<byte> high);
                a ^= Product(tables + j * 32, low, high);
            }
            a.Store((byte*)targets[0] + i);
        }
    }

    private static void Two(byte* tables, nint* sources, int count, nint* targets, int length)
    {
        int row = count * 32;
        for (int i = 0; i < length; i += 32)
        {
            Vector256<byte> a = default, b = default;
            for (int j = 0; j < count; j++)
            {
                Split((byte*)sources[j] + i, out Vector256<byte> low, out Vector256<byte> high);
                byte* t = tables + j * 32;
                a ^= Product(t, low, high);
                b ^= Product(t + row, low, high);
            }
            a.Store((byte*)targets[0] + i);
            b.Store((byte*)targets[1] + i);
        }
    }

    /// <param name="targetCount">3 or 4; of 3 the fourth is computed with the tables' spare row and left</param>
    private static void Four(byte* tables, nint* sources, int count, nint* targets, int targetCount, int length)
    {
        int row = count * 32;
        for (int i = 0; i < length; i += 32)
        {
            Vector256<byte> a = default, b = default, c = default, d = default;
            for (int j = 0; j < count; j++)
            {
                Split((byte*)sources[j] + i, out Vector256<byte> low, out Vector256<byte> high);
                byte* t = tables + j * 32;
                a ^= Product(t, low, high);
                b ^= Product(t + row, low, high);
                c ^= Product(t + 2 * row, low, high);
                d ^= Product(t + 3 * row, low, high);
            }
            a.Store((byte*)targets[0] + i);
            b.Store((byte*)targets[1] + i);
            c.Store((byte*)targets[2] + i);
            if (targetCount > 3) d.Store((byte*)targets[3] + i);
        }
    }

    /// <summary>Coefficients with their tables: for each, the products with 0 … 15 and with 0, 16, … 240.</summary>
    internal sealed class Rows
    {
        private readonly byte[,] _coefficients;

        internal Rows(byte[,] coefficients)
        {
            _coefficients = coefficients;
            Tables = GC.AllocateArray<byte>((Targets + 3) / 4 * 4 * Sources * 32, pinned: true);
            for (int r = 0; r < Targets; r++)
                for (int s = 0; s < Sources; s++)
                    for (int n = 0; n < 16; n++)
                    {
                        Tables[(r * Sources + s) * 32 + n] = GaloisField.Multiply(coefficients[r, s], (byte)n);
                        Tables[(r * Sources + s) * 32 + 16 + n] = GaloisField.Multiply(coefficients[r, s], (byte)(n << 4));
                    }
        }

        internal int Targets => _coefficients.GetLength(0);
        internal int Sources => _coefficients.GetLength(1);
        internal byte[] Tables { get; }
        internal byte this[int target, int source] => _coefficients[target, source];

        internal bool IsOnes(int row)
        {
            for (int s = 0; s < Sources; s++) if (_coefficients[row, s] != 1) return false;
            return true;
        }
    }
}
