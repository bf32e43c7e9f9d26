namespace TreCr.Store.Tests;

/// <summary>Level and threads by measured figures: which one is chosen where processors, place and content differ.</summary>
public sealed class CompressionChoiceTests
{
    private const long MiB = 1 << 20, Plain = 64 * MiB;

    /// <summary>Sessions on a machine whose levels cost and save so much, on a place that takes so many ns a byte.</summary>
    /// <param name="nsPerByte">of levels -5, 1, 3</param><param name="ratios">of the same</param>
    private static CompressionChoice After(int sessions, int threads, double[] nsPerByte, double[] ratios, double placeNs)
    {
        CompressionChoice choice = new(null);
        for (int session = 0; session < sessions; session++)
        {
            double compress = 0, stored = 0;
            const int FrameBytes = 65536;
            for (int frame = 0; frame < Plain / FrameBytes; frame++)
            {
                int i = Array.IndexOf(CompressionChoice.Levels, choice.LevelOf(frame));
                choice.Compressed(CompressionChoice.Levels[i], FrameBytes, (long)(FrameBytes * ratios[i]), (long)(FrameBytes * nsPerByte[i]));
                (compress, stored) = (compress + FrameBytes * nsPerByte[i], stored + FrameBytes * ratios[i]);
            }
            double other = 0.1 * Plain, wall = (compress + other) / threads, place = stored * placeNs;
            choice.Ended(threads, (long)(compress + other), (long)compress, 0, Plain, (long)stored, (long)Math.Max(0, place - wall));
        }
        return choice;
    }

    private static readonly double[] s_costs = [1.2, 2.5, 5], s_ratios = [0.5, 0.4, 0.36];

    [Test]
    public void ASlowPlaceGetsFewerBytes() => Assert.That(After(3, 8, s_costs, s_ratios, placeNs: 10).Level, Is.EqualTo(3));

    [Test]
    public void AFastPlaceGetsThemSooner() => Assert.That(After(8, 1, s_costs, s_ratios, placeNs: 0.2).Level, Is.EqualTo(-5));

    [Test]
    public void InBetweenIsInBetween() => Assert.That(After(6, 2, s_costs, s_ratios, placeNs: 3.2).Level, Is.EqualTo(1));

    [Test]
    public void WhatDoesNotCompressIsNotCompressedForLong() => Assert.That(After(4, 2, s_costs, [1, 1, 1], placeNs: 2).Level, Is.Not.EqualTo(3));

    [Test]
    public void ASlowPlaceNeedsFewThreads()
    {
        Assert.That(After(3, 8, s_costs, s_ratios, placeNs: 10).Threads(8), Is.InRange(2, 4));
        Assert.That(After(8, 8, s_costs, s_ratios, placeNs: 0.05).Threads(8), Is.EqualTo(8));
        Assert.That(new CompressionChoice(null).Threads(8), Is.EqualTo(8), "nothing is known");
    }

    [Test]
    public void BeforeAnythingIsKnownItIsLevel1AndOthersAreTried()
    {
        CompressionChoice choice = new(null);
        Assert.That(choice.Level, Is.EqualTo(CompressionChoice.FirstLevel));
        int[] used = [.. Enumerable.Range(0, 1024).Select(i => choice.LevelOf(i))];
        Assert.That(used.Distinct(), Is.EquivalentTo(CompressionChoice.Levels));
        Assert.That(used.Count(l => l == 1), Is.GreaterThan(1000));
    }

    [Test]
    public void AGivenLevelIsKept()
    {
        CompressionChoice choice = new(7);
        choice.Ended(1, 1_000_000_000, 900_000_000, 0, Plain, Plain / 2, 10_000_000_000);
        Assert.That((choice.Level, choice.LevelOf(63), choice.Threads(5)), Is.EqualTo((7, 7, 5)));
    }
}
