using TreCr.Images;
using TreCr.Process.Resources;

namespace TreCr.Process.Tests;

/// <summary>Whether an image fits a machine: what is missing is named, what is more is not.</summary>
public sealed class HostTests
{
    private static HostImage Host(string flags, ulong vdso = 7, uint bytes = 2696) => new() { CpuFlags = flags, VdsoHash = vdso, XstateBytes = bytes, KernelRelease = "6.18.0" };

    [TestCase("avx avx2 fpu", "avx avx2 fpu amx_tile", null)]
    [TestCase("avx avx2 avx512f fpu", "avx fpu", "this CPU lacks avx2, avx512f")]
    public void Features(string then, string now, string? finding)
        => Assert.That(HostFacts.Differences(Host(then), Host(now)), Is.EqualTo(finding is null ? [] : new[] { finding }));

    [Test]
    public void AnotherKernelAndAnotherRegisterState()
        => Assert.That(HostFacts.Differences(Host("fpu"), Host("fpu", vdso: 8, bytes: 11008)), Has.Exactly(1).Contains("its vdso differs").And.Exactly(1).Contains("has 11008 bytes, the saved one 2696"));
}
