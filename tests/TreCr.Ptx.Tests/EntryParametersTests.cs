using System.Text;
using NUnit.Framework;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Parse;

namespace TreCr.Ptx.Tests;

/// <summary>The reader of signatures against texts written for it, and against the parser on the compiled samples.</summary>
public sealed class EntryParametersTests
{
    private static Dictionary<string, (int Offset, int Size)[]> Read(string text) => EntryParameters.Read(Encoding.UTF8.GetBytes(text));

    [Test]
    public void Parameters_are_aligned_as_declared()
    {
        const string text = """
            .version 8.4
            .target sm_90a // .entry commented(.param .u32 x)
            .address_size 64
            .visible .global .align 4 .b8 words[4] = {1, 2, 3, 4};
            .func (.param .b32 r) helper(.param .b32 v) { .reg .b32 %r<2>; unknown.instruction { %r1 }, "} .entry no("; ret; }
            /* .entry neither(.param .u8 a) */
            .visible .entry mixed(
                .param .u8 a,
                .param .u64 .ptr .global .align 16 b,
                .param .f32 c,
                .param .align 16 .b8 d[20],
                .param .b16 e)
            .maxntid 128, 1, 1
            {
                // a brace } in a comment, and .entry inside(
                { .reg .b32 t; }
                wgmma.nobody.knows.this;
            }
            .entry bare { ret; }
            .weak .entry empty() { ret; }
            .entry declared(.param.u32 n);
            """;
        Dictionary<string, (int, int)[]> found = Read(text);
        Assert.That(found.Keys, Is.EquivalentTo(new[] { "mixed", "bare", "empty", "declared" }));
        Assert.That(found["mixed"], Is.EqualTo(new[] { (0, 1), (8, 8), (16, 4), (32, 20), (52, 2) }));
        Assert.That(found["bare"], Is.Empty);
        Assert.That(found["empty"], Is.Empty);
        Assert.That(found["declared"], Is.EqualTo(new[] { (0, 4) }));
    }

    [TestCase(".entry k(.param .u32")]
    [TestCase(".entry k(.param .align 3 .b8 a[4]) {}")]
    [TestCase(".entry k(.param .align 0x .b8 a[4]) {}")]
    [TestCase(".entry k(.param .strange a) {}")]
    [TestCase(".entry k(.param .b8 a[99999999]) {}")]
    [TestCase(".entry k(.reg .u32 a) {}")]
    [TestCase(".entry k(.param .b8 a[4) {}")]
    public void Damaged_signatures_are_refused(string text) => Assert.Throws<PtxException>(() => Read(text));

    [Test]
    public void Cut_text_never_hangs_and_never_breaks()
    {
        const string text = ".visible .entry k(.param .u64 a, .param .align 8 .b8 b[24]) .maxntid 1, 1, 1 { /* x */ \"y\" { } } .entry l(.param .u8 c) {}";
        for (int length = 0; length <= text.Length; length++)
            try { Read(text[..length]); }
            catch (PtxException) { }
        Assert.That(Read(text), Has.Count.EqualTo(2));
    }

    private static IEnumerable<string> Texts()
    {
        for (DirectoryInfo? d = new(TestContext.CurrentContext.TestDirectory); d is not null; d = d.Parent)
        {
            if (!File.Exists(Path.Combine(d.FullName, "TreCr.sln"))) continue;
            yield return Path.Combine(d.FullName, "tests/TreCr.GpuCheck/probe.ptx");
            string samples = Path.Combine(d.FullName, "artifacts/samples");
            if (Directory.Exists(samples))
                foreach (string file in Directory.GetFiles(samples, "*.ptx")) yield return file;
        }
    }

    [Test]
    public void It_says_what_the_parser_says()
    {
        int kernels = 0;
        foreach (string file in Texts())
        {
            byte[] text = File.ReadAllBytes(file);
            Dictionary<string, (int, int)[]> found = EntryParameters.Read(text);
            PtxFunction[] entries = [.. PtxParser.Parse(text).Functions.Where(f => f.IsEntry)];
            Assert.That(found.Keys, Is.EquivalentTo(entries.Select(e => e.Name)), file);
            foreach (PtxFunction entry in entries)
                Assert.That(found[entry.Name], Is.EqualTo(entry.Signature.Parameters.Select(p => ((int)p.Offset, (int)p.SizeBytes))), $"{file}: {entry.Name}");
            kernels += entries.Length;
        }
        Assert.That(kernels, Is.GreaterThanOrEqualTo(2), "probe.ptx at least");
    }
}
