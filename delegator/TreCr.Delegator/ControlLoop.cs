using System.Diagnostics;
using System.Runtime.InteropServices;
using Google.Protobuf;
using TreCr.Calls.Cuda;
using TreCr.Delegator.Snapshot;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Rank;
using TreCr.Ring;
using TreCr.Store;

namespace TreCr.Delegator;

/// <summary>
/// Answers the supervisor, watches the program's connection. The gate is a lease of the control connection: when that closes while the gate is closed, the
/// gate opens and the program is served until it ends; otherwise its end is the delegator's. A program that ends between a capture and its finish ends the delegator
/// when the snapshot is stored or given up.
/// </summary>
internal sealed class ControlLoop(RankConnection control, Options options)
{
    private const int NoSpaceError = 404; // TRECR-0404, docs/errors.md

    private readonly int _failed = Sys.EventFd(); // readable when the dispatcher failed
    private Session? _session;
    private SnapshotStore? _store;
    private StoreSnapshotWriter? _writer;
    private FrameHashes? _writing, _last;
    private Precopy? _precopy;              // of _writer; _preparedBase is what it was begun over
    private ByteString? _preparedBase;
    private ByteString _lastManifest = ByteString.Empty;
    private (int Count, string[] Names)? _gpuOnlyModules; // of the last capture
    private int _connection = -1;   // to the program
    private bool _serving, _controlGone, _rehearsed, _programGone;
    private bool _captured; // _writer holds a whole snapshot, which is to be finished whatever becomes of the program

    /// <returns>exit code</returns>
    public int Run()
    {
        try
        {
            Span<PollEntry> watched = stackalloc PollEntry[3];
            while (!_programGone || _captured)
            {
                watched[0] = new PollEntry { Fd = _controlGone ? -1 : control.Socket, Events = Sys.POLLIN };
                watched[1] = new PollEntry { Fd = _serving ? _connection : -1, Events = Sys.POLLIN };
                watched[2] = new PollEntry { Fd = _failed, Events = Sys.POLLIN };
                Sys.Check(Sys.Poll(watched, -1), "poll");
                if (watched[2].Returned != 0)
                {
                    Messages.Say($"the session is ended: {_session?.Failure?.Message}");
                    return 1;
                }
                if (watched[1].Returned != 0 && ProgramClosed())
                {
                    (_programGone, _serving) = (true, false);
                    continue; // nothing that is asked now is begun any more
                }
                if (watched[0].Returned == 0) continue;
                Request? request = control.Receive(Request.Parser, out int[] descriptors);
                if (request is not null)
                {
                    Answer(request, descriptors);
                    continue;
                }
                if (!_serving || _session is not { IsGated: true }) return 0;
                _controlGone = true;
                Abandon();
                _session.Open();
            }
            return 0;
        }
        finally
        {
            Abandon();
            _session?.Dispose();
            Sys.Close(_connection);
            _store?.Dispose();
        }
    }

    private bool ProgramClosed()
    {
        Span<byte> bytes = stackalloc byte[64];
        long n = Sys.Receive(_connection, bytes, [], out _);
        return n <= 0;
    }

    private void Answer(Request request, int[] descriptors)
    {
        long start = Stopwatch.GetTimestamp();
        Reply reply = new() { Id = request.Id };
        int[] passed = [];
        try { passed = Do(request, descriptors, reply); }
        catch (WrongDeviceException e)
        {
            (reply.Error, reply.ErrorCode) = (e.Message, WrongDeviceException.ErrorCode);
        }
        catch (Exception e) when (e is ImageException or LinuxException or StoreException or InvalidOperationException or RingException)
        {
            reply.Error = e.Message;
            if (e is StoreException { Kind: StoreErrorKind.NoSpace }) reply.ErrorCode = NoSpaceError;
        }
        catch (Exception e)
        {
            Messages.Say($"{request.VerbCase} failed: {e}");
            reply.Error = $"{request.VerbCase}: {e.Message}";
        }
        reply.Microseconds = (ulong)Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        try { control.Send(reply, passed); }
        catch (LinuxException) { } // it is gone: the next poll says so
        // The program's end of a new connection is the supervisor's now.
        if (request.VerbCase == Request.VerbOneofCase.DelegatorRestore && passed.Length > 0) Sys.Close(passed[0]);
    }

