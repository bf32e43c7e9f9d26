using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Tests.Fake;

/// <summary>A delegator of one thread: serves one program at a time on a Unix socket, runs records in ticket order on a <see cref="FakeDevice"/>.</summary>
internal sealed unsafe class FakeDelegator : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("trecr-fake-").FullName;
    private readonly int _listener;
    private readonly Thread _server;
    private volatile bool _stop;

    public FakeDelegator()
    {
        _listener = Sys.ListenUnix(SocketPath);
        _server = new Thread(Serve) { IsBackground = true, Name = "fake delegator" };
        _server.Start();
    }

    public string SocketPath => Path.Combine(_directory, "session");

    public FakeDevice Device { get; } = new();

    public FakeSession? Session { get; private set; }

    /// <summary>Names of calls in the order in which they ran.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>Set: the connection is closed when this call comes, without an answer.</summary>
    public string DieAt { get; set; } = "";

    /// <summary>What cuInit shall answer.</summary>
    public int InitResult { get; set; }

    public Exception? Failure { get; private set; }

    public void Dispose()
    {
        _stop = true;
        // Wakes accept.
        int fd = Sys.ConnectUnix(SocketPath);
        _server.Join(60_000);
        Sys.Close(fd);
        Sys.Close(_listener);
        Device.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private void Serve()
    {
        try
        {
            while (!_stop)
            {
                int connection = Sys.Accept(_listener);
                if (connection < 0 || _stop) return;
                Program(connection);
                Sys.Close(connection);
            }
        }
        catch (Exception e) { Failure = e; }
    }

    private void Program(int connection)
    {
        SessionHello hello = default;
        if (Sys.Receive(connection, MemoryMarshal.AsBytes(new Span<SessionHello>(ref hello)), default, out _) < sizeof(SessionHello)) return;
        (Segment segment, int segmentFd) = Segment.Create(1);
        int pinnedFd = Sys.MemfdCreate(SegmentLayout.PinnedName);
        Sys.Ftruncate(pinnedFd, (long)SegmentLayout.PinnedBytes);
        Sys.Check(Sys.Mmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE, pinnedFd), "mmap");
        SessionWelcome welcome = new() { Magic = SegmentLayout.Magic, ProtocolVersion = SegmentLayout.ProtocolVersion, DeviceCount = 1, InitResult = InitResult };
        Sys.Send(connection, MemoryMarshal.AsBytes(new ReadOnlySpan<SessionWelcome>(in welcome)), [segmentFd, pinnedFd]);
        Sys.Close(segmentFd);
        Sys.Close(pinnedFd);
        Session = new FakeSession(hello.Pid);
        Device.HostFunction = (function, data) => RunHostFunction(segment.Header, function, data);
        while (!_stop && RunNext(segment, connection)) { }
        segment.Unmap();
        Sys.Munmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes);
    }

    /// <summary>Runs the record with the lowest ticket, or sleeps.</summary>
    /// <returns>false: the program is gone, or this delegator "died"</returns>
    private bool RunNext(Segment segment, int connection)
    {
        ChannelHeader* best = null;
        RecordHeader* next = null;
        for (int i = 0; i < segment.Header->ChannelsUsed; i++)
        {
            ChannelHeader* channel = segment.Channel(i);
            RecordHeader* record = First(channel);
            if (record == null || next != null && record->Ticket >= next->Ticket) continue;
            best = channel;
            next = record;
        }
        if (next != null) return Run(best, next, segment);
        uint bell = Volatile.Read(ref segment.Control->Doorbell);
        Interlocked.Exchange(ref segment.Control->DelegatorSleeps, 1);
        for (int i = 0; i < segment.Header->ChannelsUsed; i++) if (First(segment.Channel(i)) != null) return true;
        Sys.FutexWait(&segment.Control->Doorbell, bell, 20_000_000);
        PollEntry entry = new() { Fd = connection, Events = Sys.POLLIN };
        return Sys.Poll(new Span<PollEntry>(ref entry), 0) <= 0 || (entry.Returned & Sys.POLLHUP) == 0;
    }

    private static RecordHeader* First(ChannelHeader* channel)
    {
        while (channel->Tail < Volatile.Read(ref channel->Head))
        {
            RecordHeader* record = (RecordHeader*)((byte*)channel + SegmentLayout.PageBytes + (channel->Tail & (SegmentLayout.RingBytes - 1)));
            if (record->Call != RecordHeader.PadCall) return record;
            channel->Tail += record->RecordBytes;
        }
        return null;
    }

    private bool Run(ChannelHeader* channel, RecordHeader* shared, Segment segment)
    {
        byte[] copy = new ReadOnlySpan<byte>(shared, (int)shared->RecordBytes).ToArray();
        fixed (byte* bytes = copy)
        {
            RecordHeader* record = (RecordHeader*)bytes;
            string name = CallTables.NameOf(record->Library, record->Call);
            lock (Calls) Calls.Add(name);
            if (name == DieAt) return false;
            AnswerWriter answer = new((byte*)channel + ChannelHeader.AnswerOffset);
            FakeSession session = Session!;
            if (!DeviceDispatch.TryDispatch(Device, session, record, ref answer, out CUresult result) && !ContextDispatch.TryDispatch(Device, session, record, ref answer, out result)
                && !ModuleDispatch.TryDispatch(Device, session, record, ref answer, out result) && !MemoryDispatch.TryDispatch(Device, session, record, ref answer, out result)
                && !CopyDispatch.TryDispatch(Device, session, record, ref answer, out result) && !StreamDispatch.TryDispatch(Device, session, record, ref answer, out result)
                && !EventDispatch.TryDispatch(Device, session, record, ref answer, out result) && !ExecutionDispatch.TryDispatch(Device, session, record, ref answer, out result))
                throw new InvalidOperationException("no table has " + name);
            session.EndCall();
            segment.Control->DeviceOutputWaiting = Device.Output.Length != 0 ? 1u : 0;
            Volatile.Write(ref channel->Tail, channel->Tail + shared->RecordBytes);
            if ((record->Flags & RecordHeader.WantsAnswer) == 0) return true;
            channel->AnswerResult = (int)result;
            channel->AnswerLengthBytes = (uint)answer.LengthBytes;
            Interlocked.Exchange(ref channel->AnswerSequence, record->Sequence);
            if (Volatile.Read(ref channel->OwnerSleeps) != 0) Sys.FutexWake(&channel->AnswerSequence);
            return true;
        }
    }

    private static void RunHostFunction(SegmentHeader* header, ulong function, ulong data)
    {
        header->HostFunctionAddress = function;
        header->HostFunctionUserData = data;
        uint posted = Interlocked.Increment(ref header->HostFunctionPosted);
        Sys.FutexWake(&header->HostFunctionPosted);
        for (int i = 0; i < 6000 && Volatile.Read(ref header->HostFunctionDone) != posted; i++)
            Sys.FutexWait(&header->HostFunctionDone, posted - 1, 10_000_000);
    }
}
