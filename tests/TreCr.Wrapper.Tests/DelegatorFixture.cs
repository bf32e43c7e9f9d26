using NUnit.Framework;
using TreCr.Wrapper.Tests.Fake;

namespace TreCr.Wrapper.Tests;

/// <summary>Tests of programs on the published library, with a delegator in this process. Not in parallel: device memory has one address.</summary>
[NonParallelizable]
public abstract class DelegatorFixture
{
    private protected FakeDelegator _delegator = null!;

    [SetUp]
    public void Start() => _delegator = new FakeDelegator();

    [TearDown]
    public void Stop()
    {
        _delegator.Dispose();
        Assert.That(_delegator.Failure, Is.Null);
    }
}
