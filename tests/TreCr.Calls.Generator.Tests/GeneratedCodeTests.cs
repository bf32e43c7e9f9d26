using NUnit.Framework;

namespace TreCr.Calls.Generator.Tests;

/// <summary>What is generated compiles, and looks as the committed files say. TRECR_UPDATE=1 rewrites them.</summary>
public class GeneratedCodeTests
{
    private const string ThreeCalls = """
        namespace Sample;
        [CallTable(Library.Nccl)]
        public unsafe interface IThreeCalls
        {
            [Call(0x0101, CallClass.Answer), Creates(nameof(stream))] CUresult makeStream([Out] CUstream* stream, uint flags);
            [Call(0x0102, CallClass.Enqueue)] CUresult fill(CUdeviceptr destination, byte value, nuint count, CUstream stream);
            [Call(0x0103, CallClass.Enqueue)] CUresult send(CUdeviceptr destination, [InBytes(nameof(bytes))] void* source, nuint bytes, [In(Optional = true)] CUuuid* tag);
        }
        [ExportsOf(typeof(IThreeCalls))] static unsafe partial class Exports;
        [DispatchOf(typeof(IThreeCalls))] static unsafe partial class Dispatcher;
        [BindingOf(typeof(IThreeCalls))] unsafe partial class Binding { private static void* Resolve(string name) => null; }
        """;

    [Test]
    public void Three_calls_give_the_golden_files()
    {
        (string[] errors, string[] sources) = Harness.Run(ThreeCalls);
        Assert.That(errors, Is.Empty);
        string all = string.Join("\n// ----\n", sources.Where(s => !s.Contains("class CallTables")));
        string committed = Path.Combine(SourceTree.Root, "tests/TreCr.Calls.Generator.Tests/Golden/three-calls.txt");
        if (SourceTree.Update) File.WriteAllText(committed, all);
        Assert.That(all, Is.EqualTo(File.ReadAllText(committed)), "TRECR_UPDATE=1 rewrites the file");
    }

    [TestCase("ICudaDevice")]
    [TestCase("ICudaContext")]
    [TestCase("ICudaModule")]
    [TestCase("ICudaMemory")]
    [TestCase("ICudaCopy")]
    [TestCase("ICudaExecution")]
    [TestCase("ICudaStream")]
    [TestCase("ICudaEvent")]
    public void Exports_of_every_table_compile(string table)
        => Assert.That(Harness.Run($"[ExportsOf(typeof({table}))] static unsafe partial class X;").Errors, Is.Empty);

    [Test]
    public void A_hand_written_dispatch_is_asked_for_by_the_compiler()
        => Assert.That(Harness.Run("[DispatchOf(typeof(ICudaExecution))] static unsafe partial class X;").Errors, Has.Some.Contains("cuLaunchHostFunc"));

    [Test]
    public void Calls_lock_is_what_the_declarations_say()
    {
        string committed = Path.Combine(SourceTree.Root, "core/TreCr.Calls/calls.lock");
        if (SourceTree.Update) File.WriteAllText(committed, Dispatch.CallTables.LockText);
        Assert.That(Dispatch.CallTables.LockText, Is.EqualTo(File.ReadAllText(committed)), "records are an on-disk format; TRECR_UPDATE=1 rewrites the file");
    }

    [Test]
    public void Facts_of_a_call_are_found_by_number()
    {
        Dispatch.CallTraits traits = Dispatch.CallTables.Find(Library.Cuda, 0x0505)!;
        Assert.That((traits.Name, traits.Class, traits.StreamArgument, traits.ArgumentCount), Is.EqualTo(("cuMemsetD8Async", CallClass.Enqueue, 3, 4)));
        Assert.That(Dispatch.CallTables.Find(Library.Cuda, 0x7fff), Is.Null);
        Assert.That(Dispatch.CallTables.Find((Library)200, 1), Is.Null);
    }
}
