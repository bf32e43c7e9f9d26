using System.Globalization;
using System.Text;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>
/// mma, ldmatrix, stmatrix, movmatrix. Operands are small whole numbers, so that every sum is exact in any order; the fragments' places are those of the PTX ISA's tables, written down here a second time.
/// </summary>
static class MatrixRows
{
    const string Source = "integers";

    public static IEnumerable<InstructionRow> All() => Products().Concat(Moves());

    internal sealed record Element(string Type, int Bits)
    {
        /// <summary>Bits of a whole number from -8 to 7.</summary>
        public ulong Encode(int v) => Type switch
        {
            "f16" => Ieee.F16.FromInteger(v, "rn"), "bf16" => Ieee.BF16.FromInteger(v, "rn"), "tf32" or "f32" => Ieee.F32.FromInteger(v, "rn"), "f64" => Ieee.F64.FromInteger(v, "rn"), _ => (ulong)v & Vectors.Mask(Bits),
        };

        public int PerRegister => Bits >= 32 ? 1 : 32 / Bits;
    }

    internal static Element Of(string type) => new(type, type == "tf32" ? 32 : Vectors.Bits(type));

    /// <summary>A lane's whole numbers: number n of its seed.</summary>
    internal static int Small(ulong seed, int n, string type)
    {
        int four = (int)(seed * 0x9e3779b97f4a7c15 >> (n * 5 + 7) % 59 & 15);
        return type == "b1" ? four & 1 : type[0] == 'u' ? four : four - 8;
    }

