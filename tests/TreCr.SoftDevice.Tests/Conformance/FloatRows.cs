using System.Numerics;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Floating point of all widths, comparisons, conversions, approximations. Expected values: <see cref="Ieee"/>; for approximations double arithmetic with the ISA's bound.</summary>
static class FloatRows
{
    const string Exact = "IEEE in integers", Double = "double";

    static readonly (string Name, Ieee Format)[] Formats = [("f16", Ieee.F16), ("bf16", Ieee.BF16), ("f32", Ieee.F32), ("f64", Ieee.F64)];

    public static IEnumerable<InstructionRow> All() => Arithmetic().Concat(Packed()).Concat(Comparisons()).Concat(Approximations()).Concat(ToIntegers()).Concat(FromIntegers()).Concat(BetweenReals()).Concat(BetweenIntegers());

    static InstructionRow Row(string form, string result, string[] operands, Func<ulong[], ulong> reference) => new(form, result, operands, reference, Exact) { AnyNaN = true };

    /// <summary>Does an operation with .ftz and .sat around it.</summary>
    static Func<ulong[], ulong> Around(Ieee f, bool ftz, bool sat, Func<ulong[], ulong> op, int sources) => v =>
    {
        ulong[] a = [.. v.Select((x, n) => ftz && n < sources ? f.Flush(x) : x)];
        ulong r = op(a);
        if (ftz) r = f.Flush(r);
        return sat ? f.Saturate(r) : r;
    };

    static IEnumerable<InstructionRow> Arithmetic()
    {
        foreach ((string t, Ieee f) in Formats)
        {
            bool half = f.Bits == 16;
            string b = t;
            foreach (string flags in (string[])["", ".ftz", ".sat", ".ftz.sat"])
            {
                bool ftz = flags.Contains(".ftz"), sat = flags.Contains(".sat");
                if (t == "f64" && flags != "" || t == "bf16" && flags != "") continue;
                string[] modes = half ? [".rn"] : [".rn", ".rz", ".rm", ".rp"];
                foreach (string mode in modes)
                {
                    string m = mode[1..];
                    InstructionRow Op(string name, int sources, Func<ulong[], ulong> op) => Row($"{name}{mode}{flags}.{t}", b, [.. Enumerable.Repeat(t, sources)], Around(f, ftz, sat, op, sources));
                    yield return Op("add", 2, v => f.Add(v[0], v[1], m));
                    yield return Op("sub", 2, v => f.Subtract(v[0], v[1], m));
                    yield return Op("mul", 2, v => f.Multiply(v[0], v[1], m));
                    yield return Op("fma", 3, v => f.Fma(v[0], v[1], v[2], m));
                    if (half || sat) continue;
                    yield return Op("div", 2, v => f.Divide(v[0], v[1], m));
                    yield return Op("rcp", 1, v => f.Divide(f.One, v[0], m));
                    yield return Op("sqrt", 1, v => f.Sqrt(v[0], m));
                    if (!half) yield return Op("mad", 3, v => f.Fma(v[0], v[1], v[2], m));
                }
                foreach (string name in (string[])["add", "sub", "mul"])
                    yield return Row($"{name}{flags}.{t}", b, [t, t], Around(f, ftz, sat, v => name == "add" ? f.Add(v[0], v[1], "rn") : name == "sub" ? f.Subtract(v[0], v[1], "rn") : f.Multiply(v[0], v[1], "rn"), 2));
                if (half && flags is "" or ".ftz" && t == "f16" || t == "bf16")
                    yield return Row($"fma.rn{flags}.relu.{t}", b, [t, t, t], v => Around(f, ftz, false, a => f.Fma(a[0], a[1], a[2], "rn"), 3)(v) is var r && f.IsNegative(r) && !f.IsNaN(r) ? 0 : r);
                if (sat) continue;
                foreach (bool max in (bool[])[false, true])
                {
                    yield return Row($"{(max ? "max" : "min")}{flags}.{t}", b, [t, t], Around(f, ftz, false, v => f.MinMax(v[0], v[1], max, false), 2));
                    if (t == "f64") continue;
                    yield return Row($"{(max ? "max" : "min")}{flags}.NaN.{t}", b, [t, t], Around(f, ftz, false, v => f.MinMax(v[0], v[1], max, true), 2));
                    yield return Row($"{(max ? "max" : "min")}{flags}.xorsign.abs.{t}", b, [t, t], Around(f, ftz, false, v =>
                        f.MinMax(v[0] & ~f.SignBit, v[1] & ~f.SignBit, max, false) is var r && f.IsNaN(r) ? r : r | (v[0] ^ v[1]) & f.SignBit, 2));
                }
                yield return Row($"abs{flags}.{t}", b, [t], Around(f, ftz, false, v => v[0] & ~f.SignBit, 1));
                yield return Row($"neg{flags}.{t}", b, [t], Around(f, ftz, false, v => v[0] ^ f.SignBit, 1));
            }
            if (half) continue;
            yield return Row($"mov.{t}", b, [t], v => v[0]) with { AnyNaN = false };
            yield return Row($"selp.{t}", b, [t, t, "pred"], v => v[2] != 0 ? v[0] : v[1]);
            yield return Row($"slct.{t}.s32", b, [t, t, "s32"], v => IntegerRows.Number(v[2], "s32") >= 0 ? v[0] : v[1]);
            yield return Row($"slct.{t}.f32", b, [t, t, "f32"], v => !Ieee.F32.IsNaN(v[2]) && Ieee.F32.Compare(v[2], 0) >= 0 ? v[0] : v[1]);
            yield return Row($"copysign.{t}", b, [t, t], v => v[1] & ~f.SignBit | v[0] & f.SignBit);
            foreach ((string test, Func<ulong, bool> holds) in ((string, Func<ulong, bool>)[])[("finite", v => !f.IsNaN(v) && !f.IsInfinite(v)), ("infinite", f.IsInfinite), ("number", v => !f.IsNaN(v)), ("notanumber", f.IsNaN),
                ("normal", v => !f.IsNaN(v) && !f.IsInfinite(v) && !f.IsZero(v) && !f.IsSubnormal(v)), ("subnormal", f.IsSubnormal)])
                yield return Row($"testp.{test}.{t}", "pred", [t], v => holds(v[0]) ? 1UL : 0);
        }
    }

