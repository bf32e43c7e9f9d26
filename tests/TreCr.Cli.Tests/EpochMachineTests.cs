using NUnit.Framework;
using TreCr.Control;

namespace TreCr.Cli.Tests;

/// <summary>The coordinator's state machine on a fake clock.</summary>
public sealed class EpochMachineTests
{
    private static EpochMachine Machine(uint ranks = 2, uint deadlineMs = 60_000) => new(5, Enumerable.Range(0, (int)ranks).Select(i => (uint)i), stop: false, deadlineMs, nowMs: 1000);

    [Test]
    public void AllPrepared_CommitsThenTellsAll()
    {
        EpochMachine machine = Machine();
        Assert.That(machine.Start().OfType<EpochAction.SendPrepare>().Select(a => a.Rank), Is.EqualTo(new uint[] { 0, 1 }));
        Assert.That(machine.RankPrepared(0, 5, new RankPrepared()), Is.Empty);
        Assert.That(machine.RankPrepared(0, 5, new RankPrepared()), Is.Empty, "a second answer of the same rank is not that of the other");
        Assert.That(machine.RankPrepared(1, 5, new RankPrepared()).Single(), Is.TypeOf<EpochAction.Commit>());
        IReadOnlyList<EpochAction> done = machine.CommitFinished();
        Assert.That(done.OfType<EpochAction.SendCommit>().Count(), Is.EqualTo(2));
        Assert.That(done.OfType<EpochAction.Finished>().Single().Error, Is.Zero);
        Assert.That(machine.State, Is.EqualTo(EpochState.Committed));
    }

    [Test]
    public void OneFailed_AbortsTheOthers_AndNeverCommits()
    {
        EpochMachine machine = Machine();
        machine.Start();
        machine.RankPrepared(0, 5, new RankPrepared());
        IReadOnlyList<EpochAction> actions = machine.RankFailed(1, 5, new RankFailed { Error = 203, Reason = "a socket" });
        Assert.That(actions.OfType<EpochAction.SendAbort>().Select(a => a.Rank), Is.EqualTo(new uint[] { 0 }));
        Assert.That(actions.OfType<EpochAction.Finished>().Single().Reason, Is.EqualTo("rank 1: a socket"));
        Assert.That(machine.RankPrepared(1, 5, new RankPrepared()).OfType<EpochAction.Commit>(), Is.Empty);
        Assert.That(machine.CommitFinished(), Is.Empty);
        Assert.That(machine.State, Is.EqualTo(EpochState.Aborted));
    }

    [Test]
    public void AllReady_MayCloseTheirGates_AndNotBefore()
    {
        EpochMachine machine = Machine(ranks: 3);
        machine.Start();
        Assert.That(machine.RankReady(2, 5, EpochStep.Gate), Is.Empty);
        Assert.That(machine.RankReady(0, 5, EpochStep.Gate), Is.Empty);
        Assert.That(machine.RankReady(0, 5, EpochStep.Gate), Is.Empty, "a second word of the same rank is not that of the third");
        Assert.That(machine.RankReady(1, 5, EpochStep.Gate).OfType<EpochAction.SendAllReady>().Select(a => a.Rank), Is.EqualTo(new uint[] { 0, 1, 2 }));
        Assert.That(machine.RankReady(1, 5, EpochStep.Gate), Is.Empty);
    }

    [Test]
    public void NoRankGoesOn_BeforeAllAreCaptured()
    {
        EpochMachine machine = Machine(ranks: 2);
        machine.Start();
        machine.RankReady(0, 5, EpochStep.Gate);
        machine.RankReady(1, 5, EpochStep.Gate);
        Assert.That(machine.RankReady(0, 5, EpochStep.Capture), Is.Empty, "ready for the gate is not frozen");
        Assert.That(machine.RankReady(1, 5, EpochStep.Capture), Has.Count.EqualTo(2));
        Assert.That(machine.RankReady(1, 5, EpochStep.Resume), Is.Empty, "frozen is not captured");
        Assert.That(machine.RankReady(0, 5, EpochStep.Resume), Is.EqualTo(new EpochAction[] { new EpochAction.SendAllReady(0, EpochStep.Resume), new EpochAction.SendAllReady(1, EpochStep.Resume) }));
    }

    [Test]
    public void ReadyAfterTheEnd_IsToldSo()
    {
        EpochMachine machine = Machine();
        machine.Start();
        machine.RankFailed(1, 5, new RankFailed { Error = 203, Reason = "a socket" });
        Assert.That(machine.RankReady(0, 5, EpochStep.Gate).OfType<EpochAction.SendAbort>().Single().Rank, Is.Zero);
        Assert.That(Machine().RankReady(1, 4, EpochStep.Gate).OfType<EpochAction.SendAbort>().Single().Epoch, Is.EqualTo(4), "it waits in that one");
    }

    [Test]
    public void Deadline_NamesTheRankThatIsNotReady()
    {
        EpochMachine machine = Machine(ranks: 3, deadlineMs: 500);
        machine.Start();
        machine.RankReady(0, 5, EpochStep.Gate);
        machine.RankReady(2, 5, EpochStep.Gate);
        Assert.That(machine.Tick(1500).OfType<EpochAction.Finished>().Single().Reason, Does.StartWith("rank 1 had not prepared"));
    }

