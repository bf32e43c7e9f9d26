using System.Numerics;
using System.Text;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Loads, stores, atomics, copies. Expected values: bytes in order, little-endian, and BigInteger or <see cref="Ieee"/> for what atomics compute.</summary>
static class MemoryRows
{
    const string Source = "integers";
    // A thread's 32 bytes are its own operands' place, or 32 bytes of shared or local memory.
    const string Shared = ".shared .align 32 .b8 area[2048];\n", Local = ".local .align 32 .b8 area[32];\n";

    public static IEnumerable<InstructionRow> All() => Loads().Concat(Stores()).Concat(Parameters()).Concat(Atomics()).Concat(Copies());

    /// <summary>Places the address of the thread's area in %ap (64 bits), in the space's own terms.</summary>
    static string AreaAddress(string space) => space switch
    {
        "shared" => "mov.u32 %s, %tid.x;\nmul.wide.u32 %ap, %s, 32;\nmov.u64 %wide, area;\nadd.u64 %ap, %ap, %wide;\n",
        "local" => "mov.u64 %ap, area;\n",
        "const" => "and.b64 %ap, {a}, 3;\nmul.lo.u64 %ap, %ap, 32;\nmov.u64 %wide, table;\nadd.u64 %ap, %ap, %wide;\n",
        _ => "mov.u64 %ap, %in;\n",
    };

    static string Declarations(string space) => ".reg .b64 %ap, %sum, %e;\n" + (space == "shared" ? Shared : space == "local" ? Local : "");

    /// <summary>The four words that a load row finds, made of its operand.</summary>
    static ulong[] Words(ulong a) => [a, a * 0x9e3779b97f4a7c15, a ^ 0x0123456789abcdef, ~a];

    static byte[] Bytes(ulong[] words) => [.. words.SelectMany(BitConverter.GetBytes)];

    static readonly ulong[][] Table = [.. Enumerable.Range(0, 4).Select(n => Words((ulong)n * 0x1234567890abcdef + 77))];

    static ulong Element(byte[] bytes, int n, string type)
    {
        int size = Vectors.Bits(type) / 8;
        ulong v = 0;
        for (int i = 0; i < size; i++) v |= (ulong)bytes[n * size + i] << 8 * i;
        return type[0] == 's' ? IntegerRows.Wrap(IntegerRows.Number(v, type), 64) : v;
    }

    static readonly ulong[] Weights = [1, 3, 5, 7];

    static IEnumerable<InstructionRow> Loads()
    {
        (string Space, string Modifiers)[] forms =
        [
            ("", ""), (".global", ""), (".shared", ""), (".local", ""), (".const", ""), (".global", ".nc"), (".global", ".ca"), (".global", ".cg"), (".global", ".cs"), (".global", ".cv"), (".global", ".lu"),
            (".global.relaxed.gpu", ""), ("volatile", ""), ("volatile", ".global"), ("volatile", ".shared"), (".global", ".relaxed.gpu"), (".global", ".acquire.sys"), (".shared", ".relaxed.cta"), ("", ".cg"),
        ];
        foreach ((string where, string modifier) in forms)
            foreach (string type in (string[])["b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"])
                foreach (int vector in (int[])[1, 2, 4])
                {
                    int bytes = Vectors.Bits(type) / 8 * vector;
                    if (bytes > 16) continue;
                    bool vol = where == "volatile";
                    string space = vol ? modifier.TrimStart('.') : where.TrimStart('.').Split('.')[0];
                    string head = vol ? $"ld.volatile{modifier}" : modifier.StartsWith(".relaxed", StringComparison.Ordinal) || modifier.StartsWith(".acquire", StringComparison.Ordinal) ? $"ld{modifier}{where}" : $"ld{where}{modifier}";
                    string form = head + (vector > 1 ? $".v{vector}" : "") + "." + type;
                    StringBuilder body = new();
                    body.Append(AreaAddress(space));
                    if (space != "const")
                    {
                        string st = space is "shared" or "local" ? "st." + space : "st.global";
                        body.Append($"{st}.u64 [%ap], {{a}};\nmul.lo.u64 %e, {{a}}, {unchecked((long)0x9e3779b97f4a7c15)};\n{st}.u64 [%ap+8], %e;\nxor.b64 %e, {{a}}, {0x0123456789abcdef};\n{st}.u64 [%ap+16], %e;\nnot.b64 %e, {{a}};\n{st}.u64 [%ap+24], %e;\n");
                    }
                    int bits = Vectors.Bits(type);
                    string register = type[0] == 'f' ? type : "b" + Math.Max(16, bits);
                    body.Append($".reg .{register} %v<{vector}>;\n");
                    string list = vector == 1 ? "%v0" : "{" + string.Join(", ", Enumerable.Range(0, vector).Select(n => $"%v{n}")) + "}";
                    body.Append($"{form} {list}, [%ap];\nmov.u64 %sum, 0;\n");
                    for (int n = 0; n < vector; n++)
                    {
                        body.Append(bits switch
                        {
                            64 => $"mov.b64 %e, %v{n};\n", 32 => $"mov.b32 %word, %v{n};\n" + $"cvt.{(type[0] == 's' ? "s64.s32" : "u64.u32")} %e, %word;\n",
                            _ => type[0] == 's' ? $"cvt.s64.s16 %e, %v{n};\n" : $"cvt.u64.u16 %e, %v{n};\n",
                        });
                        body.Append($"mad.lo.u64 %sum, %e, {Weights[n]}, %sum;\n");
                    }
                    body.Append("mov.u64 {d}, %sum;");
                    yield return new(form, "b64", ["b64"], v =>
                    {
                        byte[] memory = Bytes(space == "const" ? Table[v[0] & 3] : Words(v[0]));
                        ulong sum = 0;
                        for (int n = 0; n < vector; n++) sum += Element(memory, n, type) * Weights[n];
                        return sum;
                    }, Source)
                    {
                        Body = body.ToString(), Declarations = Declarations(space),
                        Module = space == "const" ? $".const .align 32 .b64 table[16] = {{{string.Join(", ", Table.SelectMany(w => w).Select(w => $"0x{w:x}U"))}}};\n" : "",
                    };
                }
    }

