using NUnit.Framework;
using TreCr.Calls;
using TreCr.Calls.Records;
using TreCr.Images;

namespace TreCr.Replay.Tests;

/// <summary>The log holds what exists: calls come and go with their objects.</summary>
public unsafe class CallLogTests
{
    private static readonly ulong Context = VirtualHandle.PrimaryContext(0);
    private readonly HashSet<ulong> _live = [];

    private static byte[] Record(ushort call, ulong context, params ulong[] words)
    {
        int bytes = RecordHeader.Round(RecordHeader.SizeBytes + 8 * words.Length);
        byte[] record = new byte[bytes];
        fixed (byte* p = record) RecordHeader.Write(p, bytes, call, context, words.Length, 0, 0);
        Buffer.BlockCopy(words, 0, record, RecordHeader.SizeBytes, 8 * words.Length);
        return record;
    }

    private void AddObject(CallLog log, ulong handle, byte[] record, params (int, ModuleImage)[] fetched)
    {
        fixed (byte* p = record) log.AddObject((RecordHeader*)p, handle, [1, 2, 3, 4, 5, 6, 7, 8], _live.Contains, [77, 88], fetched);
        _live.Add(handle);
    }

    private void AddSetting(CallLog log, byte[] record, int subject)
    {
        fixed (byte* p = record) log.AddSetting((RecordHeader*)p, [], subject, _live.Contains);
    }

    private (CallLog Log, ulong Module, ulong Function, ulong Stream) Sample()
    {
        CallLog log = new();
        ulong module = VirtualHandle.Make(HandleKind.Module, 0x1000), function = VirtualHandle.Make(HandleKind.Function, 0x1000), stream = VirtualHandle.Make(HandleKind.Stream, 0x1000);
        AddObject(log, Context, Record(0x0101, 0, 1, 0));
        AddObject(log, module, Record(0x0201, Context, 1, 0x7000, 5), (1, log.Keep([1, 2, 3, 4, 5])));
        AddObject(log, function, Record(0x0203, Context, 1, 1, module, 80));
        AddObject(log, stream, Record(0x0701, Context, 1, 0, 0));
        AddSetting(log, Record(0x0206, Context, function, 8, 1000), 2);
        return (log, module, function, stream);
    }

    [Test]
    public void UnloadingAModuleTakesItsFunctionsAndTheirSettings()
    {
        (CallLog log, ulong module, ulong function, ulong stream) = Sample();
        Assert.That(log.Count, Is.EqualTo(5));
        Assert.That(log.Remove(module), Is.EquivalentTo(new[] { module, function }));
        Assert.That(log.Snapshot().Select(c => c.Handle), Is.EqualTo(new[] { Context, stream }));
    }

    [Test]
    public void EndingAContextTakesEverythingInIt()
    {
        (CallLog log, ulong module, ulong function, ulong stream) = Sample();
        Assert.That(log.Remove(Context), Is.EquivalentTo(new[] { Context, module, function, stream }));
        Assert.That(log.Count, Is.Zero);
    }

    [Test]
    public void ASettingReplacesTheOneBeforeOfTheSameSubjectOnly()
    {
        (CallLog log, _, ulong function, _) = Sample();
        AddSetting(log, Record(0x0206, Context, function, 8, 2000), 2);
        AddSetting(log, Record(0x0206, Context, function, 9, 50), 2);
        Assert.That(log.Snapshot().Where(c => c.Handle == 0).Select(c => c.Argument(2)), Is.EqualTo(new ulong[] { 2000, 50 }));
    }

    [Test]
    public void AnotherContextThatIsCurrentIsNoParentOfAContext()
    {
        CallLog log = new();
        AddObject(log, Context, Record(0x0101, 0, 1, 0));
        AddObject(log, VirtualHandle.PrimaryContext(1), Record(0x0101, Context, 1, 1));
        log.Remove(Context);
        Assert.That(log.Snapshot().Select(c => c.Handle), Is.EqualTo(new[] { VirtualHandle.PrimaryContext(1) }));
    }

    [Test]
    public void ALogComesBackFromItsSnapshotAndGoesOn()
    {
        (CallLog log, ulong module, ulong function, _) = Sample();
        MemorySnapshot snapshot = new();
        CallLogState.Save(log, snapshot);
        CallLog again = new();
        foreach (LoggedCall call in CallLogState.Load(snapshot)) again.Restore(call);
        LoggedCall[] before = log.Snapshot(), after = again.Snapshot();
        Assert.That(after.Select(c => (c.Serial, c.Handle, Convert.ToHexString(c.Record), Convert.ToHexString(c.Answer))),
            Is.EqualTo(before.Select(c => (c.Serial, c.Handle, Convert.ToHexString(c.Record), Convert.ToHexString(c.Answer)))));
        Assert.That(after[1].Fetched[0].Image.Bytes, Is.EqualTo(new byte[] { 1, 2, 3, 4, 5 }));
        Assert.That(after[1].InternalAddresses, Is.EqualTo(new ulong[] { 77, 88 }));
        AddSetting(again, Record(0x0206, Context, function, 8, 3000), 2);
        Assert.That(again.Count, Is.EqualTo(5), "a restored setting is replaced too");
        Assert.That(again.Remove(module), Is.EquivalentTo(new[] { module, function }));
    }

    [Test]
    public void EqualImagesAreKeptOnce()
    {
        CallLog log = new();
        ModuleImage one = log.Keep([9, 9, 9]), two = log.Keep([9, 9, 9]), other = log.Keep([9, 9, 8]);
        Assert.That(two, Is.SameAs(one));
        Assert.That(other.Name, Is.Not.EqualTo(one.Name));
    }

    [Test]
    public void EveryCutLogIsRefusedOrShorterNeverACrash()
    {
        (CallLog log, _, _, _) = Sample();
        MemorySnapshot snapshot = new();
        CallLogState.Save(log, snapshot);
        byte[] whole = snapshot.GetRecord("log");
        int refused = 0;
        for (int length = 0; length < whole.Length; length++)
        {
            snapshot.PutRecord("log", whole.AsSpan(0, length));
            try { Assert.That(CallLogState.Load(snapshot), Has.Count.LessThan(5)); }
            catch (ImageException) { refused++; }
        }
        Assert.That(refused, Is.GreaterThan(whole.Length / 2));
    }

    [Test]
    public void HandlesAreNeverGivenTwice()
    {
        HandleTable handles = new();
        ulong a = handles.Add(HandleKind.Stream, 500);
        Assert.That(handles.Add(HandleKind.Stream, 500), Is.EqualTo(a), "the same object");
        handles.Remove(a);
        ulong b = handles.Add(HandleKind.Stream, 500);
        Assert.That(b, Is.Not.EqualTo(a));
        Assert.That(handles.TryGet(HandleKind.Event, b, out _), Is.False);
        HandleTable restored = new();
        foreach ((HandleKind kind, ulong next) in handles.Counters) restored.SetCounter(kind, next);
        Assert.That(restored.Add(HandleKind.Stream, 1), Is.GreaterThan(b));
    }
}
