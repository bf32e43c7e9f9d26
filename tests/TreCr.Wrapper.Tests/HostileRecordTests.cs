using NUnit.Framework;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Wrapper.Tests.Fake;

namespace TreCr.Wrapper.Tests;

/// <summary>Records that no wrapper of ours would write: the dispatch says so and does nothing.</summary>
[NonParallelizable]
public unsafe class HostileRecordTests
{
    private FakeDevice _device = null!;
    private FakeSession _session = null!;

    [SetUp]
    public void Start() => (_device, _session) = (new FakeDevice(), new FakeSession(Environment.ProcessId));

    [TearDown]
    public void Stop() => _device.Dispose();

    /// <summary>Builds a record and dispatches it to the module table.</summary>
    private (bool Mine, CUresult Result) Module(ushort call, int count, uint bytes, ulong[] words, byte[]? payload = null, uint remote = 0)
    {
        byte[] memory = new byte[4096];
        payload?.CopyTo(memory, RecordHeader.ArgumentOffset(words.Length));
        fixed (byte* p = memory)
        {
            RecordHeader.Write(p, (int)bytes, call, 0, count, remote, 0);
            for (int i = 0; i < words.Length; i++) ((ulong*)(p + RecordHeader.SizeBytes))[i] = words[i];
            byte* area = stackalloc byte[RecordLimits.AnswerBytes];
            AnswerWriter answer = new(area);
            bool mine = ModuleDispatch.TryDispatch(_device, _session, (RecordHeader*)p, ref answer, out CUresult result);
            return (mine, result);
        }
    }

    private const ushort Load = 0x0201, Unload = 0x0202, GetFunction = 0x0203;

    [TestCase(2, 80u, TestName = "One argument too few")]
    [TestCase(4, 80u, TestName = "One argument too many")]
    [TestCase(3, 64u, TestName = "Record ends inside its arguments")]
    public void Counts(int count, uint bytes) => Malformed(Module(Load, count, bytes, [1, 72, 4]));

    [TestCase(72ul, 100000ul, TestName = "Length beyond the record")]
    [TestCase(72ul, ulong.MaxValue, TestName = "Length that wraps")]
    [TestCase(8ul, 4ul, TestName = "Offset inside the header")]
    [TestCase(ulong.MaxValue, 4ul, TestName = "Offset that wraps")]
    [TestCase(96ul, 1ul, TestName = "Offset at the end")]
    [TestCase(0ul, 4ul, TestName = "NULL with a length")]
    public void Bytes(ulong offset, ulong length) => Malformed(Module(Load, 3, 96, [1, offset, length], new byte[24]));

    [Test]
    public void Text_without_an_end()
    {
        byte[] text = new byte[16];
        Array.Fill(text, (byte)'a');
        ulong module = _session.Register(null, HandleKind.Module, 5);
        Malformed(Module(GetFunction, 4, 96, [1, 1, module, 80], text));
    }

    [Test]
    public void Memory_that_the_program_does_not_have()
        => Assert.That(Module(Load, 3, 80, [1, 0x10, 100000], remote: 2), Is.EqualTo((true, CUresult.CUDA_ERROR_INVALID_VALUE)));

    [Test]
    public void A_handle_that_was_never_given_or_is_of_another_kind()
    {
        Assert.That(Module(Unload, 1, 64, [0xdeadbeef]), Is.EqualTo((true, CUresult.CUDA_ERROR_INVALID_HANDLE)));
        Assert.That(Module(Unload, 1, 64, [_session.Register(null, HandleKind.Stream, 5)]), Is.EqualTo((true, CUresult.CUDA_ERROR_INVALID_HANDLE)));
    }

    [Test]
    public void Another_tables_call_is_left_alone() => Assert.That(Module(0x0505, 4, 80, [0, 0, 0, 0]).Mine, Is.False);

    [Test]
    public void A_sound_record_runs_and_is_logged_and_replay_gives_the_same_handle()
    {
        Assert.That(Module(Load, 3, 80, [1, 72, 4], new byte[8]), Is.EqualTo((true, CUresult.CUDA_SUCCESS)));
        Assert.That(_session.Log, Is.EqualTo(new[] { "+trecrModuleLoad" }));
        _session.ExpectedHandle = VirtualHandle.Make(HandleKind.Module, 0x9999);
        Module(Load, 3, 80, [1, 72, 4], new byte[8]);
        Assert.That(_session.TryTranslate(HandleKind.Module, _session.ExpectedHandle, out _), Is.True);
    }

    private void Malformed((bool Mine, CUresult Result) answer)
    {
        Assert.That(answer, Is.EqualTo((true, CUresult.CUDA_ERROR_INVALID_VALUE)));
        Assert.That(_session.Log, Has.Count.EqualTo(1).And.Some.StartsWith("malformed"));
        Assert.That(_device.Images, Is.Empty);
    }
}
