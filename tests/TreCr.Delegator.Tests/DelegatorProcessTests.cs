using System.Runtime.InteropServices;
using Google.Protobuf;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.Rank;
using TreCr.Ring;

namespace TreCr.Delegator.Tests;

/// <summary>The delegator as the supervisor starts it: its own process, asked over the control socket.</summary>
[NonParallelizable]
public unsafe class DelegatorProcessTests
{
    private readonly List<int> _pids = [];
    private string _store = "";

    [SetUp]
    public void MakeStore()
    {
        _store = Directory.CreateTempSubdirectory("trecr-delegator-test").FullName;
        TreCr.Store.SnapshotStore.Open(_store).Dispose();
    }

    [TearDown]
    public void KillAll()
    {
        foreach (int pid in _pids)
        {
            Sys.Kill(pid, Sys.SIGKILL);
            Sys.Wait(pid, 0, out _);
        }
        _pids.Clear();
        Directory.Delete(_store, true);
    }

    private (RankConnection Control, int Pid) Spawn(params string[] environment) => SpawnWith([], environment);

    private (RankConnection Control, int Pid) SpawnWith(string[] options, params string[] environment)
    {
        (int ours, int theirs) = Sys.SocketPair();
        int inherited = Sys.Duplicate(theirs, 60);
        Sys.SetInheritable(inherited);
        string dll = Path.Combine(Path.GetDirectoryName(typeof(Session).Assembly.Location)!, "trecr-delegator.dll");
        string dotnet = Environment.ProcessPath!.EndsWith("dotnet") ? Environment.ProcessPath : "/usr/bin/dotnet";
        string[] all = [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(e => $"{e.Key}={e.Value}"), "DOTNET_EnableDiagnostics=0", .. environment]; // killed, it would leave a socket and FIFOs in /tmp
        int pid = Sys.Spawn(dotnet, ["dotnet", dll, "--control-fd", inherited.ToString(), "--device", "soft", "--store", _store, "--job", "test", .. options], all);
        Sys.Close(inherited);
        Sys.Close(theirs);
        _pids.Add(pid);
        return (new RankConnection(ours), pid);
    }

    private static (Reply Reply, int[] Descriptors) Ask(RankConnection control, Request request, params int[] descriptors)
    {
        control.Send(request, descriptors);
        PollEntry entry = new() { Fd = control.Socket, Events = Sys.POLLIN };
        Assert.That(Sys.Poll(new Span<PollEntry>(ref entry), 120_000), Is.EqualTo(1), "no answer");
        Reply? reply = control.Receive(Reply.Parser, out int[] came);
        Assert.That(reply, Is.Not.Null, "the delegator closed the control socket");
        return (reply!, came);
    }

    private static Reply Must(RankConnection control, Request request)
    {
        Reply reply = Ask(control, request).Reply;
        Assert.That(reply.Error, Is.Empty);
        return reply;
    }

    private static (FakeProgram Program, int Connection) Attach(RankConnection control)
    {
        (int program, int delegator) = Sys.SocketPair();
        Assert.That(Ask(control, new Request { Id = 1, Attach = new AttachRequest { HostPid = Environment.ProcessId } }, delegator).Reply.Error, Is.Empty);
        Sys.Close(delegator);
        SessionWelcome welcome = default;
        int[] descriptors = new int[2];
        Assert.That(Sys.Receive(program, MemoryMarshal.AsBytes(new Span<SessionWelcome>(ref welcome)), descriptors, out int count), Is.EqualTo(sizeof(SessionWelcome)));
        Assert.That((welcome.Magic, welcome.InitResult, welcome.DeviceCount, count), Is.EqualTo((SegmentLayout.Magic, 0, 1u, 2)));
        FakeProgram fake = new(descriptors[0], program);
        foreach (int fd in descriptors) Sys.Close(fd);
        return (fake.Start(), program);
    }

    private static bool Ends(int pid, out int status)
    {
        status = 0;
        int pidfd = Sys.PidfdOpen(pid);
        PollEntry entry = new() { Fd = pidfd, Events = Sys.POLLIN };
        bool ended = Sys.Poll(new Span<PollEntry>(ref entry), 60_000) == 1;
        Sys.Close(pidfd);
        return ended && Sys.Wait(pid, Sys.WNOHANG, out status) == pid;
    }

