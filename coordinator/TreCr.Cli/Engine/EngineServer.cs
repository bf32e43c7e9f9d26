using Google.Protobuf;
using TreCr.Control;
using TreCr.Linux;
using TreCr.Process;
using TreCr.Process.Engine;
using TreCr.Rank;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>Answers the supervisor's requests with the process engine and the store, one at a time. Ends when the supervisor closes, or when threads can be let go in no other way; a frozen program then runs on.</summary>
/// <param name="saveFilesBelowBytes">-1: the engine's own limit</param><param name="memoryBytes">for copies of the program's memory that are not stored yet; 0: by what is free</param>
internal sealed class EngineServer(int control, string storePath, long saveFilesBelowBytes, long memoryBytes, bool bundle) : IDisposable
{
    /// <summary>How long rounds after the copy ahead may go on.</summary>
    private const int RefineMs = 10_000;

    private readonly RankConnection _connection = new(control);
    private readonly ProcessEngine _engine = saveFilesBelowBytes < 0 ? new() { Bundle = bundle } : new() { Bundle = bundle, SaveFilesBelowBytes = saveFilesBelowBytes };
    private readonly SnapshotStore _store = SnapshotStore.Open(storePath, new StoreOptions { Create = false, MemoryLimitBytes = memoryBytes });
    private StoreSnapshotWriter? _writer;
    private StoreSnapshotReader? _reader;
    private int[] _keptTerminals = [];

    public void Run()
    {
        while (_connection.Receive(Request.Parser, out int[] descriptors) is { } request)
        {
            Reply reply = new() { Id = request.Id };
            long start = Sys.ClockNs(1);
            int tracker = -1;
            try { Answer(request, reply, descriptors, ref tracker); }
            catch (RefusedException e)
            {
                bool restoring = request.VerbCase == Request.VerbOneofCase.ProcessRestore;
                reply.ErrorCode = (restoring ? TrecrError.RestoreRefused : TrecrError.CheckpointRefused).Number;
                reply.Error = $"cannot {(restoring ? "restore" : "save")} the program: {e.Findings[0]}{(e.Findings.Count > 1 ? $" (and {e.Findings.Count - 1} more)" : "")}";
                reply.Findings.AddRange(e.Findings);
            }
            catch (Exception e)
            {
                (TrecrError error, string message, _) = e is ProcessException ? (TrecrError.CheckpointFailed, e.Message, []) : Program.Explain(e);
                reply.Error = message;
                reply.ErrorCode = e is ProcessEndedException && request.VerbCase == Request.VerbOneofCase.ProcessCapture ? TrecrError.ProcessKilled.Number : e is ProcessException or LinuxException ? 0 : error.Number; // 0: the supervisor knows what it was about
            }
            if (request.VerbCase != Request.VerbOneofCase.ServePages || reply.Error.Length > 0)
                foreach (int fd in descriptors) Sys.Close(fd);
            reply.Microseconds = (ulong)(Sys.ClockNs(1) - start) / 1000;
            _connection.Send(reply, tracker >= 0 ? [tracker] : request.VerbCase switch
            {
                Request.VerbOneofCase.ProcessRestore => [.. _engine.LazyDescriptors],
                Request.VerbOneofCase.Release => _keptTerminals,
                _ => [],
            });
            Sys.Close(tracker);
            if (ProcessEngine.MustEnd) return;
        }
    }