    static IEnumerable<InstructionRow> Stores()
    {
        string[] heads = ["st", "st.global", "st.shared", "st.local", "st.global.wb", "st.global.cg", "st.global.cs", "st.global.wt", "st.volatile", "st.volatile.global", "st.volatile.shared", "st.relaxed.gpu.global", "st.release.sys.global", "st.cg"];
        foreach (string head in heads)
            foreach (string type in (string[])["b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"])
                foreach (int vector in (int[])[1, 2, 4])
                {
                    int bits = Vectors.Bits(type);
                    if (bits / 8 * vector > 16) continue;
                    string space = head.Contains("shared") ? "shared" : head.Contains("local") ? "local" : head.Contains("global") ? "global" : "";
                    string form = head + (vector > 1 ? $".v{vector}" : "") + "." + type, plain = space is "shared" or "local" ? space : "global";
                    StringBuilder body = new(AreaAddress(space));
                    for (int n = 0; n < 4; n++) body.Append($"st.{plain}.u64 [%ap+{8 * n}], {0x1111111111111111 * (n + 1)};\n");
                    string register = type[0] == 'f' ? type : "b" + Math.Max(16, bits);
                    body.Append($".reg .{register} %v<{vector}>;\n");
                    for (int n = 0; n < vector; n++)
                    {
                        // Element n is the operand turned left by 8n bits.
                        body.Append($"shl.b64 %e, {{a}}, {8 * n};\nshr.u64 %wide, {{a}}, {64 - 8 * n};\nor.b64 %e, %e, %wide;\n");
                        body.Append(bits switch { 64 => $"mov.b64 %v{n}, %e;\n", 32 => $"cvt.u32.u64 %word, %e;\nmov.b32 %v{n}, %word;\n", _ => $"cvt.u16.u64 %v{n}, %e;\n" });
                    }
                    string list = vector == 1 ? "%v0" : "{" + string.Join(", ", Enumerable.Range(0, vector).Select(n => $"%v{n}")) + "}";
                    body.Append($"{form} [%ap], {list};\nmov.u64 %sum, 0;\n");
                    for (int n = 0; n < 4; n++) body.Append($"ld.{plain}.u64 %e, [%ap+{8 * n}];\nmad.lo.u64 %sum, %e, {Weights[n]}, %sum;\n");
                    body.Append("mov.u64 {d}, %sum;");
                    yield return new(form, "b64", ["b64"], v =>
                    {
                        byte[] memory = Bytes([0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444]);
                        for (int n = 0; n < vector; n++) BitConverter.GetBytes(BitOperations.RotateLeft(v[0], 8 * n)).AsSpan(0, bits / 8).CopyTo(memory.AsSpan(n * bits / 8));
                        return Enumerable.Range(0, 4).Aggregate(0UL, (sum, n) => sum + BitConverter.ToUInt64(memory, 8 * n) * Weights[n]);
                    }, Source) { Body = body.ToString(), Declarations = Declarations(space) };
                }
    }