    static IEnumerable<InstructionRow> Packed()
    {
        foreach ((string t, Ieee f) in ((string, Ieee)[])[("f16", Ieee.F16), ("bf16", Ieee.BF16)])
        {
            Func<ulong[], ulong> Both(Func<ulong[], ulong> op) => v => op([.. v.Select(x => x & 0xffff)]) | op([.. v.Select(x => x >> 16)]) << 16;
            bool Same(ulong got, ulong want) => Enumerable.Range(0, 2).All(n => (got >> 16 * n & 0xffff) == (want >> 16 * n & 0xffff) || f.IsNaN(got >> 16 * n & 0xffff) && f.IsNaN(want >> 16 * n & 0xffff));
            InstructionRow Op(string form, int sources, Func<ulong[], ulong> op) => new(form, "b32", [.. Enumerable.Repeat(t + "x2", sources)], Both(op), Exact) { Accept = (v, got) => Same(got, Both(op)(v)) };
            foreach (string flags in t == "f16" ? (string[])["", ".ftz", ".sat"] : [""])
            {
                bool ftz = flags == ".ftz", sat = flags == ".sat";
                yield return Op($"add.rn{flags}.{t}x2", 2, Around(f, ftz, sat, v => f.Add(v[0], v[1], "rn"), 2));
                yield return Op($"sub.rn{flags}.{t}x2", 2, Around(f, ftz, sat, v => f.Subtract(v[0], v[1], "rn"), 2));
                yield return Op($"mul.rn{flags}.{t}x2", 2, Around(f, ftz, sat, v => f.Multiply(v[0], v[1], "rn"), 2));
                yield return Op($"fma.rn{flags}.{t}x2", 3, Around(f, ftz, sat, v => f.Fma(v[0], v[1], v[2], "rn"), 3));
                if (sat) continue;
                yield return Op($"fma.rn{flags}.relu.{t}x2", 3, v => Around(f, ftz, false, a => f.Fma(a[0], a[1], a[2], "rn"), 3)(v) is var r && f.IsNegative(r) && !f.IsNaN(r) ? 0 : r);
                yield return Op($"min{flags}.{t}x2", 2, Around(f, ftz, false, v => f.MinMax(v[0], v[1], false, false), 2));
                yield return Op($"max{flags}.NaN.{t}x2", 2, Around(f, ftz, false, v => f.MinMax(v[0], v[1], true, true), 2));
                yield return Op($"abs{flags}.{t}x2", 1, Around(f, ftz, false, v => v[0] & 0x7fff, 1));
                yield return Op($"neg{flags}.{t}x2", 1, Around(f, ftz, false, v => v[0] ^ 0x8000, 1));
            }
            foreach (string relation in (string[])["lt", "geu"])
            {
                bool Holds(ulong a, ulong b) => f.Compare(a, b) is { } c ? relation == "lt" ? c < 0 : c >= 0 : relation == "geu";
                yield return new($"setp.{relation}.{t}x2 first", "pred", [t + "x2", t + "x2"], v => Holds(v[0] & 0xffff, v[1] & 0xffff) ? 1UL : 0, Exact) { Body = $"setp.{relation}.{t}x2 {{d}}|%q, {{a}}, {{b}};", Declarations = ".reg .pred %q;\n" };
                yield return new($"setp.{relation}.{t}x2 second", "pred", [t + "x2", t + "x2"], v => Holds(v[0] >> 16, v[1] >> 16) ? 1UL : 0, Exact) { Body = $"setp.{relation}.{t}x2 %q|{{d}}, {{a}}, {{b}};", Declarations = ".reg .pred %q;\n" };
            }
        }
    }