    /// <returns>descriptors for the answer</returns>
    private int[] Do(Request request, int[] descriptors, Reply reply)
    {
        switch (request.VerbCase)
        {
            case Request.VerbOneofCase.Attach: Attach(request.Attach.HostPid, descriptors, reply); break;
            case Request.VerbOneofCase.Gate:
                _writer?.ThrowIfFailed();
                if (!Need().Gate(TimeSpan.FromMilliseconds(request.Gate.DeadlineMs), out string? blocker)) reply.Error = $"{blocker} did not end within {request.Gate.DeadlineMs} ms";
                else _writer?.HoldFrames();
                break;
            case Request.VerbOneofCase.Prepare when request.Prepare.Refine: Refine(reply); break;
            case Request.VerbOneofCase.Prepare: Prepare(request.Prepare.BaseManifestHash, descriptors); break;
            case Request.VerbOneofCase.DelegatorCapture: Capture(request.DelegatorCapture.BaseManifestHash, reply); break;
            case Request.VerbOneofCase.Open: Need().Open(); break;
            case Request.VerbOneofCase.Finish: Finish(reply); break;
            case Request.VerbOneofCase.EpochEnd: if (!request.EpochEnd.Committed) Abandon(); break;
            case Request.VerbOneofCase.DelegatorRestore: return Restore(request.DelegatorRestore, reply);
            case Request.VerbOneofCase.Serve:
                Fault.At(FaultPoint.DelegatorServe);
                Need().Connect(request.Serve.HostPid);
                Need().Serve(request.Serve.HostPid);
                Fault.Peer = request.Serve.HostPid;
                _serving = true;
                break;
            case Request.VerbOneofCase.Status:
                reply.DeviceName = _session?.DeviceName ?? "";
                reply.DeviceKind = _session?.DeviceKind ?? "";
                reply.DeviceBytes = _session?.AllocatedBytes ?? 0;
                if (_session is not null) reply.NotSupported.AddRange(_session.NotSupported);
                break;
            default: throw new InvalidOperationException($"the delegator does not know the request {request.VerbCase}");
        }
        return [];
    }

    private Session Need() => _session ?? throw new InvalidOperationException("the delegator has no session");

    private void Attach(int hostPid, int[] descriptors, Reply reply)
    {
        if (_session is not null || descriptors.Length != 1)
        {
            foreach (int fd in descriptors) Sys.Close(fd);
            throw new InvalidOperationException(_session is not null ? "attached already" : "attach needs the program's connection");
        }
        _connection = descriptors[0];
        SessionWelcome welcome = new() { Magic = SegmentLayout.Magic, ProtocolVersion = SegmentLayout.ProtocolVersion };
        CUresult result = CUresult.CUDA_ERROR_NO_DEVICE;
        string? error = null;
        _session = Backends.Pick(options, out string? reason) is { } make ? Session.Create(make, options.Portable, out result, out error) : null;
        error ??= reason;
        welcome.InitResult = (int)result;
        if (_session is null)
        {
            Messages.Say($"no device: {error ?? result.ToString()}");
            Sys.Check(Sys.Send(_connection, Bytes(ref welcome)), "send");
            _serving = true; // the program's close ends this process
            return;
        }
        welcome.DeviceCount = _session.DeviceCount;
        _session.OnFailure = _ => Sys.SignalEventFd(_failed);
        _session.Serve(hostPid);
        Fault.Peer = hostPid;
        Sys.Check(Sys.Send(_connection, Bytes(ref welcome), [_session.SegmentDescriptor, _session.PinnedDescriptor]), "send");
        _serving = true;
        reply.DeviceName = _session.DeviceName;
        reply.DeviceKind = _session.DeviceKind;
    }

    private static ReadOnlySpan<byte> Bytes(ref SessionWelcome welcome) => MemoryMarshal.AsBytes(new ReadOnlySpan<SessionWelcome>(in welcome));

    private SnapshotStore Store => _store ??= SnapshotStore.Open(options.Store, new StoreOptions { Create = false, MemoryLimitBytes = options.MemoryBytes });

    /// <summary>The program runs: opens the snapshot and copies ahead.</summary>
    /// <param name="trackers">a userfaultfd of the program, or nothing</param>
    private void Prepare(ByteString baseManifest, int[] trackers)
    {
        if (_session is null) foreach (int fd in trackers) Sys.Close(fd);
        Session session = Need();
        foreach (int fd in trackers) session.TrackProgram(fd);
        if (MemoryHeadroom.Read().WhyTooLittle is { } little) throw new ImageException($"device memory cannot be saved: {little}");
        session.CompleteLazily();
        if (!_rehearsed) session.Rehearse();
        _rehearsed = true;
        Begin(baseManifest);
        try { _precopy = session.CopyAhead(_writer!, BaseHashes(baseManifest)); }
        catch
        {
            Abandon();
            throw;
        }
    }

