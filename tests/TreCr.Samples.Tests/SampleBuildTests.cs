using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>What build.sh made of samples/: programs with PTX inside that start with NVIDIA's runtime and take their options seriously.</summary>
public sealed class SampleBuildTests
{
    private static readonly Dictionary<string, string> s_noDriver = new() { ["LD_LIBRARY_PATH"] = "", ["TRECR_SAMPLE_COUNTER"] = "", ["TRECR_SAMPLE_HOLD"] = "" };

    private static IEnumerable<Sample> RuntimeSamples => Sample.All.Where(s => s.Name != "vectoradd_driver");

    [Test]
    public void Every_source_is_tested_and_built()
    {
        string[] sources = [.. Repository.Files(".cu", "samples").Concat(Repository.Files(".cpp", "samples")).Select(p => Path.GetFileNameWithoutExtension(p)).Order()];
        Assert.That(Sample.All.Select(s => s.Name).Append(NcclTests.Name).Order(), Is.EqualTo(sources));
        Assert.That(Sample.All.Where(s => !File.Exists(s.Path)), Is.Empty);
    }

    /// <summary>The fat binary's header and entry are as NVIDIA's tools write them, and the entry is PTX for the stated architecture.</summary>
    [TestCaseSource(nameof(RuntimeSamples))]
    public void A_fat_binary_with_PTX_is_inside(Sample sample)
    {
        byte[] file = File.ReadAllBytes(sample.Path);
        ReadOnlySpan<byte> header = [0x50, 0xED, 0x55, 0xBA, 1, 0, 16, 0];
        int at = file.AsSpan().IndexOf(header);
        // nvcc's linker puts an empty one before it.
        while (at > 0 && BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at + 8)) == 0) at += 16 + file.AsSpan(at + 16).IndexOf(header);
        Assert.That(at, Is.GreaterThan(0), "header");
        ReadOnlySpan<byte> entry = file.AsSpan(at + 16);
        ulong all = BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at + 8));
        int kind = BinaryPrimitives.ReadUInt16LittleEndian(entry), headerBytes = BinaryPrimitives.ReadInt32LittleEndian(entry[4..]);
        ulong payloadBytes = BinaryPrimitives.ReadUInt64LittleEndian(entry[8..]);
        Assert.That(kind, Is.EqualTo(1), "PTX");
        Assert.That(payloadBytes % 8, Is.Zero);
        Assert.That((ulong)headerBytes + payloadBytes, Is.LessThanOrEqualTo(all));
        Assert.That(BinaryPrimitives.ReadInt32LittleEndian(entry[28..]), Is.EqualTo(70));
        if (BinaryPrimitives.ReadUInt64LittleEndian(entry[56..]) != 0) Assert.Ignore("compressed by nvcc");
        string ptx = Encoding.ASCII.GetString(entry.Slice(headerBytes, (int)payloadBytes)).TrimEnd('\0');
        Assert.That(ptx, Does.Contain(".target sm_70").And.Contain(".visible .entry"));
        Assert.That(ptx.TrimEnd(), Does.EndWith("}").Or.EndWith("// -- End function"));
    }

    [TestCaseSource(typeof(Sample), nameof(Sample.All))]
    public void An_unknown_option_is_refused(Sample sample)
    {
        if (sample.Name == "vectoradd_driver" && !HasDriver) Assert.Ignore("needs some libcuda.so.1 to start");
        using RunningProgram p = new(sample.Path, ["--sise", "3"], s_noDriver);
        Assert.That(p.WaitForExit(Job.Limit), Is.EqualTo(2));
        Assert.That(p.Errors, Does.Contain("--sise"));
    }

    /// <summary>NVIDIA's own runtime is linked and answers as it does on a machine without a driver.</summary>
    [TestCaseSource(nameof(RuntimeSamples))]
    public void Without_a_driver_the_runtime_says_so(Sample sample)
    {
        if (HasDriver) Assert.Ignore("this machine has a driver");
        using RunningProgram p = new(sample.Path, sample.Arguments, s_noDriver);
        Assert.That(p.WaitForExit(Job.Limit), Is.EqualTo(3));
        Assert.That(p.Errors, Does.Contain("cudaErrorInsufficientDriver"));
        Assert.That(Sample.MarkOf(p.Output, "begin"), Is.Not.Null);
    }

    private static bool HasDriver => new[] { "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib" }.Any(d => File.Exists(Path.Combine(d, "libcuda.so.1")));
}
