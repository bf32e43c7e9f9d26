using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;
using NUnit.Framework;

namespace TreCr.Calls.Generator.Tests;

/// <summary>Exports of calls that are carried out in the program, and of names that are refused.</summary>
public sealed class LocalExportsTests
{
    private const string Source = """
        namespace N;
        internal abstract class ErrorOwner;
        internal sealed class Comm : ErrorOwner { public static Comm From(nint raw) => raw == 0 ? throw new Exception() : new(); }
        internal static class Library { public static void Enter(string call) { } public static void Leave() { } public static int Failed(Exception e, ErrorOwner? c) => c is null ? 5 : 6; public static int NotSupported(string call) => 7; }
        [LocalExports(typeof(Library), "P")]
        internal static unsafe class Calls
        {
            public static void MPI_Size(Comm comm, int* size) => *size = 1;
            public static double MPI_Time() => 1;
            private static void Hidden() { }
            public static Operation MPI_Gather(int* source, Count count, Comm comm) => new();
            public static void MPI_Send(Count count) { }
            public static void MPI_Send_c(byte* other) { }
        }
        internal readonly struct Count { public static Count From(int raw) => default; public static Count FromLarge(long raw) => default; }
        internal sealed class Operation { public void Run() { } public void Begin(nint request) { } public void Init(int info, nint request) { } }
        [RefusedExports("names.txt", typeof(Library), "P")]
        internal static partial class Refused;
        """;

    [Test]
    public void EachMethodIsExportedUnderBothNames_ItsArgumentsConverted()
    {
        string text = Generate();
        foreach (string name in (string[])["MPI_Size", "PMPI_Size", "MPI_Time", "PMPI_Time", "MPI_Later", "PMPI_Later"])
            Assert.That(text, Does.Contain($"EntryPoint = \"{name}\")"));
        Assert.That(text, Does.Contain("public static int MPI_Size(nint @comm, int* @size)").And.Contain("global::N.Comm.From(@comm)").And.Contain("global::N.Library.NotSupported(\"MPI_Later\")"));
        Assert.That(text, Does.Contain("public static double MPI_Time()").And.Not.Contain("Hidden"));
    }

    [Test]
    public void AnOperationIsThreeFunctions_AndCountsMakeAnotherOfEach()
    {
        string text = Generate();
        Assert.That(text, Does.Contain("public static int PMPI_Gather(int* @source, int @count, nint @comm)").And.Contain("Calls.MPI_Gather(@source, global::N.Count.From(@count), __c_comm).Run();"));
        Assert.That(text, Does.Contain("public static int MPI_Igather_c(int* @source, long @count, nint @comm, nint @request)").And.Contain("Calls.MPI_Gather(@source, global::N.Count.FromLarge(@count), __c_comm).Begin(@request);"));
        Assert.That(text, Does.Contain("public static int MPI_Gather_init(int* @source, int @count, nint @comm, int @info, nint @request)").And.Contain(".Init(@info, @request);"));
        Assert.That(text, Does.Contain("public static int MPI_Send_c(byte* @other)").And.Not.Contain("MPI_Send_c(long"), "by hand");
    }

    private static string Generate()
    {
        GeneratorDriver driver = CSharpGeneratorDriver.Create([new LocalExportsGenerator().AsSourceGenerator()], [new Names()], new CSharpParseOptions(LanguageVersion.Preview), null);
        driver = driver.RunGeneratorsAndUpdateCompilation(Harness.Compile(Source), out Compilation result, out _);
        Assert.That(result.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error), Is.Empty);
        return string.Concat(driver.GetRunResult().GeneratedTrees.Select(t => t.ToString()));
    }

    private sealed class Names : AdditionalText
    {
        public override string Path => "/somewhere/names.txt";

        public override SourceText GetText(CancellationToken cancellationToken = default) => SourceText.From("MPI_Later\n");
    }
}