    [Test]
    public void Deadline_NamesTheRankThatIsNotFrozen()
    {
        EpochMachine machine = Machine(ranks: 2, deadlineMs: 500);
        machine.Start();
        machine.RankReady(0, 5, EpochStep.Gate);
        machine.RankReady(1, 5, EpochStep.Gate);
        machine.RankReady(0, 5, EpochStep.Capture);
        Assert.That(machine.Tick(1500).OfType<EpochAction.Finished>().Single().Reason, Does.StartWith("rank 1 had not prepared"));
    }

    [Test]
    public void Deadline_Aborts_AndNamesTheRank()
    {
        EpochMachine machine = Machine(deadlineMs: 500);
        machine.Start();
        machine.RankPrepared(0, 5, new RankPrepared());
        Assert.That(machine.Tick(1499), Is.Empty);
        EpochAction.Finished finished = machine.Tick(1500).OfType<EpochAction.Finished>().Single();
        Assert.That(finished.Error, Is.EqualTo(TrecrError.Deadline.Number));
        Assert.That(finished.Reason, Does.Contain("rank 1"));
    }

    [Test]
    public void KeepsRanksAlive_WhileTheyWork()
    {
        EpochMachine machine = Machine();
        machine.Start();
        Assert.That(machine.Tick(1000 + ControlWire.KeepAliveMs).OfType<EpochAction.SendKeepAlive>().Count(), Is.EqualTo(2));
        Assert.That(machine.Tick(1001 + ControlWire.KeepAliveMs), Is.Empty);
        machine.RankPrepared(0, 5, new RankPrepared());
        machine.RankPrepared(1, 5, new RankPrepared());
        Assert.That(machine.Tick(1000 + 2 * ControlWire.KeepAliveMs).OfType<EpochAction.SendKeepAlive>().Count(), Is.EqualTo(2), "they also wait for the commit");
        Assert.That(ControlWire.KeepAliveMs * 3, Is.LessThan(ControlWire.LeaseMs));
    }

    [Test]
    public void LostRank_AbortsBeforeTheCommit_AndNotAfter()
    {
        EpochMachine early = Machine();
        early.Start();
        Assert.That(early.RankLost(1).OfType<EpochAction.Finished>().Single().Error, Is.EqualTo(TrecrError.SupervisorFailed.Number));
        EpochMachine late = Machine();
        late.Start();
        late.RankPrepared(0, 5, new RankPrepared());
        late.RankPrepared(1, 5, new RankPrepared());
        Assert.That(late.RankLost(1), Is.Empty);
        Assert.That(late.CommitFinished().OfType<EpochAction.SendCommit>().Select(a => a.Rank), Is.EqualTo(new uint[] { 0 }));
    }

    [Test]
    public void CommitFailure_Aborts()
    {
        EpochMachine machine = Machine(1);
        machine.Start();
        machine.RankPrepared(0, 5, new RankPrepared());
        IReadOnlyList<EpochAction> actions = machine.CommitFailed(404, "full");
        Assert.That(actions.OfType<EpochAction.SendAbort>().Count(), Is.EqualTo(1));
        Assert.That(actions.OfType<EpochAction.Finished>().Single().Error, Is.EqualTo(404));
    }

    [Test]
    public void AnswerOfAnOldEpoch_IsToldToGoOn()
    {
        EpochMachine machine = Machine();
        machine.Start();
        Assert.That(machine.RankPrepared(0, 4, new RankPrepared()).Single(), Is.TypeOf<EpochAction.SendAbort>());
        Assert.That(machine.State, Is.EqualTo(EpochState.Preparing));
    }

    [Test]
    public void RandomEvents_NeverCommitWithoutAllRanks([Range(0, 40)] int seed)
    {
        Random random = new(seed);
        EpochMachine machine = Machine(3, 5000);
        HashSet<uint> prepared = [];
        long now = 1000;
        List<EpochAction> actions = [.. machine.Start()];
        for (int i = 0; i < 60; i++)
        {
            uint rank = (uint)random.Next(3);
            ulong epoch = random.Next(8) == 0 ? 4UL : 5UL;
            now += random.Next(300);
            IReadOnlyList<EpochAction> more;
            switch (random.Next(12))
            {
                case < 6:
                    if (epoch == 5 && machine.State == EpochState.Preparing) prepared.Add(rank);
                    more = machine.RankPrepared(rank, epoch, new RankPrepared());
                    break;
                case 6: more = machine.RankFailed(rank, epoch, new RankFailed { Error = 205, Reason = "no" }); break;
                case 7: more = machine.RankLost(rank); break;
                case 8: more = machine.CommitFinished(); break;
                default: more = machine.Tick(now); break;
            }
            if (more.OfType<EpochAction.Commit>().Any()) Assert.That(prepared, Has.Count.EqualTo(3), $"seed {seed}");
            actions.AddRange(more);
        }
        Assert.That(actions.OfType<EpochAction.Finished>().Count(), Is.LessThanOrEqualTo(1), $"seed {seed}: told twice");
        Assert.That(actions.OfType<EpochAction.Commit>().Count(), Is.LessThanOrEqualTo(1), $"seed {seed}");
    }
}
