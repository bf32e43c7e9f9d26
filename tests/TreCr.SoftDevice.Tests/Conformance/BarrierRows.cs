namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>mbarrier: each thread plays through the life of a barrier of its own; what a real wait does is tested in BarrierTests. Expected values from a model that counts.</summary>
static class BarrierRows
{
    const string Source = "integers";
    const string Declarations = ".shared .align 8 .b64 barriers[64];\n.reg .b64 %b, %v, %t<8>;\n.reg .b32 %x, %need, %some, %p<8>;\n.reg .pred %q;\n";
    const string Place = "mov.u32 %x, %tid.x;\nmul.wide.u32 %v, %x, 8;\nmov.u64 %b, barriers;\nadd.u64 %b, %b, %v;\n";

    public static IEnumerable<InstructionRow> All()
    {
        foreach ((string space, string order) in ((string, string)[])[(".shared", ""), (".shared::cta", ""), ("", ""), (".shared::cta", ".release.cta")])
            yield return Life(space, order);
        yield return Bytes();
        foreach (string noinc in (string[])["", ".noinc"]) yield return Copied(noinc);
    }

    static string Digit(string register) => $"mul.lo.u64 {{d}}, {{d}}, 16;\ncvt.u64.u32 %v, {register};\nadd.u64 {{d}}, {{d}}, %v;\n";

    static string Flag => "selp.u32 %x, 1, 0, %q;\n" + Digit("%x");

    static ulong Number(params int[] digits) => digits.Aggregate(0UL, (v, d) => v * 16 + (ulong)d);

    /// <summary>2 to 9 arrivals are needed: some, one, the rest; then one that leaves, and the next phase needs one less.</summary>
    static InstructionRow Life(string space, string order)
    {
        string arrive = $"mbarrier.arrive{order}{space}.b64", drop = $"mbarrier.arrive_drop{order}{space}.b64", test = $"mbarrier.test_wait{(order == "" ? "" : ".acquire.cta")}{space}.b64";
        string parity = $"mbarrier.try_wait.parity{(order == "" ? "" : ".acquire.cta")}{space}.b64", init = $"mbarrier.init{space}.b64", inval = $"mbarrier.inval{space}.b64", some = $"mbarrier.arrive.noComplete{order}{space}.b64", someDrop = $"mbarrier.arrive_drop.noComplete{order}{space}.b64";
        string body = Place + (space == "" ? "cvta.shared.u64 %b, %b;\n" : "")
            + "cvt.u32.u64 %x, {a};\nand.b32 %need, %x, 7;\nadd.u32 %need, %need, 3;\nshr.u32 %x, %x, 3;\nand.b32 %x, %x, 7;\nsub.u32 %some, %need, 2;\nrem.u32 %some, %x, %some;\nadd.u32 %some, %some, 1;\nmov.u64 {d}, 0;\n"
            // First phase: some, one, the rest (one or more).
            + $"{init} [%b], %need;\n{some} %t0, [%b], %some;\nmbarrier.pending_count.b64 %p0, %t0;\n{Digit("%p0")}{test} %q, [%b], %t0;\n{Flag}"
            + $"{arrive} %t1, [%b];\nmbarrier.pending_count.b64 %p0, %t1;\n{Digit("%p0")}{test} %q, [%b], %t0;\n{Flag}{parity} %q, [%b], 0;\n{Flag}"
            + $"sub.u32 %x, %need, %some;\nsub.u32 %x, %x, 1;\n{arrive} %t2, [%b], %x;\n{test} %q, [%b], %t1;\n{Flag}{parity} %q, [%b], 0;\n{Flag}{parity} %q, [%b], 1;\n{Flag}"
            // Second: one leaves, without ending the phase another one, the rest come.
            + $"{drop} %t3, [%b];\nmbarrier.pending_count.b64 %p0, %t3;\n{Digit("%p0")}{someDrop} _, [%b], 1;\nsub.u32 %x, %need, 2;\n{arrive} _, [%b], %x;\n{test} %q, [%b], %t3;\n{Flag}"
            // Third: two fewer.
            + $"{arrive} %t4, [%b];\nmbarrier.pending_count.b64 %p0, %t4;\n{Digit("%p0")}{inval} [%b];\n";
        return new($"{arrive} life", "b64", ["b64"], v =>
        {
            int need = (int)(v[0] & 7) + 3, some = (int)(v[0] >> 3 & 7) % (need - 2) + 1;
            return Number(need, 0, need - some, 0, 0, 1, 1, 0, need, 1, need - 2);
        }, Source)
        { Declarations = Declarations, Body = body, Mutated = arrive, Covers = [arrive, drop, test, parity, init, inval, some, someDrop, "mbarrier.pending_count.b64"] };
    }

    /// <summary>A phase ends when arrivals and bytes have come.</summary>
    static InstructionRow Bytes() => new("mbarrier.arrive.expect_tx.shared.b64", "b64", ["b64"], v => Number(0, 0, 0, 1, 1), Source)
    {
        Declarations = Declarations, Covers = ["mbarrier.expect_tx.relaxed.cta.shared::cta.b64", "mbarrier.complete_tx.relaxed.cta.shared::cta.b64", "mbarrier.test_wait.parity.shared.b64", "mbarrier.try_wait.shared.b64"],
        Body = Place + "cvt.u32.u64 %x, {a};\nand.b32 %need, %x, 1023;\nadd.u32 %need, %need, 1;\nmov.u64 {d}, 0;\n"
            + "mbarrier.init.shared.b64 [%b], 2;\nmbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%b], 16;\nmbarrier.arrive.shared.b64 %t0, [%b];\nmbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%b], 16;\nmbarrier.test_wait.shared.b64 %q, [%b], %t0;\n" + Flag
            + "mbarrier.arrive.expect_tx.shared.b64 %t1, [%b], %need;\nmbarrier.try_wait.shared.b64 %q, [%b], %t0;\n" + Flag
            + "sub.u32 %x, %need, 1;\nmbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%b], %x;\nmbarrier.test_wait.parity.shared.b64 %q, [%b], 0;\n" + Flag
            + "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%b], 1;\nmbarrier.test_wait.parity.shared.b64 %q, [%b], 0;\n" + Flag + "mbarrier.try_wait.shared.b64 %q, [%b], %t1, 100;\n" + Flag,
    };

    /// <summary>cp.async.mbarrier.arrive: counts with .noinc only.</summary>
    static InstructionRow Copied(string noinc) => new($"cp.async.mbarrier.arrive{noinc}.shared.b64", "b64", ["b64"], v => Number(noinc == "" ? 3 : 2, 0), Source)
    {
        Declarations = Declarations,
        Body = Place + $"mov.u64 {{d}}, 0;\nmbarrier.init.shared.b64 [%b], 3;\ncp.async.mbarrier.arrive{noinc}.shared.b64 [%b];\nmbarrier.arrive.shared.b64 %t0, [%b];\nmbarrier.pending_count.b64 %p0, %t0;\n" + Digit("%p0") + "mbarrier.test_wait.shared.b64 %q, [%b], %t0;\n" + Flag,
    };
}
