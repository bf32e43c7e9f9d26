using NUnit.Framework;
using TreCr.Api.Gpi;

namespace TreCr.Api.Tests;

/// <summary>Parts of GPI_CP that need no other rank: mirrors, copies beside the program, policies, who takes whose place, what is restored.</summary>
public sealed class MirrorTests
{
    private const int Bytes = 100_001;

    [Test]
    public void OnlyWhatChangedIsCopied()
    {
        using MirrorImage image = MirrorImage.Create(Bytes);
        using Memory memory = new(Bytes);
        Take(image, 0, 1, memory);
        memory.Span[5] = 7;
        memory.Span[Bytes - 1] = 9;
        MirrorCopy second = Take(image, 0, 3, memory);
        Assert.That(second.ChangedBytes, Is.EqualTo(4096 + Bytes % 4096), "the first block and what is left at the end");
        using Memory back = new(Bytes);
        image.Read(0, back.Address);
        Assert.That(back.Span.SequenceEqual(memory.Span));
        Assert.That(image.Generation(0), Is.EqualTo(3));
    }

    /// <summary>Half of a generation is none, whoever looks.</summary>
    [Test]
    public void AnUnfinishedHalf_HasNoGeneration()
    {
        using MirrorImage image = MirrorImage.Create(8 << 20);
        using Memory memory = new(8 << 20);
        Take(image, 1, 4, memory);
        MirrorCopy copy = new(image, 1, 6, memory.Address, 0);
        Assert.That(copy.CopySlice(), Is.False);
        Assert.That(image.Generation(1), Is.Zero);
        copy.Cancel();
        Assert.That(copy.CopySlice());
        Assert.That(image.Generation(1), Is.Zero);
    }

    [Test]
    public void HigherPriorities_AreCopiedFirst()
    {
        using MirrorImage image = MirrorImage.Create(32 << 20), other = MirrorImage.Create(32 << 20);
        using Memory memory = new(32 << 20);
        using BlockCopier copier = new();
        MirrorCopy low = new(image, 0, 1, memory.Address, 0), high = new(other, 0, 1, memory.Address, 1);
        bool lowWasFirst = false;
        Task ended = high.Done.ContinueWith(_ => lowWasFirst = low.Done.IsCompleted, TaskContinuationOptions.ExecuteSynchronously);
        copier.Add(low, high);
        Task.WaitAll(low.Done, ended);
        Assert.That(lowWasFirst, Is.False);
    }

    [Test]
    public void APrivateView_ShowsTheMirrorAndChangesNothing()
    {
        using MirrorImage image = MirrorImage.Create(Bytes);
        using Memory memory = new(Bytes);
        memory.Span.Fill(3);
        nint view = image.MapPrivately();
        HostMemory.Instance.Write(view, memory.Span);
        memory.Span.Fill(5);
        Take(image, 0, 1, memory);
        MirrorImage.ForgetChanges(view, Bytes);
        using Memory back = new(Bytes);
        HostMemory.Instance.Read(view, back.Span);
        Assert.That(back.Span.SequenceEqual(memory.Span));
        MirrorImage.Unmap(view, Bytes);
    }

    [Test]
    public void WhatIsNoMirror_IsRefused()
    {
        int descriptor = Linux.Sys.MemfdCreate("no mirror");
        Linux.Sys.Ftruncate(descriptor, 4096 + 2 * Bytes);
        Assert.That(() => MirrorImage.Open(descriptor, Bytes), Throws.TypeOf<GpiException>().With.Property("Code").EqualTo(GpiCode.BadSize));
    }

    [TestCase(MirrorPolicy.Ring, "1 2 3 4 0"), TestCase(MirrorPolicy.RingLeft, "4 0 1 2 3"), TestCase(MirrorPolicy.Pairs, "1 0 3 2 0"), TestCase(MirrorPolicy.User, "2 3 4 0 1")]
    public void Policies(MirrorPolicy policy, string mirrors) => Assert.That(string.Join(' ', MirrorMap.Make(policy, 5, (place, count) => (place + 2) % count)), Is.EqualTo(mirrors));

    [Test]
    public void AUsersPolicy_MustNameAnotherPlace([Values(0, -1, 5)] int to)
        => Assert.That(() => MirrorMap.Make(MirrorPolicy.User, 5, (_, _) => to), Throws.TypeOf<GpiException>());

    /// <summary>A rank that knows more than the others is right: what it knows to be committed is whole at all of them.</summary>
    [Test]
    public void WhatAnyRankKnowsToBeCommitted_IsRestored()
    {
        RestorePlan plan = RestorePlan.Make([0, 2, 3, 7], [Survivor(4), Survivor(5), Survivor(4), new(0, Bytes, 1, "", 0, 0, [], [])], Bytes, MirrorPolicy.Ring);
        Assert.That(plan.Generation, Is.EqualTo(5));
        Assert.That(plan.Era, Is.EqualTo(3));
        Assert.That(plan.Places, Is.EqualTo(new ushort[] { 0, 7, 2, 3 }));
        // In a group that was made by takeover the places are those of the group.
        Assert.That(RestorePlan.Make([0, 7, 2, 3], [Survivor(4), new(0, Bytes, 1, "", 0, 0, [], []), Survivor(4), Survivor(4)], Bytes, MirrorPolicy.Ring).Places, Is.EqualTo(new ushort[] { 0, 7, 2, 3 }));

        static RestoreOffer Survivor(ulong committed) => new(0, Bytes, 1, "mirror", 2, committed, [0, 1, 2, 3], [1, 2, 3, 0]);
    }

    [Test]
    public void Spares_TakePlacesInOrder()
    {
        Assert.That(Takeover.Fill([0, 1, 2, 3], r => r is not (1 or 3), [9, 5, 7]), Is.EqualTo(new ushort[] { 0, 5, 2, 7 }));
        Assert.That(Takeover.Fill([0, 1], r => r != 1, []), Is.Null);
    }

    private static MirrorCopy Take(MirrorImage image, int half, ulong generation, Memory memory)
    {
        MirrorCopy copy = new(image, half, generation, memory.Address, 0);
        while (!copy.CopySlice()) { }
        return copy;
    }
}
