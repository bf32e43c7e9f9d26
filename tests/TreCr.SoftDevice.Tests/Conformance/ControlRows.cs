namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Branches, calls, barriers, warp instructions, address conversion, special registers. Expected values: integers over all lanes of the warp.</summary>
static class ControlRows
{
    const string Source = "integers";

    public static IEnumerable<InstructionRow> All() => Warp().Concat(Barriers()).Concat(Flow()).Concat(Addresses());

    static IEnumerable<InstructionRow> Warp()
    {
        foreach (string mode in (string[])["up", "down", "bfly", "idx"])
            foreach (int width in (int[])[32, 16, 8])
                foreach (string sync in (string[])[".sync", ""])
                {
                    uint c = (uint)((32 - width << 8) | (mode == "up" ? 0 : 31));
                    foreach (string what in (string[])["", " predicate"])
                    {
                        // The lane's source as a number in its segment of width lanes.
                        (int Lane, bool Valid) From(int lane, uint b)
                        {
                            int segment = lane & ~(width - 1), max = mode == "up" ? segment : segment + width - 1, n = (int)(b & 31);
                            int j = mode switch { "up" => lane - n, "down" => lane + n, "bfly" => lane ^ n, _ => segment | n & width - 1 };
                            bool valid = mode == "up" ? j >= max : j <= max;
                            return (valid ? j : lane, valid);
                        }
                        string tail = sync == "" ? "" : ", -1";
                        yield return new($"shfl{sync}.{mode}.b32 {width}{what}", what == "" ? "b32" : "pred", ["b32", "u32"], null!, Source)
                        {
                            WarpReference = (lanes, lane) => { (int j, bool valid) = From(lane, (uint)lanes[0][1]); return what == "" ? lanes[j][0] : valid ? 1UL : 0; },
                            // The same distance for all lanes.
                            Body = $"shfl.sync.idx.b32 %bb, {{b}}, 0, 31, -1;\nshfl{sync}.{mode}.b32 %to|%p, {{a}}, %bb, {c}{tail};\n" + (what == "" ? "mov.b32 {d}, %to;" : "mov.pred {d}, %p;"),
                            Declarations = ".reg .b32 %to, %bb;\n.reg .pred %p;\n",
                        };
                    }
                }
        foreach (string mode in (string[])["all", "any", "uni"])
            foreach (string sync in (string[])[".sync", ""])
                yield return new($"vote{sync}.{mode}.pred", "pred", ["b32"], null!, Source)
                {
                    WarpReference = (lanes, _) => lanes.Select(v => v[0] < 0x80000000UL) is var p && mode switch { "all" => p.All(x => x), "any" => p.Any(x => x), _ => p.Distinct().Count() == 1 } ? 1UL : 0,
                    Body = $"setp.lt.u32 %p, {{a}}, 0x80000000;\nvote{sync}.{mode}.pred {{d}}, %p{(sync == "" ? "" : ", -1")};", Declarations = ".reg .pred %p;\n",
                };
        foreach (string text in (string[])["vote.sync.ballot.b32", "vote.ballot.sync.b32", "vote.ballot.b32"])
            yield return new(text, "b32", ["b32"], null!, Source)
            {
                WarpReference = (lanes, _) => lanes.Select((v, n) => (v[0] & 1) << n).Aggregate((a, b) => a | b),
                Body = $"and.b32 %one, {{a}}, 1;\nsetp.ne.u32 %p, %one, 0;\n{text} {{d}}, %p{(text.Contains("sync") ? ", -1" : "")};", Declarations = ".reg .pred %p;\n.reg .b32 %one;\n",
            };
        foreach (string type in (string[])["b32", "b64"])
        {
            // Few different values, so that some lanes match.
            ulong[] values = [1, 2, 3, 0x100000001, 0xffffffff00000001];
            yield return new($"match.any.sync.{type}", "b32", ["b64"], null!, Source)
            {
                Values = [values], WarpReference = (lanes, lane) => lanes.Select((v, n) => Cut(v[0], type) == Cut(lanes[lane][0], type) ? 1UL << n : 0).Aggregate((a, b) => a | b),
                Body = $"cvt.u{type[1..]}.u64 %x, {{a}};\nmatch.any.sync.{type} {{d}}, %x, -1;", Declarations = $".reg .{type} %x;\n",
            };
            yield return new($"match.all.sync.{type}", "b32", ["b64"], null!, Source)
            {
                Values = [[5, 0x100000005, 5, 5]], WarpReference = (lanes, lane) => lanes.All(v => Cut(v[0], type) == Cut(lanes[0][0], type)) ? 0xffffffffUL + 1 & 0xffffffff | 0xffffffff : 0,
                Body = $"cvt.u{type[1..]}.u64 %x, {{a}};\nmatch.all.sync.{type} {{d}}|%p, %x, -1;", Declarations = $".reg .{type} %x;\n.reg .pred %p;\n",
            };
        }
        foreach ((string op, string type) in ((string, string)[])[("add", "u32"), ("add", "s32"), ("min", "u32"), ("min", "s32"), ("max", "u32"), ("max", "s32"), ("and", "b32"), ("or", "b32"), ("xor", "b32")])
            yield return new($"redux.sync.{op}.{type}", "b32", ["b32"], null!, Source)
            {
                WarpReference = (lanes, _) => lanes.Select(v => v[0]).Aggregate((a, b) => op switch
                {
                    "add" => a + b & 0xffffffff, "and" => a & b, "or" => a | b, "xor" => a ^ b, "min" => IntegerRows.Number(a, type) < IntegerRows.Number(b, type) ? a : b, _ => IntegerRows.Number(a, type) > IntegerRows.Number(b, type) ? a : b,
                }),
                Body = $"redux.sync.{op}.{type} {{d}}, {{a}}, -1;",
            };
        yield return new("activemask.b32", "b32", ["b32"], null!, Source)
        {
            // Where the warp has diverged, those of one side.
            WarpReference = (lanes, lane) => lanes.Select((v, n) => (v[0] & 1) == (lanes[lane][0] & 1) ? 1UL << n : 0).Aggregate((a, b) => a | b),
            Body = "and.b32 %one, {a}, 1;\nsetp.ne.u32 %p, %one, 0;\n@%p bra ODD;\nactivemask.b32 {d};\nbra.uni JOIN;\nODD: activemask.b32 {d};\nJOIN:", Declarations = ".reg .pred %p;\n.reg .b32 %one;\n",
        };
        yield return new("bar.warp.sync", "b32", ["b32"], null!, Source)
        {
            WarpReference = (lanes, lane) => lanes[lane ^ 1][0],
            Body = "mov.u32 %s, %tid.x;\nshl.b32 %s, %s, 2;\nmov.u32 %x, area;\nadd.u32 %s, %s, %x;\nst.shared.b32 [%s], {a};\nbar.warp.sync -1;\nxor.b32 %s, %s, 4;\nld.shared.b32 {d}, [%s];", Declarations = ".shared .align 4 .b8 area[256];\n.reg .b32 %x;\n",
        };

        static ulong Cut(ulong v, string type) => type == "b32" ? v & 0xffffffff : v;
    }

