using System.Numerics;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Integers, logic, bits, predicates. Expected values: BigInteger arithmetic on the operands as numbers.</summary>
static class IntegerRows
{
    const string Source = "integers";

    public static BigInteger Number(ulong bits, string type)
    {
        int width = Vectors.Bits(type);
        return type[0] == 's' && (bits >> width - 1 & 1) != 0 ? bits - (BigInteger.One << width) : bits;
    }

    public static ulong Wrap(BigInteger v, int width) => (ulong)(v & (BigInteger.One << width) - 1);

    static InstructionRow Row(string form, string result, string[] operands, Func<ulong[], ulong> reference, Func<ulong[], bool>? skip = null, string? body = null, ulong[]?[]? values = null)
        => new(form, result, operands, reference, Source) { Skip = skip, Body = body, Values = values };

    public static IEnumerable<InstructionRow> All() => Arithmetic().Concat(Products()).Concat(Logic()).Concat(Shifts()).Concat(Bits()).Concat(Comparisons()).Concat(Carry()).Concat(Video()).Concat(VideoLanes());

    static IEnumerable<InstructionRow> Arithmetic()
    {
        foreach (string t in (string[])["s16", "u16", "s32", "u32", "s64", "u64"])
        {
            int w = Vectors.Bits(t);
            BigInteger N(ulong v) => Number(v, t);
            ulong W(BigInteger v) => Wrap(v, w);
            string b = "b" + w;
            yield return Row($"add.{t}", b, [t, t], v => W(N(v[0]) + N(v[1])));
            yield return Row($"sub.{t}", b, [t, t], v => W(N(v[0]) - N(v[1])));
            yield return Row($"min.{t}", b, [t, t], v => W(BigInteger.Min(N(v[0]), N(v[1]))));
            yield return Row($"max.{t}", b, [t, t], v => W(BigInteger.Max(N(v[0]), N(v[1]))));
            // Division by zero is unspecified; all ones is what NVIDIA's sequences give, and what this device promises.
            yield return Row($"div.{t}", b, [t, t], v => N(v[1]) == 0 ? Vectors.Mask(w) : W(BigInteger.Divide(N(v[0]), N(v[1]))));
            yield return Row($"rem.{t}", b, [t, t], v => N(v[1]) == 0 ? Vectors.Mask(w) : W(BigInteger.Remainder(N(v[0]), N(v[1]))));
            yield return Row($"sad.{t}", b, [t, t, t], v => W(N(v[2]) + BigInteger.Abs(N(v[0]) - N(v[1]))));
            if (t[0] == 's')
            {
                yield return Row($"abs.{t}", b, [t], v => W(BigInteger.Abs(N(v[0]))));
                yield return Row($"neg.{t}", b, [t], v => W(-N(v[0])));
            }
        }
        BigInteger S(ulong v) => Number(v, "s32");
        ulong Clamp(BigInteger v) => Wrap(BigInteger.Clamp(v, int.MinValue, int.MaxValue), 32);
        yield return Row("add.sat.s32", "b32", ["s32", "s32"], v => Clamp(S(v[0]) + S(v[1])));
        yield return Row("sub.sat.s32", "b32", ["s32", "s32"], v => Clamp(S(v[0]) - S(v[1])));
        yield return Row("mad.hi.sat.s32", "b32", ["s32", "s32", "s32"], v => Clamp((S(v[0]) * S(v[1]) >> 32) + S(v[2])));
        foreach (string t in (string[])["s32", "u32"])
        {
            BigInteger N24(ulong v) => t == "u32" ? v & 0xffffff : ((BigInteger)(v & 0xffffff) ^ 0x800000) - 0x800000;
            yield return Row($"mul24.lo.{t}", "b32", [t, t], v => Wrap(N24(v[0]) * N24(v[1]), 32));
            yield return Row($"mul24.hi.{t}", "b32", [t, t], v => Wrap(N24(v[0]) * N24(v[1]) >> 16, 32));
            yield return Row($"mad24.lo.{t}", "b32", [t, t, t], v => Wrap(N24(v[0]) * N24(v[1]) + Number(v[2], t), 32));
            yield return Row($"mad24.hi.{t}", "b32", [t, t, t], v => Wrap((N24(v[0]) * N24(v[1]) >> 16) + Number(v[2], t), 32));
        }
    }

