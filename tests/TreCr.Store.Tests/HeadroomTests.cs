namespace TreCr.Store.Tests;

/// <summary>What memory a process may take, read from files as kernels show them.</summary>
public sealed class HeadroomTests : StoreTestBase
{
    private const string Unlimited = "9223372036854771712"; // version 1's way to say so

    private void Put(string path, string text)
    {
        string file = Path.Combine(Dir, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    private void Machine(long availableMiB, string groups = "0::/\n", string overcommit = "0", string data = "unlimited")
    {
        Put("proc/meminfo", $"MemTotal:       24684088 kB\nMemAvailable:   {availableMiB << 10} kB\nCommitLimit:    {1 << 20} kB\nCommitted_AS:   {(1 << 20) - (300 << 10)} kB\n");
        Put("proc/sys/vm/overcommit_memory", overcommit + "\n");
        Put("proc/self/cgroup", groups);
        Put("proc/self/status", $"Name:\ttrecr\nVmSize:\t274877906 kB\nVmData:\t{20 << 10} kB\n");
        Put("proc/self/limits", $"Limit                     Soft Limit           Hard Limit           Units     \nMax data size             {data}            unlimited            bytes     \nMax address space         unlimited            unlimited            bytes     \n");
    }

    private void Group(string path, string limit, long usedMiB, long cacheMiB, bool first = false)
    {
        Put($"{path}/{(first ? "memory.limit_in_bytes" : "memory.max")}", limit + "\n");
        Put($"{path}/{(first ? "memory.usage_in_bytes" : "memory.current")}", $"{usedMiB << 20}\n");
        Put($"{path}/memory.stat", first ? $"cache 1\ninactive_file 1\ntotal_inactive_file {cacheMiB << 20}\n" : $"anon 1\ninactive_file {cacheMiB << 20}\n");
    }

    private void Expect(long mebibytes, string bound) => Assert.That(MemoryHeadroom.Read(Dir), Is.EqualTo(new MemoryHeadroom(mebibytes << 20, bound)));

    [Test]
    public void TheMachine()
    {
        Machine(8000);
        Expect(8000, "MemAvailable of the machine");
    }

    [Test]
    public void AGroupAndThoseAboveIt()
    {
        Machine(8000, "0::/batch/job-1/step\n");
        Group("sys/fs/cgroup/batch/job-1/step", "max", 900, 0);
        Group("sys/fs/cgroup/batch/job-1", $"{1000L << 20}", 950, 30);
        Group("sys/fs/cgroup/batch", $"{4000L << 20}", 2000, 0);
        Expect(80, "memory.max of a control group");
        Group("sys/fs/cgroup/batch", $"{4000L << 20}", 3990, 0);
        Expect(10, "memory.max of a control group");
    }

    [Test]
    public void VersionOneBesideTwo_AndAPathOfOutside()
    {
        Machine(8000, "9:name=systemd:/\n4:memory:/box/inner\n0::/\n");
        Directory.CreateDirectory(Path.Combine(Dir, "sys/fs/cgroup/unified"));
        Group("sys/fs/cgroup/memory", Unlimited, 100, 0, first: true);
        Group("sys/fs/cgroup/memory/box/inner", $"{512L << 20}", 500, 100, first: true);
        Expect(112, "memory.limit_in_bytes of a control group");
        Put("proc/self/cgroup", "4:cpu,memory:/../elsewhere\n");
        Group("sys/fs/cgroup/memory", $"{512L << 20}", 500, 0, first: true);
        Expect(12, "memory.limit_in_bytes of a control group");
    }

    [TestCase("0", 8000, "MemAvailable of the machine"), TestCase("1", 8000, "MemAvailable of the machine"), TestCase("2", 300, "vm.overcommit_memory=2")]
    public void StrictOvercommit(string mode, long mebibytes, string bound)
    {
        Machine(8000, overcommit: mode);
        Expect(mebibytes, bound);
    }

    [Test]
    public void ResourceLimits()
    {
        Machine(8000, data: $"{100 << 20}");
        Expect(80, "RLIMIT_DATA");
        Machine(8000, data: $"{10 << 20}");
        Expect(0, "RLIMIT_DATA");
    }

    [Test]
    public void WhatCopiesMayTake()
    {
        MemoryHeadroom room = new(200L << 20, "x");
        Assert.That((room.WhyTooLittle, room.ForCopies(0) >> 20, room.ForCopies(64 << 20) >> 20, room.ForCopies(1L << 40) >> 20), Is.EqualTo(((string?)null, 50L, 64L, 100L)));
        Assert.That(new MemoryHeadroom(1L << 40, "x").ForCopies(0), Is.EqualTo(4L << 30));
        Assert.That(new MemoryHeadroom(31 << 20, "memory.max").WhyTooLittle, Does.StartWith("31 MiB of memory may be taken here (memory.max)"));
    }

    /// <summary>On the machine of the test: there is something, and more than a checkpoint needs.</summary>
    [Test]
    public void Here() => Assert.That(MemoryHeadroom.Read().Bytes, Is.GreaterThan(MemoryHeadroom.LeastBytes).And.LessThan(1L << 50));
}