    static IEnumerable<InstructionRow> Parameters()
    {
        foreach (string type in (string[])["b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"])
            foreach (int vector in (int[])[1, 2, 4])
            {
                int bits = Vectors.Bits(type), bytes = bits / 8 * vector;
                if (bytes > 16) continue;
                string form = "ld.param" + (vector > 1 ? $".v{vector}" : "") + "." + type, register = type[0] == 'f' ? type : "b" + Math.Max(16, bits);
                string list = vector == 1 ? "%v0" : "{" + string.Join(", ", Enumerable.Range(0, vector).Select(n => $"%v{n}")) + "}";
                StringBuilder body = new($".reg .{register} %v<{vector}>;\n{form} {list}, [extra+16];\nmov.u64 %sum, {{a}};\n");
                for (int n = 0; n < vector; n++)
                {
                    body.Append(bits switch
                    {
                        64 => $"mov.b64 %e, %v{n};\n", 32 => $"mov.b32 %word, %v{n};\ncvt.{(type[0] == 's' ? "s64.s32" : "u64.u32")} %e, %word;\n", _ => type[0] == 's' ? $"cvt.s64.s16 %e, %v{n};\n" : $"cvt.u64.u16 %e, %v{n};\n",
                    });
                    body.Append($"mad.lo.u64 %sum, %e, {Weights[n]}, %sum;\n");
                }
                body.Append("mov.u64 {d}, %sum;");
                yield return new(form, "b64", ["b64"], v => Enumerable.Range(0, vector).Aggregate(v[0], (sum, n) => sum + Element(Bytes(RowKernel.Extra[2..]), n, type) * Weights[n]), Source) { Body = body.ToString(), Declarations = Declarations("") };
            }
    }

    static IEnumerable<InstructionRow> Atomics()
    {
        foreach (string space in (string[])["", ".global", ".shared"])
        {
            foreach ((string listed, string[] types) in ((string, string[])[])
            [
                ("add", ["u32", "s32", "u64", "f32", "f64", "f16", "bf16", "f16x2", "bf16x2"]), ("min", ["u32", "s32", "u64", "s64"]), ("max", ["u32", "s32", "u64", "s64"]), ("and", ["b32", "b64"]), ("or", ["b32", "b64"]),
                ("xor", ["b32", "b64"]), ("exch", ["b32", "b64"]), ("add.sys", ["u32"]), ("exch.sys", ["b32"]), ("cas", ["b16", "b32", "b64"]), ("inc", ["u32"]), ("dec", ["u32"]),
            ])
                foreach (string type in types)
                {
                    bool sys = listed.EndsWith(".sys", StringComparison.Ordinal);
                    string op = listed.Split('.')[0];
                    string noftz = type.Contains("16") && op == "add" ? ".noftz" : "", scope = sys ? ".sys" : space != "" ? "" : op == "or" ? ".sys" : op == "xor" ? ".cta" : op == "exch" ? ".acq_rel.gpu" : "";
                    string tail = op == "exch" && scope == ".acq_rel.gpu" ? $"{scope}{space}.exch.{type}" : $"{space}{scope}.{op}{noftz}.{type}";
                    int bits = Vectors.Bits(type);
                    string raw = "b" + bits;
                    // Operands are raw bits; the instruction's registers have its type.
                    string register = type is "f32" or "f64" ? type : raw;
                    string[] operands = op == "cas" ? [type, type, type] : [type, type];
                    string declarations = Declarations(space.TrimStart('.')) + $".reg .{register} %x, %y, %old;\n.reg .{raw} %bits;\n";
                    string plain = space == ".shared" ? "shared" : "global";
                    string prepare = AreaAddress(space.TrimStart('.')) + $"mov.{raw} %bits, {{a}};\nst.{plain}.{raw} [%ap], %bits;\nmov.{raw} %x, {{b}};\n";
                    string call = op == "cas" ? $"mov.{raw} %y, {{c}};\natom{tail} %old, [%ap], %x, %y;\n" : $"atom{tail} %old, [%ap], %x;\n";
                    ulong New(ulong[] v) => Apply(op, type, v);
                    Func<ulong[], ulong, bool>? accept = type.Contains('f') ? (v, got) => IsSame(type, got, New(v)) : null;
                    yield return new($"atom{tail}", raw, operands, v => v[0], Source) { Declarations = declarations, Body = prepare + call + $"mov.{raw} {{d}}, %old;", Values = op == "cas" ? [null, null, null] : null };
                    yield return new($"atom{tail} memory", raw, operands, New, Source) { Declarations = declarations, Body = prepare + call + $"ld.{plain}.{raw} {{d}}, [%ap];", Accept = accept };
                    if (op is "exch" or "cas") continue;
                    yield return new($"red{tail}", raw, operands, New, Source) { Declarations = declarations, Body = prepare + $"red{tail} [%ap], %x;\nld.{plain}.{raw} {{d}}, [%ap];", Accept = accept };
                }
        }

        static ulong Apply(string op, string type, ulong[] v)
        {
            int w = Vectors.Bits(type);
            Ieee? f = type switch { "f32" => Ieee.F32, "f64" => Ieee.F64, "f16" or "f16x2" => Ieee.F16, "bf16" or "bf16x2" => Ieee.BF16, _ => null };
            if (f is not null) return type.EndsWith("x2", StringComparison.Ordinal) ? f.Add(v[0] & 0xffff, v[1] & 0xffff, "rn") | f.Add(v[0] >> 16, v[1] >> 16, "rn") << 16 : f.Add(v[0], v[1], "rn");
            BigInteger a = IntegerRows.Number(v[0], type), b = IntegerRows.Number(v[1], type);
            return op switch
            {
                "add" => IntegerRows.Wrap(a + b, w), "min" => IntegerRows.Wrap(BigInteger.Min(a, b), w), "max" => IntegerRows.Wrap(BigInteger.Max(a, b), w), "and" => v[0] & v[1], "or" => v[0] | v[1], "xor" => v[0] ^ v[1],
                "exch" => v[1], "cas" => v[0] == v[1] ? v[2] : v[0], "inc" => v[0] >= v[1] ? 0 : v[0] + 1, _ => v[0] == 0 || v[0] > v[1] ? v[1] : v[0] - 1,
            };
        }

        static bool IsSame(string type, ulong got, ulong want)
        {
            Ieee f = type switch { "f32" => Ieee.F32, "f64" => Ieee.F64, "f16" or "f16x2" => Ieee.F16, _ => Ieee.BF16 };
            if (!type.EndsWith("x2", StringComparison.Ordinal)) return got == want || f.IsNaN(got) && f.IsNaN(want);
            return Enumerable.Range(0, 2).All(n => (got >> 16 * n & 0xffff) is var g && (want >> 16 * n & 0xffff) is var w && (g == w || f.IsNaN(g) && f.IsNaN(w)));
        }
    }