    static IEnumerable<InstructionRow> Products()
    {
        foreach (string t in (string[])["s16", "u16", "s32", "u32", "s64", "u64"])
        {
            int w = Vectors.Bits(t);
            BigInteger N(ulong v) => Number(v, t);
            yield return Row($"mul.lo.{t}", "b" + w, [t, t], v => Wrap(N(v[0]) * N(v[1]), w));
            yield return Row($"mul.hi.{t}", "b" + w, [t, t], v => Wrap(N(v[0]) * N(v[1]) >> w, w));
            yield return Row($"mad.lo.{t}", "b" + w, [t, t, t], v => Wrap(N(v[0]) * N(v[1]) + N(v[2]), w));
            yield return Row($"mad.hi.{t}", "b" + w, [t, t, t], v => Wrap((N(v[0]) * N(v[1]) >> w) + N(v[2]), w));
            if (w == 64) continue;
            string wide = t[0] + (2 * w).ToString(System.Globalization.CultureInfo.InvariantCulture);
            yield return Row($"mul.wide.{t}", "b" + 2 * w, [t, t], v => Wrap(N(v[0]) * N(v[1]), 2 * w));
            yield return Row($"mad.wide.{t}", "b" + 2 * w, [t, t, wide], v => Wrap(N(v[0]) * N(v[1]) + Number(v[2], wide), 2 * w));
        }
        foreach (string a in (string[])["s32", "u32"])
            foreach (string b in (string[])["s32", "u32"])
            {
                BigInteger Part(ulong v, int n, int width, string t) => Number(v >> n * width & Vectors.Mask(width), t[0] + width.ToString(System.Globalization.CultureInfo.InvariantCulture));
                string c = a == "s32" || b == "s32" ? "s32" : "u32";
                yield return Row($"dp4a.{a}.{b}", "b32", [a, b, c], v => Wrap(Number(v[2], c) + Enumerable.Range(0, 4).Aggregate(BigInteger.Zero, (s, n) => s + Part(v[0], n, 8, a) * Part(v[1], n, 8, b)), 32));
                foreach (string half in (string[])["lo", "hi"])
                    yield return Row($"dp2a.{half}.{a}.{b}", "b32", [a, b, c], v => Wrap(Number(v[2], c) + Enumerable.Range(0, 2).Aggregate(BigInteger.Zero, (s, n) => s + Part(v[0], n, 16, a) * Part(v[1], half == "hi" ? n + 2 : n, 8, b)), 32));
            }
    }

    static IEnumerable<InstructionRow> Logic()
    {
        foreach (string t in (string[])["pred", "b16", "b32", "b64"])
        {
            ulong mask = Vectors.Mask(Vectors.Bits(t));
            yield return Row($"and.{t}", t, [t, t], v => v[0] & v[1], values: Few(t, 2));
            yield return Row($"or.{t}", t, [t, t], v => v[0] | v[1], values: Few(t, 2));
            yield return Row($"xor.{t}", t, [t, t], v => v[0] ^ v[1], values: Few(t, 2));
            yield return Row($"not.{t}", t, [t], v => ~v[0] & mask, values: Few(t, 1));
            yield return Row($"mov.{t}", t, [t], v => v[0], values: Few(t, 1));
            if (t == "pred") continue;
            yield return Row($"cnot.{t}", t, [t], v => v[0] == 0 ? 1UL : 0);
            yield return Row($"selp.{t}", t, [t, t, "pred"], v => v[2] != 0 ? v[0] : v[1]);
        }
        foreach (string t in (string[])["u16", "s16", "u32", "s32", "u64", "s64"])
        {
            yield return Row($"selp.{t}", "b" + t[1..], [t, t, "pred"], v => v[2] != 0 ? v[0] : v[1]);
            yield return Row($"mov.{t}", "b" + t[1..], [t], v => v[0]);
        }
        foreach (string t in (string[])["b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64"])
            yield return Row($"slct.{t}.s32", "b" + t[1..], [t, t, "s32"], v => Number(v[2], "s32") >= 0 ? v[0] : v[1]);
        foreach (int table in (int[])[0x96, 0xe8, 0xca, 0x01, 0x80, 0x3c, 0xff, 0x00, 0x1e, 0x78])
            yield return Row($"lop3.b32 {table:x}", "b32", ["b32", "b32", "b32"], v => Lop3(v, table), body: $"lop3.b32 {{d}}, {{a}}, {{b}}, {{c}}, {table};");
        foreach (string op in (string[])["and", "or"])
            yield return new($"lop3.{op}.b32", "pred", ["b32", "b32", "b32", "pred"], v => op == "or" ? (Lop3(v, 0x96) != 0 || v[3] != 0 ? 1UL : 0) : Lop3(v, 0x96) != 0 && v[3] != 0 ? 1UL : 0, Source)
            { Declarations = ".reg .b32 %r;\n", Body = $"lop3.{op}.b32 %r|{{d}}, {{a}}, {{b}}, {{c}}, 0x96, {{q}};" };

        static ulong Lop3(ulong[] v, int table)
        {
            ulong r = 0;
            for (int i = 0; i < 32; i++) r |= (ulong)(table >> (int)((v[0] >> i & 1) << 2 | (v[1] >> i & 1) << 1 | v[2] >> i & 1) & 1) << i;
            return r;
        }
    }

