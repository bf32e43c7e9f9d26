using NUnit.Framework;
using TreCr.Api.Gpi;
using TreCr.Linux;

namespace TreCr.Api.Tests;

/// <summary>The agent of a GPI_CP job, message by message: what ranks agree on, whom a death concerns, and peers that send what no rank sends.</summary>
public sealed class GpiAgentTests
{
    private const int Seed = 20261123, WaitMs = 30_000;

    private Place _place = null!;
    private Thread _agent = null!;
    private readonly List<FrameChannel> _ranks = [];

    [SetUp]
    public void Start()
    {
        _place = new Place();
        int listener = Sys.ListenUnix(Socket, Sys.SOCK_STREAM);
        _agent = new Thread(() => new GpiAgent(listener).Run()) { IsBackground = true };
        _agent.Start();
    }

    [TearDown]
    public void End()
    {
        foreach (FrameChannel rank in _ranks) rank.Dispose();
        _ranks.Clear();
        Assert.That(_agent.Join(WaitMs), "it ends with its last peer");
        _place.Dispose();
    }

    private string Socket => $"{_place.Root}/s";

    [Test]
    public void WhatAllGive_AllGetInTheOrderOfTheMembers()
    {
        Join(3);
        ushort[] members = [2, 0];
        Gather(0, 5, "a", members, 10);
        Gather(2, 6, "a", members, 12);
        foreach (int rank in members) Assert.That(Take(rank, FrameKind.Answer).Payload, Is.EqualTo(new byte[] { 1, 0, 0, 0, 12, 1, 0, 0, 0, 10 }));
    }

    /// <summary>Who has given its part and died is no hindrance; who has not ends the call for all others, now and later.</summary>
    [Test]
    public void ADeadRank_HindersOnlyWhatItGaveNothingTo()
    {
        Join(3);
        ushort[] members = [0, 1, 2];
        Gather(2, 5, "before", members, 2);
        Gather(0, 5, "without", members, 0);
        Die(2);
        Assert.That(Take(0, FrameKind.Died).Read(r => r.ReadUInt16()), Is.EqualTo(2));
        Assert.That(Take(0, FrameKind.Failure).Id, Is.EqualTo(5));
        Gather(1, 6, "without", members, 1);
        Assert.That(Take(1, FrameKind.Failure).Id, Is.EqualTo(6));
        Gather(0, 7, "before", members, 0);
        Gather(1, 8, "before", members, 1);
        Assert.That(Take(0, FrameKind.Answer).Id, Is.EqualTo(7));
        Assert.That(Take(1, FrameKind.Answer).Id, Is.EqualTo(8));
    }

    [Test]
    public void SparesTakeOver_WhenAllSurvivorsHaveAsked()
    {
        Join(5);
        TakeOver(4, 3, "");
        TakeOver(0, 3, "g", 0, 1, 2);
        Die(1);
        TakeOver(2, 3, "g", 0, 1, 2);
        foreach (int rank in (int[])[0, 2, 4]) Assert.That(Take(rank, FrameKind.Answer).Read(r => (r.ReadString(), Frame.ReadRanks(r))).Item2, Is.EqualTo(new ushort[] { 0, 4, 2 }));
        Die(3); // the last that might still have come
        TakeOver(2, 9, "h", 0, 4, 2, 3);
        Assert.That(Take(2, FrameKind.Failure).Id, Is.EqualTo(9));
    }

    [Test]
    public void WhenTheOthersHaveLeft_SparesAreReleased()
    {
        Join(2);
        TakeOver(1, 3, "");
        _ranks[0].Send(new Frame(FrameKind.Leave, 0, []));
        Die(0);
        Assert.That(Take(1, FrameKind.Answer).Read(r => (r.ReadString(), Frame.ReadRanks(r))).Item2, Is.Empty);
    }

    [TestCase(2, 2), TestCase(0, 3)]
    public void ARankThatCannotBe_IsRefused(int rank, int count)
    {
        Join(2);
        FrameChannel third = Connect();
        Hello(third, (ushort)rank, (ushort)count);
        _ranks.Add(third);
        Assert.That(Take(2, FrameKind.Failure).Read(r => (r.ReadInt32(), r.ReadString())), Is.EqualTo(((int)GpiCode.EnvironmentWrong, $"rank {rank} of {count}: this job has 2 ranks{(rank == 0 ? ", and had that one already" : "")}")));
    }