    /// <summary>The program runs: copies once more what was written since <see cref="Prepare"/>.</summary>
    private void Refine(Reply reply)
    {
        if (_writer is null || _precopy is null) return; // nothing was copied ahead
        _writer.ThrowIfFailed();
        PhaseTimes times = new();
        Need().Refine(_writer, _precopy, times);
        Add(times, reply);
    }

    private static void Add(PhaseTimes times, Reply reply)
    {
        foreach (PhaseTimes.Phase phase in times.All) reply.Phases.Add(new PhaseTime { Name = phase.Name, Microseconds = (ulong)phase.Microseconds, Bytes = (ulong)phase.Bytes });
    }

    private void Capture(ByteString baseManifest, Reply reply)
    {
        Session session = Need();
        if (!session.IsGated) throw new InvalidOperationException("capture without a closed gate");
        session.CompleteLazily(); // where nothing was prepared
        if (_writer is null || _preparedBase != baseManifest) Begin(baseManifest);
        _writer!.HoldFrames();
        PhaseTimes times = new();
        try { session.Capture(_writer, BaseHashes(baseManifest), _writing!, _precopy, times); }
        catch
        {
            Abandon();
            throw;
        }
        _gpuOnlyModules = session.GpuOnly();
        Add(times, reply);
        if (_writer.WaitedMicroseconds > 0) reply.Findings.Add($"the copy of device memory waited {_writer.WaitedMicroseconds / 1000} ms for the store: too little memory for what was written ({_writer.CopyLimit})");
        _preparedBase = null; // captured: a second capture begins anew
        _captured = true;
    }

    private void Begin(ByteString baseManifest)
    {
        Abandon();
        _writer = Store.BeginSnapshot(baseManifest.IsEmpty ? null : ContentHash.FromBytes(baseManifest.Span));
        _writing = new FrameHashes();
        _preparedBase = baseManifest;
    }

    private FrameHashes? BaseHashes(ByteString baseManifest) => !baseManifest.IsEmpty && baseManifest == _lastManifest ? _last : null;

    private void Finish(Reply reply)
    {
        if (_writer is null) throw new InvalidOperationException("no capture to finish");
        try
        {
            _precopy?.EndCapture();
            SnapshotResult result = _writer.Finish();
            _last = _writing;
            _lastManifest = result.ManifestHash.ToByteString();
            reply.ManifestHash = _lastManifest;
            if (_gpuOnlyModules is { } lacking)
            {
                reply.GpuOnlyModules = (uint)lacking.Count;
                reply.GpuOnlyReasons.AddRange(lacking.Names);
            }
            reply.BytesTotal = (ulong)result.BytesTotal;
            reply.BytesStored = (ulong)result.BytesStored;
        }
        finally { Abandon(); }
    }

    /// <summary>Drops a snapshot that was begun.</summary>
    private void Abandon()
    {
        _writer?.Dispose();
        _writer = null;
        _precopy = null;
        _preparedBase = null;
        _captured = false;
    }

    private int[] Restore(DelegatorRestoreRequest request, Reply reply)
    {
        ByteString manifest = request.ManifestHash;
        if (_session is not null) throw new InvalidOperationException("attached already");
        if (Backends.Pick(options, out string? reason) is not { } make) throw new WrongDeviceException($"no device: {reason}");
        FrameHashes hashes = new();
        using (StoreSnapshotReader reader = Store.OpenSnapshot(ContentHash.FromBytes(manifest.Span)))
            _session = Session.Restore(make, reader, hashes, request.Lazy);
        _session.OnFailure = _ => Sys.SignalEventFd(_failed);
        _last = hashes;
        _lastManifest = manifest;
        (int ours, int theirs) = Sys.SocketPair();
        _connection = ours;
        reply.DeviceName = _session.DeviceName;
        reply.DeviceKind = _session.DeviceKind;
        if (_session.LazyNotice is { } why) reply.Findings.Add($"the device memory was restored before the program ran: {why}");
        return [theirs, _session.SegmentDescriptor, _session.PinnedDescriptor, .. _session.LazyDescriptors];
    }
}
