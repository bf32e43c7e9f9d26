namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Operands to try: values at the edges of a type, all pairs of them for two operands, a seeded choice for more, and random bits.</summary>
static class Vectors
{
    public const int Least = 32, Most = 640;

    public static int Bits(string type) => type switch
    {
        "pred" => 1, "f16x2" or "bf16x2" => 32, "tf32" => 32, "bf16" => 16, _ => int.Parse(type.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture),
    };

    public static ulong Mask(int bits) => bits == 64 ? ulong.MaxValue : (1UL << bits) - 1;

    public static ulong[] Edges(string type)
    {
        if (type == "pred") return [0, 1];
        if (type is "f16x2" or "bf16x2")
        {
            ulong[] half = Edges(type[..^2]);
            return [.. half.Select((h, n) => h | half[(n * 7 + 3) % half.Length] << 16)];
        }
        Ieee? f = type switch { "f16" => Ieee.F16, "bf16" => Ieee.BF16, "f32" => Ieee.F32, "f64" => Ieee.F64, _ => null };
        if (f is not null)
        {
            ulong[] positive =
            [
                0, 1, 2, f.Infinity, f.Largest, f.One, f.One + 1, f.One - 1, 1UL << f.FractionBits, (1UL << f.FractionBits) - 1, f.NaN, f.Infinity | 1, f.Infinity | 1UL << f.FractionBits - 1,
                f.FromInteger(2, "rn"), f.FromInteger(3, "rn"), f.Round(1, -1, false, "rn"), f.Round(3, -1, false, "rn"), f.Round(5, -1, false, "rn"), f.Round(7, -2, false, "rn"),
                f.FromInteger(127, "rn"), f.FromInteger(128, "rn"), f.FromInteger(255, "rn"), f.FromInteger(1L << 24, "rn"), f.FromInteger((1L << 31) - 1, "rn"), f.FromInteger(1L << 31, "rn"),
                f.FromInteger(uint.MaxValue, "rn"), f.FromInteger(long.MaxValue, "rn"), f.FromInteger(ulong.MaxValue, "rn"), f.Round(255, -1, false, "rn"), f.Round(65537, -1, false, "rn"), f.Round(1, -3, false, "rn"),
            ];
            return [.. positive, .. positive.Select(p => p | f.SignBit)];
        }
        int bits = Bits(type);
        ulong mask = Mask(bits), top = 1UL << bits - 1;
        return [.. new ulong[] { 0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, top - 1, top, top + 1, mask, mask - 1, mask - 31, 0x5555555555555555 & mask, 0xaaaaaaaaaaaaaaaa & mask, 0x123456789abcdef0 & mask, 0xfedcba9876543210 & mask, 0x00ff00ff00ff00ff & mask, 0x80808080 & mask }.Select(v => v & mask).Distinct()];
    }

    public static ulong[][] For(InstructionRow row)
    {
        Random random = new(row.Form.Aggregate(17, (h, c) => h * 31 + c));
        int n = row.Operands.Length;
        ulong[][] edges = [.. row.Operands.Select((t, k) => row.Values?[k] ?? Edges(t))];
        List<ulong[]> all = [];
        long product = edges.Aggregate(1L, (p, e) => Math.Min(p * e.Length, 1 << 30));
        if (product <= Most / 2)
        {
            for (long i = 0; i < product; i++)
            {
                ulong[] v = new ulong[n];
                long rest = i;
                for (int k = 0; k < n; k++) { v[k] = edges[k][rest % edges[k].Length]; rest /= edges[k].Length; }
                all.Add(v);
            }
        }
        // Where the cross product is large: each edge of each operand at least once, then any.
        else
            for (int i = 0; i < Most / 2; i++)
                all.Add([.. Enumerable.Range(0, n).Select(k => i < edges[k].Length ? edges[k][(i + k * 5) % edges[k].Length] : edges[k][random.Next(edges[k].Length)])]);
        // Random bits, and numbers near each other: sums that cancel, products near ties.
        while (all.Count < Most)
        {
            ulong[] v = [.. Enumerable.Range(0, n).Select(k => row.Values?[k] is { } given ? given[random.Next(given.Length)] : (ulong)random.NextInt64(long.MinValue, long.MaxValue) & Mask(Bits(row.Operands[k])))];
            if (n > 1 && row.Values is null && Bits(row.Operands[0]) == Bits(row.Operands[1]) && all.Count % 3 == 0) v[1] = v[0] ^ (ulong)random.Next(0, 4) ^ (all.Count % 2 == 0 ? 1UL << Bits(row.Operands[0]) - 1 : 0);
            for (int k = 0; k < n; k++) v[k] &= Mask(Bits(row.Operands[k]));
            all.Add(v);
        }
        if (row.Skip is { } skip) all.RemoveAll(v => skip(v));
        return [.. all];
    }
}