    // 64 threads a block: two warps, so block-wide results are those of 64 vectors; rows whose answer is the warp's use what both warps share.
    static IEnumerable<InstructionRow> Barriers()
    {
        foreach (string text in (string[])["bar.sync 0;", "barrier.sync 0;", "bar.sync 1, 64;", "bar.sync 15;", "barrier.sync.aligned 3, 64;", "barrier.cta.sync 2;", "bar.cta.sync 4;"])
            yield return new(text.TrimEnd(';'), "b32", ["b32"], null!, Source)
            {
                WarpReference = (lanes, lane) => lanes[lane ^ 1][0],
                Body = $"mov.u32 %s, %tid.x;\nshl.b32 %s, %s, 2;\nmov.u32 %x, area;\nadd.u32 %s, %s, %x;\nst.shared.b32 [%s], {{a}};\n{text}\nxor.b32 %s, %s, 4;\nld.shared.b32 {{d}}, [%s];", Declarations = ".shared .align 4 .b8 area[256];\n.reg .b32 %x;\n",
            };
        foreach ((string op, bool inverted) in ((string, bool)[])[("and", false), ("or", false), ("and", true), ("or", true)])
            foreach (string bar in (string[])["bar.red", "barrier.red"])
                // The predicate is that of the vector's place: false in the second block only, or true there only.
                yield return new($"{bar}.{op}.pred{(inverted ? " !" : "")}", "pred", ["b32"], v => 0, Source)
                {
                    Values = [[1]], Reference = _ => op == "and" ? 0UL : 1UL,
                    Body = $"mov.u32 %s, %tid.x;\nsetp.eq.u32 %p, %s, 37;\n{bar}.{op}.pred {{d}}, 0, {(inverted ? "!" : "")}%p;", Declarations = ".reg .pred %p;\n",
                };
        yield return new("bar.red.popc.u32", "b32", ["b32"], _ => 37, Source) { Values = [[1]], Body = "mov.u32 %s, %tid.x;\nsetp.lt.u32 %p, %s, 37;\nbar.red.popc.u32 {d}, 0, %p;", Declarations = ".reg .pred %p;\n" };
        yield return new("bar.arrive", "b32", ["b32"], _ => 99, Source)
        {
            Values = [[1]], Declarations = ".shared .align 4 .b32 cell;\n.reg .pred %p;\n",
            // The first warp writes and arrives; the second waits for it.
            Body = "mov.u32 %s, %tid.x;\nsetp.lt.u32 %p, %s, 32;\n@!%p bra WAITER;\nmov.u32 %word, 99;\nst.shared.u32 [cell], %word;\nbar.arrive 1, 64;\nmov.u32 {d}, 99;\nbra JOIN;\nWAITER: bar.sync 1, 64;\nld.shared.u32 {d}, [cell];\nJOIN:",
        };
        foreach (string fence in (string[])["membar.cta", "membar.gl", "membar.sys", "fence.sc.cta", "fence.acq_rel.gpu", "fence.sc.sys", "fence.proxy.async"])
            yield return new(fence, "b32", ["b32"], v => v[0], Source) { Body = $"{fence};\nmov.b32 {{d}}, {{a}};" };
        foreach (string nothing in (string[])["nanosleep.u32 20", "prefetch.global.L1 [%in]", "prefetchu.L1 [%in]", "pmevent 1", "griddepcontrol.wait", "griddepcontrol.launch_dependents", "brkpt", "discard.global.L2 [%at], 128", "applypriority.global.L2::evict_normal [%in], 128"])
            yield return new(nothing, "b32", ["b32"], v => v[0], Source) { Body = $"{nothing};\nmov.b32 {{d}}, {{a}};" };
    }

