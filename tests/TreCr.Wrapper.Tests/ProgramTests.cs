using NUnit.Framework;
using TreCr.Wrapper.Tests.Fake;

namespace TreCr.Wrapper.Tests;

/// <summary>C programs on the published library, with a delegator in this process.</summary>
public class ProgramTests : DelegatorFixture
{
    [Test]
    public void Calls_of_the_driver_api()
    {
        (int code, string output) = Wrapper.RunWith(Wrapper.Compile("calls"), _delegator.SocketPath);
        TestContext.Out.WriteLine(output);
        Assert.That(output, Does.Contain("all well"));
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("at exit 4"), "after exit() has begun the driver answers CUDA_ERROR_DEINITIALIZED");
        Assert.That(output.Split("cuGraphicsUnregisterResource is not supported").Length - 1, Is.EqualTo(1), "named once");
        Assert.That(_delegator.Session!.Log, Has.None.StartsWith("malformed"));
        Assert.That(_delegator.Session.Log, Does.Contain("+trecrModuleLoad").And.Contain("+cuMemAlloc_v2").And.Contain("-cuMemFree_v2").And.Contain("-cuStreamDestroy_v2"));
        Assert.That(_delegator.Device.Images, Is.EqualTo(new[] { $"{BitConverter.ToUInt32(".ver"u8):x8} 28" }), "text goes with its NUL");
    }

    [Test]
    public void Without_a_session_there_is_no_device()
    {
        (int code, string output) = Wrapper.RunWith(Wrapper.Compile("init"), "");
        Assert.That(output, Does.Contain("cuInit 100").And.Contain("trecr run"));
        Assert.That(code, Is.Zero);
    }

    [Test]
    public void What_the_delegator_says_is_what_cuInit_answers()
    {
        _delegator.InitResult = 802;
        Assert.That(Wrapper.RunWith(Wrapper.Compile("init"), _delegator.SocketPath).Output, Does.Contain("cuInit 802"));
    }

    [Test]
    public void The_death_of_the_delegator_is_an_error_not_a_hang()
    {
        _delegator.DieAt = "cuMemAlloc_v2";
        (int code, string output) = Wrapper.RunWith(Wrapper.Compile("init"), _delegator.SocketPath, "alloc");
        Assert.That(output, Does.Contain("cuMemAlloc 719\ncuMemAlloc 719").And.Contain("the delegator of this process has died"));
        Assert.That(code, Is.Zero);
    }

    [Test]
    public void Device_output_stands_in_its_place_among_the_programs_own()
    {
        _delegator.Device.Output = "from the device\n";
        Assert.That(Wrapper.RunWith(Wrapper.Compile("init"), _delegator.SocketPath, "output").Output, Does.Contain("before\nfrom the device\nafter\n"));
    }

    [Test]
    public void Nvidias_own_runtime_library_starts_and_launches()
    {
        if (!File.Exists("/usr/lib/x86_64-linux-gnu/libcudart.so.11.0")) Assert.Ignore("libcudart11.0 is not installed");
        (int code, string output) = Wrapper.RunWith(Wrapper.Compile("runtime"), _delegator.SocketPath);
        Assert.That(output, Does.Contain("all well"), string.Join(" ", _delegator.Calls));
        Assert.That(code, Is.Zero);
        Assert.That(_delegator.Device.Launches, Is.EqualTo(1));
        Assert.That(_delegator.Device.Images, Has.Count.EqualTo(1));
        Assert.That(_delegator.Device.Images[0], Does.StartWith("ba55ed50"));
    }
}
