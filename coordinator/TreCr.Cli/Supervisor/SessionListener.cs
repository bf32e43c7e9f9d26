using System.Runtime.InteropServices;
using TreCr.Control;
using TreCr.Linux;
using TreCr.Rank;
using TreCr.Ring;

namespace TreCr.Cli;

/// <summary>
/// Where the processes of the program ask for their delegators (TRECR_SESSION). Each gets a delegator of its own, which takes over the connection.
/// </summary>
/// <remarks>A thread accepts; each hello and each attach runs on a thread of its own. No session begins while a checkpoint is between gate and resume.</remarks>
internal sealed class SessionListener : IDisposable
{
    private const int HelloMs = 20_000, AttachMs = 60_000, ClosesMs = 10_000;

    private readonly Lock _lock = new();
    private readonly ReaderWriterLockSlim _attaching = new();
    private readonly List<Session> _sessions = [];
    private readonly string _path, _job, _store, _device;
    private readonly int _listener;
    private readonly int _initPid;
    private int _nextNumber;
    private int _arriving, _arrived;
    private volatile bool _closed;

    /// <param name="path">of the socket; what is there already is removed: the job's lock is held</param>
    /// <param name="initPid">of the job's namespace, as we see it</param>
    public SessionListener(string path, string job, string store, string device, int initPid)
    {
        (_path, _job, _store, _device, _initPid) = (path, job, store, device, initPid);
        File.Delete(path);
        _listener = Sys.ListenUnix(path);
    }

    /// <summary>What delegators are told.</summary>
    public long MaxExtraMemoryBytes { get; set; }

    /// <summary>Programs are told of a portable device.</summary>
    public bool Portable { get; set; }

    /// <summary>A process calls MPI_Init: connection, its pid as we see it, hello, the segment's descriptor. Answers on the connection.</summary>
    public Action<int, int, MpiHello, int> OnMpi { get; set; } = static (_, _, _, _) => { };

    /// <summary>A delegator was started; for the job's file.</summary>
    public Action<int> OnDelegator { get; set; } = static _ => { };

    /// <summary>Sessions that are alive, ascending by number.</summary>
    public List<Session> Sessions
    {
        get { lock (_lock) return [.. _sessions]; }
    }

    public void Start() => new Thread(AcceptAll, 256 * 1024) { IsBackground = true, Name = "sessions" }.Start();

    /// <summary>No session begins until <see cref="AllowNew"/>. Waits for those that are beginning.</summary>
    /// <returns>false: one did not finish in time</returns>
    public bool HoldNew(int timeoutMs) => _attaching.TryEnterWriteLock(timeoutMs);

    /// <summary>On the thread that called <see cref="HoldNew"/>.</summary>
    public void AllowNew() => _attaching.ExitWriteLock();

    /// <summary>Connections so far.</summary>
    public int Arrived => Volatile.Read(ref _arrived);

    /// <summary>Between <see cref="HoldNew"/> and <see cref="AllowNew"/>: a process has asked for a delegator since, and waits.</summary>
    public bool IsAnybodyWaiting => Sys.Poll([new PollEntry { Fd = _listener, Events = Sys.POLLIN }], 0) > 0 || Volatile.Read(ref _arriving) > 0; // in this order: it is counted before it is accepted

    /// <summary>After <see cref="AllowNew"/>: until those that waited have begun, so that the next <see cref="HoldNew"/> waits for them.</summary>
    public void AwaitWaiting(int timeoutMs)
    {
        for (long end = Environment.TickCount64 + timeoutMs; IsAnybodyWaiting && Environment.TickCount64 < end;) Thread.Sleep(1);
    }

    /// <summary>Takes a session of a restored program in.</summary>
    public void Adopt(Session session)
    {
        lock (_lock)
        {
            _sessions.Add(session);
            _nextNumber = Math.Max(_nextNumber, session.Number + 1);
        }
        Watch(session);
    }

    private void AcceptAll()
    {
        while (true)
        {
            Span<PollEntry> ready = [new PollEntry { Fd = _listener, Events = Sys.POLLIN }];
            Sys.Poll(ready, 1000);
            if (_closed) return;
            if (ready[0].Returned == 0) continue;
            Interlocked.Increment(ref _arriving);
            Interlocked.Increment(ref _arrived);
            int connection = Sys.Accept(_listener);
            if (connection >= 0) new Thread(() => Greet(connection), 512 * 1024) { IsBackground = true, Name = "session" }.Start();
            else Interlocked.Decrement(ref _arriving);
        }
    }