    /// <param name="tracker">receives a descriptor for the answer</param>
    private void Answer(Request request, Reply reply, int[] descriptors, ref int tracker)
    {
        if (request.VerbCase == Request.VerbOneofCase.Prepare) Fault.Peer = request.Prepare.Pid;
        switch (request.VerbCase)
        {
            case Request.VerbOneofCase.Check:
                reply.Findings.AddRange(_engine.Check(request.Check.Pid, Read(request.Check.Externals)));
                if (MemoryHeadroom.Read().WhyTooLittle is { } little) reply.Findings.Add(little);
                break;
            case Request.VerbOneofCase.Prepare:
                try
                {
                    if (request.Prepare.Refine)
                    {
                        _writer?.ThrowIfFailed();
                        if (_writer is not null) _engine.Refine(_writer, RefineMs);
                    }
                    else
                    {
                        Begin(request.Prepare.BaseManifestHash);
                        if (request.Prepare.Track) _engine.Prepare(request.Prepare.Pid, _writer!);
                    }
                }
                catch (ProcessException e) { reply.Findings.Add($"all memory is copied while the program stands still: {e.Message}"); }
                Note(reply, _engine.Times);
                break;
            case Request.VerbOneofCase.TrackPinned:
                try { tracker = _engine.TrackPinned(request.TrackPinned.Pid, request.TrackPinned.Root); }
                catch (ProcessException e) { reply.Findings.Add($"pinned memory is looked at while the program stands still: {e.Message}"); }
                break;
            case Request.VerbOneofCase.Freeze:
                _writer?.HoldFrames();
                _engine.Freeze(request.Freeze.Pid, (int)request.Freeze.DeadlineMs);
                Note(reply, _engine.Times);
                break;
            case Request.VerbOneofCase.ProcessCapture:
                if (_writer is null) Begin(request.ProcessCapture.BaseManifestHash);
                _writer!.HoldFrames();
                _engine.Capture(_writer, Read(request.ProcessCapture.Externals));
                Note(reply, _engine.Times);
                if (_writer.WaitedMicroseconds > 0) reply.Findings.Add($"the copy waited {_writer.WaitedMicroseconds / 1000} ms for the store: too little memory for what was written ({_writer.CopyLimit})");
                break;
            case Request.VerbOneofCase.Resume:
                if (request.Resume.Kill) _engine.Kill(); else _engine.Resume();
                break;
            case Request.VerbOneofCase.Finish:
                SnapshotResult result = (_writer ?? throw new ProcessException("nothing was captured")).Finish();
                _writer.Dispose();
                _writer = null;
                reply.ManifestHash = result.ManifestHash.ToByteString();
                reply.BytesTotal = (ulong)result.BytesTotal;
                reply.BytesStored = (ulong)result.BytesStored;
                break;
            case Request.VerbOneofCase.EpochEnd:
                if (request.EpochEnd.Committed) _engine.Commit();
                else
                {
                    _engine.Abort();
                    _writer?.Dispose();
                    _writer = null;
                }
                break;
            case Request.VerbOneofCase.ProcessRestore:
                GivenDescriptors given = new();
                for (int i = 0; i < 3; i++) given.Streams[i] = descriptors[i];
                for (int i = 0; i < request.ProcessRestore.SessionNumbers.Count; i++)
                    given.Sessions[request.ProcessRestore.SessionNumbers[i]] = (descriptors[3 + 3 * i], descriptors[4 + 3 * i], descriptors[5 + 3 * i]);
                foreach (PathMap map in request.ProcessRestore.PathMaps) given.Paths.Maps.Add((map.Old, map.New));
                given.BundleDirectory = $"{storePath}/bundles/{Convert.ToHexStringLower(request.ProcessRestore.ManifestHash.Span)}";
                given.Meeting = request.ProcessRestore.Meeting;
                given.Paths.WorkingDirectory = request.ProcessRestore.WorkingDirectory;
                PhaseTimes opening = new();
                OpenReader(request.ProcessRestore.ManifestHash);
                opening.Mark("snapshot's manifest");
                Note(reply, opening);
                reply.Pid = _engine.Restore(_reader!, given, request.ProcessRestore.Lazy);
                _keptTerminals = [.. given.KeptTerminals];
                Note(reply, _engine.Times);
                if (_engine.LazyNotice is { } why) reply.Findings.Add($"the memory was restored before the program ran: {why}");
                break;
            case Request.VerbOneofCase.ServePages:
                OpenReader(request.ServePages.ManifestHash);
                _engine.TakeOver(_reader!, descriptors);
                break;
            case Request.VerbOneofCase.Release:
                _engine.Release(); // the reader goes when all memory is there
                break;
            default: throw new ProcessException($"the engine does not know {request.VerbCase}");
        }
    }

    private static void Note(Reply reply, PhaseTimes times)
    {
        foreach (PhaseTimes.Phase phase in times.All)
            reply.Phases.Add(new PhaseTime { Name = phase.Name, Microseconds = (ulong)phase.Microseconds, Bytes = (ulong)phase.Bytes });
    }

    private void OpenReader(ByteString hash)
    {
        DropReader();
        _reader = _store.OpenSnapshot(ContentHash.FromBytes(hash.Span));
        _engine.OnServed = DropReader;
        _engine.OnServeFailed = e => Output.Error(Program.Explain(e).Error, $"the program was killed: {e.Message}");
    }

    private void DropReader() => Interlocked.Exchange(ref _reader, null)?.Dispose();

    private void Begin(ByteString baseHash)
    {
        _writer?.Dispose();
        _writer = null;
        _writer = _store.BeginSnapshot(baseHash.Length == 0 ? null : ContentHash.FromBytes(baseHash.Span));
    }

    private static ExternalObjects Read(Externals? externals)
    {
        ExternalObjects read = new();
        foreach (ExternalStreamFacts stream in externals?.Streams ?? []) read.Streams.Add(new ExternalStream(stream.Number, stream.Link));
        foreach (ExternalSessionFacts session in externals?.Sessions ?? [])
            read.Sessions.Add(new ExternalSession(session.Number, session.ConnectionLink, session.SegmentInode, session.PinnedInode));
        return read;
    }

    public void Dispose()
    {
        _engine.Dispose();
        _writer?.Dispose();
        DropReader();
        _store.Dispose();
        _connection.Dispose();
    }
}
