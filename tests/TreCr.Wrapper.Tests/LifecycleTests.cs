using NUnit.Framework;

namespace TreCr.Wrapper.Tests;

/// <summary>Fork, exec, threads, signals and exit of programs on the published library: each row of facts/nativeaot.md, section 4, that a program can meet.</summary>
public class LifecycleTests : DelegatorFixture
{
    private static readonly Lazy<string> s_program = new(() => Wrapper.Compile("lifecycle", "-rdynamic"));

    [TestCase("fork_before_init"), TestCase("fork_after_init"), TestCase("forks_while_threads_call"), TestCase("execute"), TestCase("exit_while_threads_call"), TestCase("constructor"),
        TestCase("pays_nothing"), TestCase("first_calls_together"), TestCase("closed_and_opened"), TestCase("signals_while_calling"), TestCase("sleepers_are_not_woken"), TestCase("call_in_a_handler"),
        TestCase("faults_of_the_program"), TestCase("a_thread_dies_in_a_call"), TestCase("small_stacks"), TestCase("coroutines"), TestCase("one_instance"), TestCase("bad_pointers")]
    public void Program(string way)
    {
        (int code, string output) = Wrapper.RunWith(s_program.Value, _delegator.SocketPath, way);
        Assert.That(output, Does.Contain("all well"));
        Assert.That(code, Is.Zero, output);
    }

    [Test]
    public void Calls_after_main_and_in_destructors_of_threads_are_answered()
    {
        (int code, string output) = Wrapper.RunWith(s_program.Value, _delegator.SocketPath, "calls_at_the_end");
        Assert.That(output, Does.Contain("all well").And.Contain("at exit 4").And.Contain("at unload 4 4"), "CUDA_ERROR_DEINITIALIZED");
        Assert.That(code, Is.Zero, output);
    }
}