    static IEnumerable<InstructionRow> Comparisons()
    {
        (string, Func<int?, bool>)[] relations =
        [
            ("eq", c => c == 0), ("ne", c => c is not null and not 0), ("lt", c => c < 0), ("le", c => c <= 0), ("gt", c => c > 0), ("ge", c => c >= 0), ("equ", c => c is null or 0), ("neu", c => c != 0),
            ("ltu", c => c is null or < 0), ("leu", c => c is null or <= 0), ("gtu", c => c is null or > 0), ("geu", c => c is null or >= 0), ("num", c => c is not null), ("nan", c => c is null),
        ];
        foreach ((string t, Ieee f) in Formats)
            foreach ((string relation, Func<int?, bool> holds) in relations)
                foreach (string flags in t is "f32" or "f16" ? (string[])["", ".ftz"] : [""])
                {
                    bool Compare(ulong[] v) => holds(flags == "" ? f.Compare(v[0], v[1]) : f.Compare(f.Flush(v[0]), f.Flush(v[1])));
                    yield return Row($"setp.{relation}{flags}.{t}", "pred", [t, t], v => Compare(v) ? 1UL : 0);
                    if (t == "bf16") continue;
                    yield return Row($"set.{relation}{flags}.u32.{t}", "b32", [t, t], v => Compare(v) ? 0xffffffffUL : 0);
                    if (relation is not ("lt" or "neu")) continue;
                    yield return Row($"setp.{relation}.or{flags}.{t}", "pred", [t, t, "pred"], v => Compare(v) || v[2] != 0 ? 1UL : 0);
                    yield return Row($"set.{relation}{flags}.f32.{t}", "f32", [t, t], v => Compare(v) ? Ieee.F32.One : 0);
                }
    }

