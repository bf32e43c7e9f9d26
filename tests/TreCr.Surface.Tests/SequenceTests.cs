using NUnit.Framework;
using TreCr.Surface.Tests.Differential;

namespace TreCr.Surface.Tests;

/// <summary>Random sequences of driver calls: the wrapper, the back end itself and what is known of the real driver agree. `soak sequences` runs more of them.</summary>
[NonParallelizable]
public sealed class SequenceTests
{
    [TestCase(1, false), TestCase(2, false), TestCase(3, true)]
    public void Wrapper_and_back_end_agree(int seed, bool restarted) => Assert.That(SequenceRun.Differences(seed, 800, restarted), Is.Empty);
}