    private void End(int pid, FakeProgram program, int connection, RankConnection control)
    {
        Sys.Kill(pid, Sys.SIGKILL);
        Assert.That(Ends(pid, out _));
        _pids.Remove(pid);
        program.Dispose();
        Sys.Close(connection);
        control.Dispose();
    }

    /// <summary>24 MiB of device memory of which nothing was copied ahead: where copies may take 8 MiB, the delegator's half of 16, the device stands still until they are stored, which is said; what is saved is whole.</summary>
    [Test]
    public void CopiesOfDeviceMemoryAreBounded_AndWaitingIsSaid()
    {
        const int Bytes = 24 << 20;
        byte[] bytes = new byte[Bytes];
        new Random(7).NextBytes(bytes);
        foreach (string[] options in (string[][])[[], ["--max-extra-memory", $"{8 << 20}"]])
        {
            (RankConnection control, int pid) = SpawnWith(options);
            (FakeProgram program, int connection) = Attach(control);
            ulong memory = program.Allocate(Bytes);
            for (int at = 0; at < Bytes; at += 1 << 20) program.ToDevice(memory + (ulong)at, bytes[at..(at + (1 << 20))]);
            program.Synchronize();
            Must(control, new Request { Gate = new GateRequest { DeadlineMs = 10_000 } });
            Reply captured = Must(control, new Request { DelegatorCapture = new DelegatorCaptureRequest() });
            Assert.That(captured.Findings, options.Length == 0 ? Is.Empty : Has.One.Match("the copy of device memory waited .* for the store: too little memory .*copies may take 8 MiB here: --max-extra-memory"));
            Must(control, new Request { Open = new OpenRequest() });
            Assert.That(Must(control, new Request { Finish = new FinishRequest() }).BytesTotal, Is.GreaterThan((ulong)Bytes));
            Assert.That(program.FromDevice(memory + Bytes - (1 << 20), 1 << 20).AsSpan().SequenceEqual(bytes.AsSpan()[^(1 << 20)..]));
            End(pid, program, connection, control);
        }
    }

    [Test]
    public void AProgramIsServedCapturedKilledAndServedAgainByAFreshDelegator()
    {
        (RankConnection control, int pid) = Spawn();
        (FakeProgram program, int connection) = Attach(control);
        byte[] bytes = new byte[300_000];
        new Random(1).NextBytes(bytes);
        ulong memory = program.Allocate(300_000);
        program.ToDevice(memory, bytes);
        Assert.That(program.FromDevice(memory, 300_000), Is.EqualTo(bytes));
        Reply status = Must(control, new Request { Status = new StatusRequest() });
        Assert.That((status.DeviceKind, status.DeviceBytes), Is.EqualTo(("soft", 300_000UL)));
        Assert.That(Ask(control, new Request { DelegatorCapture = new DelegatorCaptureRequest() }).Reply.Error, Does.Contain("gate"));
        Must(control, new Request { Gate = new GateRequest { DeadlineMs = 60_000 } });
        Must(control, new Request { DelegatorCapture = new DelegatorCaptureRequest() });
        Must(control, new Request { Open = new OpenRequest() });
        Reply saved = Must(control, new Request { Finish = new FinishRequest() });
        Assert.That(saved.ManifestHash.Length, Is.EqualTo(16));
        Assert.That(saved.BytesTotal, Is.GreaterThan(300_000UL));
        // What happens after the checkpoint is undone by the restart.
        program.Enqueue(0x0505, [memory, 0, 300_000, 0]);
        program.Synchronize();
        Must(control, new Request { Gate = new GateRequest { DeadlineMs = 60_000 } });
        Must(control, new Request { DelegatorCapture = new DelegatorCaptureRequest { BaseManifestHash = saved.ManifestHash } });
        Reply second = Must(control, new Request { Finish = new FinishRequest() });
        Assert.That(second.BytesTotal, Is.LessThan(saved.BytesTotal));
        Must(control, new Request { Open = new OpenRequest() });
        End(pid, program, connection, control);

        (RankConnection fresh, int freshPid) = Spawn();
        (Reply restored, int[] descriptors) = Ask(fresh, new Request { DelegatorRestore = new DelegatorRestoreRequest { ManifestHash = saved.ManifestHash } });
        Assert.That(restored.Error, Is.Empty);
        Assert.That(descriptors, Has.Length.EqualTo(3));
        using FakeProgram again = new(descriptors[1], descriptors[0]);
        Must(fresh, new Request { Serve = new ServeRequest { HostPid = Environment.ProcessId } });
        Assert.That(again.FromDevice(memory, 300_000), Is.EqualTo(bytes));
        // The program's end is the delegator's.
        foreach (int fd in descriptors) Sys.Close(fd);
        Assert.That(Ends(freshPid, out int exit));
        _pids.Remove(freshPid);
        Assert.That(exit, Is.Zero);
        fresh.Dispose();
    }