    static IEnumerable<InstructionRow> Products()
    {
        string[] volta = [.. from types in (string[])["f16.f16.f16.f16", "f32.f16.f16.f32", "f32.f16.f16.f16"] from first in (string[])["row", "col"] from second in (string[])["row", "col"] select $"{first}.{second}.{types}"];
        (int, int, int, string)[] others =
        [
            (16, 8, 16, "f32.f16.f16.f32"), (16, 8, 8, "f32.f16.f16.f32"), (16, 8, 16, "f16.f16.f16.f16"), (16, 8, 8, "f16.f16.f16.f16"), (16, 8, 16, "f32.bf16.bf16.f32"), (16, 8, 8, "f32.bf16.bf16.f32"), (16, 8, 8, "f32.tf32.tf32.f32"),
            (16, 8, 4, "f32.tf32.tf32.f32"), (8, 8, 4, "f64.f64.f64.f64"), (16, 8, 16, "s32.s8.s8.s32"), (16, 8, 32, "s32.s8.s8.s32"), (16, 8, 32, "s32.u8.s8.s32"), (8, 8, 16, "s32.s8.u8.s32"),
            (16, 8, 4, "f64.f64.f64.f64"), (16, 8, 8, "f64.f64.f64.f64"), (16, 8, 16, "f64.f64.f64.f64"), (8, 8, 32, "s32.s4.s4.s32"), (16, 8, 32, "s32.s4.u4.s32"), (16, 8, 64, "s32.u4.s4.s32"),
            (8, 8, 128, "s32.b1.b1.s32.xor.popc"), (16, 8, 128, "s32.b1.b1.s32.and.popc"), (16, 8, 256, "s32.b1.b1.s32.xor.popc"),
        ];
        foreach ((int m, int n, int k, string types) in others.Select(o => (o.Item1, o.Item2, o.Item3, $"row.col.{o.Item4}")).Concat(volta.Select(v => (8, 8, 4, v))))
        {
            string[] t = types.Split('.')[2..];
            (Element td, Element ta, Element tb, Element tc) = (Of(t[0]), Of(t[1]), Of(t[2]), Of(t[3]));
            // In f16 of 8 by 8 by 4 each pair of quads has a product of its own.
            bool pairs = (m, k, t[1]) == (8, 4, "f16"), rowsOfA = types.StartsWith("row", StringComparison.Ordinal), rowsOfB = types[4..].StartsWith("row", StringComparison.Ordinal);
            int own = pairs ? 8 : 32, ea = m * k / own, eb = k * n / own, ec = m * n / own;
            (int, int)[] a = [.. Enumerable.Range(0, 32 * ea).Select(i => pairs ? PairPlace(i / ea, i % ea, rowsOfA) : PlaceA(i / ea, i % ea, ta.PerRegister, m))];
            (int, int)[] b = [.. Enumerable.Range(0, 32 * eb).Select(i => pairs ? Turned(PairPlace(i / eb, i % eb, !rowsOfB)) : PlaceB(i / eb, i % eb, tb.PerRegister))];
            (int, int)[] Sums(Element e) => [.. Enumerable.Range(0, 32 * ec).Select(i => pairs ? PairSum(i / ec, i % ec, e.Bits == 32) : PlaceC(i / ec, i % ec))];
            (int, int)[] c = Sums(tc), results = Sums(td);
            bool wide = t[0] == "f64", xor = t.Contains("xor");
            string register = wide ? "b64" : "b32";
            StringBuilder body = new(), declarations = new($".reg .{register} %ra<8>, %rb<8>, %rc<8>, %rd<8>;\n.reg .b64 %seed, %v;\n.reg .b32 %x;\n.reg .s64 %sum;\n.reg .f32 %f;\n.reg .f64 %g;\n.reg .b16 %h;\n.reg .b16 %h1;\n");
            body.Append($"mul.lo.u64 %seed, {{a}}, {unchecked((long)0x9e3779b97f4a7c15)};\n");
            // Each element: its 4 bits of the seed as a number, encoded, and put into its place of the register.
            int number = 0;
            void Fill(string name, int elements, Element e)
            {
                for (int i = 0; i < elements; i++, number++)
                {
                    body.Append($"shr.u64 %v, %seed, {(number * 5 + 7) % 59};\ncvt.u32.u64 %x, %v;\nand.b32 %x, %x, 15;\n");
                    if (e.Type[0] != 'u' && e.Bits > 1) body.Append("sub.s32 %x, %x, 8;\n");
                    string to = $"%{name}{i / e.PerRegister}";
                    int shift = i % e.PerRegister * e.Bits;
                    switch (e.Type)
                    {
                        case "f64": body.Append($"cvt.rn.f64.s32 %g, %x;\nmov.b64 {to}, %g;\n"); break;
                        case "f32" or "tf32": body.Append($"cvt.rn.f32.s32 %f, %x;\nmov.b32 {to}, %f;\n"); break;
                        case "s32": body.Append($"mov.b32 {to}, %x;\n"); break;
                        default:
                            if (e.Bits == 16) body.Append($"cvt.rn.{e.Type}.s32 %h, %x;\ncvt.u32.u16 %x, %h;\n");
                            else body.Append($"and.b32 %x, %x, {(1 << e.Bits) - 1};\n");
                            body.Append(shift == 0 ? $"mov.b32 {to}, %x;\n" : $"shl.b32 %x, %x, {shift};\nor.b32 {to}, {to}, %x;\n");
                            break;
                    }
                }
            }
            Fill("ra", ea, ta);
            Fill("rb", eb, tb);
            Fill("rc", ec, tc);
            string List(string name, int count) => "{" + string.Join(", ", Enumerable.Range(0, count).Select(i => $"%{name}{i}")) + "}";
            string form = $"mma.sync.aligned.m{m}n{n}k{k}.{types}";
            body.Append($"{form} {List("rd", ec / td.PerRegister)}, {List("ra", ea / ta.PerRegister)}, {List("rb", eb / tb.PerRegister)}, {List("rc", ec / tc.PerRegister)};\nmov.s64 %sum, 0;\n");
            for (int i = 0; i < ec; i++)
            {
                string from = $"%rd{i / td.PerRegister}";
                body.Append(td.Type switch
                {
                    "f64" => $"mov.b64 %g, {from};\ncvt.rzi.s64.f64 %v, %g;\n", "f32" => $"mov.b32 %f, {from};\ncvt.rzi.s64.f32 %v, %f;\n", "s32" => $"cvt.s64.s32 %v, {from};\n",
                    _ => (i % 2 == 0 ? $"mov.b32 {{%h, %h1}}, {from};\n" : $"mov.b32 {{%h1, %h}}, {from};\n") + "cvt.rzi.s64.f16 %v, %h;\n",
                });
                body.Append($"mad.lo.s64 %sum, %v, {Weight(i)}, %sum;\n");
            }
            body.Append("mov.b64 {d}, %sum;");
            yield return new(form, "b64", ["b64"], null!, Source)
            {
                Declarations = declarations.ToString(), Body = body.ToString(),
                WarpReference = (lanes, lane) =>
                {
                    int[,] ma = new int[m, k], mb = new int[k, n], mc = new int[m, n];
                    for (int l = 0; l < 32; l++)
                    {
                        if (pairs && l % 16 / 4 != lane % 16 / 4) continue;
                        for (int i = 0; i < ea; i++) { (int r, int s) = a[l * ea + i]; ma[r, s] = Small(lanes[l][0], i, ta.Type); }
                        for (int i = 0; i < eb; i++) { (int r, int s) = b[l * eb + i]; mb[r, s] = Small(lanes[l][0], ea + i, tb.Type); }
                        for (int i = 0; i < ec; i++) { (int r, int s) = c[l * ec + i]; mc[r, s] = Small(lanes[l][0], ea + eb + i, tc.Type); }
                    }
                    long sum = 0;
                    for (int i = 0; i < ec; i++)
                    {
                        (int r, int s) = results[lane * ec + i];
                        int v = mc[r, s];
                        for (int x = 0; x < k; x++) v += xor ? ma[r, x] ^ mb[x, s] : ma[r, x] * mb[x, s];
                        sum += v * Weight(i);
                    }
                    return (ulong)sum;
                },
            };
        }
    }