    static IEnumerable<InstructionRow> Approximations()
    {
        // PTX ISA, "Floating Point Instructions": the largest error of each; for flushing forms operands and results below the smallest normal count as zero.
        InstructionRow Near(string form, Ieee f, int sources, Func<double[], double> function, double relative, double absolute = 0, bool ftz = false, Func<double[], bool>? skip = null)
        {
            string t = f.Bits == 64 ? "f64" : f.Bits == 32 ? "f32" : f == Ieee.F16 ? "f16" : "bf16";
            double[] Read(ulong[] v) => [.. v.Select(x => f.ToDouble(ftz ? f.Flush(x) : x))];
            return new(form, t, [.. Enumerable.Repeat(t, sources)], v => f.Convert(BitConverter.DoubleToUInt64Bits(function(Read(v))), f, "rn"), Double)
            {
                Skip = skip is null ? null : v => skip(Read(v)),
                Accept = (v, got) =>
                {
                    double want = function(Read(v)), was = f.ToDouble(got);
                    if (double.IsNaN(want)) return double.IsNaN(was);
                    ulong rounded = Ieee.F64.Convert(BitConverter.DoubleToUInt64Bits(want), f, "rn");
                    if (ftz && f.IsSubnormal(rounded)) rounded &= f.SignBit;
                    if (got == rounded) return true;
                    if (double.IsInfinity(want) || double.IsNaN(was) || f.IsInfinite(rounded)) return false;
                    double smallest = ftz ? f.ToDouble(1UL << f.FractionBits) : f.ToDouble(1) * 2;
                    return Math.Abs(was - want) <= Math.Max(Math.Abs(want) * relative + absolute, ftz && Math.Abs(want) < smallest * 1.01 ? smallest : f.Bits == 64 ? 0 : f.ToDouble(1));
                },
            };
        }
        double ulp = Math.Pow(2, -23);
        foreach (string ftz in (string[])["", ".ftz"])
        {
            bool flush = ftz != "";
            yield return Near($"rcp.approx{ftz}.f32", Ieee.F32, 1, v => 1 / v[0], ulp, ftz: flush);
            yield return Near($"sqrt.approx{ftz}.f32", Ieee.F32, 1, v => Math.Sqrt(v[0]), Math.Pow(2, -23) * 1.5, ftz: flush);
            yield return Near($"rsqrt.approx{ftz}.f32", Ieee.F32, 1, v => 1 / Math.Sqrt(v[0]), Math.Pow(2, -22.9), ftz: flush);
            yield return Near($"sin.approx{ftz}.f32", Ieee.F32, 1, v => Math.Sin(v[0]), 0, Math.Pow(2, -20.5), flush, v => Math.Abs(v[0]) > 2 * Math.PI);
            yield return Near($"cos.approx{ftz}.f32", Ieee.F32, 1, v => Math.Cos(v[0]), 0, Math.Pow(2, -20.5), flush, v => Math.Abs(v[0]) > 2 * Math.PI);
            yield return Near($"lg2.approx{ftz}.f32", Ieee.F32, 1, v => Math.Log2(v[0]), Math.Pow(2, -22), Math.Pow(2, -22), flush);
            yield return Near($"ex2.approx{ftz}.f32", Ieee.F32, 1, v => Math.Pow(2, v[0]), Math.Pow(2, -22.5), ftz: flush);
            yield return Near($"div.full{ftz}.f32", Ieee.F32, 2, v => v[0] / v[1], 2 * ulp, ftz: flush);
            yield return Near($"div.approx{ftz}.f32", Ieee.F32, 2, v => v[0] / v[1], 2 * ulp, ftz: flush, skip: v => Math.Abs(v[1]) is > 8.5e37 or < 1.18e-38);
            yield return Near($"rsqrt.approx{ftz}.f64", Ieee.F64, 1, v => 1 / Math.Sqrt(v[0]), Math.Pow(2, -20), ftz: flush);
        }
        yield return Near("rcp.approx.ftz.f64", Ieee.F64, 1, v => 1 / v[0], Math.Pow(2, -20), ftz: true);
        yield return Near("tanh.approx.f32", Ieee.F32, 1, v => Math.Tanh(v[0]), Math.Pow(2, -11));
        foreach ((string t, Ieee f) in Formats[..2])
        {
            yield return Near($"tanh.approx.{t}", f, 1, v => Math.Tanh(v[0]), f == Ieee.F16 ? Math.Pow(2, -10.9) : Math.Pow(2, -8));
            yield return Near(t == "f16" ? "ex2.approx.f16" : "ex2.approx.ftz.bf16", f, 1, v => Math.Pow(2, v[0]), f == Ieee.F16 ? Math.Pow(2, -9.9) : Math.Pow(2, -7), ftz: t == "bf16");
        }
        // The other order of modifiers, as some libraries write them.
        foreach (string name in (string[])["rcp", "rsqrt", "ex2", "lg2"])
            yield return Near($"{name}.approx.f32.ftz", Ieee.F32, 1, name switch { "rcp" => v => 1 / v[0], "rsqrt" => v => 1 / Math.Sqrt(v[0]), "ex2" => v => Math.Pow(2, v[0]), _ => v => Math.Log2(v[0]) }, Math.Pow(2, -22), name == "lg2" ? Math.Pow(2, -22) : 0, true);
    }