    private void Greet(int connection)
    {
        _attaching.EnterReadLock(); // before its hello: the program is not stopped between the two, which would make it late, and its connection a stranger's
        Interlocked.Decrement(ref _arriving);
        try
        {
            (int hostPid, uint uid, _) = Sys.PeerCredentials(connection);
            if (uid != Sys.EffectiveUserId()) { Output.Note($"refused a connection of user {uid}"); return; }
            if (Sys.ReadLink($"/proc/{hostPid}/ns/pid") is not { } space || space != Sys.ReadLink($"/proc/{_initPid}/ns/pid"))
            {
                Output.Note($"refused a connection of process {hostPid}, which is not of this job");
                return;
            }
            Span<PollEntry> ready = [new PollEntry { Fd = connection, Events = Sys.POLLIN }];
            Span<SessionHello> hello = stackalloc SessionHello[1]; // that of MPI is as long
            Span<int> passed = stackalloc int[1];
            int count = 0;
            bool came = Sys.Poll(ready, HelloMs) > 0 && Sys.Receive(connection, MemoryMarshal.AsBytes(hello), passed, out count) == Marshal.SizeOf<SessionHello>();
            if (came && count == 1 && hello[0].Magic == MpiHello.MagicValue)
            {
                try { OnMpi(connection, hostPid, MemoryMarshal.Cast<SessionHello, MpiHello>(hello)[0], passed[0]); }
                finally { Sys.Close(passed[0]); }
                Sys.Poll(ready, ClosesMs); // until the process has closed it too: a checkpoint before that would find a stranger's connection
                return;
            }
            if (count > 0) Sys.Close(passed[0]);
            if (!came || hello[0].Magic != SegmentLayout.Magic || hello[0].Pid <= 0 || hello[0].ConnectionDescriptor < 0)
            {
                Output.Note($"refused a connection of process {hostPid}: not a hello of the wrapper");
                return;
            }
            if (hello[0].ProtocolVersion != SegmentLayout.ProtocolVersion)
            {
                Output.Note($"refused a connection of process {hostPid}: its wrapper speaks version {hello[0].ProtocolVersion}, this trecr {SegmentLayout.ProtocolVersion}");
                return;
            }
            Attach(connection, hostPid, hello[0]);
        }
        catch (Exception e)
        {
            (TrecrError error, string message, IReadOnlyList<string> findings) = Program.Explain(e);
            Output.Error(error, message, findings);
        }
        finally
        {
            _attaching.ExitReadLock();
            Sys.Close(connection);
        }
    }

    private void Attach(int connection, int hostPid, in SessionHello hello)
    {
        foreach (Session old in Sessions.Where(s => s.HostPid == hostPid)) End(old);
        int number;
        lock (_lock)
        {
            if (_closed) return;
            number = _nextNumber++;
        }
        DelegatorProcess delegator = DelegatorProcess.Start(_job, _store, _device, MaxExtraMemoryBytes, Portable, $"delegator of process {hello.Pid}");
        OnDelegator(delegator.HostPid);
        Session session = new(number, hello.Pid, hostPid, hello.ConnectionDescriptor, delegator);
        try
        {
            delegator.Peer.Ask(new Request { Attach = new AttachRequest { HostPid = hostPid } }, AttachMs, TrecrError.DelegatorStart, [connection]);
            AskDevice(session);
        }
        catch
        {
            delegator.Dispose();
            throw;
        }
        lock (_lock) _sessions.Add(session);
        Watch(session);
    }

    /// <summary>Learns which device the delegator uses.</summary>
    public static Reply AskDevice(Session session)
    {
        Reply reply = session.Delegator.Peer.Ask(new Request { Status = new StatusRequest() }, AttachMs, TrecrError.DelegatorStart);
        session.DeviceName = reply.DeviceName;
        session.DeviceKind = reply.DeviceKind;
        return reply;
    }

    /// <summary>Notices the end of a delegator: in order when the program's connection closed, else a failure that is named.</summary>
    private void Watch(Session session) => new Thread(() =>
    {
        int? status = session.Delegator.WaitForEnd(-1);
        bool known;
        lock (_lock) known = _sessions.Remove(session);
        if (!known || _closed) return;
        session.DelegatorLost = status is not 0;
        session.Delegator.Peer.Dispose();
        if (session.DelegatorLost)
            Output.Error(TrecrError.DelegatorLost, $"the delegator of process {session.Pid} ended ({ExitStatus.Describe(status ?? 0)}): its CUDA calls fail from now on");
    }, 256 * 1024)
    { IsBackground = true, Name = "delegator watch" }.Start();

    private void End(Session session)
    {
        lock (_lock) _sessions.Remove(session);
        session.Delegator.Dispose();
    }

    /// <summary>Ends all delegators.</summary>
    public void Dispose()
    {
        _closed = true;
        Sys.UnlinkAt(Sys.AT_FDCWD, _path);
        foreach (Session session in Sessions) session.Delegator.Peer.Dispose(); // all at once, then wait for each
        foreach (Session session in Sessions) End(session);
        Sys.Close(_listener);
    }
}