    internal static long Weight(int i) => i * 1000 + 1;

    // The ISA's formulas: groupID = lane >> 2, threadID_in_group = lane % 4.
    static (int Row, int Column) PlaceA(int lane, int i, int pack, int m)
    {
        int group = lane >> 2, thread = lane % 4;
        if (m == 8) return (group, thread * pack + i % pack);
        int row = i / pack % 2 == 0 ? group : group + 8;
        int column = thread * pack + i % pack + i / pack / 2 * 4 * pack;
        return (row, column);
    }

    static (int Row, int Column) PlaceB(int lane, int i, int pack) => (lane % 4 * pack + i % pack + i / pack * 4 * pack, lane >> 2);

    static (int Row, int Column) PlaceC(int lane, int i) => (i < 2 ? lane >> 2 : (lane >> 2) + 8, lane % 4 * 2 + i % 2);

    // m8n8k4 in f16, by the tables of the layouts (T8, V4) and (T8, V8): thread t of a pair is lane t, or lane t + 12 of the pair's first.
    static int InPair(int lane) => lane < 16 ? lane % 4 : lane % 4 + 4;

    /// <summary>Element i of A: along the row that the thread has, or down its column in the half that it has.</summary>
    static (int Row, int Column) PairPlace(int lane, int i, bool rows) => rows ? (InPair(lane), i) : (InPair(lane) / 4 * 4 + i, InPair(lane) % 4);

    static (int Row, int Column) Turned((int Row, int Column) place) => (place.Column, place.Row);

    static (int Row, int Column) PairSum(int lane, int i, bool wide)
    {
        if (!wide) return (InPair(lane), i);
        // Bits of the thread's number count 1, 16, 4 and those of the element's 8, 2, 32 in an 8 by 8 matrix in the order of columns.
        int t = InPair(lane), at = (t & 1) + (t >> 1 & 1) * 16 + (t >> 2) * 4 + (i & 1) * 8 + (i >> 1 & 1) * 2 + (i >> 2) * 32;
        return (at % 8, at / 8);
    }

