using NUnit.Framework;
using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>What a hostile or dying program can write, and what the gate says when something does not end.</summary>
public unsafe class DispatcherTests
{
    private Segment _segment = null!;
    private int _fd, _connection, _other;

    [SetUp]
    public void Open()
    {
        (_segment, _fd) = Segment.Create(1);
        (_connection, _other) = Sys.SocketPair();
    }

    [TearDown]
    public void Close()
    {
        _segment.Unmap();
        Sys.Close(_fd);
        Sys.Close(_connection);
        Sys.Close(_other);
    }

    private sealed class Handler : IRecordHandler
    {
        public readonly ManualResetEventSlim Release = new(false), Entered = new(false);
        public int Ran;
        public long AllocatedOnThread;

        public bool TryRun(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer)
        {
            Interlocked.Increment(ref Ran);
            AllocatedOnThread = GC.GetAllocatedBytesForCurrentThread();
            answer->Result = record->Call;
            return record->Call != 9;
        }

        public void Run(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer)
        {
            Entered.Set();
            Release.Wait(60_000);
            answer->Result = 99;
        }

        public string NameOf(ushort call) => $"cuTest{call}";
    }

    private ProducerChannel Claim()
    {
        ProducerChannel channel = default;
        channel.Bind(_segment, ProducerChannel.Claim(_segment, 1), _connection);
        return channel;
    }

    private static RecordHeader* Record(ref ProducerChannel channel, ushort call)
    {
        byte* at = channel.Begin(48);
        RecordHeader.Write(at, 48, call, 0, 0, 0, 0);
        return (RecordHeader*)at;
    }

    [TestCase(0u), TestCase(8u), TestCase(17u), TestCase(32u), TestCase(1u << 20), TestCase(0xffff_fff0u)]
    public void ARecordOfImpossibleLengthEndsTheSession(uint bytes)
    {
        ChannelHeader* channel = _segment.Channel(ProducerChannel.Claim(_segment, 1));
        RecordHeader* record = (RecordHeader*)((byte*)channel + SegmentLayout.PageBytes);
        RecordHeader.Write((byte*)record, 48, 1, 0, 0, 0, 0);
        record->RecordBytes = bytes;
        channel->Head = 48;
        using Dispatcher dispatcher = new(_segment, new Handler());
        dispatcher.Start();
        Assert.That(dispatcher.Ended.WaitOne(60_000));
        Assert.That(dispatcher.Failure, Is.InstanceOf<RingException>());
        Assert.That(_segment.Control->DelegatorState, Is.EqualTo(2));
    }

    [Test]
    public void AHeadBeyondTheRingEndsTheSession()
    {
        _segment.Channel(ProducerChannel.Claim(_segment, 1))->Head = SegmentLayout.RingBytes + 16;
        using Dispatcher dispatcher = new(_segment, new Handler());
        dispatcher.Start();
        Assert.That(dispatcher.Ended.WaitOne(60_000));
        Assert.That(dispatcher.Failure?.Message, Does.Contain("channel 0"));
    }

    [Test]
    public void MoreChannelsThanThereAreEndTheSession()
    {
        using Dispatcher dispatcher = new(_segment, new Handler());
        dispatcher.Start();
        _segment.Header->ChannelsUsed = 100_000;
        Assert.That(dispatcher.Ended.WaitOne(60_000));
    }

    [Test]
    public void ArgumentsBeyondTheRecordEndTheSession()
    {
        ProducerChannel channel = Claim();
        byte* at = channel.Begin(48);
        RecordHeader.Write(at, 48, 1, 0, 1, 0, 0);
        channel.Publish((RecordHeader*)at);
        using Dispatcher dispatcher = new(_segment, new Handler());
        dispatcher.Start();
        Assert.That(dispatcher.Ended.WaitOne(60_000));
    }

    [Test]
    public void AGateThatCannotCloseNamesTheCallAndOpensAgain()
    {
        Handler handler = new();
        using Dispatcher dispatcher = new(_segment, handler);
        dispatcher.Start();
        ProducerChannel waiting = Claim(), other = Claim();
        Thread thread = new(() =>
        {
            ProducerChannel own = waiting;
            own.Call(Record(ref own, 9));
        });
        thread.Start();
        Assert.That(handler.Entered.Wait(60_000));
        Assert.That(dispatcher.Close(TimeSpan.FromMilliseconds(50), out string? blocker), Is.False);
        Assert.That(blocker, Does.Contain("cuTest9"));
        Assert.That(dispatcher.IsGated, Is.False);
        Assert.That(other.Call(Record(ref other, 3)), Is.EqualTo(WaitResult.Done));
        Assert.That(other.Header->AnswerResult, Is.EqualTo(3));
        handler.Release.Set();
        Assert.That(thread.Join(60_000));
        Assert.That(waiting.Header->AnswerResult, Is.EqualTo(99));
        Assert.That(dispatcher.Close(TimeSpan.FromSeconds(60), out _));
    }

    [Test]
    public void RecordsBehindAClosedGateStayNewAndAreIssuedByTheNextDelegator()
    {
        Handler first = new(), second = new();
        ProducerChannel channel = Claim();
        using (Dispatcher dispatcher = new(_segment, first))
        {
            dispatcher.Start();
            Assert.That(dispatcher.Close(TimeSpan.FromSeconds(60), out _));
            for (int i = 0; i < 5; i++) channel.Publish(Record(ref channel, 1));
            Assert.That(SpinWait.SpinUntil(() => Volatile.Read(ref first.Ran) != 0, 20), Is.False);
            Assert.That(_segment.Channel(0)->Tail, Is.Zero);
        }
        using Dispatcher next = new(_segment, second);
        next.Start();
        Assert.That(channel.Call(Record(ref channel, 2)), Is.EqualTo(WaitResult.Done));
        Assert.That(second.Ran, Is.EqualTo(6));
        Assert.That(_segment.Channel(0)->Tail, Is.EqualTo(_segment.Channel(0)->Head));
    }

    [Test]
    public void NothingIsAllocatedPerRecord()
    {
        Handler handler = new();
        using Dispatcher dispatcher = new(_segment, handler);
        dispatcher.Start();
        ProducerChannel channel = Claim();
        for (int i = 0; i < 1000; i++) channel.Publish(Record(ref channel, 1));
        channel.Call(Record(ref channel, 2));
        long before = Volatile.Read(ref handler.AllocatedOnThread);
        for (int i = 0; i < 20_000; i++) channel.Publish(Record(ref channel, 1));
        channel.Call(Record(ref channel, 2));
        Assert.That(Volatile.Read(ref handler.AllocatedOnThread) - before, Is.Zero);
    }
}
