using System.Text;
using NUnit.Framework;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Parse;
using TreCr.Ptx.Passes;

namespace TreCr.Ptx.Tests;

public sealed class ParserTests
{
    const string Text = """
        .version 7.8
        .target sm_90, texmode_unified
        .address_size 64
        .extern .func (.param .b32 func_retval0) vprintf (.param .b64 a, .param .b64 b);
        .visible .global .align 8 .u64 where = generic(table)+8;
        .visible .global .align 4 .b8 table[16] = {1, 0, 0, 0, 20};
        .const .f32 k = 0f40200000;
        .extern .shared .align 16 .b8 smem[];
        .func (.param .b32 r) twice (.param .b32 x)
        {
          .reg .b32 %r<3>;
          ld.param.b32 %r1, [x];
          add.s32 %r2, %r1, %r1;
          st.param.b32 [r], %r2;
          ret;
        }
        .visible .entry main(.param .u8 a, .param .u64 .ptr .global .align 4 b, .param .align 8 .b8 c[12])
        .maxntid 128, 2, 1
        {
          .reg .pred %p<3>; .reg .b32 %r<10>; .reg .f32 %f<4>; .reg .b64 %rd<4>;
          // a comment with { braces
          mov.u32 %r1, %tid.x;
          setp.lt.and.s32 %p1|%p2, %r1, -5, !%p1;
          @!%p1 bra $L1;
          { .reg .b32 t; mov.b32 t, 0x7fU; add.s32 %r2, t, 1; }
          call.uni (r0), twice, (%r1);
        $L1: bar.sync 0;
          ld.global.v2.f32 {%f1, _}, [%rd1+-8];
          shfl.sync.idx.b32 %r3|%p1, %r1, 0, 31, -1;
          @%p1 exit;
          bra $L1;
        }
        """;

    static string Good => Text.Replace("call.uni (r0), twice, (%r1);", "{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0], %r1; call.uni (r0), twice, (p0); ld.param.b32 %r4, [r0]; }");

    [Test]
    public void ModuleHasItsParts()
    {
        PtxModule m = PtxParser.Parse(Good);
        Assert.That((m.VersionMajor, m.VersionMinor, m.TargetSm), Is.EqualTo((7, 8, 90)));
        Assert.That(m.VariablesByName["table"].Initial, Is.EqualTo(new byte[] { 1, 0, 0, 0, 20 }));
        Assert.That(m.VariablesByName["where"].Fixups.Single(), Is.EqualTo(new AddressFixup(0, "table", 8, 8, 0, true)));
        Assert.That(m.VariablesByName["k"].Initial, Is.EqualTo(BitConverter.GetBytes(2.5f)));
        PtxFunction f = m.FunctionsByName["main"];
        Assert.That(f.Signature.Parameters.Select(p => (p.Offset, p.SizeBytes)), Is.EqualTo(new[] { (0L, 1L), (8L, 8L), (16L, 12L) }));
        Assert.That(f.ParameterBytes, Is.EqualTo(28));
        Assert.That((f.MaxThreadsX, f.MaxThreadsY, f.RequiredThreads), Is.EqualTo((128, 2, false)));
        Assert.That(m.FunctionsByName["vprintf"].IsExtern);
        Assert.That(f.Body[1].Operands[0].Register2, Is.GreaterThanOrEqualTo(0));
        Assert.That(f.Body[1].Operands[2].Value, Is.EqualTo(-5));
        Assert.That(f.Body[1].Operands[3].Negated);
    }

    [Test]
    public void BlocksEndWhereThreadsMayStop()
    {
        FlowGraph g = PassList.Run(PtxParser.Parse(Good).FunctionsByName["main"], 400);
        Assert.That(g.Suspends && g.Calls);
        FlowBlock barrier = g.Blocks.Single(b => b.Last?.Name == "bar"), shuffle = g.Blocks.Single(b => b.Last?.Name == "shfl");
        Assert.That(barrier.End, Is.EqualTo(BlockEnd.Suspend));
        Assert.That(g.Blocks[barrier.Next].IsEntryPoint);
        Assert.That(g.Blocks[shuffle.Next].Body[0].Name, Is.EqualTo(InstructionFacts.Collect));
        // r1 is needed again after the barrier (by the shuffle), r2 never
        int r1 = g.Function.Registers.FindIndex(r => r.Name == "%r") + 1;
        Assert.That(g.Blocks[barrier.Next].LiveIn[r1 >> 6] >> r1 & 1, Is.EqualTo(1));
        Assert.That(g.Blocks[barrier.Next].LiveIn[r1 + 1 >> 6] >> r1 + 1 & 1, Is.Zero);
    }

