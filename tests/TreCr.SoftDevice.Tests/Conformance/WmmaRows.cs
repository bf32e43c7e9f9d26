using System.Text;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>
/// wmma: each lane writes its share of A, B and C into memory, the warp loads, multiplies and stores, each lane reads its share of D. What fragments look like in registers is not defined, so load, product and
/// store are proved together: matrices in memory, by rows and by columns, with room between the lines, in all spaces.
/// </summary>
static class WmmaRows
{
    const string Source = "integers";
    /// <summary>Bytes of a warp's four matrices, and of one.</summary>
    const int Area = 8192, Place = 2048;

    /// <summary>A matrix in memory: element number i in the order of its lines stands at i / Line * Pitch + i % Line.</summary>
    sealed record Matrix(char Letter, int Rows, int Columns, MatrixRows.Element Element, bool ByColumns, int Start)
    {
        public int Each => Rows * Columns / 32;
        public int Line => ByColumns ? Rows : Columns;
        public int Pitch => Line + 128 / Element.Bits;
        public (int Row, int Column) At(int i) => ByColumns ? (i % Rows, i / Rows) : (i / Columns, i % Columns);
    }

    public static IEnumerable<InstructionRow> All()
    {
        string[] spaces = [".shared", ".global", "", ".shared::cta"];
        int number = 0;
        foreach ((int m, int n, int k, string types) in Shapes())
            foreach ((bool ca, bool cb, bool cd) in ((bool, bool, bool)[])[(false, true, false), (true, false, true)])
            {
                string[] t = types.Split('.');
                // Packed elements: rows of A and columns of B only.
                if (ca && t[1] is "s4" or "u4" or "b1" && ca) continue;
                yield return Row(m, n, k, types, ca, cb, cd, spaces[number++ % spaces.Length]);
            }
    }

    static IEnumerable<(int, int, int, string)> Shapes()
    {
        foreach ((int m, int n) in ((int, int)[])[(16, 16), (8, 32), (32, 8)])
            foreach (string types in (string[])["f32.f16.f16.f32", "f16.f16.f16.f16", "f32.f16.f16.f16", "f16.f16.f16.f32", "f32.bf16.bf16.f32", "s32.s8.s8.s32", "s32.u8.u8.s32", "s32.u8.u8.s32.satfinite"])
                yield return (m, n, 16, types);
        yield return (16, 16, 8, "f32.tf32.tf32.f32");
        yield return (8, 8, 4, "f64.f64.f64.f64");
        yield return (8, 8, 4, "f64.f64.f64.f64.rn");
        foreach (string types in (string[])["s32.s4.s4.s32", "s32.u4.u4.s32"]) yield return (8, 8, 32, types);
        foreach (string operation in (string[])["xor", "and"]) yield return (8, 8, 128, $"s32.b1.b1.s32.{operation}.popc");
    }

