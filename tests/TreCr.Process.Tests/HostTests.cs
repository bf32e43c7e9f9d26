using TreCr.Images;
using TreCr.Process.Resources;
using TreCr.Process.Restore;

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

    /// <summary>Strict overcommit: what is private and can or could be written counts, reserved address space and read-only files do not.</summary>
    [Test]
    public void MemoryThatCannotBeCommittedIsNamed()
    {
        const ulong MiB = 1 << 20;
        VmaImage[] areas =
        [
            new() { Start = 1000 * MiB, End = 1100 * MiB, Permissions = "rw-p", Flags = "rd wr ac" },
            new() { Start = 1100 * MiB, End = 1130 * MiB, Permissions = "---p", Flags = "mr mw ac" }, // was written once
            new() { Start = 1200 * MiB, End = 1300 * MiB, Permissions = "rw-p", Flags = "rd wr nr" }, // strict machines do not heed MAP_NORESERVE
            new() { Start = 2000 * MiB, End = 90000 * MiB, Permissions = "---p", Flags = "mr mw nr" },
            new() { Start = 100000 * MiB, End = 100500 * MiB, Permissions = "r-xp", Flags = "rd ex" },
            new() { Start = 110000 * MiB, End = 110500 * MiB, Permissions = "rw-s", Flags = "rd wr sh" },
        ];
        Assert.That(CommitCheck.ChargeBytes(areas), Is.EqualTo((long)(230 * MiB)));
        Assert.That(CommitCheck.Finding(areas, null), Is.Null);
        Assert.That(CommitCheck.Finding(areas, (long)(238 * MiB)), Is.Null);
        Assert.That(CommitCheck.Finding(areas, (long)(237 * MiB)), Is.EqualTo("the program's memory takes 238 MiB of what may be committed, and 237 MiB are left (vm.overcommit_memory=2)"));
    }
}