    static IEnumerable<InstructionRow> Flow()
    {
        string predicate = "setp.lt.s32 %p, {a}, 7;\n", declaration = ".reg .pred %p;\n";
        ulong Pick(ulong[] v) => (int)(uint)v[0] < 7 ? v[0] + 1 & 0xffffffff : v[0] * 2 & 0xffffffff;
        foreach (string bra in (string[])["bra", "bra.uni"])
            yield return new(bra, "b32", ["b32"], Pick, Source) { Declarations = declaration, Body = predicate + $"@%p {bra} LESS;\nshl.b32 {{d}}, {{a}}, 1;\n{bra} JOIN;\nLESS: add.u32 {{d}}, {{a}}, 1;\nJOIN:" };
        yield return new("@p guard", "b32", ["b32"], Pick, Source) { Declarations = declaration, Body = predicate + "@%p add.u32 {d}, {a}, 1;\n@!%p shl.b32 {d}, {a}, 1;" };
        foreach (string end in (string[])["ret", "exit"])
            yield return new(end, "b32", ["b32"], v => (int)(uint)v[0] < 7 ? 5UL : 6, Source)
            { Declarations = declaration, Body = predicate + $"mov.u32 {{d}}, 5;\ncvt.u64.u32 %wide, {{d}};\nst.global.u64 [%out], %wide;\n@%p {end};\nmov.u32 {{d}}, 6;" };
        yield return new("brx.idx", "b32", ["b32"], v => v[0] % 4 * 11, Source)
        {
            Declarations = declaration + ".reg .b32 %x;\n",
            Body = "and.b32 %x, {a}, 3;\nTS: .branchtargets T0, T1, T2, T3;\nbrx.idx %x, TS;\nT2: mov.u32 {d}, 22;\nbra JOIN;\nT0: mov.u32 {d}, 0;\nbra JOIN;\nT3: mov.u32 {d}, 33;\nbra JOIN;\nT1: mov.u32 {d}, 11;\nJOIN:",
        };
        const string triple = ".func (.param .b32 r) triple(.param .b32 x)\n{\n.reg .b32 %v, %w;\nld.param.b32 %v, [x];\nmul.lo.u32 %w, %v, 3;\nst.param.b32 [r], %w;\nret;\n}\n"
            + ".func (.param .b32 r) negate(.param .b32 x)\n{\n.reg .b32 %v, %w;\nld.param.b32 %v, [x];\nneg.s32 %w, %v;\nst.param.b32 [r], %w;\nret;\n}\n";
        foreach (string call in (string[])["call", "call.uni"])
            yield return new(call, "b32", ["b32"], v => v[0] * 3 & 0xffffffff, Source)
            { Module = triple, Body = $"{{\n.param .b32 p0;\n.param .b32 r0;\nst.param.b32 [p0+0], {{a}};\n{call} (r0), triple, (p0);\nld.param.b32 {{d}}, [r0+0];\n}}" };
        yield return new("call indirect", "b32", ["b32"], v => (int)(uint)v[0] < 7 ? v[0] * 3 & 0xffffffff : 0 - v[0] & 0xffffffff, Source)
        {
            Module = triple, Declarations = declaration + ".reg .b64 %f, %g;\n",
            Body = predicate + "mov.u64 %f, triple;\nmov.u64 %g, negate;\nselp.b64 %f, %f, %g, %p;\n{\n.param .b32 p0;\n.param .b32 r0;\nst.param.b32 [p0+0], {a};\nproto: .callprototype (.param .b32 _) _ (.param .b32 _);\ncall (r0), %f, (p0), proto;\nld.param.b32 {d}, [r0+0];\n}",
        };
        foreach ((string type, string register) in ((string, string)[])[("b64", "b64"), ("f64", "f64"), ("f32", "f32")])
            yield return new($"st.param.{type}", type == "b64" ? "b64" : type, [type], v => v[0], Source)
            {
                Module = $".func (.param .{type} r) same(.param .{type} x)\n{{\n.reg .{register} %v;\nld.param.{type} %v, [x];\nst.param.{type} [r], %v;\nret;\n}}\n",
                Body = $"{{\n.param .{type} p0;\n.param .{type} r0;\nst.param.{type} [p0+0], {{a}};\ncall (r0), same, (p0);\nld.param.{type} {{d}}, [r0+0];\n}}",
            };
    }