    static string Contents(PtxFunction f) => string.Join('\n', [.. f.Body.Select(i => $"{i.Line} {i}"), .. f.Registers.Select(r => r.ToString()), .. f.Labels.Select(l => l.ToString()), .. f.Locals.Select(l => $"{l.Key} {l.Value.Name} {l.Value.SizeBytes}")]);

    [Test]
    public void BodiesReadLaterAreTheSame()
    {
        string text = Good + ".visible .entry counts() { /* } */ .global .u32 n; .reg .b32 %r<2>; ld.global.u32 %r1, [n]; ret; // }\n }\n.visible .entry last(.param .u32 k)\n{\n.reg .b32 %r<2>;\nld.param.u32 %r1, [k];\nret;\n}\n";
        PtxModule now = PtxParser.Parse(text), later = PtxParser.Parse(Encoding.ASCII.GetBytes(text), bodiesLater: true);
        Assert.That(later.Variables.Select(v => v.Name), Is.EqualTo(now.Variables.Select(v => v.Name)), "those of bodies too");
        Assert.That(later.Functions.Where(f => f.IsPending).Select(f => f.Name), Is.EqualTo(new[] { "twice", "main", "last" }));
        foreach (PtxFunction f in Enumerable.Reverse(later.Functions)) Assert.That(Contents(f), Is.EqualTo(Contents(now.FunctionsByName[f.Name])), f.Name);
        Assert.That(later.Functions.Exists(f => f.IsPending), Is.False);
    }

    [TestCase("bra $L1;", "bra $L9;"), TestCase("bar.sync 0;", "bar.sync 0"), TestCase("[%rd1+-8]", "[nowhere]"), TestCase("mov.u32 %r1, %tid.x;", "mov.u32 %r1, 0f;")]
    public void WhatIsWrongInABodyReadLaterIsSaidWhenItIsRead(string right, string wrong)
    {
        string text = Good.Replace(right, wrong);
        PtxException first = Assert.Throws<PtxException>(() => PtxParser.Parse(text))!;
        PtxModule m = PtxParser.Parse(Encoding.ASCII.GetBytes(text), bodiesLater: true);
        Assert.That(m.FunctionsByName["twice"].Body, Is.Not.Empty);
        for (int n = 0; n < 2; n++)
        {
            PtxException e = Assert.Throws<PtxException>(() => _ = m.FunctionsByName["main"].Body)!;
            Assert.That((e.CudaError, e.Message), Is.EqualTo((218, first.Message)));
        }
    }

    [Test]
    public void MutatedTextIsParsedOrRefusedNothingElse([Values] bool later)
    {
        Random random = new(4);
        string good = Good;
        const string Marks = "{}()[];:,.%@!+-0123456789abfrxd$_<> \n\"";
        for (int n = 0; n < 3_000; n++)
        {
            char[] t = good.ToCharArray();
            for (int k = random.Next(1, 4); k > 0; k--)
            {
                int at = random.Next(t.Length);
                if (random.Next(2) == 0) t[at] = Marks[random.Next(Marks.Length)];
                else Array.Copy(t, random.Next(t.Length - 30), t, Math.Min(at, t.Length - 30), random.Next(30));
            }
            string text = new(t, 0, random.Next(8) == 0 ? random.Next(t.Length) : t.Length);
            try
            {
                PtxModule m = PtxParser.Parse(Encoding.Latin1.GetBytes(text), later);
                foreach (PtxFunction f in m.Functions.Where(f => !f.IsExtern)) PassList.Run(f, 400);
            }
            catch (PtxException e)
            {
                Assert.That(e.CudaError, Is.AnyOf(218, 222));
            }
            catch (Exception e)
            {
                Assert.Fail($"{e.GetType().Name} instead of a refusal: {e.Message}\n{e.StackTrace}\n{text}");
            }
        }
    }
}