    static InstructionRow Row(int m, int n, int k, string types, bool ca, bool cb, bool cd, string space)
    {
        string[] t = types.Split('.');
        bool xor = t.Contains("xor"), clamps = t.Contains("satfinite");
        Matrix a = new('a', m, k, MatrixRows.Of(t[1]), ca, 0), b = new('b', k, n, MatrixRows.Of(t[2]), cb, Place), c = new('c', m, n, MatrixRows.Of(t[3]), cd, 2 * Place), d = new('d', m, n, MatrixRows.Of(t[0]), cd, 3 * Place);
        string shape = $"m{m}n{n}k{k}", st = space.StartsWith(".shared", StringComparison.Ordinal) ? ".shared" : space;
        StringBuilder body = new();
        // %base: the warp's area, in the terms of the space.
        body.Append(space switch
        {
            ".global" => "mov.u64 %base, matrices;\nmov.u32 %x, %ctaid.x;\nmul.wide.u32 %v, %x, " + 2 * Area + ";\nadd.u64 %base, %base, %v;\n",
            "" => "mov.u64 %base, matrices;\ncvta.shared.u64 %base, %base;\n", _ => "mov.u64 %base, matrices;\n",
        });
        body.Append($"mov.u32 %x, %tid.x;\nshr.u32 %x, %x, 5;\nmul.wide.u32 %v, %x, {Area};\nadd.u64 %base, %base, %v;\nmov.u32 %lane, %laneid;\nmul.lo.u64 %seed, {{a}}, {unchecked((long)0x9e3779b97f4a7c15)};\n");
        int first = 0;
        foreach (Matrix x in (Matrix[])[a, b, c])
        {
            int packed = Math.Max(1, 8 / x.Element.Bits) == 1 ? 1 : 32 / x.Element.Bits;
            for (int i = 0; i < x.Each; i += packed)
            {
                body.Append("mov.u32 %word, 0;\n");
                for (int e = 0; e < packed; e++)
                {
                    body.Append($"shr.u64 %v, %seed, {((first + i + e) * 5 + 7) % 59};\ncvt.u32.u64 %x, %v;\nand.b32 %x, %x, {(x.Element.Bits == 1 ? 1 : 15)};\n");
                    if (x.Element.Type[0] != 'u' && x.Element.Bits > 1) body.Append("sub.s32 %x, %x, 8;\n");
                    if (packed > 1) body.Append($"and.b32 %x, %x, {(1 << x.Element.Bits) - 1};\nshl.b32 %x, %x, {e * x.Element.Bits};\nor.b32 %word, %word, %x;\n");
                }
                Address(body, x, i, x.Element.Bits);
                string type = x.Element.Type;
                body.Append(packed > 1 ? $"st{st}.b32 [%v], %word;\n" : type switch
                {
                    "f64" => $"cvt.rn.f64.s32 %g, %x;\nst{st}.f64 [%v], %g;\n", "f32" or "tf32" => $"cvt.rn.f32.s32 %f, %x;\nst{st}.f32 [%v], %f;\n", "s32" => (clamps ? "add.s32 %x, %x, 2147483640;\n" : "") + $"st{st}.u32 [%v], %x;\n",
                    "s8" or "u8" => $"st{st}.u8 [%v], %x;\n", _ => $"cvt.rn.{type}.s32 %h, %x;\nst{st}.b16 [%v], %h;\n",
                });
            }
            first += x.Each;
        }
        body.Append("bar.warp.sync -1;\n");
        List<string> covers = [];
        foreach (Matrix x in (Matrix[])[a, b, c])
        {
            string load = $"wmma.load.{x.Letter}.sync.aligned.{Layout(x)}.{shape}{space}.{x.Element.Type}";
            covers.Add(load);
            body.Append($"add.u64 %v, %base, {x.Start};\n{load} {Registers(x)}, [%v], {x.Pitch};\n");
        }
        string tail = string.Concat(t[4..].Where(w => w is "rn" or "satfinite").Select(w => "." + w)), front = t.Contains("popc") ? $".{t[4]}.popc" : "";
        string form = $"wmma.mma{front}.sync.aligned.{Layout(a)}.{Layout(b)}.{shape}.{(t[1] == "f16" ? $"{t[0]}.{t[3]}" : string.Join('.', t[..4]))}{tail}";
        string store = $"wmma.store.d.sync.aligned.{Layout(d)}.{shape}{space}.{t[0]}";
        covers.Add(store);
        body.Append($"{form} {Registers(d)}, {Registers(a)}, {Registers(b)}, {Registers(c)};\nadd.u64 %v, %base, {d.Start};\n{store} [%v], {Registers(d)}, {d.Pitch};\nbar.warp.sync -1;\nmov.s64 %sum, 0;\n");
        for (int i = 0; i < d.Each; i++)
        {
            Address(body, d, i, d.Element.Bits);
            body.Append(t[0] switch
            {
                "f64" => $"ld{st}.f64 %g, [%v];\ncvt.rzi.s64.f64 %v, %g;\n", "f32" => $"ld{st}.f32 %f, [%v];\ncvt.rzi.s64.f32 %v, %f;\n", "s32" => $"ld{st}.s32 %v, [%v];\n", _ => $"ld{st}.b16 %h, [%v];\ncvt.rzi.s64.f16 %v, %h;\n",
            });
            body.Append($"mad.lo.s64 %sum, %v, {MatrixRows.Weight(i)}, %sum;\n");
        }
        body.Append("mov.b64 {d}, %sum;");
        string variable = $"{(space == ".global" ? ".global" : ".shared")} .align 128 .b8 matrices[{(space == ".global" ? Vectors.Most / 64 : 1) * 2 * Area}];\n";
        string wide = t[0] == "f64" ? "f64" : "b32";
        return new(form + (space == "" ? " generic" : " " + space[1..]), "b64", ["b64"], null!, Source)
        {
            Module = variable, Covers = [.. covers], Body = body.ToString(),
            Declarations = $".reg .{wide} %fa<8>, %fb<8>, %fc<8>, %fd<8>;\n.reg .b64 %seed, %v, %base;\n.reg .b32 %x, %lane;\n.reg .s64 %sum;\n.reg .f32 %f;\n.reg .f64 %g;\n",
            WarpReference = (lanes, lane) => Reference(lanes, lane, a, b, c, xor, clamps),
        };
    }