    static IEnumerable<InstructionRow> Addresses()
    {
        foreach (string space in (string[])["shared", "local"])
        {
            string area = space == "shared" ? ".shared .align 8 .b8 area[512];\n" : ".local .align 8 .b8 area[8];\n";
            string own = space == "shared" ? "mov.u32 %s, %tid.x;\nmul.wide.u32 %x, %s, 8;\nmov.u64 %y, area;\nadd.u64 %x, %x, %y;\n" : "mov.u64 %x, area;\n";
            yield return new($"cvta.{space}.u64", "b64", ["b64"], v => v[0], Source) { Declarations = area + ".reg .b64 %x, %y;\n", Body = own + $"cvta.{space}.u64 %y, %x;\nst.u64 [%y], {{a}};\nld.{space}.u64 {{d}}, [%x];" };
            yield return new($"cvta.to.{space}.u64", "b64", ["b64"], v => v[0], Source) { Declarations = area + ".reg .b64 %x, %y;\n", Body = own + $"cvta.{space}.u64 %y, %x;\nst.u64 [%y], {{a}};\ncvta.to.{space}.u64 %y, %y;\nld.{space}.u64 {{d}}, [%y];" };
            yield return new($"isspacep.{space}", "pred", ["b64"], v => v[0] & 1, Source)
            { Declarations = area + ".reg .b64 %x, %y;\n.reg .pred %p;\n", Body = own + $"cvta.{space}.u64 %y, %x;\nand.b64 %x, {{a}}, 1;\nsetp.eq.u64 %p, %x, 1;\nselp.b64 %y, %y, %in, %p;\nisspacep.{space} {{d}}, %y;" };
        }
        yield return new("isspacep.global", "pred", ["b64"], _ => 1, Source) { Body = "isspacep.global {d}, %in;" };
        foreach (string to in (string[])["cvta.global.u64", "cvta.to.global.u64"])
            yield return new(to, "b64", ["b64"], v => v[0], Source) { Declarations = ".reg .b64 %x;\n", Body = $"{to} %x, %in;\nld.global.u64 {{d}}, [%x];" };
        (string Register, Func<ulong[][], int, ulong> Value)[] specials =
        [
            ("%tid.x", (_, _) => 0), ("%laneid", (_, lane) => (ulong)lane), ("%lanemask_eq", (_, lane) => 1UL << lane), ("%lanemask_lt", (_, lane) => (1UL << lane) - 1), ("%lanemask_le", (_, lane) => (2UL << lane) - 1),
            ("%lanemask_gt", (_, lane) => 0xffffffff & ~((2UL << lane) - 1)), ("%lanemask_ge", (_, lane) => 0xffffffff & ~((1UL << lane) - 1)), ("%ntid.x", (_, _) => 64), ("%ntid.y", (_, _) => 1), ("%tid.y", (_, _) => 0), ("%tid.z", (_, _) => 0),
            ("%ctaid.y", (_, _) => 0), ("%nctaid.y", (_, _) => 1), ("WARP_SZ", (_, _) => 32), ("%nctaid.x", (_, _) => (Vectors.Most + 63) / 64),
        ];
        foreach ((string register, Func<ulong[][], int, ulong> value) in specials[1..])
            yield return new($"mov.u32 {register}", "b32", ["b32"], null!, Source) { WarpReference = value, Body = $"mov.u32 {{d}}, {register};" };
        foreach (string parts in (string[])["b16", "b8"])
        {
            int width = parts == "b16" ? 16 : 8, count = 32 / width;
            string list = string.Join(", ", Enumerable.Range(0, count).Select(n => $"%h{n}")), reversed = string.Join(", ", Enumerable.Range(0, count).Reverse().Select(n => $"%h{n}"));
            if (parts == "b16")
                yield return new("mov.b32 unpack and pack", "b32", ["b32"], v => v[0] >> 16 | (v[0] & 0xffff) << 16, Source) { Declarations = ".reg .b16 %h0, %h1;\n", Body = $"mov.b32 {{{list}}}, {{a}};\nmov.b32 {{d}}, {{{reversed}}};" };
        }
        yield return new("mov.b64 unpack and pack", "b64", ["b64"], v => v[0] >> 32 | v[0] << 32, Source) { Declarations = ".reg .b32 %lo, %hi;\n", Body = "mov.b64 {%lo, %hi}, {a};\nmov.b64 {d}, {%hi, %lo};" };
        // Twice exchanged, then once more in place.
        yield return new("mov.v2.b32", "b64", ["b64"], v => v[0] >> 32 | v[0] << 32, Source)
        { Declarations = ".reg .v2 .b32 %v, %w;\n", Body = "mov.b64 {%v.x, %v.y}, {a};\nmov.v2.b32 %w, {%v.y, %v.x};\nmov.v2.b32 %v, {%w.y, %w.x};\nmov.v2.b32 %v, {%v.y, %v.x};\nmov.b64 {d}, %v;", Mutated = "mov.b32" };
        yield return new("mov.b64 of four", "b64", ["b64"], v => (v[0] >> 48) | (v[0] >> 32 & 0xffff) << 16 | (v[0] >> 16 & 0xffff) << 32 | v[0] << 48, Source)
        { Declarations = ".reg .b16 %q<4>;\n", Body = "mov.b64 {%q0, %q1, %q2, %q3}, {a};\nmov.b64 {d}, {%q3, %q2, %q1, %q0};" };
    }
}