    [Test]
    public void AClosedGateOpensWhenTheControlConnectionCloses()
    {
        (RankConnection control, int pid) = Spawn();
        (FakeProgram program, int connection) = Attach(control);
        Must(control, new Request { Gate = new GateRequest { DeadlineMs = 60_000 } });
        control.Dispose();
        Assert.That(program.Allocate(64), Is.Not.Zero);
        program.Dispose();
        Sys.Close(connection);
        Assert.That(Ends(pid, out int exit));
        _pids.Remove(pid);
        Assert.That(exit, Is.Zero);
    }

    [Test]
    public void ARestoredDelegatorThatIsNotToldToServeEndsWithItsSupervisor()
    {
        (RankConnection control, int pid) = Spawn();
        (FakeProgram program, int connection) = Attach(control);
        Must(control, new Request { Gate = new GateRequest { DeadlineMs = 60_000 } });
        Must(control, new Request { DelegatorCapture = new DelegatorCaptureRequest() });
        ByteString manifest = Must(control, new Request { Finish = new FinishRequest() }).ManifestHash;
        (RankConnection second, int secondPid) = Spawn();
        (Reply restored, int[] descriptors) = Ask(second, new Request { DelegatorRestore = new DelegatorRestoreRequest { ManifestHash = manifest } });
        Assert.That(restored.Error, Is.Empty);
        second.Dispose();
        Assert.That(Ends(secondPid, out int exit));
        _pids.Remove(secondPid);
        Assert.That(exit, Is.Zero);
        foreach (int fd in descriptors) Sys.Close(fd);
        program.Dispose();
        Sys.Close(connection);
        control.Dispose();
    }

    /// <summary>Of several processes of a job one may end as soon as it runs again: the checkpoint that it was captured for is as good as before.</summary>
    [TestCase(true), TestCase(false)]
    public void AProgramThatEndsBeforeItsSnapshotIsStoredTakesNothingWithIt(bool finished)
    {
        (RankConnection control, int pid) = Spawn();
        (FakeProgram program, int connection) = Attach(control);
        ulong memory = program.Allocate(300_000);
        program.ToDevice(memory, new byte[300_000]);
        Must(control, new Request { Gate = new GateRequest { DeadlineMs = 60_000 } });
        Must(control, new Request { DelegatorCapture = new DelegatorCaptureRequest() });
        Must(control, new Request { Open = new OpenRequest() });
        program.Dispose();
        Sys.Close(connection);
        if (finished) Assert.That(Must(control, new Request { Finish = new FinishRequest() }).ManifestHash.Length, Is.EqualTo(16));
        else Must(control, new Request { EpochEnd = new EpochEndRequest() });
        Assert.That(Ends(pid, out int exit));
        _pids.Remove(pid);
        Assert.That(exit, Is.Zero);
        control.Dispose();
    }

    [Test]
    public void AnUnknownSnapshotIsAnErrorNotADeath()
    {
        (RankConnection control, _) = Spawn();
        Reply reply = Ask(control, new Request { DelegatorRestore = new DelegatorRestoreRequest { ManifestHash = ByteString.CopyFrom(new byte[16]) } }).Reply;
        Assert.That(reply.Error, Is.Not.Empty);
        Must(control, new Request { Status = new StatusRequest() });
        control.Dispose();
    }
}