    // Predicates have two values: their vectors are those, over and over.
    static ulong[]?[]? Few(string t, int n) => t == "pred" ? [.. Enumerable.Repeat<ulong[]?>([0, 1], n)] : null;

    static IEnumerable<InstructionRow> Shifts()
    {
        ulong[] amounts = [0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 0x80000000, 0xffffffff, 0xffffffe0, 5];
        foreach (string t in (string[])["b16", "b32", "b64"])
        {
            int w = Vectors.Bits(t);
            yield return Row($"shl.{t}", t, [t, "u32"], v => v[1] >= (ulong)w ? 0 : Wrap((BigInteger)v[0] << (int)v[1], w), values: [null, amounts]);
        }
        foreach (string t in (string[])["b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64"])
        {
            int w = Vectors.Bits(t);
            yield return Row($"shr.{t}", "b" + w, [t, "u32"], v => Wrap(Number(v[0], t) >> (int)Math.Min(v[1], (ulong)w), w), values: [null, amounts]);
            foreach (int n in (int[])[1, 3, w - 1, w, 200])
                yield return Row($"shr.{t} by {n}", "b" + w, [t], v => Wrap(Number(v[0], t) >> n, w), body: $"shr.{t} {{d}}, {{a}}, {n};");
        }
        foreach (string mode in (string[])["clamp", "wrap"])
        {
            int N(ulong v) => mode == "wrap" ? (int)(v & 31) : (int)Math.Min(v, 32);
            yield return Row($"shf.l.{mode}.b32", "b32", ["b32", "b32", "u32"], v => Wrap(((BigInteger)v[1] << 32 | v[0]) << N(v[2]) >> 32, 32), values: [null, null, amounts]);
            yield return Row($"shf.r.{mode}.b32", "b32", ["b32", "b32", "u32"], v => Wrap(((BigInteger)v[1] << 32 | v[0]) >> N(v[2]), 32), values: [null, null, amounts]);
        }
    }