    static string Layout(Matrix x) => x.ByColumns ? "col" : "row";

    // PTX ISA, wmma.load: eight registers for factors of f16; else as many as the elements of a lane need.
    static string Registers(Matrix x)
    {
        int count = x.Letter is 'a' or 'b' && x.Element.Type == "f16" ? 8 : Math.Max(1, x.Each / x.Element.PerRegister);
        return "{" + string.Join(", ", Enumerable.Range(0, count).Select(i => $"%f{x.Letter}{i}")) + "}";
    }

    /// <summary>Places the address of this lane's element i in %v.</summary>
    static void Address(StringBuilder body, Matrix x, int i, int bits)
        => body.Append($"mad.lo.u32 %s, %lane, {x.Each}, {i};\nrem.u32 %n, %s, {x.Line};\ndiv.u32 %s, %s, {x.Line};\nmad.lo.u32 %s, %s, {x.Pitch}, %n;\nmul.lo.u32 %s, %s, {bits};\nshr.u32 %s, %s, 3;\ncvt.u64.u32 %v, %s;\nadd.u64 %v, %v, %base;\nadd.u64 %v, %v, {x.Start};\n");

    static ulong Reference(ulong[][] lanes, int lane, Matrix a, Matrix b, Matrix c, bool xor, bool clamps)
    {
        int[][,] all = [.. ((Matrix[])[a, b, c]).Select(x => new int[x.Rows, x.Columns])];
        int first = 0;
        foreach ((Matrix x, int[,] to) in ((Matrix[])[a, b, c]).Zip(all))
        {
            for (int i = 0; i < 32 * x.Each; i++)
            {
                (int r, int s) = x.At(i);
                to[r, s] = MatrixRows.Small(lanes[i / x.Each][0], first + i % x.Each, x.Element.Type);
            }
            first += x.Each;
        }
        long sum = 0;
        for (int i = 0; i < c.Each; i++)
        {
            (int r, int s) = c.At(lane * c.Each + i);
            long v = all[2][r, s] + (clamps ? 2147483640L : 0);
            // add.s32 in the kernel wraps where the sum is too large.
            if (clamps) v = (int)v;
            for (int x = 0; x < a.Columns; x++) v += xor ? all[0][r, x] ^ all[1][x, s] : all[0][r, x] * all[1][x, s];
            if (clamps) v = Math.Min(v, int.MaxValue);
            sum += v * MatrixRows.Weight(i);
        }
        return (ulong)sum;
    }
}
