using System.Numerics;
using System.Reflection;
using System.Runtime.CompilerServices;
using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Emit;

/// <summary>One update of a memory cell.</summary>
interface IUpdate<T>
{
    static abstract T Apply(T old, T v);
}

/// <summary>Atomics on a checked pointer; each returns the old value. The Shared forms serve shared memory, which one OS thread owns while a block runs, so they need no lock prefix.</summary>
static unsafe class PtxAtomics
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    struct AddOf<T> : IUpdate<T> where T : IAdditionOperators<T, T, T> { public static T Apply(T old, T v) => old + v; }
    struct MinOf<T> : IUpdate<T> where T : INumber<T> { public static T Apply(T old, T v) => T.Min(old, v); }
    struct MaxOf<T> : IUpdate<T> where T : INumber<T> { public static T Apply(T old, T v) => T.Max(old, v); }
    struct AndOf<T> : IUpdate<T> where T : IBitwiseOperators<T, T, T> { public static T Apply(T old, T v) => old & v; }
    struct OrOf<T> : IUpdate<T> where T : IBitwiseOperators<T, T, T> { public static T Apply(T old, T v) => old | v; }
    struct XorOf<T> : IUpdate<T> where T : IBitwiseOperators<T, T, T> { public static T Apply(T old, T v) => old ^ v; }
    struct ExchangeOf<T> : IUpdate<T> { public static T Apply(T old, T v) => v; }
    struct Increment : IUpdate<uint> { public static uint Apply(uint old, uint v) => old >= v ? 0 : old + 1; }
    struct Decrement : IUpdate<uint> { public static uint Apply(uint old, uint v) => old == 0 || old > v ? v : old - 1; }
    struct AddF16 : IUpdate<ushort> { public static ushort Apply(ushort old, ushort v) => (ushort)PtxMath.HalfF16(old, v, 0, (int)HalfOperation.Add); }
    struct AddBF16 : IUpdate<ushort> { public static ushort Apply(ushort old, ushort v) => (ushort)PtxMath.HalfBF16(old, v, 0, (int)HalfOperation.Add); }
    struct AddF16x2 : IUpdate<int> { public static int Apply(int old, int v) => PtxMath.HalfF16x2(old, v, 0, (int)HalfOperation.Add); }
    struct AddBF16x2 : IUpdate<int> { public static int Apply(int old, int v) => PtxMath.HalfBF16x2(old, v, 0, (int)HalfOperation.Add); }

    public static T Atomic<T, TUpdate>(T* p, T v) where T : unmanaged where TUpdate : struct, IUpdate<T>
    {
        while (true)
        {
            T old = *p, now = TUpdate.Apply(old, v), seen = Interlocked.CompareExchange(ref *p, now, old);
            // By bits: a cell may hold NaN.
            if (Unsafe.SizeOf<T>() == 8 ? Unsafe.BitCast<T, long>(seen) == Unsafe.BitCast<T, long>(old) : Unsafe.SizeOf<T>() == 4 ? Unsafe.BitCast<T, int>(seen) == Unsafe.BitCast<T, int>(old)
                : Unsafe.BitCast<T, short>(seen) == Unsafe.BitCast<T, short>(old)) return old;
        }
    }

    [MethodImpl(Inline)]
    public static T Shared<T, TUpdate>(T* p, T v) where T : unmanaged where TUpdate : struct, IUpdate<T>
    {
        T old = *p;
        *p = TUpdate.Apply(old, v);
        return old;
    }

    [MethodImpl(Inline)] public static T AtomicCas<T>(T* p, T compare, T v) where T : unmanaged => Interlocked.CompareExchange(ref *p, v, compare);

    [MethodImpl(Inline)]
    public static T SharedCas<T>(T* p, T compare, T v) where T : unmanaged, IEqualityOperators<T, T, bool>
    {
        T old = *p;
        if (old == compare) *p = v;
        return old;
    }

    // What the processor does in one instruction.
    [MethodImpl(Inline)] public static int Add32(int* p, int v) => Interlocked.Add(ref *p, v) - v;
    [MethodImpl(Inline)] public static long Add64(long* p, long v) => Interlocked.Add(ref *p, v) - v;
    [MethodImpl(Inline)] public static int Exchange32(int* p, int v) => Interlocked.Exchange(ref *p, v);
    [MethodImpl(Inline)] public static long Exchange64(long* p, long v) => Interlocked.Exchange(ref *p, v);

    /// <summary>The method for an operation on a type: (pointer, value) or, for cas, (pointer, compare, value); null where PTX or this device has none.</summary>
    public static MethodInfo? Method(string operation, PtxType type, bool shared)
    {
        int bits = type.Bits();
        if (operation == "cas")
            return bits is 16 or 32 or 64 ? typeof(PtxAtomics).GetMethod(shared ? "SharedCas" : "AtomicCas")!.MakeGenericMethod(bits switch { 16 => typeof(ushort), 32 => typeof(int), _ => typeof(long) }) : null;
        Type cell = type switch
        {
            PtxType.F32 => typeof(float), PtxType.F64 => typeof(double), PtxType.U32 => typeof(uint), PtxType.U64 => typeof(ulong), PtxType.F16 or PtxType.BF16 => typeof(ushort), _ => bits == 64 ? typeof(long) : typeof(int),
        };
        if (bits is not (32 or 64) && !type.IsHalf()) return null;
        Type? update = operation switch
        {
            "add" => type switch { PtxType.F16 => typeof(AddF16), PtxType.BF16 => typeof(AddBF16), PtxType.F16x2 => typeof(AddF16x2), PtxType.BF16x2 => typeof(AddBF16x2), _ => typeof(AddOf<>) },
            "min" or "max" when type is PtxType.U32 or PtxType.S32 or PtxType.U64 or PtxType.S64 => operation == "min" ? typeof(MinOf<>) : typeof(MaxOf<>),
            "and" or "or" or "xor" or "exch" when !type.IsFloat() && !type.IsHalf() => operation switch { "and" => typeof(AndOf<>), "or" => typeof(OrOf<>), "xor" => typeof(XorOf<>), _ => typeof(ExchangeOf<>) },
            "inc" or "dec" when type == PtxType.U32 => operation == "inc" ? typeof(Increment) : typeof(Decrement),
            _ => null,
        };
        if (update is null) return null;
        if (!shared && operation is "add" or "exch" && update.IsGenericTypeDefinition && !type.IsFloat())
            return typeof(PtxAtomics).GetMethod((operation == "add" ? "Add" : "Exchange") + bits);
        if (update.IsGenericTypeDefinition) update = update.MakeGenericType(cell);
        return typeof(PtxAtomics).GetMethod(shared ? "Shared" : "Atomic")!.MakeGenericMethod(cell, update);
    }
}
