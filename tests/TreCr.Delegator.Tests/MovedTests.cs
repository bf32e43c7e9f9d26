using System.Text;
using Google.Protobuf;
using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;
using TreCr.Delegator.Snapshot;
using TreCr.Images;

namespace TreCr.Delegator.Tests;

/// <summary>Which modules can leave a GPU, and that a restore looks at the images themselves, whatever was written down about them.</summary>
[NonParallelizable]
public sealed class MovedTests
{
    [TestCase(".version 7.8\n.target sm_90\n", null), TestCase("// x\n.version 8.7\n.target sm_100\n", null), TestCase(".version 8.7\n.target sm_103a, debug\n", "PTX for sm_103 only"), TestCase("\u007fELF", "machine code only")]
    public void Text_and_machine_code(string image, string? lacks) => Assert.That(ModulePtx.Of(Encoding.Latin1.GetBytes(image), onGpu: true).Lacks, Is.EqualTo(lacks));

    /// <summary>Two entries, kind, compute capability and flags of each.</summary>
    [TestCase(2, 90, 0UL, 1, 80, 0UL, null), TestCase(2, 90, 0UL, 2, 80, 0UL, "machine code only"), TestCase(2, 90, 0UL, 1, 120, 0UL, "PTX for sm_120 only"), TestCase(2, 90, 0UL, 1, 90, 0x100000UL, "PTX for sm_90a only")]
    public void Fat_binaries(int kind, int sm, ulong flags, int otherKind, int otherSm, ulong otherFlags, string? lacks)
        => Assert.That(ModulePtx.Of(Fatbin(Entry(kind, sm, flags), Entry(otherKind, otherSm, otherFlags)), onGpu: false).Lacks, Is.EqualTo(lacks));

    [TestCase(".visible .global .align 4 .u32 total;", "total"), TestCase(".const .align 8 .b8 _Z5table[16];", "_Z5table"), TestCase(".visible .entry k()\n{\nld.global.u32 %r1, [%rd1];\n}", null), TestCase(".weak .global .align 1 .b8 x = 1;", "x"),
        TestCase("// .global .u32 y;\n.func f;", null)]
    public void Variables_stay_on_the_GPU(string text, string? name)
    {
        byte[] image = Encoding.Latin1.GetBytes($".version 6.4\n.target sm_50\n{text}\n");
        Assert.That(ModulePtx.Of(image, onGpu: true).Variable, Is.EqualTo(name));
        Assert.That(ModulePtx.Of(image, onGpu: false).Variable, Is.Null);
    }

    [Test]
    public void One_piece_without_PTX_is_enough()
        => Assert.That(ModulePtx.Of(LinkedImage.Make([Encoding.ASCII.GetBytes(".version 7.8\n.target sm_90\n"), Fatbin(Entry(2, 90, 0))]), onGpu: true).Lacks, Is.EqualTo("machine code only"));

    [Test]
    public void A_restore_on_the_software_device_refuses_a_module_by_name()
    {
        using FakeProgram program = new FakeProgram().Start();
        program.LoadModule(Kernels.Mix);
        MemorySnapshot saved = program.Capture();
        SessionRecord session = SessionRecord.Parser.ParseFrom(saved.GetRecord("session"));
        Assert.That(session.Modules.Select(m => m.HasPtx), Is.EqualTo(new[] { true }));
        session.DeviceKind = "cuda";
        saved.PutRecord("session", session.ToByteArray());
        LogRecord log = LogRecord.Parser.ParseFrom(saved.GetRecord("log"));
        LogEntry load = log.Entries.Single(e => e.Record[4] == 0x01 && e.Record[5] == 0x02);
        byte[] bytes = load.Record.ToByteArray();
        "\u007fELF"u8.CopyTo(bytes.AsSpan(RecordHeader.SizeBytes + 8 * load.Record[28])); // where its image begins
        load.Record = ByteString.CopyFrom(bytes);
        saved.PutRecord("log", log.ToByteArray());
        program.Session.Dispose();
        Assert.That(() => Session.Restore(FakeProgram.Backend, saved, new FrameHashes()), Throws.InstanceOf<WrongDeviceException>().With.Message.Match("for GPUs only .*module [0-9a-f]{12} has no PTX for the software device: machine code only"));
    }

    private static byte[] Entry(int kind, int sm, ulong flags)
    {
        byte[] entry = new byte[64 + 8];
        BitConverter.TryWriteBytes(entry, (ushort)kind);
        BitConverter.TryWriteBytes(entry.AsSpan(4), 64);
        BitConverter.TryWriteBytes(entry.AsSpan(8), 8L);
        BitConverter.TryWriteBytes(entry.AsSpan(28), sm);
        BitConverter.TryWriteBytes(entry.AsSpan(40), flags);
        return entry;
    }

    private static byte[] Fatbin(params byte[][] entries)
    {
        byte[] body = [.. entries.SelectMany(e => e)];
        return [.. BitConverter.GetBytes(0xBA55ED50), 1, 0, 16, 0, .. BitConverter.GetBytes((long)body.Length), .. body];
    }
}