    static IEnumerable<InstructionRow> Bits()
    {
        ulong[] places = [0, 1, 2, 7, 8, 15, 16, 30, 31, 32, 33, 62, 63, 64, 65, 200, 255, 256, 257, 0xffffff08];
        foreach (string t in (string[])["u32", "s32", "u64", "s64"])
        {
            int w = Vectors.Bits(t);
            yield return Row($"bfe.{t}", "b" + w, [t, "u32", "u32"], v =>
            {
                int pos = (int)(v[1] & 255), len = (int)(v[2] & 255);
                if (len == 0) return 0;
                // Bits beyond the top are copies of the sign for s types, 0 for u types.
                ulong sign = t[0] == 's' ? v[0] >> Math.Min(pos + len - 1, w - 1) & 1 : 0, r = 0;
                for (int i = 0; i < w; i++) r |= (i < len && pos + i < w ? v[0] >> pos + i & 1 : sign) << i;
                return r;
            }, values: [null, places, places]);
            yield return Row($"bfind.{t}", "b32", [t], v => Find(v[0], t));
            yield return Row($"bfind.shiftamt.{t}", "b32", [t], v => Find(v[0], t) is var at && at == 0xffffffff ? at : (ulong)(w - 1) - at);
        }
        foreach (string t in (string[])["b32", "b64"])
        {
            int w = Vectors.Bits(t);
            yield return Row($"bfi.{t}", t, [t, t, "u32", "u32"], v =>
            {
                ulong r = v[1];
                int pos = (int)(v[2] & 255), len = (int)(v[3] & 255);
                for (int i = 0; i < len && pos + i < w; i++) r = r & ~(1UL << pos + i) | (v[0] >> i & 1) << pos + i;
                return r;
            }, values: [null, null, places, places], body: null);
            yield return Row($"popc.{t}", "b32", [t], v => (ulong)Enumerable.Range(0, w).Count(i => (v[0] >> i & 1) != 0));
            yield return Row($"clz.{t}", "b32", [t], v => (ulong)Enumerable.Range(0, w).TakeWhile(i => (v[0] >> w - 1 - i & 1) == 0).Count());
            yield return Row($"brev.{t}", t, [t], v => Enumerable.Range(0, w).Aggregate(0UL, (r, i) => r | (v[0] >> i & 1) << w - 1 - i));
        }
        yield return Row("prmt.b32", "b32", ["b32", "b32", "b32"], v => Permute(v[0], v[1], Enumerable.Range(0, 4).Select(i => (int)(v[2] >> 4 * i & 15))));
        ulong[] selectors = [0, 1, 2, 3, 4, 7, 0xfffffffd, 0xfffffffe];
        // PTX ISA, prmt: the table of modes.
        Dictionary<string, string[]> modes = new()
        {
            ["f4e"] = ["3210", "4321", "5432", "6543"], ["b4e"] = ["5670", "6701", "7012", "0123"], ["rc8"] = ["0000", "1111", "2222", "3333"],
            ["ecl"] = ["3210", "3211", "3222", "3333"], ["ecr"] = ["0000", "1110", "2210", "3210"], ["rc16"] = ["1010", "3232", "1010", "3232"],
        };
        foreach ((string mode, string[] table) in modes)
            yield return Row($"prmt.b32.{mode}", "b32", ["b32", "b32", "b32"], v => Permute(v[0], v[1], table[v[2] & 3].Reverse().Select(c => c - '0')), values: [null, null, selectors]);
        yield return Row("bmsk.clamp.b32", "b32", ["b32", "b32"], v => Enumerable.Range(0, 32).Where(i => (ulong)i >= v[0] && (ulong)i - v[0] < v[1]).Aggregate(0UL, (r, i) => r | 1UL << i), values: [places, places]);
        yield return Row("bmsk.wrap.b32", "b32", ["b32", "b32"], v => Enumerable.Range(0, 32).Where(i => (ulong)i >= (v[0] & 31) && (ulong)i - (v[0] & 31) < (v[1] & 31)).Aggregate(0UL, (r, i) => r | 1UL << i), values: [places, places]);
        yield return Row("fns.b32", "b32", ["b32", "u32", "s32"], v =>
        {
            int at = (int)v[1], offset = (int)(uint)v[2];
            if (offset == 0) return (v[0] >> at & 1) != 0 ? (ulong)at : 0xffffffff;
            IEnumerable<int> way = offset > 0 ? Enumerable.Range(at, 32 - at) : Enumerable.Range(0, at + 1).Reverse();
            int[] set = [.. way.Where(i => (v[0] >> i & 1) != 0)];
            int nth = Math.Abs(offset);
            return nth <= set.Length ? (ulong)set[nth - 1] : 0xffffffff;
        }, values: [null, [.. Enumerable.Range(0, 32).Select(i => (ulong)i)], [0, 1, 2, 3, 16, 32, 0xffffffff, 0xfffffffe, 0xfffffff0]]);

        static ulong Find(ulong v, string t)
        {
            int w = Vectors.Bits(t);
            if (t[0] == 's' && (v >> w - 1 & 1) != 0) v = ~v & Vectors.Mask(w);
            for (int i = w - 1; i >= 0; i--)
                if ((v >> i & 1) != 0) return (ulong)i;
            return 0xffffffff;
        }

        static ulong Permute(ulong a, ulong b, IEnumerable<int> selectors)
        {
            ulong r = 0;
            int to = 0;
            foreach (int s in selectors)
            {
                ulong v = (s & 7) < 4 ? a >> 8 * (s & 3) & 255 : b >> 8 * (s & 3) & 255;
                if ((s & 8) != 0) v = (v & 128) != 0 ? 255UL : 0;
                r |= v << 8 * to++;
            }
            return r;
        }
    }