    static IEnumerable<InstructionRow> ToIntegers()
    {
        foreach ((string t, Ieee f) in Formats)
            foreach (string to in (string[])["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
                foreach (string mode in (string[])["rni", "rzi", "rmi", "rpi"])
                    foreach (string flags in t == "f32" && to is "s32" or "u32" ? (string[])["", ".ftz", ".sat"] : [""])
                    {
                        int w = Vectors.Bits(to);
                        bool narrow = w == 8;
                        BigInteger low = to[0] == 's' ? -(BigInteger.One << w - 1) : 0, high = (BigInteger.One << (to[0] == 's' ? w - 1 : w)) - 1;
                        yield return Row($"cvt.{mode}{flags}.{to}.{t}", "b" + Math.Max(w, 32), [t], v =>
                        {
                            ulong a = flags == ".ftz" ? f.Flush(v[0]) : v[0];
                            // NaN: 0, but only the top bit where source or destination has 64 bits (PTX ISA 9.0).
                            ulong r = f.IsNaN(a) ? t == "f64" || w == 64 ? 1UL << w - 1 : 0 : f.IsInfinite(a) ? IntegerRows.Wrap(f.IsNegative(a) ? low : high, w) : IntegerRows.Wrap(BigInteger.Clamp(f.ToInteger(a, mode), low, high), w);
                            return w < 32 ? Extend(r, to) : r;
                        }) with { Body = $"cvt.{mode}{flags}.{to}.{t} {{d}}, {{a}};" };
                    }

        static ulong Extend(ulong r, string to) => IntegerRows.Wrap(IntegerRows.Number(r, to), 32);
    }

    static IEnumerable<InstructionRow> FromIntegers()
    {
        foreach ((string t, Ieee f) in Formats)
            foreach (string from in (string[])["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
                foreach (string mode in (string[])["rn", "rz", "rm", "rp"])
                {
                    // 8-bit values are read from the low bits of a wider register.
                    string register = Vectors.Bits(from) == 8 ? "b32" : from;
                    yield return Row($"cvt.{mode}.{t}.{from}", t, [register], v => f.FromInteger(IntegerRows.Number(v[0] & Vectors.Mask(Vectors.Bits(from)), from), mode));
                }
        foreach (string from in (string[])["s32", "u32"])
            yield return Row($"cvt.rn.sat.f32.{from}", "f32", [from], v => Ieee.F32.Saturate(Ieee.F32.FromInteger(IntegerRows.Number(v[0], from), "rn")));
    }

    static IEnumerable<InstructionRow> BetweenReals()
    {
        foreach ((string to, Ieee tf) in Formats)
            foreach ((string from, Ieee ff) in Formats)
            {
                bool narrows = tf.FractionBits < ff.FractionBits || tf.ExponentBits < ff.ExponentBits;
                if (to == from)
                {
                    foreach (string mode in (string[])["rni", "rzi", "rmi", "rpi"])
                        foreach (string flags in to == "f32" ? (string[])["", ".ftz", ".sat"] : [""])
                            yield return Row($"cvt.{mode}{flags}.{to}.{to}", to, [to], v =>
                            {
                                ulong a = flags == ".ftz" ? tf.Flush(v[0]) : v[0];
                                ulong r = tf.IsNaN(a) || tf.IsInfinite(a) ? a : tf.ToInteger(a, mode) is var i && i.IsZero ? a & tf.SignBit : tf.FromInteger(i, "rn");
                                return flags == ".sat" ? tf.Saturate(r) : r;
                            });
                    if (to == "f32") yield return Row("cvt.sat.f32.f32", to, [to], v => tf.Saturate(v[0]));
                    if (to == "f32") yield return Row("cvt.ftz.f32.f32", to, [to], v => tf.Flush(v[0]));
                    continue;
                }
                if (!narrows) { yield return Row($"cvt.{to}.{from}", to, [from], v => ff.Convert(v[0], tf, "rn")); continue; }
                foreach (string mode in (string[])["rn", "rz", "rm", "rp"])
                {
                    if (to is "f16" or "bf16" && mode is "rm" or "rp" && from == "f32") continue;
                    yield return Row($"cvt.{mode}.{to}.{from}", to, [from], v => ff.Convert(v[0], tf, mode));
                    if (to is "f16" or "bf16" && from == "f32" && mode is "rn" or "rz")
                        yield return Row($"cvt.{mode}.relu.{to}.{from}", to, [from], v => ff.Convert(v[0], tf, mode) is var r && tf.IsNegative(r) && !tf.IsNaN(r) ? 0 : r);
                }
            }
        yield return Row("cvt.rn.ftz.f32.f64", "f32", ["f64"], v => Ieee.F32.Flush(Ieee.F64.Convert(v[0], Ieee.F32, "rn")));
        yield return Row("cvt.rn.sat.f32.f64", "f32", ["f64"], v => Ieee.F32.Saturate(Ieee.F64.Convert(v[0], Ieee.F32, "rn")));
        yield return Row("cvt.ftz.f64.f32", "f64", ["f32"], v => Ieee.F32.Convert(Ieee.F32.Flush(v[0]), Ieee.F64, "rn"));
        yield return Row("cvt.ftz.f32.f16", "f32", ["f16"], v => Ieee.F16.Convert(v[0], Ieee.F32, "rn"));
        foreach ((string to, Ieee tf) in Formats[..2])
            foreach (string mode in (string[])["rn", "rz"])
                foreach (string relu in (string[])["", ".relu"])
                {
                    ulong One(ulong v) => Ieee.F32.Convert(v, tf, mode) is var r && relu != "" && tf.IsNegative(r) && !tf.IsNaN(r) ? 0 : r;
                    yield return new($"cvt.{mode}{relu}.{to}x2.f32", "b32", ["f32", "f32"], v => One(v[0]) << 16 | One(v[1]), Exact)
                    { Accept = (v, got) => Enumerable.Range(0, 2).All(n => (got >> 16 * n & 0xffff) is var g && One(v[1 - n]) is var w && (g == w || tf.IsNaN(g) && tf.IsNaN(w))) };
                }
        // tf32 is held in 32 bits, the low 13 of them zero.
        yield return new("cvt.rna.tf32.f32", "b32", ["f32"], v => Ieee.F32.IsNaN(v[0]) ? 0x7fffffff : Ieee.F32.Convert(v[0], Ieee.TF32, "rna") << 13, Exact) { Accept = (v, got) => Ieee.F32.IsNaN(v[0]) && Ieee.F32.IsNaN(got) };
        yield return new("cvt.rn.tf32.f32", "b32", ["f32"], v => Ieee.F32.IsNaN(v[0]) ? 0x7fffffff : Ieee.F32.Convert(v[0], Ieee.TF32, "rn") << 13, Exact) { Accept = (v, got) => Ieee.F32.IsNaN(v[0]) && Ieee.F32.IsNaN(got) };
    }

    static IEnumerable<InstructionRow> BetweenIntegers()
    {
        string[] types = ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"];
        foreach (string to in types)
            foreach (string from in types)
                foreach (string sat in (string[])["", ".sat"])
                {
                    int w = Vectors.Bits(to), s = Vectors.Bits(from);
                    BigInteger low = to[0] == 's' ? -(BigInteger.One << w - 1) : 0, high = (BigInteger.One << (to[0] == 's' ? w - 1 : w)) - 1;
                    yield return new($"cvt{sat}.{to}.{from}", "b" + Math.Max(32, w), [s == 8 ? "b32" : from], v =>
                    {
                        BigInteger a = IntegerRows.Number(v[0] & Vectors.Mask(s), from);
                        ulong r = IntegerRows.Wrap(sat == "" ? a : BigInteger.Clamp(a, low, high), w);
                        return w < 32 ? IntegerRows.Wrap(IntegerRows.Number(r, to), 32) : r;
                    }, "integers");
                }
    }
}