    /// <summary>Bytes that are no frames, frames of all kinds with bytes that are no payloads: at worst that peer's connection ends; the others' calls go on.</summary>
    [Test]
    public void WhatNoRankSends_HarmsNobodyElse()
    {
        const int Peers = 200;
        Join(3);
        Random random = new(Seed);
        for (int i = 0; i < Peers; i++)
        {
            FrameChannel stranger = Connect();
            if (i % 3 == 0)
            {
                byte[] noise = new byte[random.Next(1, 300)];
                random.NextBytes(noise);
                Sys.Send(stranger.Socket, noise);
            }
            else
            {
                if (i % 3 == 1) Hello(stranger, (ushort)random.Next(70_000), (ushort)random.Next(4)); // never one of ours: that is taken
                for (int frames = 0; frames < 5; frames++)
                {
                    byte[] payload = new byte[random.Next(40)];
                    random.NextBytes(payload);
                    stranger.Send(new Frame((FrameKind)random.Next(256), (uint)random.Next(), payload));
                }
            }
            stranger.Dispose();
            // What a rank itself may send wrongly.
            byte[] wrong = new byte[random.Next(60)];
            random.NextBytes(wrong);
            FrameKind[] kinds = [FrameKind.Gather, FrameKind.Keep, FrameKind.Fetch, FrameKind.Drop, FrameKind.Takeover, FrameKind.Post];
            _ranks[2].Send(new Frame(kinds[random.Next(kinds.Length)], 0, wrong));
            Gather(0, (uint)(1000 + i), $"call {i}", [0, 1], 1);
            Gather(1, (uint)(1000 + i), $"call {i}", [0, 1], 2);
            Assert.That(Take(0, FrameKind.Answer).Id, Is.EqualTo(1000 + i));
            Assert.That(Take(1, FrameKind.Answer).Id, Is.EqualTo(1000 + i));
        }
    }

    private FrameChannel Connect() => new(Sys.ConnectUnix(Socket, Sys.SOCK_STREAM));

    private void Join(int count)
    {
        for (ushort rank = 0; rank < count; rank++)
        {
            _ranks.Add(Connect());
            Hello(_ranks[rank], rank, (ushort)count);
        }
        for (int rank = 0; rank < count; rank++) Assert.That(Take(rank, FrameKind.Answer).Id, Is.EqualTo(1));
    }

    private static void Hello(FrameChannel channel, ushort rank, ushort count) => channel.Send(Frame.Of(FrameKind.Hello, 1, w =>
    {
        w.Write(rank);
        w.Write(count);
    }));

    private void Gather(int rank, uint id, string name, ushort[] members, byte own) => _ranks[rank].Send(Frame.Of(FrameKind.Gather, id, w =>
    {
        w.Write(name);
        Frame.WriteRanks(w, members);
        w.Write(own);
    }));

    private void TakeOver(int rank, uint id, string group, params ushort[] places) => _ranks[rank].Send(Frame.Of(FrameKind.Takeover, id, w =>
    {
        w.Write(group);
        Frame.WriteRanks(w, places);
    }));

    private void Die(int rank) => Sys.ShutdownBoth(_ranks[rank].Socket);

    private readonly Dictionary<int, Queue<Frame>> _arrived = [];

    /// <summary>The next frame of a kind; others before it are passed over.</summary>
    private Frame Take(int rank, FrameKind kind)
    {
        if (!_arrived.TryGetValue(rank, out Queue<Frame>? queue)) _arrived[rank] = queue = new Queue<Frame>();
        while (true)
        {
            while (queue.TryDequeue(out Frame frame))
                if (frame.Kind == kind) return frame;
            PollEntry[] entry = [new() { Fd = _ranks[rank].Socket, Events = Sys.POLLIN }];
            Assert.That(Sys.Poll(entry, WaitMs), Is.EqualTo(1), $"rank {rank} hears nothing");
            List<Frame> frames = [];
            bool open = _ranks[rank].Receive(frames);
            foreach (Frame frame in frames) queue.Enqueue(frame);
            Assert.That(open || frames.Count > 0, $"rank {rank}: the agent has closed the connection before {kind}");
        }
    }
}