    static readonly Dictionary<string, Func<int, bool>> Relations = new()
    {
        ["eq"] = c => c == 0, ["ne"] = c => c != 0, ["lt"] = c => c < 0, ["le"] = c => c <= 0, ["gt"] = c => c > 0, ["ge"] = c => c >= 0,
        ["lo"] = c => c < 0, ["ls"] = c => c <= 0, ["hi"] = c => c > 0, ["hs"] = c => c >= 0,
    };

    static IEnumerable<InstructionRow> Comparisons()
    {
        foreach (string t in (string[])["b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64"])
            foreach ((string relation, Func<int, bool> holds) in Relations)
            {
                if (t[0] == 'b' && relation is not ("eq" or "ne") || t[0] == 's' && relation is "lo" or "ls" or "hi" or "hs") continue;
                Func<ulong[], bool> compare = v => holds(Number(v[0], t).CompareTo(Number(v[1], t)));
                yield return Row($"setp.{relation}.{t}", "pred", [t, t], v => compare(v) ? 1UL : 0);
                if (Vectors.Bits(t) != 32 && relation != "lt") continue;
                foreach (string boolean in (string[])["and", "or", "xor"])
                {
                    bool Combine(bool a, ulong c) => boolean switch { "and" => a && c != 0, "or" => a || c != 0, _ => a != (c != 0) };
                    yield return Row($"setp.{relation}.{boolean}.{t}", "pred", [t, t, "pred"], v => Combine(compare(v), v[2]) ? 1UL : 0);
                    yield return Row($"setp.{relation}.{boolean}.{t} both", "b32", [t, t, "pred"], v => (Combine(!compare(v), v[2]) ? 1UL : 0) + (Combine(compare(v), v[2]) ? 2UL : 0),
                        body: $"setp.{relation}.{boolean}.{t} %first|%second, {{a}}, {{b}}, {{c}};\nselp.u32 {{d}}, 1, 0, %second;\n@%first add.u32 {{d}}, {{d}}, 2;") with { Declarations = ".reg .pred %first, %second;\n" };
                }
                yield return Row($"set.{relation}.u32.{t}", "b32", [t, t], v => compare(v) ? 0xffffffffUL : 0);
                yield return Row($"set.{relation}.f32.{t}", "b32", [t, t], v => compare(v) ? Ieee.F32.One : 0, body: $"set.{relation}.f32.{t} %f, {{a}}, {{b}};\nmov.b32 {{d}}, %f;") with { Declarations = ".reg .f32 %f;\n" };
            }
    }