    static IEnumerable<InstructionRow> Copies()
    {
        foreach ((string kind, int bytes) in ((string, int)[])[("ca", 4), ("ca", 8), ("ca", 16), ("cg", 16)])
            foreach (int used in (int[])[-1, 0, 4])
                foreach (string wait in (string[])["cp.async.commit_group;\ncp.async.wait_group 0;", "cp.async.wait_all;"])
                {
                    string words = string.Concat(Enumerable.Range(0, 4).Select(n => $"st.shared.u64 [%ap+{8 * n}], {0x1111111111111111 * (n + 1)};\n"));
                    yield return new($"cp.async.{kind}.shared.global {bytes}{(used < 0 ? "" : $" of {used}")}{(wait.Contains("commit") ? "" : " all")}", "b64", ["b64", "b64"], v =>
                    {
                        byte[] memory = Bytes([0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444]), from = Bytes([v[0], v[1], 0, 0]);
                        for (int n = 0; n < bytes; n++) memory[n] = used < 0 || n < used ? from[n] : (byte)0;
                        return Enumerable.Range(0, 4).Aggregate(0UL, (sum, n) => sum + BitConverter.ToUInt64(memory, 8 * n) * Weights[n]);
                    }, Source)
                    {
                        Declarations = Declarations("shared"), Covers = wait.Contains("commit") ? ["cp.async.commit_group", "cp.async.wait_group"] : ["cp.async.wait_all"],
                        Body = AreaAddress("shared") + words + $"cp.async.{kind}.shared.global [%ap], [%in], {bytes}{(used < 0 ? "" : $", {used}")};\n{wait}\nmov.u64 %sum, 0;\n"
                            + string.Concat(Enumerable.Range(0, 4).Select(n => $"ld.shared.u64 %e, [%ap+{8 * n}];\nmad.lo.u64 %sum, %e, {Weights[n]}, %sum;\n")) + "mov.u64 {d}, %sum;",
                    };
                }
    }
}
