using NUnit.Framework;

namespace TreCr.Api.Tests;

/// <summary>Several ranks: the version that is offered is one that all of them have, of one launch, and old versions stay until newer ones are complete.</summary>
public sealed class AgreementTests
{
    private Place _place = null!;

    [SetUp]
    public void Enter() => _place = new Place();

    [TearDown]
    public void Leave() => _place.Dispose();

    /// <summary>Each rank takes the versions that are its own, as ranks do that are killed at different moments.</summary>
    private void Take(CheckpointSettings settings, params int[][] versions)
        => ThreadGroup.Run(settings, versions.Length, (checkpoints, rank) =>
        {
            using Memory memory = new(1000);
            checkpoints.Regions.Protect(0, memory.Address, 1000, 1, HostMemory.Instance);
            foreach (int version in versions[rank])
            {
                memory.Fill(version * 10 + rank);
                checkpoints.Take("c", version);
            }
            return 0;
        });

    private int Offered(CheckpointSettings settings, int ranks)
    {
        int[] answers = ThreadGroup.Run(settings, ranks, (checkpoints, rank) =>
        {
            int version = checkpoints.FindVersion("c");
            if (version < 0) return version;
            using Memory memory = new(1000);
            checkpoints.Regions.Protect(0, memory.Address, 1000, 1, HostMemory.Instance);
            checkpoints.Restore("c", version);
            return memory.Holds(version * 10 + rank) ? version : -100;
        });
        Assert.That(answers.Distinct().Count(), Is.EqualTo(1), string.Join(' ', answers));
        return answers[0];
    }

    [Test]
    public void TheVersionOffered_IsOneThatAllHave()
    {
        Take(_place.Settings, [1, 2, 4, 5], [1, 2, 3, 4], [1, 2, 3, 5]);
        Assert.That(Offered(_place.Settings, 3), Is.EqualTo(2));
    }

    [Test]
    public void NoneInCommon_IsNone()
    {
        Take(_place.Settings, [1, 3], [2, 4]);
        Assert.That(Offered(_place.Settings, 2), Is.EqualTo(-1));
    }

    /// <summary>After a restart from 1 one rank has taken 2 again and the other has not: the 2 of the first launch is no partner for it.</summary>
    [Test]
    public void PartsOfDifferentLaunches_DoNotMeet()
    {
        Take(_place.Settings, [1, 2], [1, 2]);
        Take(_place.Settings, [2], []);
        Assert.That(Offered(_place.Settings, 2), Is.EqualTo(1));
    }

    [Test]
    public void ARankThatIsBehind_KeepsTheOthersVersions()
    {
        CheckpointSettings settings = _place.Settings with { ScratchVersions = 1, MaxVersions = 1 };
        Take(settings, [1, 2, 3], [1]);
        Assert.That(Offered(settings, 2), Is.EqualTo(1));
        _place.LoseScratch();
        Assert.That(Offered(settings, 2), Is.EqualTo(1));
    }

    /// <summary>Both ranks have a file of version 2, of different launches: no reason to let version 1 go.</summary>
    [Test]
    public void PartsOfDifferentLaunches_AreNotComplete()
    {
        CheckpointSettings settings = _place.Settings with { ScratchVersions = 1, MaxVersions = 1 };
        Take(settings, [1, 2], [1]);
        Take(settings, [], [2]);
        Assert.That(Offered(settings, 2), Is.EqualTo(1));
        _place.LoseScratch();
        Assert.That(Offered(settings, 2), Is.EqualTo(1));
    }

    [Test]
    public void ARankWhoseCopyIsDamagedEverywhere_TakesAllBackFurther()
    {
        Take(_place.Settings, [1, 2], [1, 2]);
        foreach (string directory in (string[])[_place.Scratch, _place.Persistent]) File.WriteAllText($"{directory}/c-1-2.dat", "damaged");
        Assert.That(Offered(_place.Settings, 2), Is.EqualTo(1));
    }
}