    static IEnumerable<InstructionRow> Carry()
    {
        foreach (string t in (string[])["u32", "s32", "u64", "s64"])
        {
            int w = Vectors.Bits(t);
            string b = "b" + w;
            // One chain of two words: the second instruction sees the first one's carry.
            BigInteger Pair(ulong low, ulong high) => (BigInteger)high << w | low;
            ulong High(BigInteger v) => Wrap(v >> w, w);
            string[] four = [b, b, b];
            yield return Row($"add.cc.{t}", b, [b, b], v => Wrap((BigInteger)v[0] + v[1], w));
            yield return Row($"sub.cc.{t}", b, [b, b], v => Wrap((BigInteger)v[0] - v[1], w));
            foreach (string half in (string[])["lo", "hi"])
                yield return Row($"mad.{half}.cc.{t}", b, four, v => Wrap((half == "hi" ? Number(v[0], t) * Number(v[1], t) >> w : Number(v[0], t) * Number(v[1], t)) + v[2], w));
            foreach ((string name, string last) in ((string, string)[])[("addc", $"addc.{t}"), ("addc.cc", $"addc.cc.{t}")])
                yield return Row($"add.cc.{t} then {last}", b, four, v => High(Pair(v[0], v[2]) + Pair(v[1], v[2])), body: $"add.cc.{t} %x, {{a}}, {{b}};\n{last} {{d}}, {{c}}, {{c}};") with { Mutated = last, Declarations = $".reg .{b} %x;\n" };
            foreach (string last in (string[])[$"subc.{t}", $"subc.cc.{t}"])
                yield return Row($"sub.cc.{t} then {last}", b, four, v => High(Pair(v[0], v[2]) - Pair(v[1], 7)), body: $"sub.cc.{t} %x, {{a}}, {{b}};\n{last} {{d}}, {{c}}, 7;") with { Mutated = last, Declarations = $".reg .{b} %x;\n" };
            yield return Row($"addc.cc.{t} thrice", b, four, v => Wrap(Pair(v[0], v[1]) + Pair(v[2], v[2]) >> 2 * w, w), body: $"add.cc.{t} %x, {{a}}, {{c}};\naddc.cc.{t} %x, {{b}}, {{c}};\naddc.{t} {{d}}, 0, 0;") with { Mutated = $"addc.{t}", Declarations = $".reg .{b} %x;\n" };
            foreach (string last in (string[])["madc.hi", "madc.hi.cc"])
                yield return Row($"mad.lo.cc.{t} then {last}.{t}", b, four, v => Wrap((Number(v[0], t) * Number(v[1], t) >> w) + ((BigInteger)Wrap(Number(v[0], t) * Number(v[1], t), w) + v[2] >> w) + Number(v[2], t), w),
                    body: $"mad.lo.cc.{t} %x, {{a}}, {{b}}, {{c}};\n{last}.{t} {{d}}, {{a}}, {{b}}, {{c}};") with { Mutated = $"{last}.{t}", Declarations = $".reg .{b} %x;\n" };
            foreach (string last in (string[])["madc.lo", "madc.lo.cc"])
                yield return Row($"mad.hi.cc.{t} then {last}.{t}", b, four, v => Wrap(Number(v[0], t) * Number(v[1], t) + (Wrap(Number(v[0], t) * Number(v[1], t) >> w, w) + (BigInteger)v[2] >> w) + v[2], w),
                    body: $"mad.hi.cc.{t} %x, {{a}}, {{b}}, {{c}};\n{last}.{t} {{d}}, {{a}}, {{b}}, {{c}};") with { Mutated = $"{last}.{t}", Declarations = $".reg .{b} %x;\n" };
        }
    }

