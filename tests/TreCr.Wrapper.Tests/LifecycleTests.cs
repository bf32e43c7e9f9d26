using NUnit.Framework;

namespace TreCr.Wrapper.Tests;

/// <summary>Fork, exec, threads, signals and exit of programs on the published library: each row of facts/nativeaot.md, section 4, that a program can meet.</summary>
public class LifecycleTests : DelegatorFixture
{
    private static readonly Lazy<string> s_program = new(() => Wrapper.Compile("lifecycle", "-rdynamic"));

    [TestCase("fork_before_init"), TestCase("fork_after_init"), TestCase("forks_while_threads_call"), TestCase("execute"), TestCase("exit_while_threads_call"), TestCase("constructor"),
        TestCase("pays_nothing"), TestCase("first_calls_together"), TestCase("closed_and_opened"), TestCase("signals_while_calling"), TestCase("sleepers_are_not_woken"), TestCase("call_in_a_handler"),
        TestCase("faults_of_the_program"), TestCase("a_thread_dies_in_a_call"), TestCase("small_stacks"), TestCase("coroutines"), TestCase("one_instance"), TestCase("bad_pointers"), TestCase("faults_in_calls")]
    public void Program(string way)
    {
        (int code, string output) = Wrapper.RunWith(s_program.Value, _delegator.SocketPath, way);
        Assert.That(output, Does.Contain("all well"));
        Assert.That(code, Is.Zero, output);
    }

    [Test]
    public void A_preloaded_library_is_the_one_that_the_program_opens()
    {
        string library = Path.Combine(Wrapper.Folder(), "libcuda.so.1");
        (int code, string output) = Wrapper.RunWith("/usr/bin/env", _delegator.SocketPath, $"LD_PRELOAD={library} {s_program.Value} preloaded");
        Assert.That(output, Does.Contain("all well"));
        Assert.That(code, Is.Zero, output);
    }

    [TestCase("byte_copy", "another copy of libcuda.so.1"), TestCase("tiny_stacks", "a stack of less than 32 KiB")]
    public void What_cannot_be_is_refused_by_name(string way, string named)
    {
        (int code, string output) = Wrapper.RunWith(s_program.Value, _delegator.SocketPath, way);
        Assert.That(output, Does.Contain("all well").And.Contain(named));
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
