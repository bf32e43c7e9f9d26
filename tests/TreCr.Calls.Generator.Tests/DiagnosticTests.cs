using NUnit.Framework;

namespace TreCr.Calls.Generator.Tests;

/// <summary>Each mistake in a declaration is an error at its own line.</summary>
public class DiagnosticTests
{
    private static string[] Errors(string body) => Harness.Run("[CallTable(Library.Nccl)] public unsafe interface ISample {\n" + body + "\n}").Errors;

    [TestCase("[Call(1, CallClass.Answer)] CUresult a([InBytes(\"nothing\")] void* p, nuint bytes);", "TRECR001 2", TestName = "Length parameter that is not there")]
    [TestCase("[Call(1, CallClass.Answer)] CUresult a([InBytes(\"f\")] void* p, float f);", "TRECR001 2", TestName = "Length parameter that is no integer")]
    [TestCase("[Call(1, CallClass.Answer)] CUresult a(int* p);", "TRECR002 2", TestName = "Pointer without rule")]
    [TestCase("[Call(1, CallClass.Answer)] CUresult a();\n[Call(1, CallClass.Answer)] CUresult b();", "TRECR003 3", TestName = "Number used twice")]
    [TestCase("[Call(1, CallClass.Answer), Creates(\"x\")] CUresult a([Out] CUstream* s);", "TRECR004 2", TestName = "Creates something unknown")]
    [TestCase("[Call(1, CallClass.Answer), Creates(\"s\")] CUresult a(CUstream s);", "TRECR005 2", TestName = "Creates a value")]
    [TestCase("CUresult a();", "TRECR006 2", TestName = "Method that is no call")]
    [TestCase("[Call(1, CallClass.Answer)] CUresult a([Out] int p);", "TRECR007 2", TestName = "Out value")]
    [TestCase("[Call(1, CallClass.Answer)] CUresult a(decimal d);", "TRECR008 2", TestName = "Type that no record carries")]
    [TestCase("[Call(1, CallClass.Answer)] int a();", "TRECR011 2", TestName = "Return type")]
    public void Reports(string body, string expected) => Assert.That(Errors(body), Has.Some.StartsWith(expected + ":"));

    [Test]
    public void One_number_in_two_tables_of_a_library_is_an_error()
        => Assert.That(Harness.Run("""
            [CallTable(Library.Nccl)] public interface IA { [Call(1, CallClass.Answer)] CUresult a(); }
            [CallTable(Library.Nccl)] public interface IB {
                [Call(1, CallClass.Answer)] CUresult b(); }
            """).Errors, Has.Some.StartsWith("TRECR003 3:"));

    [Test]
    public void A_consumer_must_be_partial_and_name_a_call_table()
    {
        Assert.That(Harness.Run("[ExportsOf(typeof(ICudaStream))] static class X;").Errors, Has.Some.StartsWith("TRECR009 1:"));
        Assert.That(Harness.Run("[ExportsOf(typeof(IDisposable))] static partial class X;").Errors, Has.Some.StartsWith("TRECR010 1:"));
    }

    [Test]
    public void A_sound_table_has_no_error() => Assert.That(Errors("[Call(1, CallClass.Answer)] CUresult a([Out] CUstream* s, [InBytes(nameof(n))] void* p, nuint n, [InString] byte* t);"), Is.Empty);
}