    // PTX ISA, "Scalar Video Instructions": operands are bytes, halves or words; a second operation adds, or takes the minimum or maximum.
    static IEnumerable<InstructionRow> Video()
    {
        string[] parts = ["", ".b0", ".b1", ".b2", ".b3", ".h0", ".h1"];
        BigInteger Part(ulong v, string type, string part)
        {
            (int shift, int width) = part == "" ? (0, 32) : (part[1] == 'b' ? 8 * (part[2] - '0') : 16 * (part[2] - '0'), part[1] == 'b' ? 8 : 16);
            return Number(v >> shift & Vectors.Mask(width), type[0] + width.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        foreach (string op in (string[])["vadd", "vsub", "vabsdiff", "vmin", "vmax", "vshl", "vshr"])
            foreach (string types in (string[])["u32.u32.u32", "s32.s32.s32", "s32.u32.s32", "u32.s32.u32"])
                foreach (string form in (string[])["", ".sat", ".add", ".min", ".max"])
                {
                    string[] t = types.Split('.');
                    bool shift = op is "vshl" or "vshr";
                    if (shift && t[2] != "u32") continue;
                    int pick = (op.Length * 7 + types.Length + form.Length * 3 + op[2]) % parts.Length;
                    string pa = parts[pick], pb = shift ? "" : parts[(pick + 3) % parts.Length];
                    string sat = form == ".sat" ? ".sat" : "", second = form is ".add" or ".min" or ".max" ? form : "", mode = shift ? ".clamp" : "";
                    string text = $"{op}.{types}{sat}{mode}{second}";
                    yield return Row($"{text} {pa}", "b32", second == "" ? ["b32", "b32"] : ["b32", "b32", "b32"], v =>
                    {
                        BigInteger a = Part(v[0], t[1], pa), b = Part(v[1], t[2], pb);
                        BigInteger r = op switch
                        {
                            "vadd" => a + b, "vsub" => a - b, "vabsdiff" => BigInteger.Abs(a - b), "vmin" => BigInteger.Min(a, b), "vmax" => BigInteger.Max(a, b),
                            "vshl" => a << (int)BigInteger.Min(b, 32), _ => a >> (int)BigInteger.Min(b, 32),
                        };
                        if (sat != "") r = t[0] == "u32" ? BigInteger.Clamp(r, 0, uint.MaxValue) : BigInteger.Clamp(r, int.MinValue, int.MaxValue);
                        ulong first = Wrap(r, 32);
                        if (second == "") return first;
                        BigInteger x = Number(first, t[0]), c = Number(v[2], t[0]);
                        return Wrap(second == ".add" ? x + c : second == ".min" ? BigInteger.Min(x, c) : BigInteger.Max(x, c), 32);
                    }, body: $"{text} {{d}}, {{a}}{pa}, {{b}}{pb}{(second == "" ? "" : ", {c}")};", values: shift ? [null, [0, 1, 5, 31, 32, 33, 255, 0x100, 0x20000, 0xffffffff], null] : null);
                }
    }

    // PTX ISA, "SIMD Video Instructions": lanes are chosen from the pair {a, b}, written or added up where the mask says so.
    static IEnumerable<InstructionRow> VideoLanes()
    {
        (string D, string A, string B)[][] suffixes =
        [
            [("", "", ""), (".h0", ".h30", ".h12"), (".h1", ".h23", ""), (".h10", "", ".h00")],
            [("", "", ""), (".b310", ".b7016", ".b0123"), (".b2", "", ".b4567"), (".b3210", ".b5555", "")],
        ];
        foreach (int lanes in (int[])[2, 4])
            foreach (string op in (string[])["vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax", "vset.lt", "vset.eq", "vset.ge", "vset.ne", "vset.le", "vset.gt"])
                foreach (string types in (string[])["u32.u32.u32", "s32.s32.s32", "s32.u32.s32", "u32.s32.u32"])
                    foreach (string form in (string[])["", ".sat", ".add"])
                    {
                        string[] t = types.Split('.');
                        string name = op.Split('.')[0];
                        bool isSet = name == "vset";
                        if (isSet && (form == ".sat" || types[0] == 's')) continue;
                        int pick = (op.Length * 5 + op[^1] + types[4] + types[0] + form.Length) % 4, bits = 32 / lanes;
                        (string d, string sa, string sb) = suffixes[lanes / 4][pick];
                        string text = isSet ? $"{name}{lanes}.{t[1]}.{t[2]}.{op[5..]}{form}" : $"{op}{lanes}.{types}{form}";
                        yield return Row($"{text} {d} {sa} {sb}".TrimEnd(), "b32", ["b32", "b32", "b32"], v =>
                        {
                            BigInteger Lane(string suffix, int n, int first, string type)
                            {
                                int lane = suffix == "" ? first + n : suffix[1 + lanes - n] - '0';
                                return Number((lane < lanes ? v[0] : v[1]) >> lane % lanes * bits & Vectors.Mask(bits), type[0] + bits.ToString(System.Globalization.CultureInfo.InvariantCulture));
                            }
                            BigInteger result = form == ".add" ? v[2] : 0;
                            for (int n = 0; n < lanes; n++)
                            {
                                BigInteger a = Lane(sa, n, 0, t[1]), b = Lane(sb, n, lanes, t[2]);
                                BigInteger r = op switch
                                {
                                    "vadd" => a + b, "vsub" => a - b, "vavrg" => a + b >= 0 ? (a + b + 1) / 2 : -((-(a + b) + 1) / 2), "vabsdiff" => BigInteger.Abs(a - b), "vmin" => BigInteger.Min(a, b), "vmax" => BigInteger.Max(a, b),
                                    "vset.lt" => a < b ? 1 : 0, "vset.le" => a <= b ? 1 : 0, "vset.gt" => a > b ? 1 : 0, "vset.ge" => a >= b ? 1 : 0, "vset.eq" => a == b ? 1 : 0, _ => a != b ? 1 : 0,
                                };
                                if (form == ".sat") r = t[0] == "u32" ? BigInteger.Clamp(r, 0, Vectors.Mask(bits)) : BigInteger.Clamp(r, -(BigInteger)(Vectors.Mask(bits) / 2) - 1, Vectors.Mask(bits) / 2);
                                bool written = d == "" || d.Contains((char)('0' + n), StringComparison.Ordinal);
                                if (form == ".add") result += written ? r : 0;
                                else result |= (BigInteger)(written ? Wrap(r, bits) : v[2] >> n * bits & Vectors.Mask(bits)) << n * bits;
                            }
                            return Wrap(result, 32);
                        }, body: $"{text} {{d}}{d}, {{a}}{sa}, {{b}}{sb}, {{c}};");
                    }
    }
}