    static IEnumerable<InstructionRow> Moves()
    {
        // Row r of matrix j is 16 bytes, those of lane 8j + r of the warp: word a twice over, the second time inverted.
        const string fill = "mov.u32 %s, %tid.x;\nshl.b32 %s, %s, 4;\nmov.u32 %x, area;\nadd.u32 %s, %s, %x;\nst.shared.u64 [%s], {a};\nnot.b64 %v, {a};\nst.shared.u64 [%s+8], %v;\nbar.warp.sync -1;\n";
        const string declarations = ".shared .align 16 .b8 area[1024];\n.reg .b32 %x, %r<4>;\n.reg .b64 %v;\n";
        ulong Half(ulong a, int column) => (column < 4 ? a : ~a) >> 16 * (column & 3) & 0xffff;
        foreach (int count in (int[])[1, 2, 4])
            foreach (string trans in (string[])["", ".trans"])
            {
                string list = "{" + string.Join(", ", Enumerable.Range(0, count).Select(i => $"%r{i}")) + "}";
                ulong Cell(ulong[][] lanes, int j, int r, int c) => trans == "" ? Half(lanes[8 * j + r][0], c) : Half(lanes[8 * j + c][0], r);
                ulong Fold(IEnumerable<ulong> registers) => registers.Select((v, i) => v * (ulong)(2 * i + 1)).Aggregate(0UL, (x, y) => x + y & 0xffffffff);
                string fold = "mov.u32 {d}, 0;\n" + string.Concat(Enumerable.Range(0, count).Select(i => $"mad.lo.u32 {{d}}, %r{i}, {2 * i + 1}, {{d}};\n"));
                string form = string.Create(CultureInfo.InvariantCulture, $"ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16");
                yield return new(form, "b32", ["b64"], null!, Source)
                {
                    Declarations = declarations, Body = fill + $"{form} {list}, [%s];\n" + fold,
                    WarpReference = (lanes, lane) => Fold(Enumerable.Range(0, count).Select(j => Cell(lanes, j, lane >> 2, lane % 4 * 2) | Cell(lanes, j, lane >> 2, lane % 4 * 2 + 1) << 16)),
                };
            }
        yield return new("movmatrix.sync.aligned.m8n8.trans.b16", "b32", ["b32"], null!, Source)
        {
            // Element (r, c) lies in half c % 2 of lane 4r + c / 2.
            WarpReference = (lanes, lane) => { ulong At(int r, int c) => lanes[4 * r + c / 2][0] >> 16 * (c % 2) & 0xffff; int row = lane >> 2, column = lane % 4 * 2; return At(column, row) | At(column + 1, row) << 16; },
        };
        foreach (string trans in (string[])["", ".trans"])
        {
            string form = $"stmatrix.sync.aligned.m8n8.x2{trans}.shared.b16";
            yield return new(form, "b64", ["b64"], null!, Source)
            {
                Declarations = declarations,
                // Each lane reads back the first half of its row; only the first 16 rows of a warp are written.
                Body = fill + $"mov.b64 {{%r0, %r1}}, {{a}};\n{form} [%s], {{%r0, %r1}};\nbar.warp.sync -1;\nld.shared.u64 {{d}}, [%s];",
                WarpReference = (lanes, lane) =>
                {
                    if (lane >= 16) return lanes[lane][0];
                    int j = lane / 8, row = lane % 8;
                    ulong At(int r, int c) => lanes[4 * r + c / 2][0] >> 32 * j + 16 * (c % 2) & 0xffff;
                    return Enumerable.Range(0, 4).Aggregate(0UL, (v, c) => v | (trans == "" ? At(row, c) : At(c, row)) << 16 * c);
                },
            };
        }
    }
}
